//! The volatile half of a container: `<run>/containers/<id>/` with its lock and state.
//!
//! The lock (flock) is taken by whoever starts the container and handed to the monitor as a descriptor, so
//! there is no moment in which a started container has a free lock. Lock free = nobody lives there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use super::paths::Paths;
use crate::model::container::Phase;
use crate::model::id::ContainerId;

/// A container's run directory with its lock held: proof that we own the container.
#[derive(Debug)]
pub struct RunDir {
    id: ContainerId,
    path: PathBuf,
    lock: OwnedFd,
}

impl RunDir {
    /// Makes the directory, if needed, and takes its lock.
    ///
    /// # Errors
    /// [`Error::RunLocked`] when a monitor or another starter has it.
    pub fn acquire(paths: &Paths, id: &ContainerId) -> Result<Self> {
        let _ = paths;
        Err(Error::RunLocked { id: id.clone() })
    }

    /// Takes over a lock whose descriptor was handed to us (the monitor's side of a start).
    #[must_use]
    pub fn adopt(paths: &Paths, id: &ContainerId, lock: OwnedFd) -> Self {
        Self { id: id.clone(), path: paths.run_container(id), lock }
    }

    /// Which container.
    #[must_use]
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The locked descriptor, to be handed to the monitor. The lock lives until every copy is closed.
    #[must_use]
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Writes the phase for others to see (Running, Paused, Restarting, or Created while starting): beside
    /// and renamed, no fsync.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn write_phase(&self, phase: &Phase) -> Result<()> {
        let _ = phase;
        todo!()
    }

    /// Deletes the directory and lets the lock go.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove(self) -> Result<()> {
        todo!()
    }
}

/// Whether a monitor (or a starter) holds the container's lock.
#[must_use]
pub fn monitor_alive(paths: &Paths, id: &ContainerId) -> bool {
    let _ = (paths, id);
    todo!()
}

/// The phase that a container's monitor last wrote, whether or not it still lives.
///
/// # Errors
/// [`Error::Io`] but for a missing file, which is `None`; [`Error::Damaged`].
pub fn read_phase(paths: &Paths, id: &ContainerId) -> Result<Option<Phase>> {
    let _ = (paths, id);
    todo!()
}

/// All containers that have a run directory, with whether their lock is held.
///
/// # Errors
/// What the kernel says.
pub fn list(paths: &Paths) -> Result<Vec<(ContainerId, bool)>> {
    let _ = paths;
    todo!()
}

/// This boot of the host.
///
/// # Errors
/// /proc is not there.
pub fn boot_id() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    Ok(text.trim_end().to_owned())
}
