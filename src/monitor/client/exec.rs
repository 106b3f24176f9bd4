//! A second process in a running container.

use std::os::fd::OwnedFd;

use crate::model::container::Exited;
use crate::model::id::ContainerId;

use super::super::proto::ExecRequest;
use super::{Attached, ClientError};
use crate::storage::Paths;

/// stdio of an exec without a terminal.
#[derive(Debug)]
pub enum ExecStdio {
    /// All three are /dev/null (detached).
    Null,
    /// The caller's own descriptors (`None` is /dev/null). Pipes are passed through to the process; terminals,
    /// files and sockets are never handed to a container: bytes are relayed by us.
    Inherit {
        /// Standard input.
        stdin: Option<OwnedFd>,
        /// Standard output.
        stdout: Option<OwnedFd>,
        /// Standard error.
        stderr: Option<OwnedFd>,
    },
    /// A terminal in the container; bytes come over [`ExecStarted::attached`].
    Terminal,
}

/// An exec that runs.
#[derive(Debug)]
pub struct ExecStarted {
    /// Its id.
    pub id: String,
    /// Its pid on the host.
    pub pid: i32,
    /// What comes next.
    pub outcome: ExecOutcome,
}

/// How to learn the end of an exec.
#[derive(Debug)]
pub enum ExecOutcome {
    /// Detached: by `exec_inspect`.
    Detached,
    /// With a terminal: relay it.
    Terminal(Attached),
    /// Without: wait for it.
    Waiting(ExecWait),
}

/// Waits for an exec without a terminal, relaying what must be relayed.
#[derive(Debug)]
pub struct ExecWait {
    pub(super) socket: OwnedFd,
}

impl ExecWait {
    /// Blocks until the process ends.
    ///
    /// # Errors
    /// The monitor is lost.
    pub fn wait(self, sig_proxy: bool) -> Result<Exited, ClientError> {
        let _ = (self.socket, sig_proxy);
        todo!()
    }
}

/// Starts a process in a running container.
///
/// # Errors
/// [`ClientError::Refused`] with code 126 or 127 where the command cannot run.
pub fn exec(
    paths: &Paths,
    id: &ContainerId,
    request: ExecRequest,
    stdio: ExecStdio,
    preserved: Vec<OwnedFd>,
) -> Result<ExecStarted, ClientError> {
    let _ = (paths, id, request, stdio, preserved);
    todo!()
}
