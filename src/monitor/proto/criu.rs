//! Checkpoint and restore, as they are asked of a monitor.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The checkpoint that a container is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RestoreWish {
    /// Folder of criu's images.
    pub images: PathBuf,
    /// Folder of its log and statistics.
    pub work: PathBuf,
    /// PATH of criu.
    pub path: String,
    /// Established TCP connections are kept.
    pub tcp_established: bool,
    /// Established TCP connections are closed.
    pub tcp_close: bool,
    /// File locks are kept.
    pub file_locks: bool,
    /// It is told as a start (docker's `start --checkpoint`), not as a restore.
    pub as_start: bool,
}

/// A checkpoint to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckpointWish {
    /// Folder of criu's images.
    pub images: PathBuf,
    /// Folder of its log and statistics.
    pub work: PathBuf,
    /// PATH of criu.
    pub path: String,
    /// Images of a pre-checkpoint, relative to `images`.
    pub parent: Option<PathBuf>,
    /// Memory only; the container runs on.
    pub pre: bool,
    /// The container runs on.
    pub leave_running: bool,
    /// Established TCP connections are kept.
    pub tcp_established: bool,
    /// File locks are kept.
    pub file_locks: bool,
    /// With `--rm`, too, the record stays: the caller removes it.
    pub keep_record: bool,
}
