//! `update`: changes a container that exists: limits, restart policy, health, environment, labels, and
//! (recreated in place, writable layer kept) ports and mounts.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use crate::model::id::ContainerId;
use crate::model::lifecycle::{HealthAction, HealthCheck, RestartPolicy};
use crate::model::mount::MountRequest;
use crate::model::network::PortRequest;
use crate::model::process::Rlimit;
use crate::model::resources::Resources;

/// What is to change; `None` and empty leave it as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpdateOptions {
    /// Limits.
    pub resources: Resources,
    /// `--restart`.
    pub restart: Option<RestartPolicy>,
    /// `--health-*`.
    pub health: Option<HealthCheck>,
    /// `--health-on-failure`.
    pub health_on_failure: Option<HealthAction>,
    /// `-e`.
    pub env: Vec<(String, String)>,
    /// `--unsetenv`.
    pub unset_env: Vec<String>,
    /// `--label-add` / `-l`.
    pub labels: Vec<(String, String)>,
    /// `--unsetlabel`.
    pub unset_labels: Vec<String>,
    /// `--ulimit`.
    pub rlimits: Vec<Rlimit>,
    /// `--publish-add` (`-p`).
    pub publish: Vec<PortRequest>,
    /// `--publish-rm` `PORT[/PROTO]` of the container.
    pub unpublish: Vec<String>,
    /// `--mount-add` (`-v`).
    pub mounts: Vec<MountRequest>,
    /// `--mount-rm`: targets.
    pub unmount: Vec<String>,
}

/// Changes each container.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn update(
    _ctx: &Context,
    _which: &Selection,
    _options: &UpdateOptions,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}
