//! An archive as something that can be read at any place: the file itself, or a nameless copy of a pipe or of a
//! compressed file; and the index of the files in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::super::progress::{Progress, Stoppable};
use super::super::pull::layer::{Compression, compression};
use super::{Error, io as failed};
use crate::storage::Paths;

/// Most files of an archive of images.
const MAX_FILES: usize = 100_000;

/// podman's words for what is no image, which scripts look for.
pub(super) const NO_IMAGE: &str = "payload does not match any of the supported image formats";

/// Links to links that are followed; docker's old archives link a layer to another image's.
const MAX_LINKS: usize = 4;

/// Memory that an xz archive may ask for; `xz -9` needs 65 MiB.
const MAX_XZ_KIB: u32 = 256 << 10;

/// Bytes of a JSON document in an archive.
const MAX_DOCUMENT: u64 = 16 << 20;

/// The files of an archive, or of a directory.
pub(super) enum Archive {
    Tar { file: File, files: HashMap<String, Place> },
    Dir(OwnedFd),
}

pub(super) enum Place {
    At { offset: u64, size: u64 },
    Link(String),
}

impl Archive {
    /// Takes a file or, if it is a pipe or compressed, a nameless copy of it below the storage root.
    pub(super) fn open(input: File, paths: &Paths, progress: &dyn Progress) -> Result<Self, Error> {
        let seekable = input.metadata().map_err(failed("looking at the archive"))?.is_file();
        let mut head = [0; 6];
        let n =
            if seekable { input.read_at(&mut head, 0).map_err(failed("reading the archive"))? } else { 0 };
        let plain = seekable && matches!(compression(&head[..n]), Compression::None);
        let file = if plain { input } else { spool(Stoppable::new(input, progress), paths)? };
        let files = scan(&file)?;
        Ok(Self::Tar { file, files })
    }

    /// A directory with the same files.
    pub(super) fn directory(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty());
        Ok(Self::Dir(fd.map_err(|e| failed(format!("opening {}", path.display()))(e.into()))?))
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Tar { files, .. } => files.contains_key(&normal(Path::new(name))),
            Self::Dir(fd) => open_beneath(fd, name).is_ok(),
        }
    }

    /// A file, to be read by any thread.
    pub(super) fn reader(&self, name: &str) -> Result<Section<'_>, Error> {
        let missing =
            || Error::Invalid { what: "the archive".into(), why: format!("it has no file {name:?}") };
        let (file, files) = match self {
            Self::Tar { file, files } => (file, files),
            Self::Dir(fd) => {
                let (file, end) =
                    open_beneath(fd, name).map_err(failed(format!("opening {name:?} in the directory")))?;
                return Ok(Section { file: Holder::Own(file), at: 0, end });
            }
        };
        let mut key = normal(Path::new(name));
        for _ in 0..MAX_LINKS {
            match files.get(&key).ok_or_else(missing)? {
                Place::At { offset, size } => {
                    let end = offset.saturating_add(*size);
                    return Ok(Section { file: Holder::Shared(file), at: *offset, end });
                }
                Place::Link(to) => key.clone_from(to),
            }
        }
        Err(missing())
    }

    /// A whole document.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, Error> {
        let mut section = self.reader(name)?;
        if section.end - section.at > MAX_DOCUMENT {
            return Err(Error::TooLarge { what: name.to_owned(), limit: MAX_DOCUMENT });
        }
        let mut bytes = Vec::new();
        section.read_to_end(&mut bytes).map_err(failed(format!("reading {name} of the archive")))?;
        Ok(bytes)
    }
}

/// A regular file beneath a directory and its size. Links in it lead nowhere else: who made the directory may be
/// somebody else than who loads it.
fn open_beneath(dir: &OwnedFd, name: &str) -> io::Result<(File, u64)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(rustix::fs::openat2(dir, name, flags, Mode::empty(), how)?);
    let meta = file.metadata()?;
    match meta.is_file() {
        true => Ok((file, meta.len())),
        false => Err(io::Error::other("it is no regular file")),
    }
}

enum Holder<'a> {
    Shared(&'a File),
    Own(File),
}

/// A part of a file.
pub(super) struct Section<'a> {
    file: Holder<'a>,
    at: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let n = out.len().min(left);
        if n == 0 {
            return Ok(0);
        }
        let file = match &self.file {
            Holder::Shared(file) => file,
            Holder::Own(file) => file,
        };
        match file.read_at(&mut out[..n], self.at)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut short")),
            n => {
                self.at += n as u64;
                Ok(n)
            }
        }
    }
}

/// Copies to a file without a name, which goes with the process; unpacked if it is compressed.
pub(super) fn spool(input: impl Read, paths: &Paths) -> Result<File, Error> {
    let what = || format!("copying the archive below {}", paths.root.display());
    crate::storage::paths::ensure_private(&paths.root)?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let fd: OwnedFd = rustix::fs::openat(CWD, &paths.root, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| failed(what())(e.into()))?;
    let mut out = File::from(fd);
    let done = unpacked(input).and_then(|mut from| {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => out.write_all(&buffer[..n])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    });
    match done {
        Ok(()) => Ok(out),
        Err(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            Err(Error::DiskFull { what: "copying the archive".into(), path: paths.root.clone() })
        }
        Err(e) => Err(failed(what())(e)),
    }
}

/// A stream without its compression.
///
/// # Errors
/// The stream cannot be read, or is packed in a way that is not known.
pub fn unpacked<'a>(mut input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::new();
    input.by_ref().take(6).read_to_end(&mut head)?;
    let kind = compression(&head);
    let whole = BufReader::with_capacity(128 << 10, io::Cursor::new(head).chain(input));
    Ok(match kind {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(whole, true, MAX_XZ_KIB)),
    })
}

fn scan(file: &File) -> Result<HashMap<String, Place>, Error> {
    let invalid = |why: String| Error::Invalid { what: "the archive".into(), why };
    let mut files = HashMap::new();
    let mut archive = tar::Archive::new(BufReader::new(Positioned { file, at: 0 }));
    let no_tar = |_| invalid(format!("{NO_IMAGE}: it is no tar"));
    let entries = archive.entries_with_seek().map_err(no_tar)?;
    for entry in entries {
        let first = files.is_empty();
        let entry = entry.map_err(|e| if first { no_tar(e) } else { invalid(e.to_string()) })?;
        if files.len() == MAX_FILES {
            return Err(invalid(format!("it has more than {MAX_FILES} files")));
        }
        let path = entry.path().map_err(|e| invalid(e.to_string()))?.into_owned();
        let place = match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                Place::At { offset: entry.raw_file_position(), size: entry.size() }
            }
            kind @ (tar::EntryType::Symlink | tar::EntryType::Link) => {
                let target = entry.link_name().map_err(|e| invalid(e.to_string()))?.unwrap_or_default();
                let base = if kind == tar::EntryType::Symlink { path.parent() } else { None };
                Place::Link(normal(&base.unwrap_or(Path::new("")).join(target)))
            }
            _ => continue,
        };
        files.insert(normal(&path), place);
    }
    if files.is_empty() {
        return Err(invalid(format!("{NO_IMAGE}: it is empty, or no tar")));
    }
    Ok(files)
}

/// A name without `.`, `..` and slashes at its ends: only a key, never a path of the host.
fn normal(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for c in path.components() {
        match c {
            Component::Normal(p) => parts.push(p.to_string_lossy().into_owned()),
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

/// Reads a file with a position of its own.
struct Positioned<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(out, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl io::Seek for Positioned<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let bad = || io::Error::from(io::ErrorKind::InvalidInput);
        self.at = match to {
            io::SeekFrom::Start(n) => n,
            io::SeekFrom::Current(n) => self.at.checked_add_signed(n).ok_or_else(bad)?,
            io::SeekFrom::End(n) => self.file.metadata()?.len().checked_add_signed(n).ok_or_else(bad)?,
        };
        Ok(self.at)
    }
}
