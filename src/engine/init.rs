//! `init`: prepares a container up to the point where its command would be executed.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use crate::model::id::ContainerId;

/// Prepares each container.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn init(
    _ctx: &Context,
    _which: &Selection,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}
