//! Layers: unpacked trees by chain id, the pull that makes them, and what is known of their compressed blobs.
//!
//! A pull takes the locks of all its chains (sorted, so two pulls cannot wait for each other), unpacks what is
//! missing into `<root>/tmp`, flushes the file system once, renames and inserts everything in one
//! transaction. A directory below `layers/` is therefore always complete.

use std::io::Read;
use std::path::PathBuf;

use super::db::Store;
use super::error::Result;
use super::images::Document;
use super::paths::Paths;
use super::unpack::Limits;
use crate::model::digest::{ChainId, DiffId, Digest};
use crate::model::image::Image;

/// A stored layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Key.
    pub chain: ChainId,
    /// Digest of its uncompressed tar.
    pub diff_id: DiffId,
    /// The chain below it.
    pub parent: Option<ChainId>,
    /// Bytes of file content.
    pub size: u64,
    /// Entries in its tar.
    pub entries: u64,
    /// Length of its uncompressed tar.
    pub tar_size: u64,
}

/// One layer wanted by a pull: its key and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Key.
    pub chain: ChainId,
    /// Digest of its uncompressed tar.
    pub diff_id: DiffId,
    /// The chain below it.
    pub parent: Option<ChainId>,
}

/// What a registry calls a layer: a compressed blob seen somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// The layer in it.
    pub diff_id: DiffId,
    /// Media type of the blob.
    pub media_type: String,
    /// Compressed length.
    pub size: u64,
    /// `registry/repository` where it is, for cross-repository mounts.
    pub source: String,
}

/// The layer keys of a stack of diffIDs, lowest first (OCI image spec, "Layer ChainID").
#[must_use]
pub fn chain_ids(diff_ids: &[DiffId]) -> Vec<ChainId> {
    let _ = diff_ids;
    todo!()
}

/// What a pull needs, lowest first.
#[must_use]
pub fn wanted(diff_ids: &[DiffId]) -> Vec<Wanted> {
    let _ = diff_ids;
    todo!()
}

/// A pull (or load, commit, build step) in progress: holds the locks of its chains.
#[derive(Debug)]
pub struct Pull {
    paths: Paths,
    missing: Vec<Wanted>,
}

/// Writes one missing layer. `Send`: unpack in as many threads as you like.
#[derive(Debug)]
pub struct LayerWriter {
    wanted: Wanted,
    limits: Limits,
}

/// A layer unpacked into staging, not yet visible.
#[derive(Debug)]
pub struct StagedLayer {
    layer: Layer,
    staging: PathBuf,
}

impl Store {
    /// Begins a pull: waits for other processes that are making one of these layers (telling `on_wait`
    /// once per layer), then says which are still missing.
    ///
    /// # Errors
    /// What the kernel or the database says.
    pub fn begin_pull(&self, wanted: Vec<Wanted>, on_wait: &mut dyn FnMut(&ChainId)) -> Result<Pull> {
        let _ = (wanted, on_wait);
        todo!()
    }

    /// A layer's row.
    ///
    /// # Errors
    /// What the database says.
    pub fn layer(&self, chain: &ChainId) -> Result<Option<Layer>> {
        let _ = chain;
        todo!()
    }

    /// Remembers where compressed forms of layers are.
    ///
    /// # Errors
    /// What the database says.
    pub fn add_blobs(&self, blobs: &[Blob]) -> Result<()> {
        let _ = blobs;
        todo!()
    }

    /// Compressed forms of a layer, for push without compression or upload.
    ///
    /// # Errors
    /// What the database says.
    pub fn blobs_of(&self, diff_id: &DiffId) -> Result<Vec<Blob>> {
        let _ = diff_id;
        todo!()
    }

    /// The layer that a compressed blob holds, if it was ever seen.
    ///
    /// # Errors
    /// What the database says.
    pub fn diff_of_blob(&self, blob: &Digest) -> Result<Option<DiffId>> {
        let _ = blob;
        todo!()
    }

    /// Writes the layer's uncompressed tar to `out`, byte for byte as it was unpacked. The caller hashes it
    /// and compares with the diffID.
    ///
    /// # Errors
    /// [`super::Error::NoRecipe`] when it cannot be made again (a file of it was changed).
    pub fn layer_tar(&self, chain: &ChainId, out: &mut dyn std::io::Write) -> Result<u64> {
        let _ = (chain, out);
        todo!()
    }
}

impl Pull {
    /// Layers that have to be fetched, lowest first.
    #[must_use]
    pub fn missing(&self) -> &[Wanted] {
        &self.missing
    }

    /// A writer for one missing layer.
    ///
    /// # Errors
    /// The staging directory cannot be made.
    pub fn writer(&self, wanted: &Wanted, limits: &Limits) -> Result<LayerWriter> {
        let _ = &self.paths;
        Ok(LayerWriter { wanted: wanted.clone(), limits: limits.clone() })
    }

    /// Makes layers, image, names and blob facts visible: one flush, then one transaction. `image` is `None`
    /// to publish layers alone (build cache).
    ///
    /// # Errors
    /// What the kernel or the database says; then nothing is visible.
    pub fn publish(
        self,
        store: &Store,
        staged: Vec<StagedLayer>,
        image: Option<(&Image, &[Document])>,
        blobs: &[Blob],
    ) -> Result<()> {
        let _ = (store, staged, image, blobs);
        todo!()
    }
}

impl LayerWriter {
    /// Unpacks the uncompressed tar into staging. The caller hashes the same bytes and checks the diffID
    /// before it publishes.
    ///
    /// # Errors
    /// [`super::Error::Layer`] names the entry and the rule it breaks; staging is deleted on drop.
    pub fn unpack(self, tar: impl Read) -> Result<StagedLayer> {
        let _ = (tar, &self.wanted, &self.limits);
        todo!()
    }
}

impl StagedLayer {
    /// The layer as it will be.
    #[must_use]
    pub fn layer(&self) -> &Layer {
        let _ = &self.staging;
        &self.layer
    }
}
