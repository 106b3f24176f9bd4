//! `kill`: sends a signal to a container's init.

use super::context::Context;
use super::error::{Error, Kind};
use super::select::{Done, Selection, targets};
use super::view::Container;
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::model::lifecycle::parse_signal;
use crate::monitor::client;
use crate::monitor::proto::WaitFor;

const SIGKILL: i32 = 9;

/// Sends `signal` (name with or without `SIG`, or number; `KILL` by default) to each container.
///
/// # Errors
/// An unknown signal; what concerns one container goes to `report`.
pub fn kill(
    ctx: &Context,
    which: &Selection,
    signal: Option<&str>,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let signal = signal.map_or(Ok(SIGKILL), named)?;
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |c| c.phase.running().is_some())? {
        let result = target.found.and_then(|c| one(ctx, &c, signal));
        report(Done { given: target.given, result });
    }
    Ok(())
}

/// A signal as typed; docker's and podman's message for one that does not exist.
pub(super) fn named(text: &str) -> Result<i32, Error> {
    parse_signal(text).map_err(|_| Error::new(Kind::Invalid, format!("invalid signal: {text}")))
}

fn one(ctx: &Context, container: &Container, signal: i32) -> Result<ContainerId, Error> {
    let id = container.id();
    let waits = matches!(container.phase, Phase::Initialized(_));
    if (waits || container.phase.running().is_none()) && !matches!(container.phase, Phase::Restarting(_)) {
        return Err(Error::new(
            Kind::State,
            format!("cannot kill container: {}: container {id} is not running", container.row.name),
        ));
    }
    client::kill(&ctx.paths, id, signal, false)
        .map_err(|e| Error::from(e).context(format!("cannot kill container: {}", container.row.name)))?;
    if signal == SIGKILL {
        // As docker: after `kill` the container is down, not about to be. A lost monitor means the same.
        client::wait(&ctx.paths, id, WaitFor::NotRunning).ok();
    }
    Ok(id.clone())
}
