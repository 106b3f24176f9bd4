//! `rename`: gives a container another name.

use super::context::Context;
use super::error::Error;

/// Renames `name` to `new`.
///
/// # Errors
/// No such container, a bad name, or one that is taken.
pub fn rename(_ctx: &Context, _name: &str, _new: &str) -> Result<(), Error> {
    todo!()
}
