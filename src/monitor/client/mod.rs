//! The engine's half: start a monitor, attach to it, exec through it, ask it. Blocking calls; no printing.

mod ask;
mod copy;
mod exec;
mod relay;
mod spawn;

pub use ask::{
    Removal, attach, begin, checkpoint, connect, disconnect, exec_inspect, execs, health_run, kill,
    kill_exec, network_changed, pause, remove, renamed, resize, status, stop, unpause, update, wait,
};
pub use exec::{ExecOutcome, ExecStarted, ExecStdio, ExecWait, exec};
pub use relay::{Attached, Ended, Ending, Relay};
pub use spawn::{Ahead, SpawnRequest, Started, spawn};

use crate::model::id::ContainerId;

use super::proto::Failure;

/// What can go wrong on the client's side.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The container could not be started, or the monitor refused a request.
    #[error("{0}")]
    Refused(Failure),
    /// No monitor lives: the container does not run.
    #[error("container {} is not running", .id.short())]
    NotRunning {
        /// The container.
        id: ContainerId,
    },
    /// The monitor ended before it answered.
    #[error("the monitor of container {} ended without an answer{}", .id.short(), said(.last_words))]
    Lost {
        /// The container.
        id: ContainerId,
        /// The last line of its log, if it wrote one. (The log itself goes when the container is reconciled.)
        last_words: Option<String>,
    },
    /// The monitor could not be started.
    #[error("cannot start the monitor: {what}")]
    Spawn {
        /// The step.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Talking to the monitor failed.
    #[error("cannot {what} the monitor of container {id}")]
    Io {
        /// The verb: `connect to`, `read from`, `write to`.
        what: &'static str,
        /// The container.
        id: ContainerId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The monitor's answer is not one of ours.
    #[error("the monitor of container {id} answered {got}")]
    Unexpected {
        /// The container.
        id: ContainerId,
        /// What came.
        got: String,
    },
    /// The user's terminal refuses.
    #[error("cannot {what} the terminal")]
    Terminal {
        /// The verb.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ClientError {
    pub(super) fn lost(paths: &crate::storage::Paths, id: &ContainerId) -> Self {
        let log = crate::sys::fd::read_file(&paths.monitor_log(id)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        Self::Lost { id: id.clone(), last_words: log.trim_end().lines().next_back().map(str::to_owned) }
    }

    /// The exit code of the command line that belongs to it: 125, 126 or 127.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Refused(failure) => failure.code,
            Self::NotRunning { .. }
            | Self::Lost { .. }
            | Self::Spawn { .. }
            | Self::Io { .. }
            | Self::Unexpected { .. }
            | Self::Terminal { .. } => 125,
        }
    }
}

fn said(last_words: &Option<String>) -> String {
    last_words.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}
