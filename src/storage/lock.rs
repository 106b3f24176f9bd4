//! flock guards: a lock is a value, the kernel lets it go when its holder dies.
//!
//! A lock file may be deleted by its holder; whoever gets the lock afterwards therefore looks whether the name still
//! leads to the file it locked, and starts again if not.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{Error, Result};
use super::paths::ensure_private;

/// How often a try is repeated, because whoever only *looks* at a lock holds it shared for some microseconds.
const LOOKER_RETRIES: u32 = 5;

/// An exclusive lock on a file that exists for the sake of the lock.
#[derive(Debug)]
pub struct FileLock {
    fd: OwnedFd,
    path: PathBuf,
}

impl FileLock {
    /// Waits for a share of the lock: many may have one, none while someone has it exclusively.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn acquire_shared(path: &Path) -> Result<Self> {
        Self::wait(path, FlockOperation::LockShared)
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn acquire(path: &Path) -> Result<Self> {
        Self::wait(path, FlockOperation::LockExclusive)
    }

    fn wait(path: &Path, how: FlockOperation) -> Result<Self> {
        loop {
            let file = open_lock(path)?;
            match flock(&file, how) {
                Ok(()) if is_current(&file, path) => {
                    return Ok(Self { fd: file.into(), path: path.to_owned() });
                }
                Ok(()) | Err(Errno::INTR) => {}
                Err(e) => return Err(Error::io("lock", path, e)),
            }
        }
    }

    /// Lets others share an exclusive lock. Another taker may come in between: look again at what the lock guards.
    pub(super) fn share(&self) -> Result<()> {
        flock(&self.fd, FlockOperation::LockShared).map_err(|e| Error::io("share the lock", &self.path, e))
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let mut tries = 0;
        loop {
            let file = open_lock(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_current(&file, path) => {
                    return Ok(Some(Self { fd: file.into(), path: path.to_owned() }));
                }
                Ok(()) | Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if tries < LOOKER_RETRIES => {
                    tries += 1;
                    std::thread::sleep(Duration::from_micros(300));
                }
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(e) => return Err(Error::io("lock", path, e)),
            }
        }
    }

    /// The locked descriptor.
    pub(super) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Deletes the lock file, then lets the lock go. A file that cannot be deleted is only litter.
    pub fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
        drop(self.fd);
    }
}

/// Whether someone holds the lock at `path` exclusively. A missing file is a free lock.
#[must_use]
pub fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    // A shared try disturbs no other looker, and a taker tries again.
    matches!(flock(&file, FlockOperation::NonBlockingLockShared), Err(Errno::WOULDBLOCK))
}

/// Tries to lock a directory (staging, container directories being made); `false` when another has it.
pub(super) fn try_lock_dir(dir: impl AsFd) -> bool {
    flock(dir, FlockOperation::NonBlockingLockExclusive).is_ok()
}

fn open_lock(path: &Path) -> Result<File> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc_nofollow())
            .open(path)
    };
    match open() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                ensure_private(parent)?;
            }
            open().map_err(|e| Error::io("open", path, e))
        }
        other => other.map_err(|e| Error::io("open", path, e)),
    }
}

/// `O_NOFOLLOW` as std wants it.
fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

fn is_current(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(named)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    ours.ino() == named.ino() && ours.dev() == named.dev()
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
