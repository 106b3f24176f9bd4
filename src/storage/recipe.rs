//! Recipes: what of a layer's archive is not in its files (headers, padding, order), so that the archive can be made
//! again byte for byte for push and save, without keeping it.
//!
//! A zstd stream of records: a tag byte, then for [`LITERAL`] a length and the bytes, for [`FILE`] a path, an
//! offset and a length (content of that file of the layer), for [`MOVED`] a path and a number (what was there up to
//! here is below `kept` under that number: a later entry of the archive took its place), for [`END`] the archive's
//! length. Numbers are LEB128.
//! The idea is that of tar-split; the form is ours.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

const LITERAL: u8 = 0;
const FILE: u8 = 1;
const END: u8 = 2;
const MOVED: u8 = 3;

/// Folder beside the recipe with what the archive holds and the layer does not show.
pub(super) const KEPT: &str = "kept";

/// Bytes gathered before they go to the compressor.
const GATHER: usize = 64 * 1024;

/// Largest single record that a rebuild accepts; the recorder makes none larger than [`GATHER`] and a block.
const MOST: u64 = 1 << 20;

/// Records an archive while it is unpacked.
pub(super) struct Recorder {
    out: zstd::stream::write::Encoder<'static, File>,
    pending: Vec<u8>,
    total: u64,
    lost: Option<String>,
    /// Where replaced files are kept; made when there is one.
    kept: PathBuf,
    moved: u64,
}

impl Recorder {
    /// Records into a new file; what is replaced is kept in a folder of its own.
    pub(super) fn new(file: File, kept: PathBuf) -> io::Result<Self> {
        // Level 1: headers are so alike that more effort gives little.
        let out = zstd::stream::write::Encoder::new(file, 1)?;
        Ok(Self { out, pending: Vec::with_capacity(GATHER), total: 0, lost: None, kept, moved: 0 })
    }

    /// Moves what a later entry replaces out of the layer. `false`: it stays, and the archive is lost.
    pub(super) fn keep(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> io::Result<bool> {
        if self.lost.is_some() {
            return Ok(false);
        }
        if self.moved == 0 {
            rustix::fs::mkdir(&self.kept, Mode::from_raw_mode(0o700))?;
        }
        let to = self.kept.join(self.moved.to_string());
        if rustix::fs::renameat(dir, name, CWD, &to).is_err() {
            self.lose("an entry that is in it twice could not be kept");
            return Ok(false);
        }
        self.flush()?;
        let mut record = vec![MOVED];
        number(&mut record, path.len() as u64);
        record.extend_from_slice(path);
        number(&mut record, self.moved);
        self.moved += 1;
        self.out.write_all(&record)?;
        Ok(true)
    }

    /// Whether anything was kept: such a recipe is to be tried before it is trusted.
    #[cfg(test)]
    pub(super) fn has_kept(&self) -> bool {
        self.moved > 0
    }

    /// Bytes that are only in the archive.
    pub(super) fn literal(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.total += bytes.len() as u64;
        if self.lost.is_some() {
            return Ok(());
        }
        for piece in bytes.chunks(GATHER) {
            if self.pending.len() + piece.len() > GATHER {
                self.flush()?;
            }
            self.pending.extend_from_slice(piece);
        }
        Ok(())
    }

    /// Bytes that are in a file of the layer.
    pub(super) fn file(&mut self, path: &[u8], offset: u64, len: u64) -> io::Result<()> {
        self.total += len;
        if self.lost.is_some() {
            return Ok(());
        }
        self.flush()?;
        let mut record = vec![FILE];
        number(&mut record, path.len() as u64);
        record.extend_from_slice(path);
        number(&mut record, offset);
        number(&mut record, len);
        self.out.write_all(&record)
    }

    /// Something in the archive is in no file: it cannot be made again.
    pub(super) fn lose(&mut self, why: &str) {
        self.lost.get_or_insert_with(|| why.to_owned());
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut head = vec![LITERAL];
        number(&mut head, self.pending.len() as u64);
        self.out.write_all(&head)?;
        self.out.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// Writes the end. `Ok(false)`: the archive cannot be made again, and the file is to be deleted.
    pub(super) fn finish(mut self) -> io::Result<bool> {
        if self.lost.is_some() {
            return Ok(false);
        }
        self.flush()?;
        let mut record = vec![END];
        number(&mut record, self.total);
        self.out.write_all(&record)?;
        self.out.finish()?;
        Ok(true)
    }
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Why an archive could not be made again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RebuildError {
    /// The recipe is not there or damaged.
    #[error("its recipe is missing or damaged: {0}")]
    Recipe(String),
    /// A file of the layer is not what it was.
    #[error("its file {0:?} is gone or shorter than it was")]
    Content(String),
    /// The receiver failed.
    #[error("writing it failed")]
    Write(#[source] io::Error),
}

/// Writes the archive of the layer below `diff` to `out`; returns its length.
pub(super) fn rebuild(recipe: &Path, diff: BorrowedFd<'_>, out: &mut dyn Write) -> Result<u64, RebuildError> {
    let damaged = |e: io::Error| RebuildError::Recipe(e.to_string());
    let file = File::open(recipe).map_err(damaged)?;
    let mut input = BufReader::new(zstd::stream::read::Decoder::new(file).map_err(damaged)?);
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    let kept = Kept::open(recipe)?;
    for index in 0_u64.. {
        match byte(&mut input)? {
            LITERAL => {
                let len = read_number(&mut input, MOST)?;
                total += len;
                pump(&mut (&mut input).take(len), len, &mut buffer, out)?
                    .then_some(())
                    .ok_or_else(|| RebuildError::Recipe("it is cut off".into()))?;
            }
            FILE => {
                let path = read_path(&mut input)?;
                let (offset, len) = (read_number(&mut input, u64::MAX)?, read_number(&mut input, u64::MAX)?);
                total += len;
                match kept.as_ref().and_then(|k| k.place(&path, index).map(|at| (k, at))) {
                    Some((k, at)) => content(k.dir.as_fd(), &at, (offset, len), &mut buffer, out)?,
                    None => content(diff, &path, (offset, len), &mut buffer, out)?,
                }
            }
            MOVED => {
                read_path(&mut input)?;
                read_number(&mut input, u64::MAX)?;
            }
            END => {
                let want = read_number(&mut input, u64::MAX)?;
                return if want == total {
                    Ok(total)
                } else {
                    Err(RebuildError::Recipe("its length is wrong".into()))
                };
            }
            _ => return Err(RebuildError::Recipe("unknown record".into())),
        }
    }
    Err(RebuildError::Recipe("it has no end".into()))
}

/// What later entries replaced, and up to which record it was in its place.
struct Kept {
    dir: OwnedFd,
    moves: Vec<(u64, Vec<u8>, u64)>,
}

impl Kept {
    /// Reads the moves out of a recipe; `None` where nothing was replaced.
    fn open(recipe: &Path) -> Result<Option<Self>, RebuildError> {
        let damaged = |e: io::Error| RebuildError::Recipe(e.to_string());
        let Ok(dir) = super::tree::open_dir(CWD, recipe.with_file_name(KEPT)) else { return Ok(None) };
        let file = File::open(recipe).map_err(damaged)?;
        let mut input = BufReader::new(zstd::stream::read::Decoder::new(file).map_err(damaged)?);
        let mut moves = Vec::new();
        for index in 0_u64.. {
            match byte(&mut input)? {
                LITERAL => {
                    let len = read_number(&mut input, MOST)?;
                    io::copy(&mut (&mut input).take(len), &mut io::sink()).map_err(damaged)?;
                }
                FILE => {
                    read_path(&mut input)?;
                    read_number(&mut input, u64::MAX)?;
                    read_number(&mut input, u64::MAX)?;
                }
                MOVED => moves.push((index, read_path(&mut input)?, read_number(&mut input, u64::MAX)?)),
                _ => break,
            }
        }
        Ok(Some(Self { dir, moves }))
    }

    /// Where the content is that record `index` means, if it is no longer at `path`.
    fn place(&self, path: &[u8], index: u64) -> Option<Vec<u8>> {
        let below = |moved: &[u8]| match path.strip_prefix(moved) {
            Some(rest) if rest.is_empty() || rest.starts_with(b"/") => Some(rest.to_vec()),
            _ => None,
        };
        let later = self.moves.iter().filter(|(at, ..)| *at > index);
        later
            .filter_map(|(_, moved, n)| below(moved).map(|rest| [n.to_string().as_bytes(), &rest].concat()))
            .next()
    }
}

fn content(
    diff: BorrowedFd<'_>,
    path: &[u8],
    (offset, len): (u64, u64),
    buffer: &mut [u8],
    out: &mut dyn Write,
) -> Result<(), RebuildError> {
    let lost = || RebuildError::Content(String::from_utf8_lossy(path).into_owned());
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat2(diff, path, flags, Mode::empty(), how).map_err(|_| lost())?;
    if offset > 0 {
        rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(offset)).map_err(|_| lost())?;
    }
    if pump(&mut File::from(fd).take(len), len, buffer, out)? { Ok(()) } else { Err(lost()) }
}

/// Copies `len` bytes; `false` when the input is shorter.
fn pump(
    input: &mut dyn Read,
    len: u64,
    buffer: &mut [u8],
    out: &mut dyn Write,
) -> Result<bool, RebuildError> {
    let mut left = len;
    while left > 0 {
        match input.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => {
                out.write_all(&buffer[..n]).map_err(RebuildError::Write)?;
                left = left.saturating_sub(n as u64);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

fn byte(input: &mut dyn Read) -> Result<u8, RebuildError> {
    let mut one = [0];
    input.read_exact(&mut one).map_err(|e| RebuildError::Recipe(e.to_string()))?;
    Ok(one[0])
}

fn read_number(input: &mut dyn Read, most: u64) -> Result<u64, RebuildError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let b = byte(input)?;
        value |= u64::from(b & 0x7f) << shift;
        if b & 0x80 == 0 {
            return if value <= most {
                Ok(value)
            } else {
                Err(RebuildError::Recipe("a number is too large".into()))
            };
        }
    }
    Err(RebuildError::Recipe("a number is too long".into()))
}

fn read_path(input: &mut dyn Read) -> Result<Vec<u8>, RebuildError> {
    let len = read_number(input, 4096)?;
    let mut path = vec![0; usize::try_from(len).unwrap_or(0)];
    input.read_exact(&mut path).map_err(|e| RebuildError::Recipe(e.to_string()))?;
    Ok(path)
}
