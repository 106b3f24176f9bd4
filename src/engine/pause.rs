//! `pause` and `unpause`: freezes and thaws a container's cgroup.

use super::context::Context;
use super::error::{Error, Kind};
use super::journal;
use super::select::{Done, Selection, targets};
use super::view::Container;
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::monitor::client;

/// Freezes each container.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn pause(
    ctx: &Context,
    which: &Selection,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |c| matches!(c.phase, Phase::Running(_)))? {
        let result = target.found.and_then(|c| freeze(ctx, &c));
        report(Done { given: target.given, result });
    }
    Ok(())
}

fn freeze(ctx: &Context, container: &Container) -> Result<ContainerId, Error> {
    let id = container.id();
    // podman tells the state, and one that is paused does not run.
    if ctx.podman && !matches!(container.phase, Phase::Running(_)) {
        let why = format!("container {id} is {}, not running", container.phase.status());
        return Err(Error::new(Kind::State, why));
    }
    if matches!(container.phase, Phase::Paused(_)) {
        return Err(Error::new(Kind::Conflict, format!("container {id} is already paused")));
    }
    if ctx.podman && container.phase.running().is_none() {
        let text =
            format!("\"{}\" is not running, can't pause: container state improper", container.phase.status());
        return Err(Error::new(Kind::State, text));
    }
    container.active()?;
    client::pause(&ctx.paths, id)?;
    journal::container(ctx, "pause", &container.row, &[]);
    Ok(id.clone())
}

/// Thaws each container.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn unpause(
    ctx: &Context,
    which: &Selection,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |c| matches!(c.phase, Phase::Paused(_)))? {
        let result = target.found.and_then(|c| thaw(ctx, &c));
        report(Done { given: target.given, result });
    }
    Ok(())
}

fn thaw(ctx: &Context, container: &Container) -> Result<ContainerId, Error> {
    let id = container.id();
    if !matches!(container.phase, Phase::Paused(_)) {
        return Err(Error::new(Kind::Conflict, format!("container {id} is not paused")));
    }
    client::unpause(&ctx.paths, id)?;
    journal::container(ctx, "unpause", &container.row, &[]);
    Ok(id.clone())
}
