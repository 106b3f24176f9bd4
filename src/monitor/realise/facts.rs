//! Facts that the OCI spec needs and that are looked up at each start: what this host can give, devices,
//! namespaces to join.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::model::container::{ContainerSpec, ProcessIdentity};
use crate::model::id::ContainerId;
use crate::model::namespace::{NsMode, UserNsMode};
use crate::model::network::NetworkModeSpec;
use crate::model::process::Rlimit;
use crate::monitor::proto::{Failure, FailureKind};
use crate::runtime::cgroup::Layout;
use crate::runtime::oci::{BlockNumbers, HostFacts, Join};
use crate::runtime::{cdi, devices};
use crate::storage::{Paths, volatile};
use crate::sys::{caps, fd, limits, ns, process};

const CAP_SYS_RESOURCE: u32 = 24;

/// What this host can give to a process with these limits.
pub(in crate::monitor) fn host(
    spec: &ContainerSpec,
    rlimits: &[Rlimit],
    cgroups: Layout,
    oom_score_adj: Option<i32>,
) -> Result<HostFacts, Failure> {
    let failed = |e| Failure::internal("looking at what this host can do", &e);
    let (_, permitted, _) = caps::get().map_err(failed)?;
    let mut hard = Vec::with_capacity(rlimits.len());
    for limit in rlimits {
        if let Some(resource) = limits::Resource::parse(&limit.kind) {
            hard.push((limit.kind.clone(), limits::rlimit(resource).map_err(failed)?.1));
        }
    }
    Ok(HostFacts {
        cgroups,
        rlimits: hard,
        raise_rlimits: permitted.contains(CAP_SYS_RESOURCE),
        capabilities: permitted.names(),
        oom_score_adj,
        cpus: throttled_cpus(),
        // Looked at only where it matters: each is a file to read.
        apparmor: spec.security.apparmor.is_some()
            && fd::read_file(Path::new("/sys/module/apparmor/parameters/enabled")).is_ok_and(|t| t == b"Y\n"),
        selinux: spec.security.selinux_label.is_some() && Path::new("/sys/fs/selinux/status").exists(),
    })
}

/// Number of CPUs whose thermal counters must be masked: none where the machine shows no such counters.
fn throttled_cpus() -> usize {
    if !Path::new("/sys/devices/system/cpu/cpu0/thermal_throttle").exists() {
        return 0;
    }
    let text = fd::read_file(Path::new("/sys/devices/system/cpu/possible")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.trim_end().rsplit(['-', ',']).next().and_then(|n| n.parse::<usize>().ok());
    last.map_or(1, |n| n + 1)
}

/// Devices asked for, and with `--privileged` all of the host's.
pub(super) fn devices(spec: &ContainerSpec) -> Result<Vec<devices::Node>, Failure> {
    let failed = |e| Failure::of(FailureKind::NotFound, "adding devices", &e);
    let mut out =
        if spec.security.privileged { devices::host_devices().map_err(failed)? } else { Vec::new() };
    if spec.systemd {
        // systemd would start a getty on each and fight with the host's for the terminal.
        out.retain(|node| !is_virtual_terminal(&node.path));
    }
    for request in spec.devices.iter().filter(|d| !cdi::is_name(&d.host)) {
        for node in devices::lookup(request).map_err(failed)? {
            out.retain(|have| have.path != node.path);
            out.push(node);
        }
    }
    Ok(out)
}

/// `/dev/tty1` and the like.
fn is_virtual_terminal(path: &str) -> bool {
    let number = path.strip_prefix("/dev/tty").unwrap_or_default();
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// Numbers of the block devices that I/O limits name.
pub(in crate::monitor) fn blocks(
    limits: &crate::model::resources::Resources,
) -> Result<BlockNumbers, Failure> {
    let mut out = BlockNumbers::new();
    let all = [
        &limits.blkio_weight_device,
        &limits.read_bps,
        &limits.write_bps,
        &limits.read_iops,
        &limits.write_iops,
    ];
    for device in all.into_iter().flatten() {
        let (major, minor) = devices::block_numbers(&device.path)
            .map_err(|e| Failure::of(FailureKind::NotFound, "looking up the devices of I/O limits", &e))?;
        out.push((device.path.clone(), major, minor));
    }
    Ok(out)
}

/// The cgroup of a container: `<parent>/<id>`, or what the systemd driver understands for a slice.
pub(in crate::monitor) fn cgroup_path(spec: &ContainerSpec) -> String {
    let parent = spec.cgroup_parent.as_str();
    let id = spec.id.as_str();
    if !spec.cgroups {
        String::new()
    } else if parent.ends_with(".slice") && !parent.contains('/') {
        format!("{parent}:rcon:{id}")
    } else if parent.is_empty() {
        format!("{}/{id}", crate::runtime::defaults::CGROUP_PARENT)
    } else {
        format!("/{}/{id}", parent.trim_matches('/'))
    }
}

/// Namespaces to join, held open: what a path `/proc/PID/ns/…` means could change until it is used.
#[derive(Debug, Default)]
pub(super) struct Joined {
    pub(super) paths: Join,
    held: Vec<OwnedFd>,
}

impl Joined {
    /// Opens all that the spec wants to share.
    pub(super) fn open(spec: &ContainerSpec, paths: &Paths) -> Result<Self, Failure> {
        let mut joined = Self::default();
        let wanted = &spec.namespaces;
        for (mode, kind) in [
            (&wanted.pid, ns::Kind::Pid),
            (&wanted.ipc, ns::Kind::Ipc),
            (&wanted.uts, ns::Kind::Uts),
            (&wanted.cgroup, ns::Kind::Cgroup),
        ] {
            let path = match mode {
                NsMode::Container(text) => Some(joined.of_container(&parse(text)?, kind, paths)?),
                NsMode::Path(path) => Some(joined.of_path(path, kind)?),
                NsMode::Private | NsMode::Host | NsMode::Shareable | NsMode::None => None,
            };
            *joined.slot(kind) = path;
        }
        joined.paths.net = match &spec.network.mode {
            NetworkModeSpec::Container(id) => Some(joined.of_container(id, ns::Kind::Net, paths)?),
            NetworkModeSpec::Path(path) => Some(joined.of_path(path, ns::Kind::Net)?),
            NetworkModeSpec::Bridge | NetworkModeSpec::None | NetworkModeSpec::Host => None,
        };
        joined.paths.user = match &wanted.user {
            UserNsMode::Container(text) => Some(joined.of_container(&parse(text)?, ns::Kind::User, paths)?),
            UserNsMode::Path(path) => Some(joined.of_path(path, ns::Kind::User)?),
            UserNsMode::Host | UserNsMode::Mapped(_) | UserNsMode::Other(_) => None,
        };
        Ok(joined)
    }

    fn slot(&mut self, kind: ns::Kind) -> &mut Option<PathBuf> {
        match kind {
            ns::Kind::Pid => &mut self.paths.pid,
            ns::Kind::Ipc => &mut self.paths.ipc,
            ns::Kind::Uts => &mut self.paths.uts,
            ns::Kind::Cgroup => &mut self.paths.cgroup,
            ns::Kind::User => &mut self.paths.user,
            _ => &mut self.paths.net,
        }
    }

    fn of_container(&mut self, id: &ContainerId, kind: ns::Kind, paths: &Paths) -> Result<PathBuf, Failure> {
        let init = running(id, paths)?;
        // The process is the one we mean, the namespace is opened, and the process is still that one.
        let handle = process::open_identity(&init).map_err(|e| gone(id, &e))?;
        let file = ns::open_of(init.pid, kind).map_err(|e| gone(id, &e))?;
        if !handle.is_running().unwrap_or(false) {
            return Err(not_running(id));
        }
        Ok(self.hold(file))
    }

    fn of_path(&mut self, path: &str, kind: ns::Kind) -> Result<PathBuf, Failure> {
        let file = ns::open_path(Path::new(path), kind).map_err(|e| {
            Failure::of(FailureKind::NotFound, format!("opening the {} namespace {path}", kind.file()), &e)
        })?;
        Ok(self.hold(file))
    }

    fn hold(&mut self, file: OwnedFd) -> PathBuf {
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.held.push(file);
        path
    }
}

/// The first process of a running container.
pub(super) fn running(id: &ContainerId, paths: &Paths) -> Result<ProcessIdentity, Failure> {
    let phase = volatile::read_phase(paths, id)
        .map_err(|e| Failure::internal(format!("asking for container {}", id.short()), &e))?;
    match phase.as_ref().and_then(|p| p.running()) {
        Some(running) => Ok(running.init),
        None => Err(not_running(id)),
    }
}

fn parse(text: &str) -> Result<ContainerId, Failure> {
    text.parse().map_err(|e| Failure::of(FailureKind::Invalid, "joining a container's namespace", &e))
}

fn not_running(id: &ContainerId) -> Failure {
    let text = format!("cannot join the namespaces of container {}: it is not running", id.short());
    Failure::plain(FailureKind::State, text).hint(format!("start it first: rcon start {}", id.short()))
}

fn gone(id: &ContainerId, error: &crate::sys::Error) -> Failure {
    Failure::of(FailureKind::State, format!("joining the namespaces of container {}", id.short()), error)
}
