//! An upper directory as a layer: list of changes, and tar with whiteouts in the OCI form.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::{Error, Result};
use super::tar_write::{Head, TarWriter};
use super::tree::{self, Next, Visit};
use super::unpack::{EntryKind, whiteout};
use super::{copy, overlay};

/// How a path changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// New.
    Added,
    /// Content or metadata differ.
    Modified,
    /// Gone.
    Deleted,
}

/// One change, absolute path in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// Where.
    pub path: PathBuf,
    /// A directory with the owner and mode that it has below: it shows only because of what is in it.
    pub alike: bool,
}

/// What a tar export leaves out or changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TarOptions {
    /// Turn overlay whiteouts into `.wh.` files (a layer); else leave deleted things out (a whole root).
    pub whiteouts: bool,
    /// All times become this one (`SOURCE_DATE_EPOCH`).
    pub epoch: Option<i64>,
    /// Paths (without leading slash) that are left out with all below: mount targets of the running container.
    pub exclude: Vec<PathBuf>,
}

/// Changes of `upper` against `lowers` (top first), sorted by path: what `diff` shows.
///
/// # Errors
/// What the kernel says.
pub fn changes(upper: BorrowedFd<'_>, lowers: &[PathBuf]) -> Result<Vec<Change>> {
    let below = if lowers.is_empty() {
        None
    } else {
        let options =
            overlay::Options { userxattr: overlay::needs_userxattr(), ..overlay::Options::default() };
        Some(overlay::mount_readonly(lowers, options)?)
    };
    let mut found = Vec::new();
    let walked: rustix::io::Result<()> = tree::walk(upper, &mut |entry| {
        let before = match &below {
            Some(below) => stat_below(below, entry.path)?,
            None => None,
        };
        let was = before.as_ref().map(|s| FileType::from_raw_mode(s.st_mode));
        let path = absolute(entry.path);
        if whiteout::is_stat(entry.stat) {
            if was.is_some() {
                found.push(Change { kind: ChangeKind::Deleted, path, alike: false });
            }
            return Ok(Next::Skip);
        }
        let kind = if was.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        let alike = before.is_some_and(|b| {
            let of = |s: &rustix::fs::Stat| (s.st_mode, s.st_uid, s.st_gid);
            entry.file_type() == FileType::Directory && of(&b) == of(entry.stat)
        });
        found.push(Change { kind, path, alike });
        if let (Some(below), Some(FileType::Directory), FileType::Directory) =
            (&below, was, entry.file_type())
            && is_opaque(entry)?
        {
            hidden_by_opaque(entry, below, &mut found)?;
        }
        Ok(Next::Enter)
    });
    walked.map_err(|e| Error::io("compare", crate::sys::fd::path_of(upper).unwrap_or_default(), e))?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn absolute(path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    std::path::Path::new("/").join(std::ffi::OsStr::from_bytes(path))
}

/// What the lower layers have at a path, not through links.
fn stat_below(below: &OwnedFd, path: &[u8]) -> rustix::io::Result<Option<rustix::fs::Stat>> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(below, path, flags, Mode::empty(), how) {
        Ok(fd) => Ok(Some(rustix::fs::fstat(&fd)?)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Names that an opaque directory hides are deletions, unless the directory has them again.
fn hidden_by_opaque(entry: &Visit<'_>, below: &OwnedFd, found: &mut Vec<Change>) -> rustix::io::Result<()> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lower = rustix::fs::openat2(below, entry.path, flags, Mode::empty(), how)?;
    let upper = tree::open_dir(entry.dir, entry.name)?;
    for name in tree::names(&lower)? {
        if rustix::fs::statat(&upper, &name, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            let path = absolute(&[entry.path, b"/", name.to_bytes()].concat());
            found.push(Change { kind: ChangeKind::Deleted, path, alike: false });
        }
    }
    Ok(())
}

fn is_opaque(entry: &Visit<'_>) -> rustix::io::Result<bool> {
    let dir = tree::open_dir(entry.dir, entry.name)?;
    let name = whiteout::opaque_name(overlay::needs_userxattr());
    let mut value = [0; 8];
    match rustix::fs::fgetxattr(&dir, name, &mut value[..]) {
        Ok(n) => Ok(&value[..n] == b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Writes the tree below `root` as a tar (PAX, sorted, reproducible): a layer of an upper directory, or the export
/// of a mounted root. Returns bytes written.
///
/// # Errors
/// What the kernel or the writer says.
pub fn write_tar(root: BorrowedFd<'_>, options: &TarOptions, out: &mut dyn Write) -> Result<u64> {
    let mut job =
        Export { tar: TarWriter::new(out), options, links: HashMap::new(), buffer: vec![0; 256 * 1024] };
    let mut last = Vec::new();
    let walked: std::result::Result<(), ExportError> = tree::walk(root, &mut |entry| {
        last.clear();
        last.extend_from_slice(entry.path);
        job.entry(entry)
    });
    walked.and_then(|()| job.tar.finish().map_err(ExportError::Write)).map_err(|e| match e {
        ExportError::Read(e) => Error::io("archive", absolute(&last), e),
        ExportError::Write(e) => Error::io("write the archive at", absolute(&last), e),
    })
}

enum ExportError {
    Read(Errno),
    Write(io::Error),
}

impl From<Errno> for ExportError {
    fn from(e: Errno) -> Self {
        Self::Read(e)
    }
}

struct Export<'a> {
    tar: TarWriter<'a>,
    options: &'a TarOptions,
    /// First path of each file that has more than one.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

impl Export<'_> {
    fn entry(&mut self, entry: &Visit<'_>) -> std::result::Result<Next, ExportError> {
        use std::os::unix::ffi::OsStrExt as _;
        if self.options.exclude.iter().any(|p| p.as_os_str().as_bytes() == entry.path) {
            return Ok(Next::Skip);
        }
        if whiteout::is_stat(entry.stat) {
            if self.options.whiteouts {
                self.whiteout(entry, entry.name.to_bytes())?;
            }
            return Ok(Next::Skip);
        }
        match entry.file_type() {
            FileType::Directory => self.directory(entry)?,
            FileType::RegularFile => self.file(entry)?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(entry.dir, entry.name, Vec::new())?;
                self.node(entry, EntryKind::Symlink, target.to_bytes())?;
            }
            FileType::CharacterDevice => self.node(entry, EntryKind::Char, b"")?,
            FileType::BlockDevice => self.node(entry, EntryKind::Block, b"")?,
            FileType::Fifo => self.node(entry, EntryKind::Fifo, b"")?,
            // A socket means nothing without the process that listens on it; tar has no form for it.
            _ => return Ok(Next::Skip),
        }
        Ok(Next::Enter)
    }

    fn mtime(&self, entry: &Visit<'_>) -> i64 {
        self.options.epoch.unwrap_or(entry.stat.st_mtime)
    }

    fn head<'b>(&self, entry: &'b Visit<'_>, kind: EntryKind, path: &'b [u8]) -> Head<'b> {
        Head {
            kind,
            path,
            link: b"",
            size: 0,
            mode: entry.stat.st_mode & 0o7777,
            uid: entry.stat.st_uid,
            gid: entry.stat.st_gid,
            mtime: self.mtime(entry),
            device: (0, 0),
            xattrs: &[],
        }
    }

    /// `.wh.NAME` beside where the name was.
    fn whiteout(&mut self, entry: &Visit<'_>, hidden: &[u8]) -> std::result::Result<(), ExportError> {
        let parent = &entry.path[..entry.path.len() - entry.name.to_bytes().len()];
        let path = [parent, whiteout::PREFIX, hidden].concat();
        self.mark(entry, &path)
    }

    fn mark(&mut self, entry: &Visit<'_>, path: &[u8]) -> std::result::Result<(), ExportError> {
        let mut head = self.head(entry, EntryKind::File, path);
        (head.mode, head.uid, head.gid) = (0o600, 0, 0);
        self.tar.head(&head).map_err(ExportError::Write)
    }

    fn directory(&mut self, entry: &Visit<'_>) -> std::result::Result<(), ExportError> {
        let dir = tree::open_dir(entry.dir, entry.name)?;
        let xattrs = copied_xattrs(&dir)?;
        let path = [entry.path, b"/"].concat();
        let mut head = self.head(entry, EntryKind::Directory, &path);
        head.xattrs = &xattrs;
        self.tar.head(&head).map_err(ExportError::Write)?;
        if self.options.whiteouts && is_opaque(entry)? {
            let path = [entry.path, b"/", whiteout::OPAQUE].concat();
            self.mark(entry, &path)?;
        }
        Ok(())
    }

    fn file(&mut self, entry: &Visit<'_>) -> std::result::Result<(), ExportError> {
        if self.hard_link(entry)? {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(entry.dir, entry.name, flags, Mode::empty())?;
        let xattrs = copied_xattrs(&fd)?;
        let size = u64::try_from(entry.stat.st_size).unwrap_or(0);
        let mut head = self.head(entry, EntryKind::File, entry.path);
        (head.size, head.xattrs) = (size, &xattrs);
        self.tar.head(&head).map_err(ExportError::Write)?;
        // Exactly the length that the header says, whatever the file does meanwhile.
        let mut file = File::from(fd);
        let mut left = size;
        while left > 0 {
            let most = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = match file.read(&mut self.buffer[..most]) {
                Ok(0) => {
                    self.buffer[..most].fill(0);
                    most
                }
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(ExportError::Read(Errno::from_io_error(&e).unwrap_or(Errno::IO))),
            };
            self.tar.content(&self.buffer[..n]).map_err(ExportError::Write)?;
            left -= n as u64;
        }
        self.tar.pad(size).map_err(ExportError::Write)
    }

    /// A second name of a file that is in the archive already.
    fn hard_link(&mut self, entry: &Visit<'_>) -> std::result::Result<bool, ExportError> {
        if entry.stat.st_nlink < 2 {
            return Ok(false);
        }
        let key = (entry.stat.st_dev, entry.stat.st_ino);
        let Some(first) = self.links.get(&key).cloned() else {
            self.links.insert(key, entry.path.to_vec());
            return Ok(false);
        };
        let mut head = self.head(entry, EntryKind::HardLink, entry.path);
        head.link = &first;
        self.tar.head(&head).map_err(ExportError::Write)?;
        Ok(true)
    }

    fn node(
        &mut self,
        entry: &Visit<'_>,
        kind: EntryKind,
        link: &[u8],
    ) -> std::result::Result<(), ExportError> {
        let mut head = self.head(entry, kind, entry.path);
        head.link = link;
        if matches!(kind, EntryKind::Char | EntryKind::Block) {
            head.device = (rustix::fs::major(entry.stat.st_rdev), rustix::fs::minor(entry.stat.st_rdev));
        }
        self.tar.head(&head).map_err(ExportError::Write)
    }
}

/// xattrs that belong to the file and not to its place in an overlay or to this host.
fn copied_xattrs(fd: &OwnedFd) -> rustix::io::Result<Vec<(std::ffi::CString, Vec<u8>)>> {
    let mut all = copy::xattrs(fd.as_fd())?;
    all.retain(|(name, _)| !copy::is_overlay(name.to_bytes()) && name.to_bytes() != b"security.selinux");
    all.sort();
    Ok(all)
}
