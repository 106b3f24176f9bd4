//! Writing a log: cutting output into records, rotation. One per container, used by the monitor; its memory is two
//! bounded buffers, nothing is allocated per line.

use std::os::fd::BorrowedFd;
use std::path::Path;

use super::super::error::Result;
use super::{Format, Stream};

/// Most bytes of one record; longer lines are written in parts, as docker does.
pub const MAX_RECORD: usize = 16 * 1024;

/// Writes a container's log.
#[derive(Debug)]
pub struct Writer {
    format: Format,
}

impl Writer {
    /// Opens the log for appending. `max_size` 0 is no limit; `max_file` counts the current file.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(path: &Path, format: Format, max_size: u64, max_file: u32) -> Result<Self> {
        let _ = (path, max_size, max_file);
        Ok(Self { format })
    }

    /// Takes output as it comes. Whole lines are written with one system call; an unfinished line waits for its rest.
    ///
    /// # Errors
    /// What the kernel says; the bytes are then lost to the log, the writer stays usable.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        let _ = (stream, bytes, self.format);
        todo!()
    }

    /// Writes what is left of unfinished lines (at the end of a stream).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn flush(&mut self, stream: Stream) -> Result<()> {
        let _ = stream;
        todo!()
    }

    /// Opens the current file anew after someone truncated or moved it (`logs --clear`, logrotate).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn reopen(&mut self) -> Result<()> {
        todo!()
    }

    /// The current file.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        todo!()
    }
}
