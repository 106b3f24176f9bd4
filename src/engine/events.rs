//! `events`: the journal of what happened.

use std::time::Duration;

use super::context::Context;
use super::error::{Error, Kind};
use super::filter::Filters;
use crate::model::event::Event;
use crate::storage::events::{Filter, Follower};

/// Longest sleep between two looks.
const WAIT: Duration = Duration::from_secs(1);

/// Keys of `--filter`.
const FILTERS: &[&str] =
    &["container", "event", "id", "image", "label", "network", "pod", "scope", "status", "type", "volume"];

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

/// What the journal has for a word of podman's; other words are docker's, as they are there.
fn dockers_words<'a>(key: &str, value: &'a str) -> Vec<&'a str> {
    match (key, value) {
        ("event", "died") => vec!["die"],
        ("event", "remove") => vec!["destroy", "delete", "remove"],
        ("event", "exec") => vec!["exec_start"],
        ("event", "exec_died") => vec!["exec_die"],
        ("event", "loadfromarchive") => vec!["load"],
        (_, value) => vec![value],
    }
}

/// Hands events to `sink` until it returns false or `until` is reached.
///
/// # Errors
/// An unknown filter, or a store that cannot be read.
pub fn events(
    ctx: &Context,
    options: &EventsOptions,
    sink: &mut dyn FnMut(Event) -> bool,
) -> Result<(), Error> {
    if ctx.config.engine.no_events {
        return Err(Error::new(Kind::Unsupported, "cannot read events with the \"none\" backend"));
    }
    let filters = Filters::parse(&options.filters, FILTERS)?;
    let mut terms = Vec::new();
    for (key, values) in filters.iter() {
        let key = if key == "status" { "event" } else { key };
        let words = values.iter().flat_map(|v| dockers_words(key, v));
        terms.extend(words.map(|word| (key.to_owned(), word.to_owned())));
    }
    let filter = Filter { since: options.since, until: options.until, terms, podman: ctx.podman };
    // Without --since, only what happens from now on; the past alone where nothing is waited for.
    let from_end = options.since.is_none() && options.until.is_none() && options.stream;
    let mut follower = Follower::open(&ctx.paths, filter, from_end)?;
    loop {
        while let Some(event) = follower.next()? {
            if !sink(event) {
                return Ok(());
            }
        }
        let now = jiff::Timestamp::now();
        if !options.stream || options.until.is_some_and(|until| now >= until) {
            return Ok(());
        }
        let left = options.until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
        follower.wait(left.map_or(WAIT, |l| l.min(WAIT)))?;
    }
}
