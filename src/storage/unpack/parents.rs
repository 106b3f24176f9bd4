//! Directories of the tree being made, by path, as descriptors: each is resolved beneath the root once.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Descriptors kept. Archives go through a tree depth first, so a few are enough.
const KEEP: usize = 64;

/// The cache.
pub(super) struct Parents<'a> {
    root: BorrowedFd<'a>,
    open: HashMap<Vec<u8>, OwnedFd>,
}

/// Resolution beneath the root: links are followed as a process would that has the root as its own.
pub(super) const BENEATH: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

impl<'a> Parents<'a> {
    pub(super) fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, open: HashMap::new() }
    }

    /// The directory at `path` (relative, clean; empty for the root), made with its parents when it is missing.
    pub(super) fn get(&mut self, path: &[u8]) -> rustix::io::Result<BorrowedFd<'_>> {
        if path.is_empty() {
            return Ok(self.root);
        }
        if !self.open.contains_key(path) {
            let fd = match open_beneath(self.root, path) {
                Err(Errno::NOENT) => self.make(path)?,
                other => other?,
            };
            self.keep(path, fd);
        }
        Ok(self.open[path].as_fd())
    }

    /// Like [`Parents::get`], but a missing directory is an error.
    pub(super) fn existing(&mut self, path: &[u8]) -> rustix::io::Result<BorrowedFd<'_>> {
        if !path.is_empty() && !self.open.contains_key(path) {
            let fd = open_beneath(self.root, path)?;
            self.keep(path, fd);
        }
        self.get(path)
    }

    fn keep(&mut self, path: &[u8], fd: OwnedFd) {
        if self.open.len() >= KEEP {
            self.open.clear();
        }
        self.open.insert(path.to_vec(), fd);
    }

    /// Makes a directory that the archive did not mention. One level at a time, so a dangling link or a file on the
    /// way is met by name and refused.
    fn make(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let mut end = 0;
        let mut dir: Option<OwnedFd> = None;
        for name in path.split(|&b| b == b'/') {
            end += name.len();
            let at = dir.as_ref().map_or(self.root, |d| d.as_fd());
            let child = match open_beneath(self.root, &path[..end]) {
                Err(Errno::NOENT) => {
                    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
                    match rustix::fs::mkdirat(at, &name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => {}
                        // There, and yet not to be opened: a link that leads nowhere.
                        Err(Errno::EXIST) => return Err(Errno::NOTDIR),
                        Err(e) => return Err(e),
                    }
                    let fd = crate::storage::tree::open_dir(at, &name)?;
                    rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o755))?;
                    fd
                }
                other => other?,
            };
            dir = Some(child);
            end += 1;
        }
        dir.ok_or(Errno::INVAL)
    }

    /// Forgets everything: something that may have been a directory, or a link to one, was replaced.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }
}

/// Opens a directory beneath `root`.
pub(super) fn open_beneath(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), BENEATH) {
            // The kernel saw a rename anywhere on the system while it looked at `..`.
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}
