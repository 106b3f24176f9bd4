//! `start`: starts containers that exist.

use super::attach::{AttachOptions, Attached};
use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use crate::model::id::ContainerId;

/// Starts each container; one that runs already is no error. With filters, `--filter restart-policy=…` is what the boot
/// unit uses.
///
/// # Errors
/// Only what concerns the selection as a whole; each container's outcome goes to `report`.
pub fn start(
    _ctx: &Context,
    _which: &Selection,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}

/// `start -a`: starts one container with its streams attached.
///
/// # Errors
/// No such container, or what keeps it from starting.
pub fn start_attached(_ctx: &Context, _name: &str, _options: &AttachOptions) -> Result<Attached, Error> {
    todo!()
}
