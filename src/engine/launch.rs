//! The last step that `run`, `start` and the boot have in common: the row says "started", the run lock is held;
//! the monitor is spawned, and its answer becomes the container's phase or a typed failure.

use std::path::Path;

use super::attach::{AttachOptions, Attached};
use super::context::Context;
use super::error::{Error, Kind};
use super::rm;
use super::view::Container;
use crate::model::container::{ContainerSpec, Running};
use crate::model::lifecycle::RestartPolicy;
use crate::model::mount::MountKind;
use crate::model::network::{Network, Protocol};
use crate::model::volume::Volume;
use crate::monitor::client::{self, Ahead, SpawnRequest};
use crate::monitor::proto::{BeginWish, RestoreWish, Streams, TermSize};
use crate::storage::Store;
use crate::storage::container_rows::Summary;
use crate::storage::containers::{Desired, Stored};
use crate::storage::volatile::RunDir;

/// What a start has to know.
pub(super) struct Launch<'a> {
    pub(super) spec: &'a ContainerSpec,
    pub(super) row: &'a Summary,
    pub(super) networks: &'a [Network],
    pub(super) attach: Option<&'a AttachOptions>,
    /// Addresses that it had before a `restart`, by network.
    pub(super) addresses: &'a [(String, std::net::IpAddr)],
    /// A monitor that was started ahead.
    pub(super) ahead: Option<Ahead>,
    /// Only initialized, not started.
    pub(super) wait: bool,
    /// The caller deletes the record when the relay is over.
    pub(super) recorder: bool,
    /// Made of a checkpoint.
    pub(super) restore: Option<RestoreWish>,
    /// Started by the `run` that made it: only that one has descriptors to hand on.
    pub(super) fresh: bool,
}

/// Spawns the monitor of a container whose row says "started".
pub(super) fn launch(
    ctx: &Context,
    store: &Store,
    run_dir: RunDir,
    what: Launch<'_>,
) -> Result<(Running, Option<Attached>), Error> {
    let spec = what.spec;
    let streams = what.attach.map(|a| Streams { stdin: a.stdin, stdout: a.stdout, stderr: a.stderr });
    let restoring = what.restore.is_some();
    if spec.network.ports.iter().any(|p| p.protocol == Protocol::Sctp) {
        tracing::info!("Port reservation for SCTP is not supported");
    }
    let passthrough = spec.lifecycle.log.driver == "passthrough";
    let started = client::spawn(SpawnRequest {
        paths: &ctx.paths,
        run_dir,
        spec,
        networks: what.networks,
        volumes: &with_options(store, spec)?,
        attach: streams,
        size: what.attach.and_then(|a| a.size).map(|(rows, cols)| TermSize { rows, cols }),
        restarts: 0,
        extra_hosts: &[],
        addresses: what.addresses,
        passthrough: if passthrough { Some(super::stdio::own()?) } else { None },
        recorder: what.recorder,
        wait: what.wait,
        restore: what.restore,
        ahead: what.ahead,
        preserved: super::stdio::preserved(&if what.fresh { spec.process.preserved() } else { Vec::new() })?,
        notify_socket: spec.lifecycle.sdnotify.as_ref().and(ctx.config.notify_socket.clone()),
    });
    match started {
        Ok(started) => {
            if !what.wait && spec.lifecycle.restart != RestartPolicy::No {
                store.set_desired(&spec.id, Desired::Running)?;
            }
            pidfile(spec.lifecycle.pidfile.as_deref(), started.running.init.pid)?;
            pidfile(spec.lifecycle.monitor_pidfile.as_deref(), started.running.monitor.pid)?;
            let attached = started.attached.map(|relay| Attached::main(spec.id.clone(), relay, what.attach));
            Ok((started.running, attached))
        }
        Err(e) if restoring => {
            // It is what it was: the checkpoint is there still.
            if let Err(e) = store.set_stored(&spec.id, &what.row.stored) {
                tracing::warn!(container = %spec.id, "recording that it was not restored: {e}");
            }
            Err(named(store, e.into()))
        }
        Err(e) => Err(failed(ctx, store, what.row, named(store, e.into()))),
    }
}

fn pidfile(path: Option<&Path>, pid: i32) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, format!("{pid}"))
        .map_err(|e| Error::with_source(Kind::Invalid, format!("writing the pid file {}", path.display()), e))
}

/// Starts a container that was initialized.
pub(super) fn begin(
    ctx: &Context,
    store: &Store,
    container: &Container,
    attach: Option<&AttachOptions>,
) -> Result<Option<Attached>, Error> {
    let spec = container.spec(store)?;
    let wish = BeginWish {
        attach: attach.map(|a| Streams { stdin: a.stdin, stdout: a.stdout, stderr: a.stderr }),
        size: attach.and_then(|a| a.size).map(|(rows, cols)| TermSize { rows, cols }),
    };
    if attach.is_some() {
        super::journal::container(ctx, "attach", &container.row, &[]);
    }
    match client::begin(&ctx.paths, container.id(), wish, spec.process.tty) {
        Ok((_, relay)) => {
            if spec.lifecycle.restart != RestartPolicy::No {
                store.set_desired(&spec.id, Desired::Running)?;
            }
            Ok(relay.map(|relay| Attached::main(spec.id.clone(), relay, attach)))
        }
        Err(e) => Err(failed(ctx, store, &container.row, named(store, e.into()))),
    }
}

/// The volumes among the mounts whose driver options say what is to be mounted.
fn with_options(store: &Store, spec: &ContainerSpec) -> Result<Vec<Volume>, Error> {
    let named = spec.mounts.iter().filter(|m| m.kind == MountKind::Volume).filter_map(|m| m.name.as_deref());
    let mut found = Vec::new();
    for name in named {
        let volume = store.find_volume(name)?;
        if !volume.options.is_empty() {
            found.push(volume);
        }
    }
    Ok(found)
}

/// The monitor knows other containers by their ids only; people know them by their names.
fn named(store: &Store, error: Error) -> Error {
    let Some(hint) = error.hint_text() else { return error };
    let words = hint.split(' ');
    let id = words.clone().find(|w| w.len() == 12 && w.bytes().all(|b| b.is_ascii_hexdigit()));
    let Some(row) = id.and_then(|id| store.find_container(id).ok()) else { return error };
    let hint = hint.replace(row.id.short(), &format!("{} ({})", row.name, row.id.short()));
    error.hint(hint)
}

/// Records that a start failed; with `--rm` nothing stays.
fn failed(ctx: &Context, store: &Store, row: &Summary, error: Error) -> Error {
    let done = if row.auto_remove {
        rm::remove_record(ctx, store, row, true)
    } else {
        let code = i32::from(error.exit_code().unwrap_or(125));
        let stored = Stored::Failed { code, error: error.chain(), at: jiff::Timestamp::now() };
        store.set_stored(&row.id, &stored).map_err(Error::from)
    };
    if let Err(e) = done {
        tracing::warn!(container = %row.id, error = %e.chain(), "recording the failed start");
    }
    error
}
