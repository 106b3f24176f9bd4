//! The cgroup of a container of a bundle: its path, who makes it, and when there is none.

use oci_spec::runtime::{LinuxNamespaceType, LinuxResources, Spec};

use super::create::Request;
use crate::runtime::Error;
use crate::runtime::bundle::Bundle;
use crate::runtime::cgroup::{Cgroup, Manager, Unit};

/// Who makes the cgroup of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroups {
    /// We do, by the files of the hierarchies.
    Files,
    /// systemd does, at our wish.
    Systemd,
    /// It has none, and stays in that of the caller.
    None,
}

/// Makes it, its limits in force.
pub(in crate::runtime) fn make_cgroup(
    bundle: &Bundle,
    request: &Request<'_>,
) -> Result<Option<Cgroup>, Error> {
    let linux = bundle.spec.linux().as_ref();
    let given = linux.and_then(|l| l.cgroups_path().as_ref()).map(|p| p.to_string_lossy().into_owned());
    let path_given = given.as_ref().is_some_and(|p| !p.is_empty());
    let systemd = request.cgroups == Cgroups::Systemd;
    if request.cgroups == Cgroups::None {
        return without_cgroup(linux);
    }
    if systemd && !crate::runtime::cgroup::systemd_runs() {
        return Err(Error::refused("--systemd-cgroup: systemd not running on this host, leave the flag out"));
    }
    let path = match given.filter(|p| !p.is_empty()) {
        Some(path) if systemd || path.starts_with('/') => path,
        Some(path) => format!("/{path}"),
        None if systemd => format!(":rcon:{}", request.id),
        None => format!("/{}", request.id),
    };
    let resources = linux.and_then(|l| l.resources().clone()).unwrap_or_default();
    let asked = resources != LinuxResources::default();
    let manager = match Manager::detect() {
        // Nothing is mounted, and nothing is asked for.
        Err(crate::runtime::cgroup::Error::NotMounted) if !asked => return Ok(None),
        manager => manager?,
    };
    refuse_frozen(&manager, &path)?;
    let unit = match systemd {
        true => Unit::of_bundle(bundle.spec.annotations().as_ref())?,
        false => Unit::default(),
    };
    let made = manager.create_unit(&path, &resources, unit);
    let Some((e, kind)) =
        made.as_ref().err().and_then(|e| Some((e, e.denied()?))).filter(|_| request.rootless)
    else {
        return Ok(Some(made?));
    };
    if path_given {
        return Err(Error::refused(format!("unable to apply cgroup configuration: {e}: {kind}")));
    }
    if let Some(limit) = first_limit(&resources) {
        let what = format!("cannot set {limit} limit: container could not join or create cgroup");
        return Err(Error::spec(format!("linux.resources.{limit}"), format!("{what}: {e}: {kind}")));
    }
    // As for anybody without root who asks for nothing but a container.
    tracing::debug!("no cgroup is made: {e}: {kind}");
    if !super::delete::ends_with_init(&bundle.spec) {
        tracing::warn!(
            "the container has neither a cgroup nor a pid namespace of its own, and what it starts may outlive it. \
             Such configuration is strongly discouraged"
        );
    }
    Ok(None)
}

/// No cgroup was wanted; what only a cgroup can hold to is refused.
fn without_cgroup(linux: Option<&oci_spec::runtime::Linux>) -> Result<Option<Cgroup>, Error> {
    let resources = linux.and_then(|l| l.resources().clone()).unwrap_or_default();
    // The rules of devices are in every configuration, and whoever disables cgroups knows that they go with them.
    if resources.devices().as_ref().is_some_and(|rules| !rules.is_empty()) {
        tracing::warn!("linux.resources.devices has no effect: the cgroup manager is disabled");
    }
    if let Some(limit) = first_limit(&resources) {
        return Err(Error::spec(
            format!("linux.resources.{limit}"),
            "limits need a cgroup, and the cgroup manager is disabled",
        ));
    }
    Ok(None)
}

/// The first thing but rules of devices that is asked for, by its field.
fn first_limit(resources: &LinuxResources) -> Option<&'static str> {
    let fields = [
        ("memory", resources.memory().is_some()),
        ("cpu", resources.cpu().is_some()),
        ("pids", resources.pids().is_some()),
        ("blockIO", resources.block_io().is_some()),
        ("hugepageLimits", resources.hugepage_limits().as_ref().is_some_and(|l| !l.is_empty())),
        ("network", resources.network().is_some()),
        ("rdma", resources.rdma().as_ref().is_some_and(|r| !r.is_empty())),
        ("unified", resources.unified().as_ref().is_some_and(|u| !u.is_empty())),
    ];
    fields.iter().find(|(_, asked)| *asked).map(|(field, _)| *field)
}

/// The host's user who is the container's: it gets the cgroup where it has that to itself, a namespace around it and a
/// view that it may write to, as the spec has it.
pub(super) fn cgroup_owner(spec: &Spec) -> Option<u32> {
    let linux = spec.linux().as_ref()?;
    let namespaces = linux.namespaces().as_deref().unwrap_or_default();
    let new = |kind| namespaces.iter().any(|n| n.typ() == kind && n.path().is_none());
    if !new(LinuxNamespaceType::Cgroup) || !new(LinuxNamespaceType::User) {
        return None;
    }
    let writable = spec.mounts().iter().flatten().any(|m| {
        let read_only = m.options().iter().flatten().any(|o| o == "ro" || o == "rro");
        matches!(m.typ().as_deref(), Some("cgroup" | "cgroup2")) && !read_only
    });
    let uid = spec.process().as_ref().filter(|_| writable)?.user().uid();
    let maps = linux.uid_mappings().as_deref().unwrap_or_default();
    let map = maps.iter().find(|m| m.container_id() <= uid && uid - m.container_id() < m.size())?;
    Some(map.host_id() + (uid - map.container_id()))
}

/// A cgroup that is frozen already would never let its first process do anything.
fn refuse_frozen(manager: &Manager, path: &str) -> Result<(), Error> {
    match manager.open(path) {
        Ok(there) if there.is_frozen().unwrap_or(false) => {
            Err(Error::refused(format!("container's cgroup unexpectedly frozen: {path}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_cgroup_is_given_to_who_has_it_to_itself() {
        let whole = json!({
            "ociVersion": "1.2.0",
            "process": { "cwd": "/", "user": { "uid": 5, "gid": 5 } },
            "mounts": [{ "destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["nosuid"] }],
            "linux": {
                "namespaces": [{ "type": "cgroup" }, { "type": "user" }],
                "uidMappings": [{ "containerID": 0, "hostID": 100_000, "size": 1000 }],
            },
        });
        let of = |change: &dyn Fn(&mut Value)| {
            let mut spec = whole.clone();
            change(&mut spec);
            cgroup_owner(&serde_json::from_value(spec).unwrap())
        };
        assert_eq!(of(&|_| {}), Some(100_005));
        assert_eq!(of(&|s| s["mounts"][0]["options"] = json!(["ro"])), None);
        assert_eq!(of(&|s| s["mounts"] = json!([])), None);
        assert_eq!(of(&|s| s["linux"]["namespaces"] = json!([{ "type": "user" }])), None);
        assert_eq!(of(&|s| s["linux"]["namespaces"] = json!([{ "type": "cgroup" }])), None);
        assert_eq!(of(&|s| s["linux"]["namespaces"][0]["path"] = json!("/proc/1/ns/cgroup")), None);
        assert_eq!(of(&|s| s["process"]["user"]["uid"] = json!(1000)), None);
    }
}
