//! `wait`: blocks until containers are in a state.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};

/// What is waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitOptions {
    /// `--condition`: docker's `not-running` (default), `next-exit`, `removed`; podman's states (`running`,
    /// `stopped`, `exited`, `healthy`, …), several allowed.
    pub conditions: Vec<String>,
    /// `--exit-first-match`: the first container that matches ends the wait.
    pub first: bool,
}

/// Waits for each container and reports its exit code (-1 for a state that is no end).
///
/// # Errors
/// An unknown condition; what concerns one container goes to `report`.
pub fn wait(
    _ctx: &Context,
    _which: &Selection,
    _options: &WaitOptions,
    _report: &mut dyn FnMut(Done<i32>),
) -> Result<(), Error> {
    todo!()
}
