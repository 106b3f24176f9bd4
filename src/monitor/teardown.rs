//! Taking a container apart from outside, when its monitor died without doing so, or could not.
//!
//! The kernel has done most of it by then: mounts, namespaces and veth pairs are gone with their processes. What
//! is left carries the container's id, so that nothing but the id is needed to find it.

use std::path::PathBuf;

use super::realise;
use crate::model::container::ContainerSpec;
use crate::model::id::ContainerId;
use crate::net;
use crate::runtime::cgroup::Manager;
use crate::storage::{Paths, leases, tree, volatile};
use crate::sys::fd;

/// What a sweep did, and what it could not do.
#[derive(Debug, Default)]
pub struct Swept {
    /// Things removed, in words for the log: `cgroup /rcon/…`, `2 network elements`.
    pub removed: Vec<String>,
    /// Troubles; the sweep went on after each.
    pub troubles: Vec<String>,
}

/// Removes all that a dead monitor left of a container: its processes (cgroup.kill), cgroup, network elements,
/// leases, and what is in its run directory beside the lock, which the caller holds (so it is certain that no
/// monitor lives). Does nothing where nothing is left; never stops at an error.
#[must_use]
pub fn sweep(paths: &Paths, id: &ContainerId) -> Swept {
    let mut swept = Swept::default();
    sweep_cgroup(paths, id, &mut swept);
    match net::sweep(id) {
        Ok(0) => {}
        Ok(count) => swept.removed.push(format!("{count} network elements")),
        Err(e) => swept.troubles.push(format!("removing network elements: {}", chain(&e))),
    }
    if let Err(e) = leases::release_all(paths, id) {
        swept.troubles.push(format!("releasing leases: {}", chain(&e)));
    }
    // Last, because the files there are what says that there is something to sweep.
    for path in left(paths, id) {
        if let Err(e) = tree::remove(&path) {
            swept.troubles.push(format!("removing {}: {}", path.display(), chain(&e)));
        }
    }
    swept
}

/// A second try at what a monitor could not undo of its own container, whose lock it still holds: the undoing knows what
/// it made, this only the id. Troubles that it mends are none; else both are returned.
#[must_use]
pub(super) fn again(paths: &Paths, id: &ContainerId, mut troubles: Vec<String>) -> Vec<String> {
    if troubles.is_empty() {
        return troubles;
    }
    let swept = sweep(paths, id);
    if swept.troubles.is_empty() {
        return Vec::new();
    }
    troubles.extend(swept.troubles);
    troubles
}

/// Whether a monitor died here without taking its container apart: it removes its files last. Cheap, for the
/// start of a container.
#[must_use]
pub fn is_needed(paths: &Paths, id: &ContainerId) -> bool {
    !left(paths, id).is_empty()
}

/// What is in the run directory beside the lock, which the caller holds.
fn left(paths: &Paths, id: &ContainerId) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(paths.run_container(id)) else { return Vec::new() };
    entries.flatten().filter(|entry| entry.file_name() != "lock").map(|entry| entry.path()).collect()
}

/// The cgroup as the monitor last recorded it, and as it would have been made where it recorded nothing yet.
fn sweep_cgroup(paths: &Paths, id: &ContainerId, swept: &mut Swept) {
    let mut candidates: Vec<String> = Vec::new();
    if let Ok(Some(phase)) = volatile::read_phase(paths, id) {
        candidates.extend(phase.running().map(|r| r.cgroup.clone()));
    }
    let spec = fd::read_file(&paths.spec(id)).ok();
    if let Some(spec) = spec.and_then(|text| serde_json::from_slice::<ContainerSpec>(&text).ok()) {
        candidates.push(realise::cgroup_path(&spec));
    }
    candidates.push(format!("{}/{id}", crate::runtime::defaults::CGROUP_PARENT));
    candidates.dedup();
    let Ok(manager) = Manager::detect() else { return };
    for path in candidates.iter().filter(|path| !path.is_empty()) {
        // A cgroup that cannot be opened is not there.
        let Ok(cgroup) = manager.open(path) else { continue };
        match cgroup.kill().and_then(|()| cgroup.remove()) {
            Ok(()) => swept.removed.push(format!("cgroup {path}")),
            Err(e) => swept.troubles.push(format!("removing the cgroup {path}: {}", chain(&e))),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    super::failure::reasons(error).join(": ")
}
