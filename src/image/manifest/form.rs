//! The two forms that an image's documents have, and their media types.

use super::{DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};

/// Whose media types the documents have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// OCI.
    Oci,
    /// docker's version 2, schema 2.
    Docker,
}

impl Form {
    /// Of the image's config.
    #[must_use]
    pub fn config(self) -> &'static str {
        match self {
            Self::Oci => OCI_CONFIG,
            Self::Docker => DOCKER_CONFIG,
        }
    }

    /// Of its manifest.
    #[must_use]
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    /// Of a layer: `packing` is `gzip`, `zstd`, or empty for a plain archive.
    #[must_use]
    pub fn layer(self, packing: &str) -> String {
        match (self, packing) {
            (Self::Oci, "") => OCI_LAYER.to_owned(),
            (Self::Oci, packing) => format!("{OCI_LAYER}+{packing}"),
            (Self::Docker, "") => DOCKER_LAYER.to_owned(),
            (Self::Docker, packing) => format!("{DOCKER_LAYER}.{packing}"),
        }
    }
}
