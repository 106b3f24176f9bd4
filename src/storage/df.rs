//! Disk usage: what `system df` and `ps -s` show, in bytes as `du` counts them.

use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension as _, params};

use super::db::Store;
use super::error::Result;
use super::layers::{signed, unsigned};
use super::tree;
use super::uses::Use;
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

/// Disk usage of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Images.
    pub images: Vec<ImageUsage>,
    /// Each layer once.
    pub layers: Vec<(ChainId, u64)>,
    /// Containers: writable layer, log, spec.
    pub containers: Vec<(ContainerId, u64)>,
    /// Volumes: name, bytes, containers that use it.
    pub volumes: Vec<(String, u64, usize)>,
    /// The database with its log, and the reserve for its last writes.
    pub database: u64,
    /// Staging and trash.
    pub garbage: u64,
}

impl Usage {
    /// Everything together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let layers: u64 = self.layers.iter().map(|(_, n)| n).sum();
        let containers: u64 = self.containers.iter().map(|(_, n)| n).sum();
        let volumes: u64 = self.volumes.iter().map(|(_, n, _)| n).sum();
        layers + containers + volumes + self.database + self.garbage
    }
}

impl Store {
    /// Measures everything. Layers never change: each is measured once and remembered.
    ///
    /// # Errors
    /// What the kernel or database says.
    pub fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        for layer in self.list_layers()? {
            let size = self.layer_disk(&layer.chain)?;
            usage.layers.push((layer.chain, size));
        }
        usage.images = self.image_usage(&usage.layers)?;
        for container in self.list_containers()? {
            let size = tree::disk_usage(&self.paths.container(&container.id))?;
            usage.containers.push((container.id, size));
        }
        for volume in self.list_volumes()? {
            let size = tree::disk_usage(&self.paths.volume(&volume.name))?;
            let users = self.containers_using(Use::Volume(&volume.name))?.len();
            usage.volumes.push((volume.name, size, users));
        }
        for suffix in ["", "-wal", "-shm"] {
            let mut file = self.paths.database().into_os_string();
            file.push(suffix);
            usage.database += tree::disk_usage(file.as_ref())?;
        }
        usage.database += tree::disk_usage(&self.paths.reserve())?;
        usage.garbage = tree::disk_usage(&self.paths.tmp())? + tree::disk_usage(&self.paths.trash())?;
        Ok(usage)
    }

    fn image_usage(&self, layers: &[(ChainId, u64)]) -> Result<Vec<ImageUsage>> {
        let sizes: HashMap<&ChainId, u64> = layers.iter().map(|(chain, size)| (chain, *size)).collect();
        let images = self.list_images()?;
        let mut users: HashMap<&ChainId, usize> = HashMap::new();
        for image in &images {
            for chain in image.layers.iter().collect::<HashSet<_>>() {
                *users.entry(chain).or_default() += 1;
            }
        }
        images
            .iter()
            .map(|image| {
                let size_of = |shared: bool| -> u64 {
                    let wanted =
                        image.layers.iter().filter(|c| (users.get(c).copied().unwrap_or(0) > 1) == shared);
                    wanted.map(|c| sizes.get(c).copied().unwrap_or(0)).sum()
                };
                let (shared, unique) = (size_of(true), size_of(false));
                let containers = self.containers_using(Use::Image(&image.id))?.len();
                Ok(ImageUsage { id: image.id.clone(), size: shared + unique, shared, unique, containers })
            })
            .collect()
    }

    /// Bytes of one layer on disk, measured the first time.
    fn layer_disk(&self, chain: &ChainId) -> Result<u64> {
        let known: Option<Option<i64>> = self.read("measuring layers", || {
            let sql = "SELECT disk FROM layers WHERE chain = ?1";
            self.conn.prepare_cached(sql)?.query_row([chain.as_str()], |r| r.get(0)).optional()
        })?;
        if let Some(Some(size)) = known {
            return Ok(unsigned(size));
        }
        let size = tree::disk_usage(&self.paths.layer(chain))?;
        self.write("measuring layers", |tx| {
            tx.execute("UPDATE layers SET disk = ?2 WHERE chain = ?1", params![chain.as_str(), signed(size)])
                .map_err(|e| self.error("measuring layers", e))
        })?;
        Ok(size)
    }

    /// Bytes of a container's writable layer (`ps -s`).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn container_size(&self, id: &ContainerId) -> Result<u64> {
        tree::content_size(&self.paths.upper(id))
    }
}
