//! [`Packer`]: a file or a tree beneath a root as a tar stream, walked by descriptors.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use crate::engine::error::{Error, Kind};
use crate::model::namespace::IdMaps;
use crate::sys::root::Root;

/// Deepest nesting that is followed: a hostile tree must not exhaust descriptors.
const MAX_DEPTH: usize = 500;

/// A source, opened.
pub(super) struct Packer {
    parent: OwnedFd,
    name: OsString,
    stat: Stat,
    follow: bool,
    /// Maps of the user namespace whose ids go into the archive.
    maps: Option<IdMaps>,
}

fn failed(what: &str, path: &Path, e: impl Into<io::Error>) -> Error {
    let e: io::Error = e.into();
    let kind = match e.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Internal,
    };
    Error::with_source(kind, format!("{what} {}", path.display()), e)
}

impl Packer {
    /// Looks at `path` beneath `root`; `follow` follows a link at its end.
    pub(super) fn open(root: &Root, path: &Path, follow: bool) -> Result<Self, Error> {
        let missing =
            |e: crate::sys::error::Error| failed("looking for", path, io::Error::from_raw_os_error(e.errno));
        if path.parent().is_none() || follow {
            // The root itself, or what the link leads to: its own handle is where we begin.
            let handle = root.resolve(path).map_err(missing)?;
            let stat = rustix::fs::fstat(&handle).map_err(|e| failed("reading", path, e))?;
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                let name = OsString::from(".");
                return Ok(Self { parent: handle, name, stat, follow: false, maps: None });
            }
            if path.parent().is_none() {
                return Err(Error::new(Kind::Internal, "the root is no directory"));
            }
        }
        let (parent, name) = root.parent(path).map_err(missing)?;
        let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        let stat = if follow {
            rustix::fs::fstat(root.resolve(path).map_err(missing)?)
        } else {
            rustix::fs::statat(&parent, name, flags)
        };
        let stat = stat.map_err(|e| failed("looking for", path, e))?;
        if follow && FileType::from_raw_mode(stat.st_mode).is_file() {
            let target = root.resolve(path).map_err(missing)?;
            return Ok(Self { parent: target, name: OsString::new(), stat, follow: true, maps: None });
        }
        Ok(Self { parent, name: name.to_owned(), stat, follow: false, maps: None })
    }

    /// Ids as they are inside of a user namespace.
    pub(super) fn mapped(self, maps: Option<IdMaps>) -> Self {
        Self { maps, ..self }
    }

    /// Whether it is a directory.
    pub(super) fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode).is_dir()
    }

    /// Writes it; `name` is what the top is called in the archive, `None` leaves the top out. Returns bytes of file content.
    pub(super) fn write(self, name: Option<&OsStr>, out: impl Write) -> Result<u64, Error> {
        let mut archive = Archive { tar: tar::Builder::new(out), bytes: 0, maps: self.maps.clone() };
        let top = PathBuf::from(name.unwrap_or_else(|| OsStr::new(".")));
        if self.follow {
            // A file behind a link: its handle stands for it.
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.parent));
            let file = File::open(path).map_err(|e| failed("opening", &top, e))?;
            archive.file(&top, &self.stat, file)?;
        } else if self.is_directory() {
            let dir = open_dir(&self.parent, &self.name).map_err(|e| failed("opening", &top, e))?;
            if name.is_some() {
                archive.header(&top, &self.stat, tar::EntryType::Directory, None)?;
            }
            archive.tree(dir, &top, name.is_none(), 0)?;
        } else {
            archive.entry(&self.parent, &self.name, &top, &self.stat)?;
        }
        archive
            .tar
            .finish()
            .and_then(|()| archive.tar.get_mut().flush())
            .map_err(|e| failed("writing the archive of", &top, e))?;
        Ok(archive.bytes)
    }
}

fn open_dir(parent: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Whether what is mounted there is the kernel's own (/proc, /sys, /dev/pts, …): it is no part of what a container
/// holds, its files have no length, and some of them never end.
fn is_kernels(dir: &OwnedFd) -> bool {
    // proc, sysfs, cgroup, cgroup2, devpts, mqueue, securityfs, debugfs, tracefs, selinuxfs, bpf, binfmt_misc
    const KINDS: [i64; 12] = [
        0x9fa0,
        0x6265_6572,
        0x0027_e0eb,
        0x6367_7270,
        0x1cd1,
        0x1980_0202,
        0x7363_6673,
        0x6462_6720,
        0x7472_6163,
        0xf97c_ff8c,
        0xcafe_4a11,
        0x4249_4e4d,
    ];
    crate::sys::fd::fs_magic(dir).is_ok_and(|magic| KINDS.contains(&(magic & 0xffff_ffff)))
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    bytes: u64,
    maps: Option<IdMaps>,
}

impl<W: Write> Archive<W> {
    /// All that is in a directory.
    fn tree(&mut self, dir: OwnedFd, path: &Path, bare: bool, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(Kind::Invalid, format!("{} is nested too deeply", path.display())));
        }
        let device = rustix::fs::fstat(&dir).map_err(|e| failed("reading", path, e))?.st_dev;
        let reader = Dir::read_from(&dir).map_err(|e| failed("reading", path, e))?;
        let mut names = Vec::new();
        for entry in reader {
            let entry = entry.map_err(|e| failed("reading", path, e))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name.to_vec()));
            }
        }
        names.sort();
        for name in names {
            let inner = if bare { PathBuf::from(&name) } else { path.join(&name) };
            // It may have gone since the directory was read.
            let Ok(stat) = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                let Ok(below) = open_dir(&dir, &name) else { continue };
                self.header(&inner, &stat, tar::EntryType::Directory, None)?;
                if stat.st_dev != device && is_kernels(&below) {
                    continue;
                }
                self.tree(below, &inner, false, depth + 1)?;
            } else {
                self.entry(&dir, &name, &inner, &stat)?;
            }
        }
        Ok(())
    }

    /// Anything but a directory.
    fn entry(&mut self, dir: impl AsFd, name: &OsStr, path: &Path, stat: &Stat) -> Result<(), Error> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::openat(dir, name, flags, Mode::empty());
                let file = File::from(file.map_err(|e| failed("opening", path, e))?);
                // What was opened counts, not what was there before.
                let stat = rustix::fs::fstat(&file).map_err(|e| failed("reading", path, e))?;
                if !FileType::from_raw_mode(stat.st_mode).is_file() {
                    return Err(Error::new(
                        Kind::Invalid,
                        format!("{} changed while it was read", path.display()),
                    ));
                }
                self.file(path, &stat, file)
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(dir, name, Vec::new());
                let target = target.map_err(|e| failed("reading the link", path, e))?;
                let target = OsString::from_vec(target.into_bytes());
                self.header(path, stat, tar::EntryType::Symlink, Some(Path::new(&target)))
            }
            FileType::Fifo => self.header(path, stat, tar::EntryType::Fifo, None),
            FileType::CharacterDevice => self.header(path, stat, tar::EntryType::Char, None),
            FileType::BlockDevice => self.header(path, stat, tar::EntryType::Block, None),
            // A socket is the end of a connection, not a file; tar has no word for it.
            _ => Ok(()),
        }
    }

    fn file(&mut self, path: &Path, stat: &Stat, file: File) -> Result<(), Error> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.capability(path, &file)?;
        let mut header = header(stat, tar::EntryType::Regular, self.maps.as_ref());
        header.set_size(size);
        // A file that shrinks while it is read is filled up; one that grows is cut.
        let content = file.take(size).chain(io::repeat(0)).take(size);
        self.tar.append_data(&mut header, path, content).map_err(|e| failed("copying", path, e))?;
        self.bytes += size;
        Ok(())
    }

    /// File capabilities travel as a PAX record; other attributes are the file system's own matter.
    fn capability(&mut self, path: &Path, file: &File) -> Result<(), Error> {
        let Ok(Some(value)) = crate::sys::xattr::get(file, c"security.capability") else { return Ok(()) };
        let records = [("SCHILY.xattr.security.capability", value.as_slice())];
        self.tar.append_pax_extensions(records).map_err(|e| failed("copying", path, e))
    }

    fn header(
        &mut self,
        path: &Path,
        stat: &Stat,
        kind: tar::EntryType,
        link: Option<&Path>,
    ) -> Result<(), Error> {
        let mut header = header(stat, kind, self.maps.as_ref());
        header.set_size(0);
        if matches!(kind, tar::EntryType::Char | tar::EntryType::Block) {
            let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
            header
                .set_device_major(major)
                .and_then(|()| header.set_device_minor(minor))
                .map_err(|e| failed("copying", path, e))?;
        }
        let done = match link {
            Some(target) => self.tar.append_link(&mut header, path, target),
            None if kind.is_dir() => {
                // tar(5): a directory's name ends in a slash.
                let mut name = path.as_os_str().to_owned();
                if !name.as_bytes().ends_with(b"/") {
                    name.push("/");
                }
                self.tar.append_data(&mut header, Path::new(&name), io::empty())
            }
            None => self.tar.append_data(&mut header, path, io::empty()),
        };
        done.map_err(|e| failed("copying", path, e))
    }
}

fn header(stat: &Stat, kind: tar::EntryType, maps: Option<&IdMaps>) -> tar::Header {
    let ids = (stat.st_uid, stat.st_gid);
    let (uid, gid) = maps.map_or(ids, |maps| maps.inside(ids.0, ids.1));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(u64::from(uid));
    header.set_gid(u64::from(gid));
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header
}
