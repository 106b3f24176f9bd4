//! `kill`: sends a signal to a container's init.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use crate::model::id::ContainerId;

/// Sends `signal` (name with or without `SIG`, or number; `KILL` by default) to each container.
///
/// # Errors
/// An unknown signal; what concerns one container goes to `report`.
pub fn kill(
    _ctx: &Context,
    _which: &Selection,
    _signal: Option<&str>,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}
