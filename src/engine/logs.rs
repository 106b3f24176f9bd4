//! `logs`: what a container wrote.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::error::{Error, Kind};
use super::view::Container;
use crate::model::id::ContainerId;
use crate::storage::logs::{Format, Line, ReadOptions, Reader, Stream};
use crate::storage::volatile;

/// Longest sleep of a follower before it looks whether the container still lives.
const FOLLOW_WAIT: Duration = Duration::from_millis(500);
/// The same with several containers: each is looked at in turn.
const ROUND_WAIT: Duration = Duration::from_millis(50);

/// Which lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogsOptions {
    /// `-f`.
    pub follow: bool,
    /// `--tail`: this many last lines.
    pub tail: Option<u64>,
    /// `--since`, resolved.
    pub since: Option<jiff::Timestamp>,
    /// `--until`, resolved.
    pub until: Option<jiff::Timestamp>,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Container it came from: index into the names asked for.
    pub container: usize,
    /// Its id, shortened.
    pub id: Arc<str>,
    /// What `--details` shows.
    pub details: Arc<str>,
    /// When.
    pub time: jiff::Timestamp,
    /// True for stderr.
    pub stderr: bool,
    /// The bytes, with the newline if there was one.
    pub bytes: Vec<u8>,
}

struct Source {
    id: ContainerId,
    short: Arc<str>,
    details: Arc<str>,
    reader: Reader,
    /// Read already, not handed out yet.
    next: Option<Line>,
    ended: bool,
}

/// Reads the logs of containers; several are merged by time. `sink` returns false to stop.
///
/// # Errors
/// No such container, a log driver that cannot be read.
pub fn logs(
    ctx: &Context,
    names: &[String],
    options: &LogsOptions,
    sink: &mut dyn FnMut(LogLine) -> bool,
) -> Result<(), Error> {
    let store = ctx.store()?;
    let mut sources = Vec::new();
    for name in names {
        let container = Container::find(ctx, &store, name)?;
        let spec = container.spec(&store)?;
        let format = match spec.lifecycle.log.driver.as_str() {
            "json-file" => Format::JsonFile,
            "k8s-file" => Format::K8sFile,
            other => {
                return Err(Error::new(
                    Kind::Unsupported,
                    format!(
                        "this container is using the '{other}' log driver, cannot read logs: configured logging \
                         driver does not support reading"
                    ),
                ));
            }
        };
        let read = ReadOptions { since: options.since, until: options.until, tail: options.tail };
        let reader = Reader::open(&ctx.paths.log_of(&spec), format, read)?;
        let short = Arc::from(spec.id.short());
        let details = Arc::from(super::log_details::of(&spec));
        sources.push(Source { id: spec.id, short, details, reader, next: None, ended: false });
    }
    // The handle is not needed while we follow, perhaps for days.
    drop(store);
    loop {
        if !present(&mut sources, sink)? {
            return Ok(());
        }
        if !options.follow || sources.iter().all(|s| s.ended) {
            return Ok(());
        }
        follow(ctx, &mut sources)?;
    }
}

/// Hands out all that is there, oldest first. False if the sink has enough.
fn present(sources: &mut [Source], sink: &mut dyn FnMut(LogLine) -> bool) -> Result<bool, Error> {
    loop {
        let mut oldest: Option<(usize, jiff::Timestamp)> = None;
        for (n, source) in sources.iter_mut().enumerate() {
            if source.next.is_none() {
                source.next = source.reader.next()?;
            }
            if let Some(line) = &source.next
                && oldest.is_none_or(|(_, time)| line.time < time)
            {
                oldest = Some((n, line.time));
            }
        }
        let Some((n, _)) = oldest else { return Ok(true) };
        let Some(line) = sources[n].next.take() else { return Ok(true) };
        let stderr = line.stream == Stream::Stderr;
        let (id, details) = (Arc::clone(&sources[n].short), Arc::clone(&sources[n].details));
        if !sink(LogLine { container: n, id, details, time: line.time, stderr, bytes: line.bytes }) {
            return Ok(false);
        }
    }
}

/// Waits for more. A source ends when its container does not live and nothing more came after that was seen.
fn follow(ctx: &Context, sources: &mut [Source]) -> Result<(), Error> {
    let single = sources.iter().filter(|s| !s.ended).count() == 1;
    for source in sources.iter_mut().filter(|s| !s.ended) {
        let alive = volatile::monitor_alive(&ctx.paths, &source.id);
        if source.reader.finished() {
            source.ended = true;
            continue;
        }
        if alive {
            source.reader.wait(if single { FOLLOW_WAIT } else { ROUND_WAIT })?;
            continue;
        }
        // The monitor wrote its last line before it let its lock go: what is not there now never comes.
        source.next = source.reader.next()?;
        source.ended = source.next.is_none();
    }
    Ok(())
}
