//! The event journal: `<run>/events.log`, one JSON document per line, bounded by rotation to one older file.
//!
//! A file on tmpfs and not a table: the monitor writes events without opening the database, and an event costs
//! one short append.

use std::time::Duration;

use super::error::Result;
use super::paths::Paths;
use crate::model::event::Event;

/// Appends an event.
///
/// # Errors
/// What the kernel says.
pub fn append(paths: &Paths, event: &Event) -> Result<()> {
    let _ = (paths, event);
    todo!()
}

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this time on.
    pub since: Option<jiff::Timestamp>,
    /// Until this time; a follower ends there.
    pub until: Option<jiff::Timestamp>,
    /// `key=value` filters as docker's: values of one key are alternatives, keys are all required. Keys:
    /// `container`, `image`, `volume`, `network`, `event`, `type`, `label`, `id`.
    pub terms: Vec<(String, String)>,
}

impl Filter {
    /// Whether the event is wanted.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        let _ = event;
        todo!()
    }
}

/// Reads the journal, and follows it across rotation.
#[derive(Debug)]
pub struct Follower {
    filter: Filter,
}

impl Follower {
    /// Starts at the oldest event kept; with `from_end`, at the end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(paths: &Paths, filter: Filter, from_end: bool) -> Result<Self> {
        let _ = (paths, from_end);
        Ok(Self { filter })
    }

    /// The next wanted event that is there already.
    ///
    /// # Errors
    /// What the kernel says.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event>> {
        let _ = &self.filter;
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
}
