//! `pause` and `unpause`: freezes and thaws a container's cgroup.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use crate::model::id::ContainerId;

/// Freezes each container.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn pause(
    _ctx: &Context,
    _which: &Selection,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}

/// Thaws each container.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn unpause(
    _ctx: &Context,
    _which: &Selection,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}
