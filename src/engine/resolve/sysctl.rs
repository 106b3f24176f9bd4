//! Kernel parameters: only namespaced ones, and only where the container has that namespace of its own.

use super::{Inputs, invalid};
use crate::engine::error::Error;
use crate::model::namespace::{NamespaceSpec, NsMode, UserNsMode};
use crate::model::network::{NetworkModeSpec, NetworkSpec};

const IPC: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

pub(super) fn resolve(
    inputs: &Inputs<'_>,
    namespaces: &NamespaceSpec,
    network: &NetworkSpec,
) -> Result<Vec<(String, String)>, Error> {
    let shared_ipc = !matches!(namespaces.ipc, NsMode::Private | NsMode::Shareable | NsMode::None);
    let shared_uts = !matches!(namespaces.uts, NsMode::Private);
    let shared_net = matches!(network.mode, NetworkModeSpec::Host);
    let refused = |key: &str| -> Option<&'static str> {
        let name = key.replace('/', ".");
        if IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.") {
            shared_ipc.then_some("the container shares the IPC namespace")
        } else if name.starts_with("net.") {
            shared_net.then_some("the container uses the host's network namespace")
        } else if name == "kernel.domainname" || name == "kernel.hostname" {
            shared_uts.then_some("the container shares the UTS namespace")
        } else {
            Some("it is not namespaced and would change the host")
        }
    };
    let mut all = std::collections::BTreeMap::new();
    for (key, value) in &inputs.config.containers.default_sysctls {
        // A default that does not fit this container is left out; podman does the same.
        if refused(key).is_none() {
            all.insert(key.clone(), value.clone());
        }
    }
    for (key, value) in &inputs.options.sysctls {
        if let Some(why) = refused(key) {
            return Err(invalid(format!(
                "invalid argument \"{key}={value}\" for \"--sysctl\" flag: sysctl '{key}={value}' is not allowed: {why}"
            )));
        }
        all.insert(key.clone(), value.clone());
    }
    Ok(all.into_iter().collect())
}

/// What docker sets in a network namespace of the container's own: who is not root there may listen at any port, and
/// ping. podman sets what containers.conf says.
pub(super) fn unasked(
    inputs: &Inputs<'_>,
    namespaces: &NamespaceSpec,
    network: &NetworkSpec,
    asked: &[(String, String)],
) -> Vec<(String, String)> {
    let own = matches!(network.mode, NetworkModeSpec::Bridge | NetworkModeSpec::None);
    if inputs.config.podman || !own {
        return Vec::new();
    }
    let mut all = vec![("net.ipv4.ip_unprivileged_port_start", "0")];
    // In another user namespace not all of the groups exist.
    if namespaces.user == UserNsMode::Host {
        all.push(("net.ipv4.ping_group_range", "0 2147483647"));
    }
    let is_asked = |key: &str| asked.iter().any(|(k, _)| k.replace('/', ".") == key);
    all.into_iter().filter(|(k, _)| !is_asked(k)).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}
