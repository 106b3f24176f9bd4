//! `start`: starts containers that exist.

use super::attach::{AttachOptions, Attached};
use std::net::IpAddr;

use super::context::Context;
use super::error::{Error, Kind};
use super::launch::{self, Launch};
use super::lookup;
use super::select::{Done, Selection, targets};
use super::view::Container;
use crate::model::container::{AttachmentState, ContainerSpec, Phase};
use crate::model::id::ContainerId;
use crate::model::lifecycle::RestartPolicy;
use crate::monitor::proto::RestoreWish;
use crate::monitor::teardown;
use crate::storage::containers::{Desired, Stored};
use crate::storage::volatile::RunDir;
use crate::storage::{Store, checkpoints};

/// Starts each container; one that runs already is no error. With filters, `--filter restart-policy=…` is what the boot
/// unit uses.
///
/// # Errors
/// Only what concerns the selection as a whole; each container's outcome goes to `report`.
pub fn start(
    ctx: &Context,
    which: &Selection,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    // What a user stopped stays so over a boot.
    let by_policy = which.filters.iter().any(|f| f.starts_with("restart-policy="));
    let wanted = |c: &Container| {
        let halted = by_policy && c.row.restart == RestartPolicy::UnlessStopped;
        let at_rest = !c.alive() || matches!(c.phase, Phase::Initialized(_));
        at_rest && (!halted || c.row.desired != Desired::Stopped)
    };
    for target in targets(ctx, &store, which, wanted)? {
        let result = target.found.and_then(|c| one(ctx, &store, &c, None).map(|_| c.id().clone()));
        report(Done { given: target.given, result });
    }
    Ok(())
}

/// `start -a`: starts one container with its streams attached.
///
/// # Errors
/// No such container, or what keeps it from starting.
pub fn start_attached(ctx: &Context, name: &str, options: &AttachOptions) -> Result<Attached, Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    if matches!(container.phase, Phase::Running(_)) {
        return super::attach::attach(ctx, name, options);
    }
    one(ctx, &store, &container, Some(options))?
        .ok_or_else(|| Error::new(Kind::Internal, "the monitor gave no streams"))
}

/// How a container is started.
#[derive(Clone, Copy, Default)]
pub(super) struct How<'a> {
    /// Streams to relay.
    pub(super) attach: Option<&'a AttachOptions>,
    /// It stops before the command is executed.
    pub(super) wait: bool,
    /// Addresses that it had before a `restart`, by network.
    pub(super) addresses: &'a [(String, IpAddr)],
    /// Its processes come from a checkpoint.
    pub(super) restore: Option<&'a Restoring>,
}

/// A checkpoint to start from.
pub(super) struct Restoring {
    pub(super) wish: RestoreWish,
    /// The networks as they were.
    pub(super) network: Vec<AttachmentState>,
    /// It must have its addresses again.
    pub(super) addresses: bool,
    /// And its interfaces theirs.
    pub(super) macs: bool,
}

impl Restoring {
    fn pin(&self, spec: &mut ContainerSpec) {
        for wish in &mut spec.network.attachments {
            let Some(was) = self.network.iter().find(|was| was.network == wish.network) else { continue };
            if self.addresses {
                wish.ip = was.ip.map(|(ip, _)| ip);
                wish.ip6 = was.ip6.map(|(ip, _)| ip);
            }
            if self.macs {
                wish.mac = Some(was.mac.clone());
            }
            wish.interface.clone_from(&was.interface);
        }
    }
}

/// Starts one container.
pub(super) fn one(
    ctx: &Context,
    store: &Store,
    container: &Container,
    attach: Option<&AttachOptions>,
) -> Result<Option<Attached>, Error> {
    begin(ctx, store, container, How { attach, ..How::default() })
}

/// Starts one that a `restart` has just stopped.
pub(super) fn again(
    ctx: &Context,
    store: &Store,
    container: &Container,
    addresses: &[(String, IpAddr)],
) -> Result<Option<Attached>, Error> {
    begin(ctx, store, container, How { addresses, ..How::default() })
}

fn begin(
    ctx: &Context,
    store: &Store,
    container: &Container,
    how: How<'_>,
) -> Result<Option<Attached>, Error> {
    match &container.phase {
        Phase::Running(_) | Phase::Restarting(_) => return Ok(None),
        Phase::Initialized(_) => return launch::begin(ctx, store, container, how.attach),
        Phase::Paused(_) => {
            return Err(Error::new(Kind::State, "cannot start a paused container, try unpause instead"));
        }
        Phase::Removing => {
            return Err(Error::new(
                Kind::State,
                format!("container {} is marked for removal and cannot be started", container.row.name),
            ));
        }
        Phase::Created | Phase::Failed { .. } | Phase::Exited(_) => {}
    }
    spawn(ctx, store, container, how)
}

/// Spawns the monitor of a container that does not run.
pub(super) fn spawn(
    ctx: &Context,
    store: &Store,
    container: &Container,
    how: How<'_>,
) -> Result<Option<Attached>, Error> {
    let mut spec = container.spec(store)?;
    requirements(ctx, store, &spec)?;
    if let Some(restoring) = how.restore {
        restoring.pin(&mut spec);
    }
    let mut networks = Vec::new();
    for attachment in &spec.network.attachments {
        networks.push(lookup::network(ctx, store, &attachment.network)?);
    }
    let run_dir = RunDir::acquire(&ctx.paths, &spec.id)?;
    // Normally nothing is there; after a crash this makes room.
    if teardown::is_needed(&ctx.paths, &spec.id) {
        for trouble in &teardown::sweep(&ctx.paths, &spec.id).troubles {
            tracing::warn!(container = %spec.id, "sweeping before the start: {trouble}");
        }
    }
    if how.restore.is_none() {
        checkpoints::forget(&ctx.paths, &spec.id)?;
    }
    store.set_stored(&spec.id, &Stored::started_now()?)?;
    if how.attach.is_some() {
        super::journal::container(ctx, "attach", &container.row, &[]);
    }
    let what = Launch {
        spec: &spec,
        row: &container.row,
        networks: &networks,
        attach: how.attach,
        addresses: how.addresses,
        ahead: None,
        recorder: false,
        wait: how.wait,
        restore: how.restore.map(|r| r.wish.clone()),
        fresh: false,
    };
    let (_, attached) = launch::launch(ctx, store, run_dir, what)?;
    Ok(attached)
}

/// `--requires`: what must run first is started first; `--network container:` and its like must run already.
pub(super) fn requirements(ctx: &Context, store: &Store, spec: &ContainerSpec) -> Result<(), Error> {
    for id in &spec.requires {
        let container = Container::find(ctx, store, id.as_str())?;
        if !container.alive() {
            one(ctx, store, &container, None)
                .map_err(|e| e.context(format!("starting {}, which is required", container.row.name)))?;
        }
    }
    Ok(())
}
