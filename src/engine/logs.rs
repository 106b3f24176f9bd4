//! `logs`: what a container wrote.

use super::context::Context;
use super::error::Error;

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
    /// When.
    pub time: jiff::Timestamp,
    /// True for stderr.
    pub stderr: bool,
    /// The bytes, with the newline if there was one.
    pub bytes: Vec<u8>,
}

/// Reads the logs of containers; several are merged by time. `sink` returns false to stop.
///
/// # Errors
/// No such container, a log driver that cannot be read.
pub fn logs(
    _ctx: &Context,
    _names: &[String],
    _options: &LogsOptions,
    _sink: &mut dyn FnMut(LogLine) -> bool,
) -> Result<(), Error> {
    todo!()
}
