//! Disk usage: what `system df` and `ps -s` show.

use super::db::Store;
use super::error::Result;
use crate::model::digest::{ChainId, Digest};
use crate::model::id::ContainerId;

/// Usage of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUsage {
    /// Image.
    pub id: Digest,
    /// All its layers.
    pub size: u64,
    /// Layers that other images have too.
    pub shared: u64,
    /// Layers that it alone has.
    pub unique: u64,
    /// Containers that use it.
    pub containers: usize,
}

/// Disk usage of a store, in bytes as `du` counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Images.
    pub images: Vec<ImageUsage>,
    /// Each layer once.
    pub layers: Vec<(ChainId, u64)>,
    /// Writable layers of containers.
    pub containers: Vec<(ContainerId, u64)>,
    /// Volumes: name, bytes, containers that use it.
    pub volumes: Vec<(String, u64, usize)>,
    /// Staging and trash.
    pub garbage: u64,
}

impl Store {
    /// Measures everything.
    ///
    /// # Errors
    /// What the kernel or database says.
    pub fn usage(&self) -> Result<Usage> {
        todo!()
    }

    /// Bytes of a container's writable layer (`ps -s`).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn container_size(&self, id: &ContainerId) -> Result<u64> {
        let _ = id;
        todo!()
    }
}
