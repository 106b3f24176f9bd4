//! `healthcheck run`: runs a container's check now.

use std::time::{Duration, Instant};

use super::context::Context;
use super::error::{Error, Kind};
use super::view::Container;
use crate::model::container::{HealthResult, LifecycleSpec, ProcessIdentity};
use crate::model::lifecycle::HealthAction;
use crate::monitor::client;
use crate::storage::Store;

/// Time that a stop and a start may take beside the stop timeout.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the check of a running container through its monitor and returns the result, which counts as a regular one.
///
/// # Errors
/// No such container, not running, no check.
pub fn run(ctx: &Context, name: &str) -> Result<HealthResult, Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    if !container.row.has_health {
        return Err(Error::new(
            Kind::State,
            format!("container {} has no defined healthcheck", container.row.name),
        ));
    }
    container.active()?;
    let before = container.running()?.init;
    let (result, health) = client::health_run(&ctx.paths, container.id())?;
    if health.status == "unhealthy" {
        let life = container.spec(&store)?.lifecycle;
        settle(ctx, &store, &container, &before, &life)?;
    }
    Ok(result)
}

/// How long a check of the container may take, as durations are written.
///
/// # Errors
/// No such container.
pub fn timeout(ctx: &Context, name: &str) -> Result<String, Error> {
    let store = ctx.store()?;
    let spec = Container::find(ctx, &store, name)?.spec(&store)?;
    let limit = spec.lifecycle.health.map_or(0, |check| check.timeout);
    let seconds = limit / 1_000_000_000;
    Ok(match limit % 1_000_000_000 {
        0 if seconds >= 60 => format!("{}m{}s", seconds / 60, seconds % 60),
        0 => format!("{seconds}s"),
        _ => format!("{}ms", limit / 1_000_000),
    })
}

/// Waits until `--health-on-failure` has had its effect, so that the caller sees it when the command has ended.
fn settle(
    ctx: &Context,
    store: &Store,
    container: &Container,
    before: &ProcessIdentity,
    life: &LifecycleSpec,
) -> Result<(), Error> {
    if life.health_on_failure == HealthAction::None {
        return Ok(());
    }
    let patience = Duration::from_secs(u64::try_from(life.stop_timeout).unwrap_or(0)) + PATIENCE;
    let until = Instant::now() + patience;
    while Instant::now() < until {
        let now = match Container::find(ctx, store, container.id().as_str()) {
            Ok(now) => now,
            Err(e) if e.kind() == Kind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        match now.phase.running() {
            Some(running) if running.init == *before => {}
            None if life.health_on_failure == HealthAction::Restart => {}
            _ => return Ok(()),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
