//! `rm`: removes containers.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use crate::model::id::ContainerId;

/// How to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// `-f`: kill it first; what does not exist is no error.
    pub force: bool,
    /// `-v`: remove its anonymous volumes too.
    pub volumes: bool,
    /// `-t` with `-f`: seconds between the stop signal and SIGKILL.
    pub timeout: Option<i64>,
    /// `--depend`: remove what depends on it too.
    pub depend: bool,
    /// `--link NAME/ALIAS`: refused, links are not kept as objects.
    pub link: bool,
}

/// Removes each container.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn rm(
    _ctx: &Context,
    _which: &Selection,
    _options: &RemoveOptions,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}
