//! The volatile half of a container: `<run>/containers/<id>/` with its lock and state.
//!
//! The lock (flock) is taken by whoever starts the container and handed to the monitor as a descriptor, so
//! there is no moment in which a started container has a free lock. Lock free = nobody lives there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use super::lock::{self, FileLock};
use super::paths::{Paths, ensure_private};
use super::{file, tree};
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
        let path = paths.run_container(id);
        ensure_private(&path)?;
        match FileLock::try_acquire(&paths.run_lock(id))? {
            Some(lock) => Ok(Self { id: id.clone(), path, lock: lock.into_fd() }),
            None => Err(Error::RunLocked { id: id.clone() }),
        }
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
        file::write_json(&self.path.join("state.json"), phase)
    }

    /// Deletes the directory and lets the lock go. Everything but the lock goes first, so that a starter who
    /// waits for the lock finds nothing of ours.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove(self) -> Result<()> {
        tree::remove(&self.path).map(drop)
    }
}

/// Whether a monitor (or a starter) holds the container's lock.
#[must_use]
pub fn monitor_alive(paths: &Paths, id: &ContainerId) -> bool {
    lock::is_held(&paths.run_lock(id))
}

/// The phase that a container's monitor last wrote, whether or not it still lives.
///
/// # Errors
/// [`Error::Io`] but for a missing file, which is `None`; [`Error::Damaged`].
pub fn read_phase(paths: &Paths, id: &ContainerId) -> Result<Option<Phase>> {
    file::read_json(&paths.run_state(id))
}

/// All containers that have a run directory, with whether their lock is held.
///
/// # Errors
/// What the kernel says.
pub fn list(paths: &Paths) -> Result<Vec<(ContainerId, bool)>> {
    let dir = paths.run_containers();
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", dir, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", &dir, e))?;
        if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<ContainerId>().ok()) {
            let alive = monitor_alive(paths, &id);
            found.push((id, alive));
        }
    }
    Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_held_while_any_copy_lives() {
        let dir = crate::storage::testing::scratch("volatile");
        let paths = dir.paths();
        let id = ContainerId::from_bytes([7; 32]);
        assert!(!monitor_alive(&paths, &id));
        let run = RunDir::acquire(&paths, &id).expect("acquire");
        assert!(matches!(RunDir::acquire(&paths, &id), Err(Error::RunLocked { .. })));
        let copy = run.lock().try_clone_to_owned().expect("dup");
        drop(run);
        assert!(monitor_alive(&paths, &id), "the copy keeps it");
        let run = RunDir::adopt(&paths, &id, copy);
        run.write_phase(&Phase::Created).expect("write");
        assert_eq!(read_phase(&paths, &id).expect("read"), Some(Phase::Created));
        assert_eq!(list(&paths).expect("list"), vec![(id.clone(), true)]);
        run.remove().expect("remove");
        assert!(!monitor_alive(&paths, &id));
        assert_eq!(list(&paths).expect("list"), vec![]);
    }
}
