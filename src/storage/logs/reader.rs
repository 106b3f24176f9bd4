//! Reading a log back: since, until, tail, follow across rotation.

use std::path::Path;
use std::time::Duration;

use super::super::error::Result;
use super::{Format, Line};

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

/// Reads a container's log, oldest file first.
#[derive(Debug)]
pub struct Reader {
    options: ReadOptions,
}

impl Reader {
    /// Opens the log whose current file is `path`. A missing file reads as empty.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(path: &Path, format: Format, options: ReadOptions) -> Result<Self> {
        let _ = (path, format);
        Ok(Self { options })
    }

    /// The next record that is there already; `None` at the present end (or past `until`).
    ///
    /// # Errors
    /// What the kernel says, or a damaged record.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Line>> {
        let _ = &self.options;
        todo!()
    }

    /// Waits until there may be more, at most `timeout`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        let _ = timeout;
        todo!()
    }

    /// Whether `until` was passed: nothing more will come.
    #[must_use]
    pub fn finished(&self) -> bool {
        todo!()
    }
}
