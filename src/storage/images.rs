//! Images: documents by digest, names, and the transaction that makes a pulled image visible.
//!
//! Parsing manifests and configs is `image`'s matter: it hands in the [`Image`] it made of them, and the bytes.

use serde::{Deserialize, Serialize};

use super::db::Store;
use super::error::Result;
use crate::model::digest::Digest;
use crate::model::image::Image;

/// A manifest, index or config, exactly as received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Digest of `bytes`; the caller has verified it.
    pub digest: Digest,
    /// Media type.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Stores or refreshes an image: its documents, its row and its names, in one transaction. The names in
    /// `image.names` move here from images that had them; names and digests the image has already stay.
    /// Layers must exist: publish them before, or use [`super::layers::Pull::publish`], which does both.
    ///
    /// # Errors
    /// [`super::Error::GoneMeanwhile`] for a missing layer.
    pub fn put_image(&self, image: &Image, documents: &[Document]) -> Result<()> {
        let _ = (image, documents);
        todo!()
    }

    /// Finds an image by full name (`docker.io/library/nginx:latest`, `…@sha256:…`), full id with or without
    /// `sha256:`, or unique id prefix of at least 3 digits. Short names are expanded by the caller.
    ///
    /// # Errors
    /// [`super::Error::NotFound`], [`super::Error::Ambiguous`].
    pub fn find_image(&self, name_or_id: &str) -> Result<Image> {
        let _ = name_or_id;
        todo!()
    }

    /// The image with this id.
    ///
    /// # Errors
    /// [`super::Error::NotFound`].
    pub fn image(&self, id: &Digest) -> Result<Image> {
        let _ = id;
        todo!()
    }

    /// The image with exactly this full name or name@digest, if any.
    ///
    /// # Errors
    /// What the database says.
    pub fn image_by_name(&self, name: &str) -> Result<Option<Image>> {
        let _ = name;
        todo!()
    }

    /// All images, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_images(&self) -> Result<Vec<Image>> {
        todo!()
    }

    /// A stored document.
    ///
    /// # Errors
    /// What the database says.
    pub fn document(&self, digest: &Digest) -> Result<Option<Document>> {
        let _ = digest;
        todo!()
    }

    /// Gives the image a further name, taking it from another image if need be; returns that one's id.
    ///
    /// # Errors
    /// [`super::Error::NotFound`].
    pub fn tag_image(&self, id: &Digest, name: &str) -> Result<Option<Digest>> {
        let _ = (id, name);
        todo!()
    }

    /// Records that the image is known to a registry as `repo@sha256:…` (after a push).
    ///
    /// # Errors
    /// [`super::Error::NotFound`].
    pub fn add_image_digest(&self, id: &Digest, name: &str) -> Result<()> {
        let _ = (id, name);
        todo!()
    }

    /// Takes a name away (and the `repo@digest` names of a repository that has no other name left). The
    /// image stays, maybe dangling.
    ///
    /// # Errors
    /// [`super::Error::NotFound`] if no image has it.
    pub fn untag_image(&self, name: &str) -> Result<Digest> {
        let _ = name;
        todo!()
    }

    /// Removes the image with all its names, and the layers that nothing needs any more.
    ///
    /// # Errors
    /// [`super::Error::InUse`] when containers use it.
    pub fn remove_image(&self, id: &Digest) -> Result<Removed> {
        let _ = id;
        todo!()
    }

    /// Images built upon this one: those whose layers begin with all of its layers (and which have more).
    ///
    /// # Errors
    /// What the database says.
    pub fn image_children(&self, id: &Digest) -> Result<Vec<Digest>> {
        let _ = id;
        todo!()
    }
}

/// What a removal took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that went.
    pub untagged: Vec<String>,
    /// Layers that went, by chain id, top first.
    pub layers: Vec<Digest>,
    /// Bytes given back.
    pub bytes: u64,
}
