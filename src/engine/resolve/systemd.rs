//! `--systemd`: whether a container is prepared for systemd as its first process: tmpfs on /run, /tmp and the journal,
//! its cgroup writable, the stop signal that systemd expects.

use super::invalid;
use crate::engine::error::Error;
use crate::model::process::ProcessSpec;

/// SIGRTMIN+3: "halt" to systemd.
pub(super) const STOP_SIGNAL: i32 = 37;

/// Names of the init programs that `true` (the default) means, as podman's.
const INITS: &[&str] =
    &["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init", "/bin/init", "/usr/bin/init"];

pub(super) fn resolve(wish: Option<&str>, process: &mut ProcessSpec) -> Result<bool, Error> {
    let on = match wish {
        Some("always") => true,
        None | Some("true" | "") => process.argv.first().is_some_and(|program| is_init(program)),
        Some("false") => false,
        Some(other) => {
            return Err(invalid(format!("invalid --systemd value {other:?}: use true, false or always")));
        }
    };
    if on && !process.env.iter().any(|e| e.starts_with("container=")) {
        // systemd finds out by it that it is in a container.
        process.env.push("container=oci".to_owned());
    }
    Ok(on)
}

fn is_init(program: &str) -> bool {
    INITS.contains(&program) || program.rsplit('/').next() == Some("systemd")
}
