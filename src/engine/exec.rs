//! `exec`: a further process in a running container.

use super::attach::{AttachOptions, Attached};
use super::context::Context;
use super::error::Error;
use crate::model::process::ProcessOptions;

/// How to run it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExecOptions {
    /// argv, environment, user, workdir, tty, privileged.
    pub process: ProcessOptions,
    /// `None`: detached (`-d`).
    pub attach: Option<AttachOptions>,
}

/// A process that was started.
#[derive(Debug)]
pub enum ExecHandle {
    /// It runs on its own; the id of the exec session.
    Detached(String),
    /// Its streams wait to be relayed.
    Attached(Attached),
}

/// Starts a process in a running container.
///
/// # Errors
/// No such container, not running or paused, a command that cannot be started (126, 127).
pub fn exec(_ctx: &Context, _name: &str, _options: &ExecOptions) -> Result<ExecHandle, Error> {
    todo!()
}
