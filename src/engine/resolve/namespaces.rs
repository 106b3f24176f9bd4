//! Namespaces and the host name.

use super::world::World;
use super::{Inputs, invalid, userns};
use crate::engine::error::Error;
use crate::model::namespace::{NamespaceOptions, NamespaceSpec, NsKind, NsMode};
use crate::model::network::{NetworkModeSpec, NetworkSpec};

pub(super) fn resolve(inputs: &Inputs<'_>) -> Result<NamespaceSpec, Error> {
    let world = inputs.world;
    let NamespaceOptions { pid, ipc, uts, cgroup, user, subuid_name, subgid_name } =
        &inputs.options.namespaces;
    // What the caller does not say, containers.conf may.
    let config = &inputs.config.containers;
    let or = |said: &Option<NsMode>, kind, configured: &Option<String>| match (said, configured) {
        (None, Some(text)) => {
            NsMode::parse(kind, text).map_err(|e| Error::from(e).context("reading containers.conf"))
        }
        _ => Ok(said.clone()),
    };
    let pid = &or(pid, NsKind::Pid, &config.pidns)?;
    let ipc = &or(ipc, NsKind::Ipc, &config.ipcns)?;
    let uts = &or(uts, NsKind::Uts, &config.utsns)?;
    let cgroup = &or(cgroup, NsKind::Cgroup, &config.cgroupns)?;
    Ok(NamespaceSpec {
        pid: mode("--pid", pid.as_ref(), world)?,
        ipc: match ipc {
            Some(NsMode::Shareable | NsMode::None) => ipc.clone().unwrap_or(NsMode::Private),
            Some(NsMode::Container(name)) => shared_ipc(name, world)?,
            other => mode("--ipc", other.as_ref(), world)?,
        },
        uts: mode("--uts", uts.as_ref(), world)?,
        cgroup: mode("--cgroupns", cgroup.as_ref(), world)?,
        user: userns::resolve(inputs, user.as_ref(), (subuid_name.as_deref(), subgid_name.as_deref()))?,
    })
}

/// `--ipc=container:`: one that was told to keep its IPC to itself is not joined. By default it may be, as in podman.
fn shared_ipc(name: &str, world: &dyn World) -> Result<NsMode, Error> {
    let other = world.container(name)?;
    if other.private_ipc {
        return Err(invalid(format!(
            "joining the IPC of container {name} is not allowed: non-shareable IPC (hint: use IpcMode:shareable for the donor \
             container)"
        )));
    }
    Ok(NsMode::Container(other.id.as_str().to_owned()))
}

fn mode(flag: &str, wish: Option<&NsMode>, world: &dyn World) -> Result<NsMode, Error> {
    match wish {
        None => Ok(NsMode::Private),
        Some(NsMode::Container(name)) => Ok(NsMode::Container(world.container(name)?.id.as_str().to_owned())),
        Some(NsMode::Path(path)) if !path.starts_with('/') => {
            Err(invalid(format!("{flag} ns:{path}: the path must be absolute")))
        }
        Some(NsMode::Shareable | NsMode::None) => {
            Err(invalid(format!("{flag}: shareable and none are for --ipc only")))
        }
        Some(m @ (NsMode::Private | NsMode::Host | NsMode::Path(_))) => Ok(m.clone()),
    }
}

/// Host name and domain name inside.
pub(super) fn hostname(
    inputs: &Inputs<'_>,
    namespaces: &NamespaceSpec,
    network: &NetworkSpec,
) -> Result<(String, String), Error> {
    let o = inputs.options;
    let domain = o.domainname.clone().unwrap_or_default();
    if !domain.is_empty() && !matches!(namespaces.uts, NsMode::Private) {
        return Err(invalid("conflicting options: domainname and the UTS mode"));
    }
    if let Some(name) = o.hostname.as_deref().filter(|n| !n.is_empty()) {
        if matches!(network.mode, NetworkModeSpec::Container(_)) {
            return Err(invalid("conflicting options: hostname and the network mode"));
        }
        if !matches!(namespaces.uts, NsMode::Private) {
            return Err(invalid("conflicting options: hostname and the UTS mode"));
        }
        if name.len() > 64 || name.bytes().any(|b| b.is_ascii_whitespace() || b == b'/' || b == 0) {
            return Err(invalid(format!(
                "invalid hostname {name:?}: at most 64 bytes, no spaces and no slashes"
            )));
        }
        return Ok((name.to_owned(), domain));
    }
    let name = match (&namespaces.uts, &network.mode) {
        (NsMode::Host, _) | (_, NetworkModeSpec::Host) => inputs.world.hostname(),
        (NsMode::Container(id), _) => inputs.world.container(id)?.hostname,
        (_, NetworkModeSpec::Container(id)) => inputs.world.container(id.as_str())?.hostname,
        // The kernel has room for 64 bytes; names are of ASCII.
        _ if inputs.config.containers.name_as_hostname => {
            inputs.name.replace('_', "").chars().take(64).collect()
        }
        _ => inputs.id.short().to_owned(),
    };
    Ok((name, domain))
}
