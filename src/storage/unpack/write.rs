//! Making entries: everything by descriptor, relative to a parent that was resolved beneath the root.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::parents::{Parents, open_beneath};
use super::source::Source;
use super::tar::{Entry, EntryKind};
use super::whiteout::{self, Whiteout};
use super::{Options, UnpackError, path};

/// Result of one step, with the name of the call that failed.
type Step<T> = Result<T, (&'static str, Errno)>;

/// A directory's time, and its mode where that is too narrow to put something into it.
struct Later {
    path: Vec<u8>,
    mtime: (i64, u32),
    mode: Option<u32>,
}

/// Makes entries beneath a root.
pub(super) struct Writer<'a> {
    root: BorrowedFd<'a>,
    parents: Parents<'a>,
    options: &'a Options,
    /// Directories whose times (and narrow modes) are set at the end, when nothing is put into them any more.
    directories: Vec<Later>,
    /// Bytes of file content so far.
    pub(super) bytes: u64,
    /// Whether the archive had an entry for its root.
    pub(super) has_root: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, options: &'a Options) -> Self {
        let parents = Parents::new(root);
        Self { root, parents, options, directories: Vec::new(), bytes: 0, has_root: false }
    }

    /// Makes one entry, taking its content from `source`.
    pub(super) fn entry(&mut self, entry: &Entry, source: &mut Source<'_>) -> Result<(), UnpackError> {
        let clean = path::clean(&entry.path)?;
        let Some((parent, name)) = path::split(&clean) else {
            return self.root_entry(entry, source);
        };
        if self.options.whiteouts {
            match whiteout::classify(&clean, name)? {
                Whiteout::No => {}
                Whiteout::Skip => return skip(entry, source),
                Whiteout::Opaque => {
                    let dir = self.parents.get(parent).map_err(|e| fail(&clean, "open its directory", e))?;
                    whiteout::set_opaque(dir, self.options.userxattr)
                        .map_err(|e| fail(&clean, "mark its directory", e))?;
                    return skip(entry, source);
                }
                Whiteout::Of(hidden) => {
                    let dir = self.parents.get(parent).map_err(|e| fail(&clean, "open its directory", e))?;
                    whiteout::hide(dir, hidden, self.options.userxattr)
                        .map_err(|e| fail(&clean, "make a whiteout", e))?;
                    return skip(entry, source);
                }
            }
        }
        let name = CString::new(name).map_err(|_| fail(&clean, "use its name", Errno::INVAL))?;
        match entry.kind {
            EntryKind::File => self.file(entry, &clean, (parent, &name), source),
            EntryKind::HardLink => self.hard_link(entry, &clean, (parent, &name), source),
            _ => self.node(entry, &clean, (parent, &name), source),
        }
    }

    /// An entry for the root itself: metadata only.
    fn root_entry(&mut self, entry: &Entry, source: &mut Source<'_>) -> Result<(), UnpackError> {
        if entry.kind != EntryKind::Directory {
            return Err(UnpackError::Refused {
                path: shown(&entry.path),
                why: "the root can only be a directory".into(),
            });
        }
        self.has_root = true;
        let root = self.root;
        self.directory_metadata(entry, root).map_err(|(call, e)| fail(b".", call, e))?;
        let narrow = (entry.mode & 0o700 != 0o700).then_some(entry.mode);
        self.directories.push(Later { path: Vec::new(), mtime: entry.mtime, mode: narrow });
        skip(entry, source)
    }

    fn file(
        &mut self,
        entry: &Entry,
        clean: &[u8],
        (parent, name): (&[u8], &CString),
        source: &mut Source<'_>,
    ) -> Result<(), UnpackError> {
        self.bytes = self.bytes.saturating_add(entry.size);
        if self.bytes > self.options.limits.bytes {
            return Err(UnpackError::Limit {
                what: "bytes of file content",
                limit: self.options.limits.bytes,
            });
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self
            .make(parent, name, source, |dir| {
                rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(entry.mode & 0o777))
            })
            .map_err(|(_, e)| fail(clean, "create it", e))?;
        match &entry.sparse {
            None => {
                source.content(entry.size, &mut |bytes| {
                    write_all(&fd, bytes).map_err(|e| fail(clean, "write", e))
                })?;
                source.record_file(clean, 0, entry.size)?;
            }
            Some(map) => {
                for &(offset, len) in &map.pieces {
                    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(offset))
                        .map_err(|e| fail(clean, "seek", e))?;
                    source.content(len, &mut |bytes| {
                        write_all(&fd, bytes).map_err(|e| fail(clean, "write", e))
                    })?;
                    source.record_file(clean, offset, len)?;
                }
                rustix::fs::ftruncate(&fd, map.length).map_err(|e| fail(clean, "set its length", e))?;
            }
        }
        self.file_metadata(entry, &fd).map_err(|(call, e)| fail(clean, call, e))?;
        source.padding(entry.size)
    }

    fn hard_link(
        &mut self,
        entry: &Entry,
        clean: &[u8],
        (parent, name): (&[u8], &CString),
        source: &mut Source<'_>,
    ) -> Result<(), UnpackError> {
        let target = path::clean(&entry.link)?;
        let refused = |why: String| UnpackError::Refused { path: shown(clean), why };
        let Some((target_parent, target_name)) = path::split(&target) else {
            return Err(refused("it is a hard link to the root".into()));
        };
        if target == clean {
            return skip(entry, source);
        }
        let missing = || {
            refused(format!(
                "it is a hard link to {:?}, which is not in the archive before it",
                shown(&target)
            ))
        };
        let target_name = CString::new(target_name).map_err(|_| missing())?;
        // A descriptor of its own: the cache may drop the parent's when it opens the other directory.
        let from = match self.parents.existing(target_parent) {
            Ok(dir) => dir.try_clone_to_owned().map_err(|_| missing())?,
            Err(_) => return Err(missing()),
        };
        let link = |dir: BorrowedFd<'_>| rustix::fs::linkat(&from, &target_name, dir, name, AtFlags::empty());
        match self.make(parent, name, source, link) {
            Ok(()) => skip(entry, source),
            Err((_, Errno::NOENT)) => Err(missing()),
            Err((_, e)) => Err(fail(clean, "link it", e)),
        }
    }

    /// Everything without content: directories, links, devices, fifos.
    fn node(
        &mut self,
        entry: &Entry,
        clean: &[u8],
        (parent, name): (&[u8], &CString),
        source: &mut Source<'_>,
    ) -> Result<(), UnpackError> {
        let made = match entry.kind {
            EntryKind::Directory => self.directory(entry, clean, parent, name, source),
            EntryKind::Symlink => self.symlink(entry, parent, name, source),
            _ => self.device(entry, parent, name, source),
        };
        made.map_err(|(call, e)| fail(clean, call, e))?;
        skip(entry, source)
    }

    fn directory(
        &mut self,
        entry: &Entry,
        clean: &[u8],
        parent: &[u8],
        name: &CString,
        source: &mut Source<'_>,
    ) -> Step<()> {
        let userxattr = self.options.userxattr;
        let fresh = Mode::from_raw_mode(entry.mode & 0o777 | 0o700);
        let dir = self.parents.get(parent).map_err(|e| ("open its directory", e))?;
        let fd = match rustix::fs::mkdirat(dir, name, fresh) {
            Ok(()) => crate::storage::tree::open_dir(dir, name).map_err(|e| ("open it", e))?,
            Err(Errno::EXIST) => match crate::storage::tree::open_dir(dir, name) {
                // There already: only its metadata changes.
                Ok(fd) => fd,
                Err(_) if self.options.keep_kinds => {
                    return Err(("put a directory where something else is", Errno::EXIST));
                }
                Err(_) => {
                    // A whiteout first, then the directory: what the lower layers have there stays hidden.
                    let was_whiteout = self.options.whiteouts && whiteout::is(dir, name);
                    self.replace(parent, name, source)?;
                    let dir = self.parents.get(parent).map_err(|e| ("open its directory", e))?;
                    rustix::fs::mkdirat(dir, name, fresh).map_err(|e| ("create it", e))?;
                    let fd = crate::storage::tree::open_dir(dir, name).map_err(|e| ("open it", e))?;
                    if was_whiteout {
                        whiteout::set_opaque(fd.as_fd(), userxattr).map_err(|e| ("mark it opaque", e))?;
                    }
                    fd
                }
            },
            Err(e) => return Err(("create it", e)),
        };
        self.directory_metadata(entry, fd.as_fd())?;
        // Without all rights of its owner it could not be filled by one who is not root: later.
        let narrow = (entry.mode & 0o700 != 0o700).then_some(entry.mode);
        self.directories.push(Later { path: clean.to_vec(), mtime: entry.mtime, mode: narrow });
        Ok(())
    }

    fn symlink(&mut self, entry: &Entry, parent: &[u8], name: &CString, source: &mut Source<'_>) -> Step<()> {
        let target = CString::new(entry.link.as_slice()).map_err(|_| ("use its target", Errno::INVAL))?;
        self.make(parent, name, source, |dir| rustix::fs::symlinkat(&target, dir, name))?;
        let (uid, gid) = self.owner(entry);
        let dir = self.parents.get(parent).map_err(|e| ("open its directory", e))?;
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| ("change its owner", e))?;
        rustix::fs::utimensat(dir, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| ("set its time", e))
    }

    fn device(&mut self, entry: &Entry, parent: &[u8], name: &CString, source: &mut Source<'_>) -> Step<()> {
        let kind = match entry.kind {
            EntryKind::Char => FileType::CharacterDevice,
            EntryKind::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let number = rustix::fs::makedev(entry.device.0, entry.device.1);
        let mode = Mode::from_raw_mode(entry.mode);
        let made = self.make(parent, name, source, |dir| rustix::fs::mknodat(dir, name, kind, mode, number));
        match made {
            // A user namespace may not have devices; images that carry them (old base images) work without.
            Err((_, Errno::PERM)) if kind != FileType::Fifo && self.options.userxattr => return Ok(()),
            other => other?,
        }
        let (uid, gid) = self.owner(entry);
        let dir = self.parents.get(parent).map_err(|e| ("open its directory", e))?;
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| ("change its owner", e))?;
        // Just made and not a link, in a directory that only we write to.
        rustix::fs::chmodat(dir, name, mode, AtFlags::empty()).map_err(|e| ("change its mode", e))?;
        rustix::fs::utimensat(dir, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| ("set its time", e))
    }

    /// Runs `create` in the parent, removing what was there by that name before.
    fn make<T>(
        &mut self,
        parent: &[u8],
        name: &CString,
        source: &mut Source<'_>,
        create: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Step<T> {
        let dir = self.parents.get(parent).map_err(|e| ("open its directory", e))?;
        match create(dir) {
            Ok(made) => Ok(made),
            Err(Errno::EXIST) => {
                self.replace(parent, name, source)?;
                let dir = self.parents.get(parent).map_err(|e| ("open its directory", e))?;
                create(dir).map_err(|e| ("create it", e))
            }
            Err(e) => Err(("create it", e)),
        }
    }

    fn replace(&mut self, parent: &[u8], name: &CString, source: &mut Source<'_>) -> Step<()> {
        let dir = self.parents.get(parent).map_err(|e| ("open its directory", e))?;
        let st = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| ("look at what was there", e))?;
        match FileType::from_raw_mode(st.st_mode) {
            FileType::Directory if self.options.keep_kinds => {
                return Err(("replace a directory by something else", Errno::EXIST));
            }
            FileType::RegularFile if st.st_size == 0 => {}
            FileType::RegularFile | FileType::Directory => {
                let path = if parent.is_empty() {
                    name.to_bytes().to_vec()
                } else {
                    [parent, b"/", name.to_bytes()].concat()
                };
                let kept = source.keep(dir, name.as_c_str(), &path);
                if kept.map_err(|_| ("keep what was there", Errno::IO))? {
                    self.parents.forget();
                    return Ok(());
                }
            }
            _ => {}
        }
        crate::storage::tree::remove_named(dir, name.as_c_str()).map_err(|e| ("remove what was there", e))?;
        self.parents.forget();
        Ok(())
    }

    fn owner(&self, entry: &Entry) -> (Uid, Gid) {
        let (mut uid, mut gid) = self.options.own.unwrap_or((entry.uid, entry.gid));
        if let Some(maps) = &self.options.maps {
            (uid, gid) = (maps.uid(uid).unwrap_or(uid), maps.gid(gid).unwrap_or(gid));
        }
        (Uid::from_raw(uid), Gid::from_raw(gid))
    }

    fn file_metadata(&self, entry: &Entry, fd: &OwnedFd) -> Step<()> {
        self.owner_and_mode(entry, fd.as_fd(), entry.mode)?;
        self.xattrs(entry, fd.as_fd())?;
        rustix::fs::futimens(fd, &times(entry.mtime)).map_err(|e| ("set its time", e))
    }

    fn directory_metadata(&self, entry: &Entry, fd: BorrowedFd<'_>) -> Step<()> {
        self.owner_and_mode(entry, fd, entry.mode | 0o700)?;
        self.xattrs(entry, fd)
    }

    /// Sets owner and mode where making the entry has not given it the right ones already, as for most of an image:
    /// looking costs a fraction of a change, which is a transaction of the file system.
    fn owner_and_mode(&self, entry: &Entry, fd: BorrowedFd<'_>, mode: u32) -> Step<()> {
        let (uid, gid) = self.owner(entry);
        let now = rustix::fs::fstat(fd).map_err(|e| ("look at it", e))?;
        let owned = (now.st_uid, now.st_gid) == (uid.as_raw(), gid.as_raw());
        if !owned {
            rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(|e| ("change its owner", e))?;
        }
        // After the owner, whose change clears set-user-id bits and file capabilities.
        if !owned || now.st_mode & 0o7777 != mode & 0o7777 {
            rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).map_err(|e| ("change its mode", e))?;
        }
        Ok(())
    }

    fn xattrs(&self, entry: &Entry, fd: BorrowedFd<'_>) -> Step<()> {
        for (name, value) in &entry.xattrs {
            if is_foreign(name) {
                continue;
            }
            let name =
                CString::new(name.as_slice()).map_err(|_| ("set an extended attribute", Errno::INVAL))?;
            match rustix::fs::fsetxattr(fd, &name, value, XattrFlags::empty()) {
                // The file system cannot hold it, or we may not set it here: an image from elsewhere still works.
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(Errno::PERM) if self.options.userxattr || self.options.own.is_some() => {}
                Err(e) => return Err(("set an extended attribute", e)),
            }
        }
        Ok(())
    }

    /// Sets what had to wait until everything was in its place.
    pub(super) fn finish(mut self) -> Result<(), UnpackError> {
        self.parents.forget();
        for Later { path, mtime, .. } in &self.directories {
            let opened = if path.is_empty() { Ok(None) } else { open_beneath(self.root, path).map(Some) };
            let set = match &opened {
                Ok(Some(fd)) => rustix::fs::futimens(fd, &times(*mtime)),
                Ok(None) => rustix::fs::futimens(self.root, &times(*mtime)),
                // Replaced by a later entry.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                Err(e) => Err(*e),
            };
            set.map_err(|e| fail(path, "set its time", e))?;
        }
        for Later { path, mode, .. } in self.directories.iter().rev() {
            let Some(mode) = mode else { continue };
            let mode = Mode::from_raw_mode(*mode);
            let done = match open_beneath(self.root, path) {
                _ if path.is_empty() => rustix::fs::fchmod(self.root, mode),
                Ok(fd) => rustix::fs::fchmod(&fd, mode),
                Err(_) => Ok(()),
            };
            done.map_err(|e| fail(path, "change its mode", e))?;
        }
        Ok(())
    }
}

/// xattrs that an archive may not bring: overlay's own (a redirect would show other directories of the host's
/// layers), and the host's labels.
fn is_foreign(name: &[u8]) -> bool {
    crate::storage::copy::is_overlay(name) || name == b"security.selinux"
}

/// Passes over content that an entry has but that goes nowhere.
fn skip(entry: &Entry, source: &mut Source<'_>) -> Result<(), UnpackError> {
    if entry.size == 0 {
        return Ok(());
    }
    source.record_loss("an entry that is not a file has content");
    source.content(entry.size, &mut |_| Ok(()))?;
    source.padding(entry.size)
}

fn write_all(fd: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}

fn fail(path: &[u8], call: &'static str, e: Errno) -> UnpackError {
    match e {
        Errno::NOTDIR | Errno::LOOP => {
            UnpackError::Refused { path: shown(path), why: "what should be its directory is not one".into() }
        }
        e => UnpackError::Write { path: shown(path), call, source: e.into() },
    }
}

pub(super) fn shown(path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(path))
}
