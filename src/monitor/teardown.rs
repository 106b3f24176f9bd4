//! Taking a container apart from outside, when its monitor died without doing so.

use crate::model::id::ContainerId;

use crate::storage::Paths;

/// What a sweep did, and what it could not do.
#[derive(Debug, Default)]
pub struct Swept {
    /// Things removed, in words for the log: `cgroup /rcon/…`, `lease 10.88.0.5`.
    pub removed: Vec<String>,
    /// Troubles; the sweep went on after each.
    pub troubles: Vec<String>,
}

/// Removes all that a dead monitor left of a container: its processes (cgroup.kill), cgroup, network elements,
/// leases, run directory. The caller holds the container's lock (so it is certain that no monitor lives). Does
/// nothing where nothing is left; never stops at an error.
#[must_use]
pub fn sweep(paths: &Paths, id: &ContainerId) -> Swept {
    let _ = (paths, id);
    todo!()
}
