//! What is understood and cannot be honoured: each refused by the flag's name with the reason.

use super::invalid;
use crate::engine::error::{Error, Kind};
use crate::model::create::CreateOptions;

fn unsupported(flag: &str, why: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{flag} is not supported: {why}"))
}

/// Refuses what this version cannot do, and values that no version can.
///
/// # Errors
/// The first such option.
pub(super) fn check(o: &CreateOptions) -> Result<(), Error> {
    if let Some(runtime) = &o.runtime
        && !is_own(runtime)
    {
        return Err(unsupported(
            &format!("--runtime {runtime}"),
            "containers run by the runtime that is part of rcon",
        ));
    }
    podman_only(o)?;
    modes(o)?;
    Ok(())
}

/// Whether a runtime's name means our own: `runc` and `crun` are what docker and podman call the one that they have.
pub(in crate::engine) fn is_own(runtime: &str) -> bool {
    matches!(runtime, "" | "rcon" | "runc" | "crun" | "io.containerd.runc.v2")
}

fn podman_only(o: &CreateOptions) -> Result<(), Error> {
    if o.process.group_add.iter().any(|g| g == "keep-groups") {
        return Err(unsupported("--group-add=keep-groups", "it only makes sense rootless"));
    }
    Ok(())
}

fn modes(o: &CreateOptions) -> Result<(), Error> {
    match o.cgroups.as_deref() {
        None | Some("" | "enabled" | "disabled" | "no-conmon") => {}
        Some("split") => {
            return Err(unsupported(
                "--cgroups=split",
                "the caller's own cgroup would have to be emptied for it; --cgroup-parent names any other",
            ));
        }
        Some(other) => {
            return Err(invalid(format!(
                "invalid cgroup mode {other:?}: use enabled, disabled or no-conmon"
            )));
        }
    }
    match o.lifecycle.sdnotify.as_deref() {
        None | Some("ignore" | "container" | "conmon" | "healthy") => {}
        Some(other) => {
            return Err(invalid(format!(
                "invalid --sdnotify value {other:?}: use container, conmon, healthy or ignore"
            )));
        }
    }
    match o.personality.as_deref() {
        None | Some("LINUX" | "LINUX32") => Ok(()),
        Some(other) => Err(invalid(format!("invalid --personality value {other:?}: use LINUX or LINUX32"))),
    }
}
