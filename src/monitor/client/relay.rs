//! Moving bytes between the user's stdio and a monitor.

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::model::container::Exited;
use crate::model::id::ContainerId;

use super::super::detach::DetachKeys;
use super::ClientError;
use crate::storage::Paths;

/// A connection whose packets are streams of the main process or of an exec with a terminal.
#[derive(Debug)]
pub struct Attached {
    pub(super) socket: OwnedFd,
    pub(super) paths: Paths,
    pub(super) id: ContainerId,
    pub(super) exec: Option<String>,
    pub(super) tty: bool,
}

/// The user's side of a relay.
#[derive(Debug)]
pub struct Relay<'a> {
    /// Read and sent on; `None` sends nothing (and no end of file).
    pub stdin: Option<BorrowedFd<'a>>,
    /// Where standard output goes.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Where standard error goes.
    pub stderr: Option<BorrowedFd<'a>>,
    /// Keys that detach; used only with a terminal on `stdin` or with `tty`.
    pub detach_keys: DetachKeys,
    /// Signals that reach us are sent to the process instead.
    pub sig_proxy: bool,
}

/// How a relay ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The process ended.
    Exited(Exited),
    /// The user typed the detach keys; the process goes on.
    Detached,
    /// The monitor closed the connection because we read too slowly; the process goes on.
    TooSlow,
}

impl Attached {
    /// Whether the process has a terminal.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.tty
    }

    /// The raw connection, for a caller that relays by itself (the REST API).
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Relays until the process ends or the user detaches. Puts the user's terminal into raw mode while the
    /// process has one, and restores it; follows its size.
    ///
    /// # Errors
    /// The monitor is lost, or the terminal refuses. A stdout that nobody reads any more is no error: the
    /// relay goes on without it, as docker's.
    pub fn relay(self, user: Relay<'_>) -> Result<Ended, ClientError> {
        let _ = (user, self.paths, self.id, self.exec);
        todo!()
    }
}
