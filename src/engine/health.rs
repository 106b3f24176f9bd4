//! `healthcheck run`: runs a container's check now.

use super::context::Context;
use super::error::{Error, Kind};
use super::view::Container;
use crate::model::container::HealthResult;
use crate::monitor::client;

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
    let (result, _) = client::health_run(&ctx.paths, container.id())?;
    Ok(result)
}
