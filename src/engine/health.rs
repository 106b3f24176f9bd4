//! `healthcheck run`: runs a container's check now.

use super::context::Context;
use super::error::Error;
use crate::model::container::HealthResult;

/// Runs the check of a running container through its monitor and returns the result, which counts as a regular one.
///
/// # Errors
/// No such container, not running, no check.
pub fn run(_ctx: &Context, _name: &str) -> Result<HealthResult, Error> {
    todo!()
}
