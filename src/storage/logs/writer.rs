//! Writing a log: cutting output into records, rotation. One per container, used by the monitor; its memory is two
//! bounded buffers, nothing is allocated per line.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::super::error::{Error, Result};
use super::format::{encode, stamp};
use super::{Format, Stream};

/// Most bytes of one record; longer lines are written in parts, as docker does.
pub(super) const MAX_RECORD: usize = 16 * 1024;

/// Encoded bytes after which a system call is made.
const BATCH: usize = 64 * 1024;

/// Buffers above this are given back when they are empty: most containers are idle most of the time.
const KEEP: usize = 4096;

/// Writes a container's log.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    format: Format,
    max_size: u64,
    max_file: u32,
    file: File,
    size: u64,
    /// Unfinished lines, stdout's and stderr's.
    pending: [Vec<u8>; 2],
}

impl Writer {
    /// Opens the log for appending. `max_size` 0 is no limit; `max_file` counts the current file.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(path: &Path, format: Format, max_size: u64, max_file: u32) -> Result<Self> {
        let (file, size) = open_file(path)?;
        Ok(Self {
            path: path.to_owned(),
            format,
            max_size,
            max_file: max_file.max(1),
            file,
            size,
            pending: [Vec::new(), Vec::new()],
        })
    }

    /// Takes output as it comes. Whole lines are written with one system call; an unfinished line waits for its rest.
    ///
    /// # Errors
    /// What the kernel says; the bytes are then lost to the log, the writer stays usable.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        let now = stamp(jiff::Timestamp::now());
        let mut out = Vec::with_capacity(bytes.len().min(BATCH) + 128);
        let mut rest = bytes;
        while !rest.is_empty() {
            let newline = rest.iter().position(|b| *b == b'\n');
            let room = MAX_RECORD - self.pending[stream as usize].len();
            let take = newline.map_or(rest.len(), |at| at + 1).min(room);
            let (piece, later) = rest.split_at(take);
            rest = later;
            let complete = piece.ends_with(b"\n") || take == room;
            let pending = &mut self.pending[stream as usize];
            if !complete {
                pending.extend_from_slice(piece);
            } else if pending.is_empty() {
                encode(self.format, stream, &now, piece, &mut out);
            } else {
                pending.extend_from_slice(piece);
                encode(self.format, stream, &now, pending, &mut out);
                clear(pending);
            }
            if out.len() >= BATCH {
                self.put(&out)?;
                out.clear();
            }
        }
        self.put(&out)
    }

    /// Writes what is left of unfinished lines (at the end of a stream).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn flush(&mut self, stream: Stream) -> Result<()> {
        if self.pending[stream as usize].is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.pending[stream as usize]);
        let mut out = Vec::with_capacity(text.len() + 128);
        encode(self.format, stream, &stamp(jiff::Timestamp::now()), &text, &mut out);
        self.put(&out)
    }

    /// Opens the current file anew after someone truncated or moved it (`logs --clear`, logrotate).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn reopen(&mut self) -> Result<()> {
        (self.file, self.size) = open_file(&self.path)?;
        Ok(())
    }

    /// The current file.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Appends whole records. What was written of them when the disk filled up is taken back, so that the log never
    /// holds half a record.
    fn put(&mut self, records: &[u8]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if self.max_size > 0 && self.size > 0 && self.size + records.len() as u64 > self.max_size {
            self.rotate()?;
        }
        match self.file.write_all(records) {
            Ok(()) => {
                self.size += records.len() as u64;
                Ok(())
            }
            Err(e) => {
                // Best effort: the error that matters is the first.
                let _ = self.file.set_len(self.size);
                Err(Error::io("write", &self.path, e))
            }
        }
    }

    /// `ctr.log` becomes `ctr.log.1`, that `ctr.log.2`, …; the oldest goes.
    fn rotate(&mut self) -> Result<()> {
        if self.max_file == 1 {
            self.file.set_len(0).map_err(|e| Error::io("truncate", &self.path, e))?;
            self.size = 0;
            return Ok(());
        }
        for n in (1..self.max_file).rev() {
            let from = if n == 1 { self.path.clone() } else { numbered(&self.path, n - 1) };
            let to = numbered(&self.path, n);
            match std::fs::rename(&from, &to) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("rotate", from, e)),
            }
        }
        self.reopen()
    }
}

/// The `n`th older file of a log.
pub(super) fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

fn open_file(path: &Path) -> Result<(File, u64)> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .map_err(|e| Error::io("open", path, e))?;
    let size = file.metadata().map_err(|e| Error::io("look at", path, e))?.len();
    Ok((file, size))
}

fn clear(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEEP {
        *buffer = Vec::new();
    } else {
        buffer.clear();
    }
}
