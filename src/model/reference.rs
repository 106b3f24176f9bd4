//! Image references: docker's grammar, normal form and display.
//!
//! `nginx` is `docker.io/library/nginx:latest`; `host:5000/a/b:tag@sha256:…` keeps all its parts.
//! Which registries an unqualified name is looked up in is `image::resolve`'s matter.

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// A fully qualified image reference: registry, repository, and a tag or a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageRef {
    /// Registry host with optional port, `docker.io`, `127.0.0.1:5000`.
    pub registry: String,
    /// Repository path, `library/nginx`.
    pub repository: String,
    /// Tag; `None` only where a digest is given.
    pub tag: Option<String>,
    /// Digest pin.
    pub digest: Option<Digest>,
}

/// What a user typed where an image is meant, before short names are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageName {
    /// The registry was named (`host/…` with a dot, a port or `localhost`).
    Qualified(ImageRef),
    /// A short name: `nginx`, `library/nginx:1`, `team/app@sha256:…`.
    Short {
        /// Repository as typed, without registry.
        repository: String,
        /// Tag as typed.
        tag: Option<String>,
        /// Digest as typed.
        digest: Option<Digest>,
    },
}
