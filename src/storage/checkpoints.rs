//! What is remembered of a container's checkpoint and of its restore, beside criu's files: when, where the logs are,
//! which addresses it had. A file of the container's folder, so that it goes with it; a plain start forgets it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::pull::Staging;
use super::{Paths, file};
use crate::model::container::AttachmentState;
use crate::model::id::ContainerId;

/// It.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// When it was written, if the container has not been restored from it yet.
    pub written: Option<jiff::Timestamp>,
    /// When the container that runs was restored.
    pub restored: Option<jiff::Timestamp>,
    /// Folder of the images, as long as they are kept.
    pub images: Option<PathBuf>,
    /// criu's log of the checkpoint, if kept.
    pub dump_log: Option<PathBuf>,
    /// criu's log of the restore, if kept.
    pub restore_log: Option<PathBuf>,
    /// Its networks when it was written.
    pub network: Vec<AttachmentState>,
}

fn place(paths: &Paths, id: &ContainerId) -> PathBuf {
    paths.container(id).join("checkpoint.json")
}

/// What is remembered; nothing is a checkpoint that never was.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(paths: &Paths, id: &ContainerId) -> Result<Checkpoint> {
    Ok(file::read_json(&place(paths, id))?.unwrap_or_default())
}

/// The unpacked archive of a checkpoint before it is a container's; deleted when dropped.
#[derive(Debug)]
pub struct Staged(Staging);

/// An empty one.
///
/// # Errors
/// The file system refuses.
pub fn stage(paths: &Paths) -> Result<Staged> {
    Staging::new(paths, "checkpoint").map(Staged)
}

impl Staged {
    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Moves it to where it is to stay.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn settle(self, to: &Path) -> Result<()> {
        self.0.settle(to)
    }
}

/// Remembers it.
///
/// # Errors
/// The file system refuses.
pub fn write(paths: &Paths, id: &ContainerId, checkpoint: &Checkpoint) -> Result<()> {
    file::write_json(&place(paths, id), checkpoint)
}

/// Forgets it: the container was started anew. The images stay where they were kept.
///
/// # Errors
/// The file system refuses.
pub fn forget(paths: &Paths, id: &ContainerId) -> Result<()> {
    let path = place(paths, id);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path, e)),
        _ => Ok(()),
    }
}
