//! state, list, ps, and the numbers of events.

use std::path::Path;

use crate::runtime::Error;
use crate::runtime::state::{Container, Store};
use crate::sys::fd;

/// The state document of `state` and `list -f json`.
///
/// # Errors
/// A spec that cannot be read, a status that cannot be found out.
pub fn document(container: &Container) -> Result<serde_json::Value, Error> {
    let status = container.status()?;
    let state = &container.state;
    let spec = container.spec()?;
    let annotations = spec.annotations().clone().unwrap_or_default();
    Ok(serde_json::json!({
        "ociVersion": spec.version(),
        "id": state.id,
        "pid": container.pid(status),
        "status": status.word(),
        "bundle": state.bundle,
        "rootfs": state.rootfs,
        "created": state.created.to_string(),
        "annotations": annotations.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "owner": user_name(state.owner),
    }))
}

/// All containers; those that vanish meanwhile are left out.
#[must_use]
pub fn all(store: &Store) -> Vec<Container> {
    store.ids().iter().filter_map(|id| store.open(id).ok()).collect()
}

/// A user of the host by id, by the host's own file; its number where there is no name.
#[must_use]
pub fn user_name(uid: u32) -> String {
    let file = fd::read_file(Path::new("/etc/passwd")).unwrap_or_default();
    let text = String::from_utf8_lossy(&file);
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    };
    text.lines().find_map(of_line).unwrap_or_else(|| uid.to_string())
}

/// Output of the host's `ps` with these options.
///
/// # Errors
/// Where there is no such program, or it fails.
pub fn host_ps(options: &[String]) -> std::io::Result<String> {
    let output = std::process::Command::new("ps").args(options).output()?;
    if !output.status.success() {
        return Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
