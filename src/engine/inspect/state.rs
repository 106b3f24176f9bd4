//! `State`: what the container is doing.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::engine::context::Context;
use crate::model::container::{ContainerSpec, Exited, Health, Phase, Running};
use crate::model::id::ContainerId;
use crate::monitor::client;
use crate::storage::checkpoints;

/// Go's zero time, which docker shows for "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn state(ctx: &Context, phase: &Phase, spec: &ContainerSpec) -> Value {
    let mut value = json!({
        "Status": if ctx.podman { phase.podmans_status() } else { phase.status() },
        "Running": matches!(phase, Phase::Running(_) | Phase::Paused(_) | Phase::Restarting(_)),
        "Paused": matches!(phase, Phase::Paused(_)),
        "Restarting": matches!(phase, Phase::Restarting(_)),
        "OOMKilled": false,
        "Dead": false,
        "Pid": 0,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": NEVER,
        "FinishedAt": NEVER,
        // podman's
        "StoppedByUser": false,
    });
    match phase {
        Phase::Initialized(r) => {
            running(ctx, r, spec, &mut value);
            value["StartedAt"] = NEVER.into();
        }
        Phase::Running(r) | Phase::Paused(r) => running(ctx, r, spec, &mut value),
        Phase::Exited(e) | Phase::Restarting(e) => exited(e, &mut value),
        Phase::Failed { code, error, at } => {
            value["ExitCode"] = (*code).into();
            value["Error"] = error.clone().into();
            value["FinishedAt"] = at.to_string().into();
        }
        Phase::Created | Phase::Removing => {}
    }
    checkpoint(ctx, spec, &mut value);
    if let Some(health) = health(phase, spec) {
        value["Health"] = health;
    }
    value
}

/// podman's: what is kept of a checkpoint. What cannot be read is as if it were not there.
fn checkpoint(ctx: &Context, spec: &ContainerSpec, value: &mut Value) {
    let kept = checkpoints::read(&ctx.paths, &spec.id).unwrap_or_default();
    let time = |at: Option<jiff::Timestamp>| at.map_or_else(|| NEVER.to_owned(), |at| at.to_string());
    let path = |p: Option<PathBuf>| p.map(|p| p.display().to_string()).unwrap_or_default();
    value["Checkpointed"] = kept.written.is_some().into();
    value["CheckpointedAt"] = time(kept.written).into();
    value["Restored"] = kept.restored.is_some().into();
    value["RestoredAt"] = time(kept.restored).into();
    value["CheckpointPath"] = path(kept.images).into();
    value["CheckpointLog"] = path(kept.dump_log).into();
    value["RestoreLog"] = path(kept.restore_log).into();
}

fn running(ctx: &Context, r: &Running, spec: &ContainerSpec, value: &mut Value) {
    value["Pid"] = r.init.pid.into();
    value["StartedAt"] = r.started.to_string().into();
    // podman's
    value["ConmonPid"] = r.monitor.pid.into();
    value["CgroupPath"] = r.cgroup.clone().into();
    value["OciVersion"] = crate::runtime::oci::OCI_VERSION.into();
    value["PidFile"] = ctx.paths.run_state(&spec.id).display().to_string().into();
}

fn exited(e: &Exited, value: &mut Value) {
    value["OOMKilled"] = e.oom.into();
    value["ExitCode"] = e.code.into();
    value["Error"] = e.error.clone().into();
    value["StartedAt"] = e.started.to_string().into();
    value["FinishedAt"] = e.at.to_string().into();
    value["StoppedByUser"] = e.stopped_by_user.into();
}

fn health(phase: &Phase, spec: &ContainerSpec) -> Option<Value> {
    spec.lifecycle.health.as_ref()?;
    let known = match phase {
        Phase::Initialized(r) | Phase::Running(r) | Phase::Paused(r) => r.health.clone(),
        Phase::Exited(e) | Phase::Restarting(e) => e.health.clone(),
        Phase::Created | Phase::Failed { .. } | Phase::Removing => None,
    };
    let Health { status, failing_streak, log } =
        known.unwrap_or_else(|| Health { status: "starting".to_owned(), ..Health::default() });
    let log: Vec<Value> = log
        .iter()
        .map(|r| {
            json!({
                "Start": r.start.to_string(),
                "End": r.end.to_string(),
                "ExitCode": r.exit_code,
                "Output": r.output,
            })
        })
        .collect();
    Some(json!({ "Status": status, "FailingStreak": failing_streak, "Log": log }))
}

pub(super) fn restarts(phase: &Phase) -> u32 {
    match phase {
        Phase::Initialized(r) | Phase::Running(r) | Phase::Paused(r) => r.restarts,
        Phase::Exited(e) | Phase::Restarting(e) => e.restarts,
        Phase::Created | Phase::Failed { .. } | Phase::Removing => 0,
    }
}

/// Ids of the execs that run; docker shows `null` for none.
pub(super) fn execs(ctx: &Context, phase: &Phase, spec: &ContainerSpec) -> Value {
    if phase.running().is_none() {
        return Value::Null;
    }
    let ids = sessions(ctx, &spec.id);
    if ids.is_empty() { Value::Null } else { ids.into() }
}

/// Ids of the execs that run in a container that runs.
pub(crate) fn sessions(ctx: &Context, id: &ContainerId) -> Vec<String> {
    let sessions = client::execs(&ctx.paths, id).unwrap_or_default();
    sessions.into_iter().filter(|s| s.exit_code.is_none()).map(|s| s.id).collect()
}
