//! `stop`: asks with the stop signal, waits, then kills.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use crate::model::id::ContainerId;

/// How to stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// `-t`: seconds until SIGKILL; -1 waits for ever; `None` takes the container's own.
    pub timeout: Option<i64>,
    /// `--signal` instead of the container's own.
    pub signal: Option<String>,
}

/// Stops each container; one that does not run is no error.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn stop(
    _ctx: &Context,
    _which: &Selection,
    _options: &StopOptions,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}
