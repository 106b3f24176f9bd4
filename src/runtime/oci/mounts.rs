//! Mounts of the OCI spec: docker's system mounts, then the container's own in order of target depth.
//!
//! A mount of the user replaces a system mount at the same target; one at /dev replaces everything that
//! docker would mount below it.

use std::path::Path;

use oci_spec::runtime as oci;

use super::namespaces::owns;
use super::{Error, HostFacts, ResolvedFacts};
use crate::model::container::ContainerSpec;
use crate::model::mount::{MountKind, MountSpec};
use crate::model::namespace::{NsMode, UserNsMode};
use crate::model::network::NetworkModeSpec;
use crate::runtime::cgroup::Layout;

/// All mounts, in the order in which they are made.
pub(super) fn mounts(
    spec: &ContainerSpec,
    host: &HostFacts,
    facts: &ResolvedFacts,
) -> Result<Vec<oci::Mount>, Error> {
    let own_dev = spec.mounts.iter().any(|m| m.target == "/dev");
    let mut all: Vec<oci::Mount> = system(spec, host, facts)
        .into_iter()
        .filter(|m| {
            let target = m.destination().to_string_lossy();
            !(own_dev && target.starts_with("/dev/") || spec.mounts.iter().any(|own| own.target == target))
        })
        .collect();
    let mut own = Vec::with_capacity(spec.mounts.len() + facts.files.len());
    for (source, target, read_only) in &facts.files {
        if !spec.mounts.iter().any(|m| m.target == *target) {
            own.push(bind(source, target, *read_only));
        }
    }
    for (i, m) in spec.mounts.iter().enumerate() {
        if spec.mounts[..i].iter().any(|before| before.target == m.target) {
            return Err(Error::DuplicateMount(m.target.clone()));
        }
        own.push(user_mount(m, facts)?);
    }
    own.extend(conveniences(spec));
    // Parents before children; among equals the order in which they were given.
    own.sort_by_key(|m| m.destination().components().count());
    all.extend(own);
    Ok(all)
}

/// Propagation of the root: a mount that shall receive or send events needs a root that lets them through.
pub(super) fn root_propagation(spec: &ContainerSpec) -> Option<String> {
    let any = |words: [&str; 2]| spec.mounts.iter().any(|m| words.contains(&&*m.propagation));
    if any(["shared", "rshared"]) {
        Some("shared".to_owned())
    } else if any(["slave", "rslave"]) {
        Some("rslave".to_owned())
    } else {
        None
    }
}

/// /proc, /dev, /sys and what lies below them.
fn system(spec: &ContainerSpec, host: &HostFacts, facts: &ResolvedFacts) -> Vec<oci::Mount> {
    let read_only_dev = spec.root.read_only && !spec.root.read_only_tmpfs;
    let mut out = vec![proc(spec)];
    let mut dev = words(&["nosuid", "strictatime", "mode=755", "size=65536k"]);
    if read_only_dev {
        dev.push("ro".to_owned());
    }
    out.push(mount("/dev", "tmpfs", "tmpfs", dev));
    out.push(mount("/dev/pts", "devpts", "devpts", devpts(&spec.namespaces.user)));
    out.push(sys(spec));
    if host.cgroups != Layout::None {
        let writable = spec.security.privileged
            || (spec.systemd || spec.security.writable_cgroups) && owns(&spec.namespaces.cgroup);
        let access = if writable { "rw" } else { "ro" };
        let options = words(&[access, "nosuid", "noexec", "nodev", "relatime"]);
        out.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", options));
    }
    out.extend(ipc(spec, facts, read_only_dev));
    out
}

fn proc(spec: &ContainerSpec) -> oci::Mount {
    // A procfs instance of the host's pid namespace cannot be made from inside another user namespace.
    if spec.namespaces.pid == NsMode::Host && spec.namespaces.user != UserNsMode::Host {
        return mount("/proc", "bind", "/proc", words(&["rbind", "nosuid", "noexec", "nodev"]));
    }
    let mut options = words(&["nosuid", "noexec", "nodev"]);
    options.extend(spec.security.proc_opts.iter().cloned());
    mount("/proc", "proc", "proc", options)
}

fn sys(spec: &ContainerSpec) -> oci::Mount {
    let access = if spec.security.privileged { "rw" } else { "ro" };
    let foreign_net = !matches!(spec.network.mode, NetworkModeSpec::Bridge | NetworkModeSpec::None);
    // Likewise for a sysfs, which shows a network namespace.
    if foreign_net && spec.namespaces.user != UserNsMode::Host {
        return mount(
            "/sys",
            "bind",
            "/sys",
            words(&["rbind", "rslave", "nosuid", "noexec", "nodev", access]),
        );
    }
    mount("/sys", "sysfs", "sysfs", words(&["nosuid", "noexec", "nodev", access]))
}

/// The tty group is 5 on every distribution; a user namespace that does not map it cannot name it.
fn devpts(user: &UserNsMode) -> Vec<String> {
    let mut options = words(&["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]);
    let mapped = match user {
        UserNsMode::Mapped(maps) => maps.gids.iter().any(|m| (m.inside..m.inside + m.count).contains(&5)),
        UserNsMode::Host | UserNsMode::Other(_) | UserNsMode::Container(_) | UserNsMode::Path(_) => true,
    };
    if mapped {
        options.push("gid=5".to_owned());
    }
    options
}

/// Message queues and shared memory: the container's own, the host's or another container's.
fn ipc(spec: &ContainerSpec, facts: &ResolvedFacts, read_only: bool) -> Vec<oci::Mount> {
    let queue = words(&["nosuid", "noexec", "nodev"]);
    let shared = |source: &Path| {
        let options = words(&["bind", "rprivate", "nosuid", "noexec", "nodev", "rw"]);
        mount("/dev/shm", "bind", &source.to_string_lossy(), options)
    };
    match &spec.namespaces.ipc {
        NsMode::Host => vec![
            // The file system shows the queues of the namespace that mounts it; the host need not have it mounted.
            mount("/dev/mqueue", "mqueue", "mqueue", queue),
            shared(Path::new("/dev/shm")),
        ],
        NsMode::None => vec![mount("/dev/mqueue", "mqueue", "mqueue", queue)],
        NsMode::Private | NsMode::Shareable | NsMode::Container(_) | NsMode::Path(_) => {
            let shm = match &facts.shm {
                Some(source) => shared(source),
                None => {
                    let mut options = words(&["nosuid", "noexec", "nodev", "mode=1777"]);
                    options.push(format!("size={}", spec.shm_size));
                    if read_only {
                        options.push("ro".to_owned());
                    }
                    mount("/dev/shm", "tmpfs", "shm", options)
                }
            };
            vec![mount("/dev/mqueue", "mqueue", "mqueue", queue), shm]
        }
    }
}

/// tmpfs mounts that `--read-only` and `--systemd` bring, unless something is mounted there already.
fn conveniences(spec: &ContainerSpec) -> Vec<oci::Mount> {
    let mut wanted: Vec<(&str, &[&str])> = Vec::new();
    let size = spec.shm_size_systemd.map(|bytes| format!("size={bytes}"));
    let of_systemd = if spec.systemd { 4 } else { 0 };
    if spec.systemd {
        wanted.extend([
            ("/run", &["mode=755", "nosuid", "nodev"][..]),
            ("/run/lock", &["mode=1777", "nosuid", "nodev", "noexec"][..]),
            ("/tmp", &["mode=1777", "nosuid", "nodev"][..]),
            ("/var/log/journal", &["mode=755", "nosuid", "nodev"][..]),
        ]);
    }
    if spec.root.read_only && spec.root.read_only_tmpfs {
        wanted.extend([
            ("/run", &["mode=755", "nosuid", "nodev", "tmpcopyup"][..]),
            ("/tmp", &["mode=1777", "nosuid", "nodev", "tmpcopyup"][..]),
            ("/var/tmp", &["mode=1777", "nosuid", "nodev", "tmpcopyup"][..]),
        ]);
    }
    let mut out: Vec<oci::Mount> = Vec::new();
    for (n, (target, options)) in wanted.into_iter().enumerate() {
        let taken = spec.mounts.iter().any(|m| m.target == target)
            || out.iter().any(|m| m.destination() == Path::new(target));
        if !taken {
            let mut options = words(options);
            options.extend(size.clone().filter(|_| n < of_systemd));
            out.push(mount(target, "tmpfs", "tmpfs", options));
        }
    }
    out
}

/// One mount of the container's spec. Its parts are taken apart whole, so that a new one is not forgotten.
fn user_mount(m: &MountSpec, facts: &ResolvedFacts) -> Result<oci::Mount, Error> {
    let MountSpec {
        kind,
        name: _,
        source,
        target,
        read_only,
        read_only_below,
        recursive,
        propagation,
        flags,
        copy_up,
        give: _,
        anonymous: _,
        chown,
        overlay,
        idmap,
        layers: _,
        subpath,
    } = m;
    let prepared = facts.sources.iter().find(|(t, _)| t == target).map(|(_, s)| s.to_string_lossy());
    let mut options = Vec::with_capacity(flags.len() + 4);
    let access = match (*read_only, *read_only_below) {
        (true, true) => "rro",
        (true, false) => "ro",
        (false, _) => "rw",
    };
    let (kind, source) = match kind {
        MountKind::Tmpfs => ("tmpfs", "tmpfs".into()),
        MountKind::Ramfs => ("ramfs", "ramfs".into()),
        MountKind::Devpts => ("devpts", "devpts".into()),
        MountKind::Glob => return Err(Error::Conflict("a glob mount must be expanded before the start")),
        MountKind::Bind | MountKind::Volume | MountKind::Image => {
            if (*kind == MountKind::Image || overlay.is_some() || subpath.is_some()) && prepared.is_none() {
                return Err(Error::Unprepared(target.clone()));
            }
            options.push(if *recursive { "rbind" } else { "bind" }.to_owned());
            options.push(propagation.clone());
            ("bind", prepared.unwrap_or_else(|| source.as_str().into()))
        }
    };
    options.push(access.to_owned());
    if m.kind == MountKind::Tmpfs && *copy_up {
        options.push("tmpcopyup".to_owned());
    }
    if matches!(m.kind, MountKind::Tmpfs | MountKind::Ramfs) {
        // docker's and podman's defaults; `exec`, `suid` and `dev` among the flags take them back.
        // Device nodes go to /dev, so they must work there.
        let careful = ["nosuid", "nodev", "noexec"].into_iter().filter(|f| *f != "nodev" || target != "/dev");
        options.extend(careful.map(str::to_owned));
        if propagation != "rprivate" {
            options.push(propagation.clone());
        }
    }
    if matches!(m.kind, MountKind::Tmpfs) && *chown {
        options.extend([format!("uid={}", facts.user.uid), format!("gid={}", facts.user.gid)]);
    }
    options.extend(flags.iter().filter(|f| *f != "ro" && *f != "rw").cloned());
    match idmap.as_deref() {
        None => {}
        Some("") => options.push("idmap".to_owned()),
        Some(maps) => options.push(format!("idmap={maps}")),
    }
    Ok(mount(target, kind, &source, options))
}

fn bind(source: &Path, target: &str, read_only: bool) -> oci::Mount {
    let access = if read_only { "ro" } else { "rw" };
    mount(target, "bind", &source.to_string_lossy(), words(&["rbind", "rprivate", access]))
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|w| (*w).to_owned()).collect()
}

fn mount(target: &str, kind: &str, source: &str, options: Vec<String>) -> oci::Mount {
    let mut m = oci::Mount::default();
    m.set_destination(target.into())
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(options));
    m
}
