//! Garbage: what a crash left behind, and layers that nothing needs.

use std::path::Path;

use super::db::Store;
use super::error::Result;
use super::paths::{Paths, ensure_private};
use super::{file, tree};
use crate::model::digest::ChainId;

/// What a sweep found and deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Half-made things of dead processes.
    pub staging: u64,
    /// Directories without a row.
    pub orphans: u64,
    /// Layers that no image and no container needs.
    pub layers: Vec<ChainId>,
    /// Bytes given back.
    pub bytes: u64,
}

/// A row whose file is gone or damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Kind of thing.
    pub kind: super::error::Kind,
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

impl Store {
    /// Deletes everything that is garbage: staging of dead makers, trash, directories without rows, unneeded layers.
    ///
    /// # Errors
    /// The first failure; what could be deleted is.
    pub fn sweep(&self) -> Result<Swept> {
        todo!()
    }

    /// Looks for rows without files (`system check`). `thorough` re-hashes each layer by its recipe.
    ///
    /// # Errors
    /// What the database says.
    pub fn check(&self, thorough: bool) -> Result<Vec<Damage>> {
        let _ = thorough;
        todo!()
    }
}

/// Takes something out of sight (a rename, which needs no space) and deletes it. What cannot be deleted now stays
/// in the trash until the next sweep.
pub(super) fn discard(paths: &Paths, path: &Path) -> u64 {
    let trash = paths.trash();
    let renamed = ensure_private(&trash).and_then(|()| file::random_hex::<8>()).ok().and_then(|unique| {
        let to = trash.join(unique);
        std::fs::rename(path, &to).ok().map(|()| to)
    });
    tree::remove(renamed.as_deref().unwrap_or(path)).unwrap_or(0)
}
