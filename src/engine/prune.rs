//! `prune`: removes what nothing uses.

use super::context::Context;
use super::error::Error;

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Containers.
    pub containers: Vec<String>,
    /// Images (ids and names).
    pub images: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Volumes.
    pub volumes: Vec<String>,
    /// Bytes given back.
    pub reclaimed: u64,
}

/// What `system prune` covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// `--filter` (`until`, `label`, `label!`) as typed.
    pub filters: Vec<String>,
    /// `-a`: all unused images, not only dangling ones.
    pub all: bool,
    /// `--volumes`.
    pub volumes: bool,
}

/// `container prune`: removes containers that do not run.
///
/// # Errors
/// An unknown filter, or a store that cannot be written.
pub fn containers(_ctx: &Context, _filters: &[String]) -> Result<Pruned, Error> {
    todo!()
}

/// `volume prune`: removes unused volumes; `all` takes named ones too.
///
/// # Errors
/// As [`containers`].
pub fn volumes(_ctx: &Context, _filters: &[String], _all: bool) -> Result<Pruned, Error> {
    todo!()
}

/// `system prune`.
///
/// # Errors
/// As [`containers`].
pub fn system(_ctx: &Context, _options: &PruneOptions) -> Result<Pruned, Error> {
    todo!()
}
