//! `stop`: asks with the stop signal, waits, then kills.

use super::context::Context;
use super::error::Error;
use super::many;
use super::select::{Done, Selection, targets};
use super::view::Container;
use crate::model::id::ContainerId;
use crate::model::lifecycle::{RestartPolicy, parse_signal};
use crate::monitor::client::{self, ClientError};
use crate::monitor::proto::StopWish;
use crate::storage::Store;
use crate::storage::containers::Desired;

/// How to stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// `-t`: seconds until SIGKILL; -1 waits for ever; `None` takes the container's own.
    pub timeout: Option<i64>,
    /// `--signal` instead of the container's own.
    pub signal: Option<String>,
}

impl StopOptions {
    pub(super) fn wish(&self, by_user: bool) -> Result<StopWish, Error> {
        let signal = self.signal.as_deref().filter(|s| !s.is_empty()).map(parse_signal).transpose()?;
        Ok(StopWish { signal, timeout: self.timeout, by_user })
    }
}

/// Stops each container; one that does not run is no error.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn stop(
    ctx: &Context,
    which: &Selection,
    options: &StopOptions,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let wish = options.wish(true)?;
    let store = ctx.store()?;
    let mut alive = Vec::new();
    for target in targets(ctx, &store, which, Container::alive)? {
        match target.found.and_then(|c| prepare(&store, c)) {
            Ok(c) if c.alive() => alive.push((target.given, c)),
            Ok(c) => report(Done { given: target.given, result: Ok(c.row.id) }),
            Err(e) => report(Done { given: target.given, result: Err(e) }),
        }
    }
    let paths = &ctx.paths;
    let mut stopped = Vec::new();
    many::each(
        alive,
        |c| {
            match client::stop(paths, c.id(), wish) {
                Ok(_) => Ok(c),
                // It ended by itself, or its monitor did: either way it does not run any more.
                Err(ClientError::NotRunning { .. } | ClientError::Lost { .. }) => Ok(c),
                Err(e) => Err(Error::from(e).context("cannot stop container")),
            }
        },
        &mut |done| {
            let result = done.result.map(|c: Container| {
                let id = c.id().clone();
                stopped.push(c);
                id
            });
            report(Done { given: done.given, result });
        },
    );
    for container in stopped {
        super::journal::container(ctx, "stop", &container.row, &[]);
        // A lost monitor has written nothing: look, and heal.
        match store.container(container.id()) {
            Ok(row) => drop(Container::of(ctx, &store, row)?),
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// The wish is durable before the act, so that a reboot in between does not bring the container back.
fn prepare(store: &Store, container: Container) -> Result<Container, Error> {
    if container.row.restart != RestartPolicy::No && container.row.desired == Desired::Running {
        store.set_desired(container.id(), Desired::Stopped)?;
    }
    Ok(container)
}
