//! flock guards: a lock is a value, the kernel lets it go when its holder dies.
//!
//! The locks of the store, in the order in which they are taken: a container's run lock, the locks of layers (sorted
//! by chain), the database's write lock. A staging directory and a container's directory being made are locked
//! themselves, by their makers only.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::Result;
use super::paths::ensure_private;
use crate::sys;

/// How often a try is repeated, because whoever only *looks* at a lock holds it shared for some microseconds.
const LOOKER_RETRIES: u32 = 5;

/// A lock on a file that exists for the sake of the lock.
#[derive(Debug)]
pub struct FileLock {
    lock: sys::lock::FileLock,
    path: PathBuf,
}

impl FileLock {
    /// Waits for a share of the lock: many may have one, none while someone has it exclusively.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn acquire_shared(path: &Path) -> Result<Self> {
        Self::with(path, sys::lock::FileLock::shared)
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn acquire(path: &Path) -> Result<Self> {
        Self::with(path, sys::lock::FileLock::exclusive)
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        for _ in 0..LOOKER_RETRIES {
            if let Some(lock) = make_parent(path, sys::lock::FileLock::try_exclusive)? {
                return Ok(Some(Self { lock, path: path.to_owned() }));
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        Ok(None)
    }

    fn with(path: &Path, take: fn(&Path) -> sys::error::Result<sys::lock::FileLock>) -> Result<Self> {
        Ok(Self { lock: make_parent(path, take)?, path: path.to_owned() })
    }

    /// Lets others share an exclusive lock. Another taker may come in between: look again at what the lock guards.
    pub(super) fn share(&self) -> Result<()> {
        Ok(self.lock.share()?)
    }

    /// The locked descriptor.
    pub(super) fn into_fd(self) -> OwnedFd {
        self.lock.into_fd()
    }

    /// Deletes the lock file, then lets the lock go. A file that cannot be deleted is only litter.
    pub fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
        drop(self.lock);
    }
}

/// Runs `take`, once more with the directory made when that was missing.
fn make_parent<T>(path: &Path, take: fn(&Path) -> sys::error::Result<T>) -> Result<T> {
    match take(path) {
        Err(e) if e.is(Errno::NOENT.raw_os_error()) => {
            if let Some(parent) = path.parent() {
                ensure_private(parent)?;
            }
            Ok(take(path)?)
        }
        other => Ok(other?),
    }
}

/// Whether someone holds the lock at `path` exclusively. A missing file is a free lock; one that cannot be looked at
/// counts as held, so that nobody sweeps what may be alive.
#[must_use]
pub fn is_held(path: &Path) -> bool {
    sys::lock::is_held(path).unwrap_or(true)
}

/// Tries to lock a directory (staging, container directories being made); `false` when another has it.
pub(super) fn try_lock_dir(dir: impl AsFd) -> bool {
    flock(dir, FlockOperation::NonBlockingLockExclusive).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_taker_waits_until_first_is_gone() {
        let dir = crate::storage::testing::scratch("lock");
        let path = dir.path().join("a.lock");
        let first = FileLock::acquire(&path).expect("first");
        assert!(FileLock::try_acquire(&path).expect("try").is_none());
        assert!(is_held(&path));
        first.remove();
        assert!(!is_held(&path));
        let second = FileLock::try_acquire(&path).expect("try").expect("free again");
        assert!(is_held(&path));
        drop(second);
        assert!(!is_held(&path));
    }
}
