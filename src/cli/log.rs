//! `--log-level`: where `tracing` events go. A line on stderr with the time since the start, so that
//! `--log-level debug` is a profile of a command.
//!
//! Nothing is installed at the default level, so that a command pays for no log that nobody asked for, but for
//! warnings, which cost one comparison.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::globals::Globals;

/// Installs the log for the level that the flags ask for.
pub(super) fn init(globals: &Globals, podman: bool) {
    let level = match globals.log_level.as_deref() {
        _ if globals.debug => LevelFilter::DEBUG,
        Some("trace") => LevelFilter::TRACE,
        Some("debug") => LevelFilter::DEBUG,
        Some("info") => LevelFilter::INFO,
        Some("error" | "fatal" | "panic") => LevelFilter::ERROR,
        _ => LevelFilter::WARN,
    };
    let log = Log { level, podman, start: Instant::now(), spans: AtomicU64::new(1) };
    // Only main installs one, and only once.
    let _only = tracing::subscriber::set_global_default(log);
    tracing::info!("logging from level {level} on");
}

/// A line in the form of podman's logs, which what collects them takes apart.
pub(super) fn as_podman(level: &str, text: &str) -> String {
    let now = jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z");
    format!("time=\"{now}\" level={level} msg={text:?}\n")
}

struct Log {
    level: LevelFilter,
    /// In podman's form.
    podman: bool,
    start: Instant,
    spans: AtomicU64,
}

impl Log {
    fn line(&self, metadata: &Metadata<'_>, text: &str) {
        let at = self.start.elapsed().as_secs_f64() * 1000.0;
        let line = match (self.podman, *metadata.level()) {
            (true, tracing::Level::WARN) => as_podman("warning", text.trim_start()),
            (true, level) => as_podman(&level.to_string().to_lowercase(), text.trim_start()),
            _ => format!("{at:9.3}ms {:5} {}:{text}\n", metadata.level(), metadata.target()),
        };
        // Nobody to tell if stderr is gone.
        let _gone = std::io::stderr().write_all(line.as_bytes());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries have their own ideas of what is worth saying.
        *metadata.level() <= self.level && metadata.target().starts_with("rcon")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text(format!(" {{{}}}", span.metadata().name()));
        span.record(&mut text);
        self.line(span.metadata(), &text.0);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.line(event.metadata(), &text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of an event, the message first as it comes.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String cannot fail.
        let _done = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _done = write!(self.0, " {}={value}", field.name());
    }
}
