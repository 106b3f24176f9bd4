//! cgroups: make one, limit it, put a process in, measure, freeze, kill, remove. v2, v1 and hybrid
//! behind one type.
//!
//! The start path writes its files itself, relative to directory descriptors, with few system calls.
//! A [`Manager`] is what was detected of the machine; a [`Cgroup`] is one cgroup on all the hierarchies that
//! matter. Not here: translating the model's limits ([`super::oci::resources`]).

mod error;
pub mod stats;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci_spec::runtime::LinuxResources;

pub use error::Error;
pub use stats::Stats;

/// How cgroups are mounted on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// cgroup v2 alone at /sys/fs/cgroup.
    Unified,
    /// v1 controllers, and a v2 hierarchy beside them.
    Hybrid,
    /// v1 controllers alone.
    Legacy,
    /// No cgroup file system that can be used.
    None,
}

/// The cgroup hierarchies of this machine, looked up once.
#[derive(Debug, Clone)]
pub struct Manager {
    layout: Layout,
}

impl Manager {
    /// Looks at /sys/fs/cgroup: one statfs on a unified machine.
    ///
    /// # Errors
    /// [`Error::NotMounted`], or what reading the mount table brings.
    pub fn detect() -> Result<Self, Error> {
        todo!()
    }

    /// How cgroups are mounted.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Makes the cgroup (parents too) and applies limits and device rules, so that a process put
    /// into it is never without them. `path` is absolute (`/rcon/<id>`) or, for the systemd driver,
    /// `slice:prefix:name`. An existing empty cgroup is taken over; one with processes is an error.
    ///
    /// # Errors
    /// [`Error`]; what was made is removed again.
    pub fn create(&self, path: &str, limits: &LinuxResources) -> Result<Cgroup, Error> {
        let _ = (path, limits);
        todo!()
    }

    /// Opens an existing cgroup, as recorded in [`Cgroup::path`].
    ///
    /// # Errors
    /// [`Error::Gone`] if it does not exist.
    pub fn open(&self, path: &str) -> Result<Cgroup, Error> {
        let _ = path;
        todo!()
    }
}

/// One cgroup.
#[derive(Debug)]
pub struct Cgroup {
    path: String,
}

impl Cgroup {
    /// Path below each hierarchy's mount; what [`Manager::open`] takes.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `(controller, directory)` of each hierarchy, for the state document of an OCI runtime; the
    /// controller of v2 is the empty string.
    #[must_use]
    pub fn directories(&self) -> Vec<(String, String)> {
        todo!()
    }

    /// On v2 the directory for clone3's CLONE_INTO_CGROUP: the child is born in it, and
    /// [`Cgroup::attach`] need not be called. `None` elsewhere.
    #[must_use]
    pub fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        todo!()
    }

    /// Moves a process, with all its threads, into the cgroup on every hierarchy joined.
    ///
    /// # Errors
    /// [`Error::Attach`].
    pub fn attach(&self, pid: i32) -> Result<(), Error> {
        let _ = pid;
        todo!()
    }

    /// Changes limits; what is `None` stays as it is. Device rules, if any are given, replace the present ones.
    ///
    /// # Errors
    /// [`Error`].
    pub fn update(&self, limits: &LinuxResources) -> Result<(), Error> {
        let _ = limits;
        todo!()
    }

    /// Measures. Fields that this kernel does not offer stay zero or empty.
    ///
    /// # Errors
    /// [`Error::Gone`] if the cgroup was removed.
    pub fn stats(&self) -> Result<Stats, Error> {
        todo!()
    }

    /// Freezes all processes and waits until they are frozen.
    ///
    /// # Errors
    /// [`Error`]; thawed again then.
    pub fn freeze(&self) -> Result<(), Error> {
        todo!()
    }

    /// Lets frozen processes run.
    ///
    /// # Errors
    /// [`Error`].
    pub fn thaw(&self) -> Result<(), Error> {
        todo!()
    }

    /// Whether it is frozen.
    ///
    /// # Errors
    /// [`Error`].
    pub fn is_frozen(&self) -> Result<bool, Error> {
        todo!()
    }

    /// Kills every process in it and below, frozen ones too, and does not wait for their end.
    ///
    /// # Errors
    /// [`Error`].
    pub fn kill(&self) -> Result<(), Error> {
        todo!()
    }

    /// Sends a signal to every process in it and below.
    ///
    /// # Errors
    /// [`Error`].
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        let _ = signal;
        todo!()
    }

    /// Processes in it and below, in the pid namespace of the caller.
    ///
    /// # Errors
    /// [`Error`].
    pub fn pids(&self) -> Result<Vec<i32>, Error> {
        todo!()
    }

    /// How many processes the kernel killed here for memory.
    ///
    /// # Errors
    /// [`Error`].
    pub fn oom_kills(&self) -> Result<u64, Error> {
        todo!()
    }

    /// Something to poll that becomes readable when memory runs out.
    ///
    /// # Errors
    /// [`Error`].
    pub fn watch_oom(&self) -> Result<OomWatch, Error> {
        todo!()
    }

    /// Removes the cgroup and those below it; retried for a moment while processes are dying. Nothing
    /// there is success.
    ///
    /// # Errors
    /// [`Error::Busy`] with the processes that are still in it.
    pub fn remove(&self) -> Result<(), Error> {
        todo!()
    }
}

/// A descriptor that polls readable (POLLIN) when memory ran out in the cgroup. After that call
/// [`OomWatch::drain`] and look at [`Cgroup::oom_kills`]: the removal of the cgroup wakes it too.
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
}

impl OomWatch {
    /// Takes what is pending, so that the next poll waits.
    pub fn drain(&self) {
        todo!()
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
