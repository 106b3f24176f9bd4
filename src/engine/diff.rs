//! `diff`: what a container changed against its image.

use super::context::Context;
use super::error::Error;

/// Sort of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Changed (`C`).
    Modified,
    /// Added (`A`).
    Added,
    /// Deleted (`D`).
    Deleted,
}

/// The changes of a container, sorted by path.
///
/// # Errors
/// No such container.
pub fn diff(_ctx: &Context, _name: &str) -> Result<Vec<(Change, String)>, Error> {
    todo!()
}
