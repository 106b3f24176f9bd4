//! `events`: the journal of what happened.

use super::context::Context;
use super::error::Error;
use crate::model::event::Event;

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventsOptions {
    /// `--since`, resolved.
    pub since: Option<jiff::Timestamp>,
    /// `--until`, resolved; none with `stream` goes on for ever.
    pub until: Option<jiff::Timestamp>,
    /// `--filter` as typed.
    pub filters: Vec<String>,
    /// Wait for further ones (`--stream`, the default).
    pub stream: bool,
}

/// Hands events to `sink` until it returns false or `until` is reached.
///
/// # Errors
/// An unknown filter, or a store that cannot be read.
pub fn events(
    _ctx: &Context,
    _options: &EventsOptions,
    _sink: &mut dyn FnMut(Event) -> bool,
) -> Result<(), Error> {
    todo!()
}
