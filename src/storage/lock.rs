//! flock guards: a lock is a value, the kernel lets it go when its holder dies.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::error::Result;

/// An exclusive lock on a file that exists for the sake of the lock.
#[derive(Debug)]
pub struct FileLock {
    fd: OwnedFd,
    path: PathBuf,
}

impl FileLock {
    /// Waits for the lock.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn acquire(path: &Path) -> Result<Self> {
        let _ = path;
        todo!()
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let _ = path;
        todo!()
    }

    /// Deletes the lock file, then lets the lock go.
    pub fn remove(self) {
        let _ = (&self.fd, &self.path);
        todo!()
    }
}
