//! `attach`: joins the streams of a running container; and [`Attached`], the live connection that `run`,
//! `start -a`, `exec` and `attach` have in common.

use std::os::fd::BorrowedFd;

use super::context::Context;
use super::error::Error;
use crate::model::id::ContainerId;

/// Which streams are wanted and how the terminal behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachOptions {
    /// Send the caller's stdin.
    pub stdin: bool,
    /// Receive stdout.
    pub stdout: bool,
    /// Receive stderr.
    pub stderr: bool,
    /// Keys that detach, `ctrl-p,ctrl-q` by default; `Some("")` for none.
    pub detach_keys: Option<String>,
    /// Hand signals on to the container (not with a terminal).
    pub sig_proxy: bool,
}

impl Default for AttachOptions {
    fn default() -> Self {
        Self { stdin: false, stdout: true, stderr: true, detach_keys: None, sig_proxy: true }
    }
}

/// The caller's own streams.
#[derive(Debug, Clone, Copy)]
pub struct Streams<'a> {
    /// Where input comes from.
    pub stdin: BorrowedFd<'a>,
    /// Where the container's stdout goes.
    pub stdout: BorrowedFd<'a>,
    /// Where the container's stderr goes.
    pub stderr: BorrowedFd<'a>,
}

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayEnd {
    /// The process ended with this code (128 + n for a signal).
    Exited(i32),
    /// The user typed the detach keys; the process goes on.
    Detached,
}

/// A live connection to a container's or an exec's streams.
#[derive(Debug)]
pub struct Attached {
    /// The container.
    pub id: ContainerId,
    /// Things worth saying that are no errors.
    pub warnings: Vec<String>,
}

impl Attached {
    /// Relays until the process ends or the user detaches. Puts the terminal into raw mode and back, forwards
    /// its size and, if so wished, signals.
    ///
    /// # Errors
    /// The monitor is lost, or the process could not be started (126, 127).
    pub fn relay(self, _streams: Streams<'_>) -> Result<RelayEnd, Error> {
        todo!()
    }
}

/// Attaches to a running container.
///
/// # Errors
/// No such container, or it is not running.
pub fn attach(_ctx: &Context, _name: &str, _options: &AttachOptions) -> Result<Attached, Error> {
    todo!()
}
