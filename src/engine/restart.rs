//! `restart`: stop, then start.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use super::stop::StopOptions;
use crate::model::id::ContainerId;

/// Restarts each container; `running_only` (`--running`) leaves the others alone.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn restart(
    _ctx: &Context,
    _which: &Selection,
    _options: &StopOptions,
    _running_only: bool,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}
