//! Where a container's output goes: a file by `storage::logs`, the journal, or nowhere.

use super::journal::Journal;
use super::proto::{Failure, FailureKind};
use crate::model::container::ContainerSpec;
use crate::storage::Paths;
use crate::storage::logs::{Format, Stream, Writer};
use crate::storage::paths::ensure_private;

/// The log of a container.
#[derive(Debug)]
pub(super) enum Log {
    /// `json-file`, `k8s-file`.
    File(Writer),
    /// `journald`.
    Journal(Journal),
}

impl Log {
    /// Opens what the container's options name; `None` where nothing is kept.
    pub(super) fn open(paths: &Paths, spec: &ContainerSpec) -> Result<Option<Self>, Failure> {
        let wish = &spec.lifecycle.log;
        let format = match wish.driver.as_str() {
            "json-file" | "local" => Format::JsonFile,
            "k8s-file" => Format::K8sFile,
            "none" | "passthrough" => return Ok(None),
            "journald" => {
                let journal = Journal::open(spec).map_err(|e| {
                    Failure::of(FailureKind::NotFound, "connecting to the journal", &e)
                        .hint("there is no systemd-journald here: use --log-driver json-file")
                })?;
                return Ok(Some(Self::Journal(journal)));
            }
            other => {
                let text = format!("log driver {other:?} is not one that the monitor knows");
                return Err(Failure::plain(FailureKind::Unsupported, text));
            }
        };
        let path = paths.log_of(spec);
        // A log that was told to be elsewhere may be the first of its directory; the container's own is there, or its
        // container is no more.
        if let Some(parent) = path.parent().filter(|_| path != paths.log(&spec.id)) {
            ensure_private(parent).map_err(|e| Failure::internal("making the log's directory", &e))?;
        }
        Writer::open(&path, format, wish.max_size, wish.max_file)
            .map(|writer| Some(Self::File(writer)))
            .map_err(|e| Failure::internal("opening the container's log", &e))
    }

    /// Takes output as it comes.
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::File(writer) => writer.write(stream, bytes).map_err(|e| e.to_string()),
            Self::Journal(journal) => {
                journal.write(stream, bytes);
                match std::mem::take(&mut journal.lost) {
                    0 => Ok(()),
                    lost => Err(format!("the journal did not take {lost} entries")),
                }
            }
        }
    }

    /// Writes what is left of unfinished lines.
    pub(super) fn flush(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            match self {
                // A full disk has been told at the write before.
                Self::File(writer) => drop(writer.flush(stream)),
                Self::Journal(journal) => journal.flush(stream),
            }
        }
    }
}
