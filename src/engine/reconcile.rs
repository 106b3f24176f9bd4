//! What a crash or a reboot left behind, put right by whoever notices it first.
//!
//! A row that says "running" is believed only while the monitor's lock is held and the boot id is the
//! current one; else the container is recorded as exited and what the kernel does not take back (cgroup,
//! leases, nft elements) is swept.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use crate::model::id::ContainerId;

/// `container cleanup`: sweeps each container that does not run; nothing else is touched.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn cleanup(
    _ctx: &Context,
    _which: &Selection,
    _remove: bool,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}
