//! The parent's side of a container's start: clone, id maps, cgroup, handshake.
//!
//! [`create`] returns as soon as the process is there and in its cgroup, so that the caller can set
//! up its network while it makes its mounts. [`Created::wait_ready`] waits until all is done but the
//! exec; [`Created::go`] lets it exec. A [`Created`] that is dropped is killed and reaped.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Spec;

use super::Error;
use super::cgroup::Cgroup;
use super::seccomp::Filter;
use crate::sys::ns;
use crate::sys::process::PidFd;

/// Where the container's root is.
#[derive(Debug)]
pub enum Rootfs<'a> {
    /// A detached mount, attached in the container's mount namespace only.
    Mount(BorrowedFd<'a>),
    /// A host directory, bound onto itself.
    Path(&'a Path),
}

/// What becomes descriptors 0, 1 and 2.
#[derive(Debug, Clone, Copy)]
pub enum Stdio<'a> {
    /// These.
    Fds([BorrowedFd<'a>; 3]),
    /// A terminal made in the container's own devpts; its master comes back in the [`Created`].
    Terminal {
        /// Rows; 0 leaves the size unset.
        rows: u16,
        /// Columns.
        columns: u16,
    },
}

/// What brings the exec about.
#[derive(Debug, Clone, Copy)]
pub enum StartOn<'a> {
    /// [`Created::go`].
    Go,
    /// A connection to this listening `SOCK_SEQPACKET` socket, which may come long after the creator
    /// has gone (`rcon runtime start`).
    Connection(BorrowedFd<'a>),
}

/// A container to start.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its id, for hooks and messages.
    pub id: &'a str,
    /// What it is. `root.path` is not used; seccomp is not taken from here but from `seccomp`.
    pub spec: &'a Spec,
    /// The bundle, for hooks; `/` where there is none.
    pub bundle: &'a Path,
    /// Its root.
    pub rootfs: Rootfs<'a>,
    /// Detached mounts by destination, taken instead of the source of the spec's mount there.
    pub mounts: Vec<(String, OwnedFd)>,
    /// Namespaces to join, before those that the spec names by path.
    pub namespaces: Vec<(ns::Kind, BorrowedFd<'a>)>,
    /// Its cgroup, limits in force.
    pub cgroup: Option<&'a Cgroup>,
    /// Its filter.
    pub seccomp: Option<&'a Filter>,
    /// Its descriptors 0 to 2.
    pub stdio: Stdio<'a>,
    /// Its descriptors 3 and up.
    pub preserved: &'a [BorrowedFd<'a>],
    /// Signal for it when the caller dies.
    pub parent_death_signal: Option<i32>,
    /// What brings the exec about.
    pub start_on: StartOn<'a>,
    /// Run a small init as its first process, which forwards signals and reaps ([`super::reaper`]).
    pub init: bool,
}

/// A container whose process is there and has not executed its program yet.
#[derive(Debug)]
pub struct Created {
    pid: i32,
    pidfd: Option<PidFd>,
}

/// A container that runs.
#[derive(Debug)]
pub struct Started {
    /// Pid of its first process, as we see it.
    pub pid: i32,
    /// Handle on it.
    pub pidfd: PidFd,
}

/// Clones the container's process and puts it into its cgroup. Single-threaded callers only.
///
/// # Errors
/// [`Error`]; nothing is left then.
pub fn create(request: Request<'_>) -> Result<Created, Error> {
    let _ = request;
    todo!()
}

impl Created {
    /// Its pid, as we see it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Handle on it.
    #[must_use]
    pub fn pidfd(&self) -> &PidFd {
        self.pidfd.as_ref().expect("taken only by go and detach, which consume the value")
    }

    /// Waits until everything is done but the exec (hooks of creation included).
    ///
    /// # Errors
    /// What the process reports: the step, the thing, the call.
    pub fn wait_ready(&mut self) -> Result<(), Error> {
        todo!()
    }

    /// The master of its terminal, once after [`Created::wait_ready`].
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        todo!()
    }

    /// Lets it exec, and waits until it has.
    ///
    /// # Errors
    /// [`Error::CommandNotFound`], [`Error::CommandNotExecutable`] and others; it is reaped then.
    pub fn go(self) -> Result<Started, Error> {
        todo!()
    }

    /// Lets it live on without us ([`StartOn::Connection`]).
    #[must_use]
    pub fn detach(self) -> Started {
        todo!()
    }
}
