//! Namespaces of the OCI spec, id mappings, and what depends on them: host name, sysctls.

use std::path::Path;

use oci_spec::runtime as oci;
use oci_spec::runtime::LinuxNamespaceType as Type;

use super::{Error, ResolvedFacts};
use crate::model::container::ContainerSpec;
use crate::model::namespace::{IdMap, NsMode, UserNsMode};
use crate::model::network::NetworkModeSpec;

/// The namespaces in the order in which a runtime enters them; those of the host are not named.
pub(super) fn namespaces(
    spec: &ContainerSpec,
    facts: &ResolvedFacts,
) -> Result<Vec<oci::LinuxNamespace>, Error> {
    let join = &facts.join;
    let ns = &spec.namespaces;
    let mut out = Vec::with_capacity(7);
    match &ns.user {
        UserNsMode::Host => {}
        UserNsMode::Mapped(_) => out.push(namespace(Type::User, None)),
        UserNsMode::Container(_) | UserNsMode::Path(_) => out.push(joined(Type::User, join.user.as_deref())?),
        UserNsMode::Other(word) => {
            return Err(Error::Unknown { what: "user namespace mode", word: word.clone() });
        }
    }
    out.push(namespace(Type::Mount, None));
    for (kind, mode, path) in [
        (Type::Pid, &ns.pid, &join.pid),
        (Type::Ipc, &ns.ipc, &join.ipc),
        (Type::Uts, &ns.uts, &join.uts),
        (Type::Cgroup, &ns.cgroup, &join.cgroup),
    ] {
        match mode {
            NsMode::Private | NsMode::Shareable | NsMode::None => out.push(namespace(kind, None)),
            NsMode::Host => {}
            NsMode::Container(_) | NsMode::Path(_) => out.push(joined(kind, path.as_deref())?),
        }
    }
    match &spec.network.mode {
        NetworkModeSpec::Bridge | NetworkModeSpec::None => {
            out.push(namespace(Type::Network, join.net.as_deref()));
        }
        NetworkModeSpec::Host => {}
        NetworkModeSpec::Container(_) | NetworkModeSpec::Path(_) => {
            out.push(joined(Type::Network, join.net.as_deref())?);
        }
    }
    Ok(out)
}

/// uid and gid mappings, where the container has a user namespace of its own.
pub(super) fn mappings(spec: &ContainerSpec) -> Option<(Vec<oci::LinuxIdMapping>, Vec<oci::LinuxIdMapping>)> {
    let UserNsMode::Mapped(maps) = &spec.namespaces.user else { return None };
    let convert = |ranges: &[IdMap]| {
        ranges
            .iter()
            .map(|r| {
                oci::LinuxIdMappingBuilder::default()
                    .container_id(r.inside)
                    .host_id(r.outside)
                    .size(r.count)
                    .build()
                    .expect("every part has a default")
            })
            .collect()
    };
    Some((convert(&maps.uids), convert(&maps.gids)))
}

/// Whether the container has this namespace to itself.
pub(super) fn owns(mode: &NsMode) -> bool {
    matches!(mode, NsMode::Private | NsMode::Shareable | NsMode::None)
}

/// Checks that each kernel parameter belongs to a namespace of the container: any other would change the
/// host (rule R15, cr8escape).
pub(super) fn check_sysctls(spec: &ContainerSpec) -> Result<(), Error> {
    const IPC: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.auto_msgmni",
        "kernel.msg_next_id",
        "kernel.sem_next_id",
        "kernel.shm_next_id",
    ];
    for (key, _) in spec.sysctls.iter().chain(&spec.unasked_sysctls) {
        let dotted = key.replace('/', ".");
        let refuse = |why| Err(Error::Sysctl { key: key.clone(), why });
        if dotted.split('.').any(|part| part.is_empty()) {
            return refuse("it is not a name of a kernel parameter");
        }
        if IPC.contains(&&*dotted) || dotted.starts_with("fs.mqueue.") {
            if !owns(&spec.namespaces.ipc) {
                return refuse("the container has no IPC namespace of its own");
            }
        } else if dotted.starts_with("net.") {
            if matches!(spec.network.mode, NetworkModeSpec::Host) {
                return refuse("the container uses the network of the host");
            }
        } else if dotted == "kernel.domainname" || dotted == "kernel.hostname" {
            if !owns(&spec.namespaces.uts) {
                return refuse("the container has no UTS namespace of its own");
            }
        } else if dotted.starts_with("user.") {
            if !matches!(spec.namespaces.user, UserNsMode::Mapped(_)) {
                return refuse("the container has no user namespace of its own");
            }
        } else {
            return refuse("it belongs to no namespace, so it would change the host");
        }
    }
    Ok(())
}

fn namespace(kind: Type, path: Option<&Path>) -> oci::LinuxNamespace {
    let mut n = oci::LinuxNamespace::default();
    n.set_typ(kind).set_path(path.map(Path::to_path_buf));
    n
}

fn joined(kind: Type, path: Option<&Path>) -> Result<oci::LinuxNamespace, Error> {
    let path = path.ok_or(match kind {
        Type::User => Error::Join("user"),
        Type::Pid => Error::Join("pid"),
        Type::Ipc => Error::Join("ipc"),
        Type::Uts => Error::Join("uts"),
        Type::Cgroup => Error::Join("cgroup"),
        Type::Network => Error::Join("network"),
        Type::Mount => Error::Join("mount"),
        Type::Time => Error::Join("time"),
    })?;
    Ok(namespace(kind, Some(path)))
}
