//! The log of `rcon runtime`: one line a message, in runc's two formats, into the file of `--log` or,
//! without one, to stderr. `--debug` lets the steps of the runtime through, else warnings and errors go there.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::args::{Global, LogFormat};
use crate::cli::exit::Failure;

/// Opens the log and lets the runtime write to it.
pub(super) fn init(global: &Global) -> Result<(), Failure> {
    let file = global.log.as_deref().map(open).transpose()?;
    let level = if global.debug { LevelFilter::DEBUG } else { LevelFilter::WARN };
    let log = Log { level, format: global.log_format, file: file.map(Mutex::new) };
    // Only this command installs one, and only once.
    let _only = tracing::subscriber::set_global_default(log);
    Ok(())
}

fn open(path: &Path) -> Result<File, Failure> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|e| Failure::new(format!("--log {}: {e}", path.display())))
}

/// Writes an error to the file of `--log`, if there is one; stderr gets it as everywhere.
pub(super) fn error(global: &Global, message: &str) {
    if global.log.is_some() && !message.is_empty() {
        tracing::error!("{message}");
    }
}

struct Log {
    level: LevelFilter,
    format: LogFormat,
    file: Option<Mutex<File>>,
}

impl Log {
    fn line(&self, level: Level, message: &str) {
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let level = match level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG | Level::TRACE => "debug",
        };
        let mut line = match self.format {
            LogFormat::Json => {
                serde_json::json!({ "level": level, "msg": message, "time": time }).to_string()
            }
            LogFormat::Text => format!("time=\"{time}\" level={level} msg={message:?}"),
        };
        line.push('\n');
        // A log that cannot be written to hides nothing: errors go to stderr as well.
        let _unwritten = match self.file.as_ref().map(Mutex::lock) {
            Some(Ok(mut file)) => file.write_all(line.as_bytes()),
            Some(Err(_)) => Ok(()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with("rcon")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.line(*event.metadata().level(), text.0.trim_start());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message of an event, then its fields.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String cannot fail.
        let _done = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
