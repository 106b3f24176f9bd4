//! A trusted `/proc` (rule R2): one handle whose file system is checked, beneath which files are
//! opened without following links and without crossing a mount, so that no container can put
//! another file in the way of a write to `attr/exec`, `oom_score_adj` or a sysctl.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::error::{Context, Error, Result};
use super::{fd, mount};

const PROC_MAGIC: i64 = 0x9fa0;

/// A verified procfs.
#[derive(Debug)]
pub struct Proc {
    root: OwnedFd,
}

impl Proc {
    /// A private one of this pid namespace that nobody else can reach or mount over.
    pub fn private() -> Result<Self> {
        Self::private_with(0)
    }

    /// The same with attributes ([`mount::attr`]) on its mount, so that it can be attached later.
    pub fn private_with(attributes: u64) -> Result<Self> {
        let context = mount::FsContext::new("proc")?;
        context.set("source", "proc")?;
        Ok(Self { root: context.mount(attributes)? })
    }

    /// The host's `/proc`, or a private one where `/proc` is not the root of a procfs.
    pub fn host() -> Result<Self> {
        let root = fd::open(Path::new("/proc"), OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW, 0)?;
        Self::from_fd(root).or_else(|_| Self::private())
    }

    /// Takes a directory, after checking that it is the root of a procfs.
    pub fn from_fd(root: OwnedFd) -> Result<Self> {
        const PROC_ROOT_INO: u64 = 1;
        #[allow(clippy::unnecessary_cast)]
        let inode = fd::stat(&root)?.st_ino as u64;
        if fd::fs_magic(&root)? != PROC_MAGIC || inode != PROC_ROOT_INO {
            return Err(Error::new("fstatfs", "/proc is not the root of a procfs", libc::ENODEV));
        }
        Ok(Self { root })
    }

    /// The descriptor.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.root
    }

    /// Opens a file beneath it: no magic links, no mounts crossed. `self` and `thread-self`, which
    /// are plain links, are followed inside.
    pub fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let file = rustix::fs::openat2(
            &self.root,
            path,
            flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
            how,
        )
        .call("openat2", || format!("/proc/{}", path.display()))?;
        if fd::fs_magic(&file)? != PROC_MAGIC {
            return Err(Error::new(
                "fstatfs",
                format!("/proc/{} is not on a procfs", path.display()),
                libc::ENODEV,
            ));
        }
        Ok(file)
    }

    /// Writes text to a file beneath it in one call.
    pub fn write(&self, path: &Path, text: &[u8]) -> Result<()> {
        let file = self.open(path, OFlags::WRONLY)?;
        fd::write_once(&file, text, || {
            format!("/proc/{}, {:?}", path.display(), String::from_utf8_lossy(text))
        })
    }
}

impl AsFd for Proc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_procfs_will_do() {
        let proc = Proc::host().unwrap();
        proc.open(Path::new("self/status"), OFlags::RDONLY).unwrap();
        assert!(proc.open(Path::new("self/root"), OFlags::PATH | OFlags::DIRECTORY).is_err());
        assert!(Proc::from_fd(fd::open_dir(Path::new("/tmp")).unwrap()).is_err());
    }
}
