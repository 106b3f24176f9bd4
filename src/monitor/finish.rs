//! The end of a container in the records: the only time at which a monitor opens the database.

use super::proto::{Announce, Failure, Handoff};
use super::realise::{World, checkpoint};
use super::serve::Keep;
use crate::model::container::{ContainerSpec, Exited};
use crate::model::digest::Digest;
use crate::model::id::ContainerId;
use crate::model::mount::MountKind;
use crate::model::network::Network;
use crate::model::volume::Volume;
use crate::storage::containers::{Desired, Stored};
use crate::storage::{Paths, Store};

/// How it ended.
pub(super) struct End<'a> {
    pub(super) exited: &'a Exited,
    pub(super) keep: &'a Keep,
    /// The record is deleted already, or whoever removes the container will delete it.
    pub(super) recorded: bool,
}

/// Writes the end into the database, or removes the record with `--rm`; then lets the run directory go. Goes on
/// after an error; returns all troubles.
pub(super) fn record(world: &mut World, end: &End<'_>) -> Vec<String> {
    let mut troubles = if end.recorded { Vec::new() } else { write(world, end) };
    checkpoint(&world.paths, "written");
    if !troubles.is_empty() {
        // The run directory stays with its last state, so that reconcile finds the container.
        world.run_dir = None;
    } else if let Some(dir) = world.run_dir.take() {
        troubles.extend(dir.remove().err().map(|e| e.to_string()));
    }
    troubles
}

/// The row of an ended container: its end, or nothing with `--rm`.
fn write(world: &World, end: &End<'_>) -> Vec<String> {
    let mut troubles = Vec::new();
    match Store::open(&world.paths) {
        Ok(store) if end.keep.auto_remove => {
            let keep = end.keep;
            troubles.extend(delete(&store, &world.id, &keep.anonymous, keep.remove_image.as_ref()));
        }
        Ok(store) => {
            let stored = Stored::Exited(end.exited.clone());
            let written = if end.exited.stopped_by_user {
                store.set_stored_and_desired(&world.id, &stored, Desired::Stopped)
            } else {
                store.set_stored(&world.id, &stored)
            };
            troubles.extend(written.err().map(|e| e.to_string()));
        }
        Err(e) => troubles.push(e.to_string()),
    }
    troubles
}

/// The end of a container with `--rm` in the records: its row, its anonymous volumes and, with `--rmi`, its image go.
/// Whoever comes second finds less, and a volume that another container has taken over stays: neither is a trouble. Goes on
/// after an error; returns all troubles.
#[must_use]
pub(crate) fn delete(
    store: &Store,
    id: &ContainerId,
    anonymous: &[String],
    image: Option<&Digest>,
) -> Vec<String> {
    let mut done = vec![store.remove_container(id)];
    done.extend(anonymous.iter().map(|volume| store.remove_volume(volume)));
    done.extend(image.map(|image| store.remove_image(image).map(drop)));
    let troubles = done.into_iter().filter_map(Result::err);
    troubles
        .filter(|e| !e.is_not_found() && !matches!(e, crate::storage::Error::InUse { .. }))
        .map(|e| e.to_string())
        .collect()
}

/// A container that was initialized is not going to be started: it is as it was made, or with `--rm` not any more.
/// Returns what went wrong.
pub(super) fn unstarted(handoff: &Handoff) -> Vec<String> {
    let (spec, paths) = (&handoff.spec, &handoff.paths);
    let done = Store::open(paths).map(|store| {
        if spec.lifecycle.auto_remove {
            let anonymous: Vec<String> =
                spec.mounts.iter().filter(|m| m.anonymous).filter_map(|m| m.name.clone()).collect();
            delete(&store, &spec.id, &anonymous, None)
        } else {
            store.set_stored(&spec.id, &Stored::Created).err().map(|e| e.to_string()).into_iter().collect()
        }
    });
    done.unwrap_or_else(|e| vec![e.to_string()])
}

/// The starter ended, or was killed, before it handed its container over: what it had made of it goes, unless the row was
/// written (then it is found by its name, and the next command settles it).
pub(super) fn forsaken(announce: &Announce) {
    let Announce { paths, id } = announce;
    // Its locks are freed while it ends, some time after its end of the channel is closed: on a busy machine, a long time.
    for wait in (1..=50).map(|n| 10 * n) {
        if !paths.container(id).exists() && !paths.run_container(id).exists() {
            return;
        }
        // What cannot be done now can be a moment later; after the last one, the next sweep of all does it.
        if Store::open(paths).and_then(|store| store.sweep_container(id)).unwrap_or(false) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(wait));
    }
}

/// Definitions that a restart needs and that are not kept in memory.
pub(super) fn definitions(
    paths: &Paths,
    spec: &ContainerSpec,
) -> Result<(Vec<Network>, Vec<Volume>), Failure> {
    let failed = |e| Failure::internal("reading what the container uses", &e);
    let mut networks = Vec::new();
    let mut volumes = Vec::new();
    let named: Vec<&str> = spec
        .mounts
        .iter()
        .filter(|m| m.kind == MountKind::Volume)
        .filter_map(|m| m.name.as_deref())
        .collect();
    if spec.network.attachments.is_empty() && named.is_empty() {
        return Ok((networks, volumes));
    }
    let store = Store::open(paths).map_err(failed)?;
    for attachment in &spec.network.attachments {
        networks.push(store.find_network(&attachment.network).map_err(failed)?);
    }
    for name in named {
        let volume = store.find_volume(name).map_err(failed)?;
        if !volume.options.is_empty() {
            volumes.push(volume);
        }
    }
    Ok((networks, volumes))
}
