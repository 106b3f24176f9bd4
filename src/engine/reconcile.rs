//! What a crash or a reboot left behind, put right by whoever notices it first.
//!
//! A row that says "started" is believed only while the monitor's lock is held and the boot id is the
//! current one; else the container is recorded as exited and what the kernel does not take back (cgroup,
//! leases, nft elements) is swept. The container's own lock makes sure that only one process does so.

use super::context::Context;
use super::error::{Error, Kind};
use super::journal;
use super::rm;
use super::select::{Done, Selection, targets};
use super::view::Container;
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::model::lifecycle::RestartPolicy;
use crate::monitor::teardown;
use crate::storage::container_rows::Summary;
use crate::storage::containers::{Desired, MONITOR_LOST, Stored};
use crate::storage::volatile::RunDir;
use crate::storage::{Error as StorageError, Store};

/// Records the end of a container whose monitor is gone, and sweeps. `phase` is what the store made of it.
pub(crate) fn settle(
    ctx: &Context,
    store: &Store,
    row: Summary,
    phase: Phase,
) -> Result<Option<Container>, Error> {
    let run_dir = match RunDir::acquire(&ctx.paths, &row.id) {
        Ok(run_dir) => run_dir,
        // Someone starts it or sweeps it at this moment; what they write is the truth soon.
        Err(StorageError::RunLocked { .. }) => return Ok(Some(Container { phase: store.phase(&row)?, row })),
        Err(e) if e.is_not_found() => return Ok(Some(Container { row, phase })),
        // Without permission to heal, the truth can still be told.
        Err(_) => return Ok(Some(Container { row, phase })),
    };
    // Under the lock the row is read again: its monitor may have ended properly in between.
    let row = match store.container(&row.id) {
        Ok(row) => row,
        Err(e) if e.is_not_found() => {
            run_dir.remove()?;
            return Ok(None);
        }
        Err(e) => return Err(e.into()),
    };
    if !matches!(row.stored, Stored::Started { .. }) {
        drop(run_dir);
        let phase = store.phase(&row)?;
        return Ok(Some(Container { row, phase }));
    }
    let swept = teardown::sweep(&ctx.paths, &row.id);
    for trouble in &swept.troubles {
        tracing::warn!(container = %row.id, "sweeping: {trouble}");
    }
    if let Phase::Exited(exited) = &phase {
        journal::container(ctx, "die", &row, &[("exitCode", exited.code.to_string())]);
        if row.auto_remove {
            run_dir.remove()?;
            rm::remove_record(ctx, store, &row, true)?;
            return Ok(None);
        }
        store.set_stored(&row.id, &Stored::Exited(exited.clone()))?;
    }
    run_dir.remove()?;
    let container = Container { row: store.container(&row.id)?, phase };
    if !comes_back(&container) {
        return Ok(Some(container));
    }
    // There is no daemon: whoever notices does what the monitor would have done.
    match super::start::one(ctx, store, &container, None) {
        Ok(_) => {
            let row = store.container(&container.row.id)?;
            Ok(Some(Container { phase: store.phase(&row)?, row }))
        }
        Err(e) => {
            tracing::warn!(container = %container.row.id, error = %e.chain(), "restarting after a lost monitor");
            Ok(Some(container))
        }
    }
}

/// Whether the restart policy of a container whose monitor was lost wants it to run. After a reboot it is the boot
/// unit that starts.
fn comes_back(container: &Container) -> bool {
    let Phase::Exited(exited) = &container.phase else { return false };
    if exited.error != MONITOR_LOST || container.row.desired != Desired::Running {
        return false;
    }
    match container.row.restart {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure { max } => max == 0 || exited.restarts < max,
    }
}

/// What `container cleanup` does beside sweeping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanupOptions {
    /// `--rm`.
    pub remove: bool,
    /// `--rmi`: the image too, unless something else uses it.
    pub remove_image: bool,
    /// `--exec`: nothing but this session.
    pub exec: Option<String>,
    /// podman's hidden flag of its own monitors: only what ran and ended.
    pub stopped_only: bool,
}

/// `container cleanup`: sweeps each container that does not run; nothing else is touched.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn cleanup(
    ctx: &Context,
    which: &Selection,
    options: &CleanupOptions,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |c| !c.alive())? {
        let result = target.found.and_then(|c| match &options.exec {
            Some(session) => exec_session(ctx, &c, session),
            None => one(ctx, &store, &c, options),
        });
        report(Done { given: target.given, result });
    }
    Ok(())
}

/// A session of exec belongs to the monitor, which forgets it when it ends: there is nothing to sweep, only to say that
/// one is still running.
fn exec_session(ctx: &Context, container: &Container, session: &str) -> Result<ContainerId, Error> {
    let runs = container.phase.running().is_some();
    if runs && super::inspect::sessions(ctx, container.id()).iter().any(|s| s == session) {
        let why = format!("cannot clean up exec session {session}: it is running");
        return Err(Error::new(Kind::State, why));
    }
    Ok(container.id().clone())
}

fn one(
    ctx: &Context,
    store: &Store,
    container: &Container,
    options: &CleanupOptions,
) -> Result<ContainerId, Error> {
    let id = container.id();
    let remove = options.remove;
    if options.stopped_only && !matches!(container.phase, Phase::Exited(_)) {
        return Ok(id.clone());
    }
    // podman's cleanup of one that is up does nothing, unless it is to remove it.
    if container.alive() && ctx.podman && !remove {
        return Ok(id.clone());
    }
    if container.alive() {
        return Err(Error::new(
            Kind::State,
            format!("container {} is running or paused, refusing to clean up", container.row.name),
        ));
    }
    let run_dir = RunDir::acquire(&ctx.paths, id)?;
    let swept = teardown::sweep(&ctx.paths, id);
    run_dir.remove()?;
    if let Some(trouble) = swept.troubles.first() {
        return Err(Error::new(
            Kind::Internal,
            format!("cleaning up container {}: {trouble}", container.row.name),
        ));
    }
    if remove {
        rm::remove_record(ctx, store, &container.row, false)?;
    }
    if let Some(image) = container.row.image_id.as_ref().filter(|_| options.remove_image) {
        super::images::rmi(ctx, image.as_str(), super::images::RmiOptions { force: false })?;
    }
    Ok(id.clone())
}
