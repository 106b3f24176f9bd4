//! `info`, `version`, `system df`: facts about the engine and its host, in docker's shape.

use super::context::Context;
use super::error::Error;

/// The platform of this program, as image platforms are written: `linux/amd64`.
pub(crate) fn platform() -> String {
    format!("linux/{}", architecture())
}

/// The architecture in Go's words, which images and docker use.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// `info` as JSON: docker's fields with podman's `host`, `store`, `registries`, `version` beside them.
///
/// # Errors
/// A store that cannot be read.
pub fn info(_ctx: &Context) -> Result<serde_json::Value, Error> {
    todo!()
}

/// `version` as JSON: `Client` and `Server`, which are the same program.
#[must_use]
pub fn version(_ctx: &Context) -> serde_json::Value {
    todo!()
}

/// What one kind of thing takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub total: u64,
    /// How many are in use.
    pub active: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes that a prune would give back.
    pub reclaimable: u64,
    /// Each one: name or id, bytes, further columns by name.
    pub items: Vec<serde_json::Value>,
}

/// `system df`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Images.
    pub images: Usage,
    /// Containers.
    pub containers: Usage,
    /// Volumes.
    pub volumes: Usage,
}

/// What the store takes; `verbose` fills the items.
///
/// # Errors
/// A store that cannot be read.
pub fn df(_ctx: &Context, _verbose: bool) -> Result<DiskUsage, Error> {
    todo!()
}
