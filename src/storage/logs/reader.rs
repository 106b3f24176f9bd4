//! Reading a log back: since, until, tail, follow across rotation.
//!
//! The writer renames `ctr.log` to `ctr.log.1` and so on. A reader therefore knows its file by inode: at its end it
//! looks whether `ctr.log` is still that file, and if not goes on with the next younger one.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use super::super::error::{Error, Result};
use super::format::{decode, ends_line};
use super::writer::numbered;
use super::{Format, Line};

/// Bytes read at once.
const BLOCK: usize = 64 * 1024;

/// A record longer than this is damage: the writer cuts at 16 KiB, which escapes can make six times longer.
const MAX_LINE: usize = 1 << 20;

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// From this time on.
    pub since: Option<jiff::Timestamp>,
    /// Until this time.
    pub until: Option<jiff::Timestamp>,
    /// Only the last so many lines; `None` is all.
    pub tail: Option<u64>,
}

/// One file of the log, read up to `offset`; `buffer[start..]` is read but not yet taken.
#[derive(Debug)]
struct Source {
    file: File,
    inode: u64,
    offset: u64,
    buffer: Vec<u8>,
    start: usize,
}

/// Reads a container's log, oldest file first.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    format: Format,
    options: ReadOptions,
    source: Option<Source>,
    watch: Option<OwnedFd>,
    finished: bool,
}

impl Reader {
    /// Opens the log whose current file is `path`. A missing file reads as empty.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(path: &Path, format: Format, options: ReadOptions) -> Result<Self> {
        let mut reader =
            Self { path: path.to_owned(), format, options, source: None, watch: None, finished: false };
        reader.source = match reader.options.tail {
            Some(lines) => reader.tail(lines)?,
            None => reader.oldest()?,
        };
        Ok(reader)
    }

    /// The next record that is there already; `None` at the present end (or past `until`).
    ///
    /// # Errors
    /// What the kernel says. Damaged records are passed over: after a power cut there may be one.
    #[expect(clippy::should_implement_trait, reason = "None is not the end: a follower asks again")]
    pub fn next(&mut self) -> Result<Option<Line>> {
        while !self.finished {
            let Some(record) = self.record()? else { return Ok(None) };
            let Some(line) = decode(self.format, &record) else { continue };
            if self.options.since.is_some_and(|since| line.time < since) {
                continue;
            }
            if self.options.until.is_some_and(|until| line.time > until) {
                self.finished = true;
                return Ok(None);
            }
            return Ok(Some(line));
        }
        Ok(None)
    }

    /// Waits until there may be more, at most `timeout`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        let Some(watch) = &self.watch else {
            // What is written between the last look and the watch would be missed: look again first.
            self.watch = Some(watch_folder(&self.path)?);
            return Ok(());
        };
        if wait_readable(watch, timeout).map_err(|e| Error::io("wait for", &self.path, e))? {
            let mut events = [0u8; 4096];
            // Only the fact counts, not what the events say.
            let _ = rustix::io::read(watch, &mut events);
        }
        Ok(())
    }

    /// Whether `until` was passed: nothing more will come.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished || self.options.until.is_some_and(|until| until < jiff::Timestamp::now())
    }

    /// The next whole record without its newline, from this file or the ones after it.
    fn record(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let Some(source) = &mut self.source else {
                self.source = self.oldest()?;
                if self.source.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if let Some(record) = source.take_line() {
                return Ok(Some(record));
            }
            if source.fill(&self.path)? {
                continue;
            }
            match self.successor()? {
                Some(next) => self.source = Some(next),
                None => return Ok(None),
            }
        }
    }

    /// All files there are, the current one first.
    fn files(&self) -> Result<Vec<Source>> {
        let mut found = Vec::new();
        for n in 0.. {
            let path = if n == 0 { self.path.clone() } else { numbered(&self.path, n) };
            match File::open(&path) {
                Ok(file) => found.push(Source::new(file, &path)?),
                // Between two renames of a rotation the current file is missing for a moment.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && n == 0 => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
                Err(e) => return Err(Error::io("open", path, e)),
            }
        }
        Ok(found)
    }

    fn oldest(&self) -> Result<Option<Source>> {
        Ok(self.files()?.pop())
    }

    /// The file that was begun after the present one ended; `None` while the present one is the current one.
    fn successor(&self) -> Result<Option<Source>> {
        let Some(present) = &self.source else { return Ok(None) };
        let current = std::fs::metadata(&self.path).map(|m| m.ino()).ok();
        if current.is_none() || current == Some(present.inode) {
            return Ok(None);
        }
        let mut files = self.files()?;
        Ok(match files.iter().position(|f| f.inode == present.inode) {
            Some(0) => None,
            Some(at) => Some(files.swap_remove(at - 1)),
            // Rotated away while we read: the oldest one left is the best there is.
            None => files.pop(),
        })
    }

    /// The place from which `lines` lines follow to the end.
    fn tail(&self, lines: u64) -> Result<Option<Source>> {
        let mut wanted = lines;
        let mut last = None;
        for mut source in self.files()? {
            let (offset, found) = source.last_lines(wanted, self.format, &self.path)?;
            source.offset = offset;
            wanted -= found.min(wanted);
            last = Some(source);
            if wanted == 0 {
                break;
            }
        }
        Ok(last)
    }
}

impl Source {
    fn new(file: File, path: &Path) -> Result<Self> {
        let inode = file.metadata().map_err(|e| Error::io("look at", path, e))?.ino();
        Ok(Self { file, inode, offset: 0, buffer: Vec::new(), start: 0 })
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let rest = &self.buffer[self.start..];
        let at = rest.iter().position(|b| *b == b'\n')?;
        let line = rest[..at].to_vec();
        self.start += at + 1;
        Some(line)
    }

    /// Reads more; false at the end of the file.
    fn fill(&mut self, path: &Path) -> Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.len() > MAX_LINE {
            self.buffer.clear();
        }
        let size = self.file.metadata().map_err(|e| Error::io("look at", path, e))?.len();
        if size < self.offset {
            // Truncated in place (a single file that is rotated, or `logs --clear`): from the start.
            self.offset = 0;
            self.buffer.clear();
        }
        self.file.seek(SeekFrom::Start(self.offset)).map_err(|e| Error::io("seek in", path, e))?;
        let had = self.buffer.len();
        let read = (&self.file)
            .take(BLOCK as u64)
            .read_to_end(&mut self.buffer)
            .map_err(|e| Error::io("read", path, e))?;
        self.offset += read as u64;
        Ok(self.buffer.len() > had)
    }

    /// Offset of the last `wanted` lines, and how many there are (at most `wanted`). A long line is several records,
    /// of which only the last ends it.
    fn last_lines(&self, wanted: u64, format: Format, path: &Path) -> Result<(u64, u64)> {
        // `pending` is what of the file follows `at` and has not been counted.
        let mut at = self.file.metadata().map_err(|e| Error::io("look at", path, e))?.len();
        if wanted == 0 {
            return Ok((at, 0));
        }
        let (mut pending, mut lines) = (Vec::new(), 0);
        let mut newest = true;
        loop {
            let text = pending.strip_suffix(b"\n").unwrap_or(&pending);
            let before = text.iter().rposition(|b| *b == b'\n').map(|i| i + 1);
            if before.is_none() && at > 0 {
                let begin = at.saturating_sub(BLOCK as u64);
                let mut block = vec![0u8; usize::try_from(at - begin).expect("at most BLOCK")];
                self.file.read_exact_at(&mut block, begin).map_err(|e| Error::io("read", path, e))?;
                block.append(&mut pending);
                (pending, at) = (block, begin);
                continue;
            }
            let record = &text[before.unwrap_or(0)..];
            // What the newest record begins is a line too, though nothing has ended it yet.
            if !pending.is_empty() && (newest || ends_line(format, record)) {
                if lines == wanted {
                    return Ok((at + pending.len() as u64, lines));
                }
                lines += 1;
                newest = false;
            }
            match before {
                Some(before) => pending.truncate(before),
                None => return Ok((0, lines)),
            }
        }
    }
}

/// An inotify descriptor that becomes readable when something happens to the log or beside it.
pub(crate) fn watch_folder(path: &Path) -> Result<OwnedFd> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
        .map_err(|e| Error::io("watch", folder, e))?;
    let flags = inotify::WatchFlags::MODIFY
        | inotify::WatchFlags::CREATE
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::DELETE;
    inotify::add_watch(&watch, folder, flags).map_err(|e| Error::io("watch", folder, e))?;
    Ok(watch)
}

/// Whether `fd` became readable within `timeout`. An interruption counts as a time-out.
pub(crate) fn wait_readable(fd: &OwnedFd, timeout: Duration) -> rustix::io::Result<bool> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
    match poll(&mut fds, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(e) => Err(e),
    }
}
