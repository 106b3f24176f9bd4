//! `flock` guards as values: the lock is held while the value lives, and the kernel frees it when
//! the process dies. No lock order is known here; that is `storage::lock`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};

use super::error::{Context, Result};
use super::fd;

/// A held lock; dropping it frees it.
#[derive(Debug)]
pub struct FileLock {
    /// `None` only once [`FileLock::into_fd`] has taken it.
    fd: Option<OwnedFd>,
}

impl Drop for FileLock {
    /// Unlocks, instead of only closing: a child between its clone and its exec has a copy of the
    /// descriptor, and the lock belongs to all copies.
    fn drop(&mut self) {
        if let Some(fd) = &self.fd {
            // Cannot fail for an open descriptor.
            let _unlocked = rustix::fs::flock(fd, FlockOperation::Unlock);
        }
    }
}

impl FileLock {
    /// Locks the file exclusively, making it if needed, and waits. A file that was unlinked while
    /// we waited is not the lock any more, so it is opened again.
    pub fn exclusive(path: &Path) -> Result<Self> {
        loop {
            if let Some(lock) = Self::attempt(path, FlockOperation::LockExclusive)? {
                return Ok(lock);
            }
        }
    }

    /// Locks the file shared, making it if needed, and waits.
    pub fn shared(path: &Path) -> Result<Self> {
        loop {
            if let Some(lock) = Self::attempt(path, FlockOperation::LockShared)? {
                return Ok(lock);
            }
        }
    }

    /// Locks exclusively without waiting; `None` when someone holds it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        loop {
            match Self::attempt(path, FlockOperation::NonBlockingLockExclusive) {
                Ok(Some(lock)) => return Ok(Some(lock)),
                Ok(None) => {}
                Err(e) if e.is(libc::EWOULDBLOCK) => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Locks exclusively without waiting only if the file exists: `Ok(None)` when someone holds it,
    /// an `ENOENT` error when there is no file.
    pub fn try_exclusive_existing(path: &Path) -> Result<Option<Self>> {
        let fd = fd::open(path, OFlags::RDWR | OFlags::NOFOLLOW, 0)?;
        Self::try_fd(fd)
    }

    /// Locks an open file without waiting; `None` when someone holds it.
    pub fn try_fd(fd: OwnedFd) -> Result<Option<Self>> {
        match flock(&fd, FlockOperation::NonBlockingLockExclusive, Path::new("<fd>")) {
            Ok(()) => Ok(Some(Self { fd: Some(fd) })),
            Err(e) if e.is(libc::EWOULDBLOCK) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Lets others share an exclusive lock. Another taker may come in between.
    pub fn share(&self) -> Result<()> {
        flock(self, FlockOperation::LockShared, Path::new("<fd>"))
    }

    /// Takes over a descriptor whose open file already carries the lock (handed on by another
    /// process).
    #[must_use]
    pub fn adopt(fd: OwnedFd) -> Self {
        Self { fd: Some(fd) }
    }

    /// Gives up the value but not the lock: the descriptor carries it on (to be passed on).
    #[must_use]
    pub fn into_fd(mut self) -> OwnedFd {
        self.fd.take().expect("taken only here, and the value is consumed")
    }

    fn attempt(path: &Path, how: FlockOperation) -> Result<Option<Self>> {
        let fd = fd::open(path, OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW, 0o600)?;
        flock(&fd, how, path)?;
        let held = fd::stat(&fd)?;
        #[allow(clippy::unnecessary_cast)]
        let same = std::fs::symlink_metadata(path)
            .is_ok_and(|now| now.ino() == held.st_ino as u64 && now.dev() == held.st_dev as u64);
        Ok(same.then_some(Self { fd: Some(fd) }))
    }
}

impl AsFd for FileLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("present until the value is consumed").as_fd()
    }
}

/// Whether someone holds an exclusive lock on the file; a file that is not there is not held. The look is a shared
/// try: two lookers do not take each other for a holder.
pub fn is_held(path: &Path) -> Result<bool> {
    let fd = match fd::open(path, OFlags::RDONLY | OFlags::NOFOLLOW, 0) {
        Err(e) if e.is(libc::ENOENT) => return Ok(false),
        other => other?,
    };
    match flock(&fd, FlockOperation::NonBlockingLockShared, path) {
        Ok(()) => Ok(false),
        Err(e) if e.is(libc::EWOULDBLOCK) => Ok(true),
        Err(e) => Err(e),
    }
}

fn flock(fd: impl AsFd, how: FlockOperation, path: &Path) -> Result<()> {
    loop {
        match rustix::fs::flock(&fd, how) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.call("flock", || format!("{path:?}, {how:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_seen() {
        let path = std::env::temp_dir().join(format!("rcon-lock-{}", std::process::id()));
        assert!(!is_held(&path).unwrap());
        let lock = FileLock::exclusive(&path).unwrap();
        assert!(is_held(&path).unwrap());
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
        drop(lock);
        assert!(!is_held(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}
