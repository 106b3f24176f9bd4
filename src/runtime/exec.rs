//! A second process in a running container.

use std::os::fd::{BorrowedFd, OwnedFd};

use oci_spec::runtime::Process;

use super::Error;
use super::cgroup::Cgroup;
use super::seccomp::Filter;
use super::spawn::Stdio;
use crate::sys::process::PidFd;

/// A process to put into a container.
#[derive(Debug)]
pub struct Request<'a> {
    /// The container's first process.
    pub init: &'a PidFd,
    /// Its pid, as we see it.
    pub init_pid: i32,
    /// What to run.
    pub process: &'a Process,
    /// The container's cgroup.
    pub cgroup: Option<&'a Cgroup>,
    /// The container's filter.
    pub seccomp: Option<&'a Filter>,
    /// Its descriptors 0 to 2.
    pub stdio: Stdio<'a>,
    /// Its descriptors 3 and up.
    pub preserved: &'a [BorrowedFd<'a>],
    /// Signal for it when the caller dies.
    pub parent_death_signal: Option<i32>,
}

/// A process that runs in a container.
#[derive(Debug)]
pub struct Executed {
    /// Its pid, as we see it.
    pub pid: i32,
    /// Handle on it; it is our child.
    pub pidfd: PidFd,
    /// The master of its terminal.
    pub console: Option<OwnedFd>,
}

/// Starts the process and waits until it has executed its program. Single-threaded callers only.
///
/// # Errors
/// [`Error`], of the same kinds as a start; nothing is left then.
pub fn exec(request: Request<'_>) -> Result<Executed, Error> {
    let _ = request;
    todo!()
}
