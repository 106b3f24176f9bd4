//! Copying the content of one directory into another by descriptors: owners, modes, times, xattrs, hard links,
//! devices. Used to fill a volume from an image, and where an overlay cannot be had.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::tree::{self, Next, Visit};

/// Largest list of names, and largest value, of xattrs (the kernel's own limits).
const XATTR_MAX: usize = 64 * 1024;

/// Copies what is in `source` into `target` (which exists), and the directory's own owner, mode and times.
pub(super) fn content(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut job = Copy { target, links: HashMap::new(), dirs: Vec::new() };
    tree::walk(source, &mut |entry| job.entry(entry))?;
    // Times of directories last, deepest first: filling them changed them.
    while let Some((path, stat)) = job.dirs.pop() {
        let dir = open_beneath(target, &path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        rustix::fs::futimens(&dir, &times(&stat))?;
    }
    let stat = rustix::fs::fstat(source)?;
    copy_fd_xattrs(source, target)?;
    own_fd(target, &stat)?;
    rustix::fs::futimens(target, &times(&stat))
}

struct Copy<'a> {
    target: BorrowedFd<'a>,
    links: HashMap<(u64, u64), CString>,
    dirs: Vec<(CString, Stat)>,
}

impl Copy<'_> {
    fn entry(&mut self, entry: &Visit<'_>) -> rustix::io::Result<Next> {
        let path = CString::new(entry.path).map_err(|_| Errno::INVAL)?;
        let (parent, name) = self.parent(&path)?;
        let name = name.as_c_str();
        match entry.file_type() {
            FileType::Directory => {
                match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e),
                }
                let dir = tree::open_dir(&parent, name)?;
                let from = tree::open_dir(entry.dir, entry.name)?;
                copy_fd_xattrs(&from, &dir)?;
                own_fd(&dir, entry.stat)?;
                self.dirs.push((path, *entry.stat));
            }
            _ if entry.stat.st_nlink > 1 && self.link(entry, &parent, name, &path)? => {}
            FileType::RegularFile => file(entry, &parent, name)?,
            FileType::Symlink => {
                let to = rustix::fs::readlinkat(entry.dir, entry.name, Vec::new())?;
                rustix::fs::symlinkat(&to, &parent, name)?;
                own_at(&parent, name, entry.stat)?;
            }
            _ => {
                let mode = Mode::from_raw_mode(entry.stat.st_mode);
                rustix::fs::mknodat(&parent, name, entry.file_type(), mode, entry.stat.st_rdev)?;
                own_at(&parent, name, entry.stat)?;
                rustix::fs::chmodat(&parent, name, mode, AtFlags::empty())?;
            }
        }
        Ok(Next::Enter)
    }

    /// Links to the first copy of the same file; `false` when this is the first.
    fn link(
        &mut self,
        entry: &Visit<'_>,
        parent: &OwnedFd,
        name: &CStr,
        path: &CString,
    ) -> rustix::io::Result<bool> {
        let key = (entry.stat.st_dev, entry.stat.st_ino);
        if let Some(first) = self.links.get(&key) {
            let (first_parent, first_name) = self.parent(first)?;
            rustix::fs::linkat(&first_parent, first_name, parent, name, AtFlags::empty())?;
            return Ok(true);
        }
        self.links.insert(key, path.clone());
        Ok(false)
    }

    fn parent(&self, path: &CStr) -> rustix::io::Result<(OwnedFd, CString)> {
        let bytes = path.to_bytes();
        let (dir, name) = match bytes.iter().rposition(|&b| b == b'/') {
            Some(at) => (CString::new(&bytes[..at]), CString::new(&bytes[at + 1..])),
            None => (CString::new("."), CString::new(bytes)),
        };
        let (dir, name) = (dir.map_err(|_| Errno::INVAL)?, name.map_err(|_| Errno::INVAL)?);
        Ok((open_beneath(self.target, &dir, OFlags::RDONLY | OFlags::DIRECTORY)?, name))
    }
}

/// Opens a path of our own making beneath `root`, following nothing.
fn open_beneath(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags as R;
    let how = R::BENEATH | R::NO_SYMLINKS | R::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), how)
}

fn file(entry: &Visit<'_>, parent: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = rustix::fs::openat(entry.dir, entry.name, read, Mode::empty())?;
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let to = rustix::fs::openat(parent, name, write, Mode::RUSR | Mode::WUSR)?;
    copy_bytes(&from, &to)?;
    own_fd(&to, entry.stat)?;
    copy_fd_xattrs(&from, &to)?;
    rustix::fs::futimens(&to, &times(entry.stat))
}

/// Content from one file to another: a reflink where the file system has them, else within the kernel, else
/// through a buffer.
pub(super) fn copy_bytes(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    loop {
        match rustix::fs::copy_file_range(from, None, to, None, 1 << 30) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => break,
            Err(e) => return Err(e),
        }
    }
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        let n = match rustix::io::read(from, &mut buffer[..]) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e),
        };
        let mut rest = &buffer[..n];
        while !rest.is_empty() {
            match rustix::io::write(to, rest) {
                Ok(n) => rest = &rest[n..],
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
    }
}

fn own_fd(fd: impl AsFd, stat: &Stat) -> rustix::io::Result<()> {
    rustix::fs::fchown(&fd, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    // After the change of owner, which clears setuid.
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(stat.st_mode))
}

fn own_at(dir: impl AsFd, name: &CStr, stat: &Stat) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(&dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    rustix::fs::utimensat(&dir, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
}

fn times(stat: &Stat) -> Timestamps {
    let nsec = |n: u64| i64::try_from(n).unwrap_or(0);
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: nsec(stat.st_atime_nsec) },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: nsec(stat.st_mtime_nsec) },
    }
}

/// The xattrs of an open file: names and values. A file system without xattrs has none.
pub(super) fn xattrs(fd: impl AsFd) -> rustix::io::Result<Vec<(CString, Vec<u8>)>> {
    let mut list = vec![0u8; 1024];
    let len = loop {
        match rustix::fs::flistxattr(&fd, &mut list[..]) {
            Ok(n) => break n,
            Err(Errno::RANGE) if list.len() < XATTR_MAX => list.resize(XATTR_MAX, 0),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        }
    };
    let mut found = Vec::new();
    for name in list[..len].split(|&b| b == 0).filter(|n| !n.is_empty()) {
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let mut value = vec![0u8; 4096];
        let n = match rustix::fs::fgetxattr(&fd, &name, &mut value[..]) {
            Err(Errno::RANGE) => {
                value.resize(XATTR_MAX, 0);
                rustix::fs::fgetxattr(&fd, &name, &mut value[..])?
            }
            Err(Errno::NODATA) => continue,
            other => other?,
        };
        value.truncate(n);
        found.push((name, value));
    }
    Ok(found)
}

/// Copies xattrs but for overlay's own bookkeeping, which means something only in its layer.
fn copy_fd_xattrs(from: impl AsFd, to: impl AsFd) -> rustix::io::Result<()> {
    for (name, value) in xattrs(from)? {
        if is_overlay(name.to_bytes()) {
            continue;
        }
        match rustix::fs::fsetxattr(&to, &name, &value, XattrFlags::empty()) {
            // Labels and capabilities that this user or this file system may not set.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Whether the xattr is overlayfs's bookkeeping.
pub(super) fn is_overlay(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}
