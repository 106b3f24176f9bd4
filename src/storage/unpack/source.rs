//! The byte stream of an archive: buffered, counted, and (for layers) recorded so that the exact archive can be
//! made again.

use std::ffi::CStr;
use std::io::{ErrorKind, Read};
use std::os::fd::BorrowedFd;

use super::super::recipe::Recorder;
use super::UnpackError;

/// Size of a tar block.
pub(super) const BLOCK: usize = 512;

/// Bytes read at once. Large enough that a system call's cost vanishes, small enough for many layers at once.
const BUFFER: usize = 256 * 1024;

/// Bytes that we want before file content is written, so that small reads of a decompressor do not become small
/// writes.
const ENOUGH: usize = 64 * 1024;

/// The stream.
pub(super) struct Source<'a> {
    reader: &'a mut dyn Read,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes of the archive handed out.
    pub(super) at: u64,
    recorder: Option<&'a mut Recorder>,
}

impl<'a> Source<'a> {
    pub(super) fn new(reader: &'a mut dyn Read, recorder: Option<&'a mut Recorder>) -> Self {
        Self { reader, buffer: vec![0; BUFFER].into_boxed_slice(), start: 0, end: 0, at: 0, recorder }
    }

    /// Reads until `want` bytes are buffered or the stream ends.
    fn fill(&mut self, want: usize) -> Result<(), UnpackError> {
        if self.end - self.start >= want {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < want.max(ENOUGH) {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(UnpackError::Read { at: self.at, source }),
            }
        }
        Ok(())
    }

    /// The next block; `None` at the end of the stream.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK]>, UnpackError> {
        self.fill(BLOCK)?;
        let have = self.end - self.start;
        if have == 0 {
            return Ok(None);
        }
        if have < BLOCK {
            return Err(self.short());
        }
        let mut block = [0; BLOCK];
        block.copy_from_slice(&self.buffer[self.start..self.start + BLOCK]);
        self.literal(BLOCK)?;
        Ok(Some(block))
    }

    /// Hands out `n` buffered bytes as structure of the archive: they are recorded as they are.
    fn literal(&mut self, n: usize) -> Result<(), UnpackError> {
        if let Some(recorder) = self.recorder.as_deref_mut() {
            recorder.literal(&self.buffer[self.start..self.start + n]).map_err(UnpackError::recipe)?;
        }
        self.start += n;
        self.at += n as u64;
        Ok(())
    }

    /// The content of an extension header, with its padding.
    pub(super) fn small(
        &mut self,
        size: u64,
        most: usize,
        what: &'static str,
    ) -> Result<Vec<u8>, UnpackError> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > most {
            return Err(UnpackError::Limit { what, limit: most as u64 });
        }
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            self.fill(1)?;
            let n = (size - bytes.len()).min(self.end - self.start);
            if n == 0 {
                return Err(self.short());
            }
            bytes.extend_from_slice(&self.buffer[self.start..self.start + n]);
            self.literal(n)?;
        }
        self.padding(size as u64)?;
        Ok(bytes)
    }

    /// Passes `size` bytes of file content to `sink` in large pieces.
    pub(super) fn content(
        &mut self,
        size: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        let mut left = size;
        while left > 0 {
            self.fill(usize::try_from(left).unwrap_or(ENOUGH).min(ENOUGH))?;
            let have = (self.end - self.start) as u64;
            if have == 0 {
                return Err(self.short());
            }
            // Both are at most the length of the buffer.
            let n = have.min(left) as usize;
            sink(&self.buffer[self.start..self.start + n])?;
            self.start += n;
            self.at += n as u64;
            left -= n as u64;
        }
        Ok(())
    }

    /// Notes that the content just passed on is found in a file of the layer.
    pub(super) fn record_file(&mut self, path: &[u8], offset: u64, size: u64) -> Result<(), UnpackError> {
        match self.recorder.as_deref_mut() {
            Some(recorder) if size > 0 => recorder.file(path, offset, size).map_err(UnpackError::recipe),
            _ => Ok(()),
        }
    }

    /// Notes that content of the archive is not in the layer: it cannot be made again.
    pub(super) fn record_loss(&mut self, why: &str) {
        if let Some(recorder) = self.recorder.as_deref_mut() {
            recorder.lose(why);
        }
    }

    /// Moves what a later entry replaces to where the recipe finds it; `false` where it may just go.
    pub(super) fn keep(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        path: &[u8],
    ) -> Result<bool, UnpackError> {
        match self.recorder.as_deref_mut() {
            Some(recorder) => recorder.keep(dir, name, path).map_err(UnpackError::recipe),
            None => Ok(false),
        }
    }

    /// Skips to the next block after content of `size` bytes.
    pub(super) fn padding(&mut self, size: u64) -> Result<(), UnpackError> {
        let n = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
        self.fill(n)?;
        if self.end - self.start < n {
            return Err(self.short());
        }
        self.literal(n)
    }

    /// Reads the stream to its end: what follows the end mark belongs to the archive's digest.
    pub(super) fn drain(&mut self) -> Result<(), UnpackError> {
        loop {
            let n = self.end - self.start;
            if n > 0 {
                self.literal(n)?;
            }
            self.fill(1)?;
            if self.end == self.start {
                return Ok(());
            }
        }
    }

    fn short(&self) -> UnpackError {
        UnpackError::Format {
            at: self.at + (self.end - self.start) as u64,
            why: "it ends in the middle of an entry".into(),
        }
    }
}
