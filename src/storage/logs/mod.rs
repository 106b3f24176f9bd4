//! Container logs: docker's json-file and podman's k8s-file formats, rotation, reading back and following.

mod format;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{ReadOptions, Reader};
pub(super) use reader::{wait_readable, watch_folder};
pub use writer::Writer;

use serde::{Deserialize, Serialize};

/// The format of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// `{"log":"…\n","stream":"stdout","time":"…"}`.
    JsonFile,
    /// `TIME stdout F text`.
    K8sFile,
}

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output (or the terminal).
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// `stdout` or `stderr`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub time: jiff::Timestamp,
    /// Which stream.
    pub stream: Stream,
    /// The bytes; ends in a newline unless it is a part of a longer line (or the last words of a process).
    pub bytes: Vec<u8>,
}
