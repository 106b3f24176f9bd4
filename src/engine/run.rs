//! `run`: create and start in one, attached or detached.

use super::attach::{AttachOptions, Attached};
use super::context::Context;
use super::create::SideFiles;
use super::error::Error;
use super::progress::Progress;
use crate::model::create::CreateOptions;
use crate::model::id::ContainerId;

/// What `run` has to know beside the container itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// `None`: detached (`-d`).
    pub attach: Option<AttachOptions>,
    /// Files to write.
    pub files: SideFiles,
}

/// A container that was started.
#[derive(Debug)]
pub enum RunHandle {
    /// It runs on its own.
    Detached {
        /// Its id.
        id: ContainerId,
        /// Things worth saying that are no errors.
        warnings: Vec<String>,
    },
    /// Its streams wait to be relayed.
    Attached(Attached),
}

/// Creates a container and starts it.
///
/// # Errors
/// As `create`, and what keeps it from starting: 125 (engine), 126 (not executable), 127 (not found).
pub fn run(
    _ctx: &Context,
    _options: &CreateOptions,
    _run: &RunOptions,
    _progress: &dyn Progress,
) -> Result<RunHandle, Error> {
    todo!()
}
