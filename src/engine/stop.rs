//! `stop`: asks with the stop signal, waits, then kills.

use std::time::{Duration, Instant};

use super::context::Context;
use super::error::{Error, Kind};
use super::many;
use super::select::{Done, Selection, targets};
use super::view::Container;
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::model::lifecycle::{RestartPolicy, signal_name};
use crate::monitor::client::{self, ClientError};
use crate::monitor::proto::StopWish;
use crate::storage::Store;
use crate::storage::containers::Desired;

const SIGKILL: i32 = 9;
/// Exit code of a container that SIGKILL ended.
pub(super) const KILLED: i32 = 128 + SIGKILL;

/// How to stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// `-t`: seconds until SIGKILL; -1 waits for ever; `None` takes the container's own.
    pub timeout: Option<i64>,
    /// `--signal` instead of the container's own.
    pub signal: Option<String>,
    /// For a shutdown of the machine: what runs is to run again afterwards.
    pub shutdown: bool,
}

/// A container that does not run any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Its id.
    pub id: ContainerId,
    /// What to say where the stop signal was not heeded in time.
    pub killed: Option<String>,
}

impl StopOptions {
    pub(super) fn wish(&self, by_user: bool) -> Result<StopWish, Error> {
        let signal = self.signal.as_deref().filter(|s| !s.is_empty()).map(super::kill::named).transpose()?;
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
    report: &mut dyn FnMut(Done<Stopped>),
) -> Result<(), Error> {
    let wish = options.wish(!options.shutdown)?;
    let store = ctx.store()?;
    let mut alive = Vec::new();
    // podman tells also of those that have ended.
    for target in targets(ctx, &store, which, |c| c.alive() || ctx.podman)? {
        let found = match options.shutdown {
            true => target.found,
            false => target.found.and_then(|c| prepare(&store, c)),
        };
        // podman does not end what is paused; of all it leaves it out.
        let found = match found {
            Ok(c) if ctx.podman && !options.shutdown && matches!(c.phase, Phase::Paused(_)) => {
                if which.all {
                    continue;
                }
                let why = format!("container {} is running or paused, refusing to clean up", c.id());
                Err(Error::new(Kind::State, why))
            }
            other => other,
        };
        match found {
            Ok(c) if c.alive() => {
                // What a container with --rm was asked cannot be looked up when it is gone.
                let asked = if c.row.auto_remove { asked(&store, &c, &wish) } else { None };
                alive.push((target.given, (c, asked)));
            }
            Ok(c) => report(Done { given: target.given, result: Ok(Stopped { id: c.row.id, killed: None }) }),
            Err(e) => report(Done { given: target.given, result: Err(e) }),
        }
    }
    let paths = &ctx.paths;
    let mut stopped = Vec::new();
    many::each(
        alive,
        |(c, asked)| {
            let begun = Instant::now();
            match client::stop(paths, c.id(), wish) {
                Ok(exited) => Ok((c, asked, (exited.code == KILLED).then(|| begun.elapsed()))),
                // It ended by itself, or its monitor did: either way it does not run any more.
                Err(ClientError::NotRunning { .. } | ClientError::Lost { .. }) => Ok((c, asked, None)),
                Err(e) => Err(Error::from(e).context("cannot stop container")),
            }
        },
        &mut |done: Done<(Container, Option<Asked>, Option<Duration>)>| {
            let result = done.result.map(|(c, before, killed)| {
                let id = c.id().clone();
                let killed = killed.and_then(|after| {
                    let how = before.or_else(|| asked(&store, &c, &wish))?;
                    resorted_to_kill(&c, how, after)
                });
                stopped.push(c);
                Stopped { id, killed }
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

/// How a container is asked to stop: the signal, and the seconds it has.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    signal: i32,
    timeout: i64,
}

pub(super) fn asked(store: &Store, c: &Container, wish: &StopWish) -> Option<Asked> {
    let spec = c.spec(store).ok()?;
    Some(Asked {
        signal: wish.signal.unwrap_or(spec.lifecycle.stop_signal),
        timeout: wish.timeout.unwrap_or(spec.lifecycle.stop_timeout),
    })
}

/// What to say of a container that ended by SIGKILL: only if it was us, because its time was up.
pub(super) fn resorted_to_kill(c: &Container, asked: Asked, after: Duration) -> Option<String> {
    let Asked { signal, timeout } = asked;
    let seconds = u64::try_from(timeout).ok().filter(|s| *s > 0 && after >= Duration::from_secs(*s))?;
    (signal != SIGKILL).then(|| {
        format!(
            "StopSignal {} failed to stop container {} in {seconds} seconds, resorting to SIGKILL",
            signal_name(signal),
            c.row.name
        )
    })
}

/// The wish is durable before the act, so that a reboot in between does not bring the container back.
fn prepare(store: &Store, container: Container) -> Result<Container, Error> {
    if container.row.restart != RestartPolicy::No && container.row.desired == Desired::Running {
        store.set_desired(container.id(), Desired::Stopped)?;
    }
    Ok(container)
}
