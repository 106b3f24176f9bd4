//! From an OCI spec to what the child will do: everything checked, opened and written out before the
//! clone, so that a wrong spec fails in the parent and the child only acts.
//!
//! Sources of binds are opened here, as detached clones, in the caller's mount namespace and with
//! the caller's rights.

pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod options;
pub(crate) mod process;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    LinuxDeviceType, LinuxPersonalityDomain, MemoryPolicyFlagType, MemoryPolicyModeType, Spec,
};

use super::Error;
use super::cgroup::Cgroup;
use super::seccomp::Filter;
use super::spawn::{Request, Rootfs, StartOn, Stdio};
use crate::sys::mount::{self, Attributes, Propagation};
use crate::sys::{fd, self_exe};
use mounts::MountPlan;
use namespaces::NamespacePlan;
use process::ProcessPlan;

/// All that the child does, in the order of its fields where that matters.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub namespaces: NamespacePlan,
    /// The child waits for a word of the parent: cgroup joined, id maps written.
    pub waits: bool,
    /// Files by which the child joins its cgroup itself ([`super::cgroup::Cgroup::join_files`]).
    pub join_cgroup: Vec<OwnedFd>,
    pub parent_death_signal: Option<i32>,
    /// Detached mount that becomes the root.
    pub rootfs: OwnedFd,
    pub root_read_only: bool,
    pub root_propagation: Option<(Propagation, bool)>,
    pub mounts: Vec<MountPlan>,
    /// Make device nodes and links below /dev (not when a host's /dev is bound there).
    pub set_up_dev: bool,
    pub devices: Vec<DevicePlan>,
    pub masked: Vec<PathBuf>,
    pub read_only: Vec<PathBuf>,
    /// A detached clone of the host's /dev/null, verified: the source of masks of files.
    pub null: Option<OwnedFd>,
    pub hostname: Option<&'a str>,
    pub domainname: Option<&'a str>,
    /// Path below /proc/sys and text.
    pub sysctls: Vec<(PathBuf, &'a str)>,
    pub personality: Option<u32>,
    pub memory_policy: Option<(i32, Vec<u64>)>,
    pub hooks_outside: bool,
    pub hooks: super::hooks::InContainer<'a>,
    pub process: ProcessPlan,
    pub stdio: Stdio<'a>,
    pub preserved: &'a [BorrowedFd<'a>],
    pub seccomp: Option<&'a Filter>,
    pub start_on: StartOn<'a>,
    /// Our own program, where it shall be the first process.
    pub reaper: Option<OwnedFd>,
}

/// A device node to make.
#[derive(Debug)]
pub(crate) struct DevicePlan {
    pub path: PathBuf,
    /// `S_IFCHR`, `S_IFBLK`, `S_IFIFO` and permissions.
    pub mode: u32,
    pub device: u64,
    pub uid: u32,
    pub gid: u32,
    /// The host's node as a detached mount: a user namespace may make none.
    pub host: Option<OwnedFd>,
}

impl<'a> Plan<'a> {
    /// Checks the spec and opens what it needs.
    pub(crate) fn new(request: &mut Request<'a>) -> Result<Self, Error> {
        let spec = request.spec;
        let Some(process) = spec.process() else { return Err(Error::spec("process", "there is none")) };
        let linux = spec.linux().as_ref().ok_or_else(|| Error::spec("linux", "there is none"))?;
        let namespaces = NamespacePlan::new(linux, &request.namespaces, request.cgroup)?;
        let root = spec.root().as_ref().ok_or_else(|| Error::spec("root", "there is none"))?;
        let root_propagation = root_propagation(linux.rootfs_propagation().as_deref())?;
        let prepared = std::mem::take(&mut request.mounts);
        let mounts = mounts::plan(spec, prepared, &namespaces, request.cgroup)?;
        let masked = linux.masked_paths().iter().flatten().map(PathBuf::from).collect::<Vec<_>>();
        unsupported(linux)?;
        let (join_cgroup, attached_by_parent) = way_into_cgroup(request.cgroup)?;
        Ok(Self {
            waits: namespaces.maps.is_some() || attached_by_parent,
            join_cgroup: join_cgroup.unwrap_or_default(),
            rootfs: rootfs(&request.rootfs, root_propagation)?,
            root_read_only: root.readonly().unwrap_or(false),
            root_propagation,
            mounts,
            set_up_dev: mounts::sets_up_dev(spec),
            devices: devices(linux.devices().as_deref().unwrap_or_default(), namespaces.maps.is_some())?,
            null: (!masked.is_empty()).then(null_source).transpose()?,
            masked,
            read_only: linux.readonly_paths().iter().flatten().map(PathBuf::from).collect(),
            hostname: spec.hostname().as_deref().filter(|h| !h.is_empty()),
            domainname: spec.domainname().as_deref().filter(|h| !h.is_empty()),
            sysctls: sysctls(spec, &namespaces)?,
            personality: linux.personality().as_ref().map(personality).transpose()?,
            memory_policy: linux.memory_policy().as_ref().map(memory_policy).transpose()?,
            hooks_outside: super::hooks::any_outside(spec),
            hooks: super::hooks::InContainer::new(request),
            process: ProcessPlan::new(process)?,
            stdio: request.stdio,
            preserved: request.preserved,
            seccomp: request.seccomp,
            start_on: request.start_on,
            reaper: request.init.then(self_exe::open).transpose()?,
            parent_death_signal: request.parent_death_signal,
            namespaces,
        })
    }
}

/// The files by which the child joins its cgroup, or whether the parent has to put it there; neither
/// where it is born in it.
pub(crate) fn way_into_cgroup(cgroup: Option<&Cgroup>) -> Result<(Option<Vec<OwnedFd>>, bool), Error> {
    match cgroup {
        Some(cgroup) if cgroup.clone_target().is_none() => {
            let files = cgroup.join_files()?;
            let by_parent = files.is_none();
            Ok((files, by_parent))
        }
        _ => Ok((None, false)),
    }
}

/// Fields that we know and refuse.
fn unsupported(linux: &oci_spec::runtime::Linux) -> Result<(), Error> {
    if linux.mount_label().as_ref().is_some_and(|l| !l.is_empty()) {
        return Err(Error::spec("linux.mountLabel", "labelling mounts is not supported"));
    }
    if linux.net_devices().as_ref().is_some_and(|d| !d.is_empty()) {
        return Err(Error::spec("linux.netDevices", "moving network devices is not supported"));
    }
    if linux.intel_rdt().is_some() && !Path::new("/sys/fs/resctrl/schemata").exists() {
        return Err(Error::spec("linux.intelRdt", "this machine has no resctrl file system mounted"));
    }
    if linux.intel_rdt().is_some() {
        return Err(Error::spec("linux.intelRdt", "not supported"));
    }
    Ok(())
}

/// The root as a detached mount, private for now: pivot_root takes no shared one.
fn rootfs(given: &Rootfs<'_>, wish: Option<(Propagation, bool)>) -> Result<OwnedFd, Error> {
    let path = match given {
        Rootfs::Mount(mount) => return Ok(fd::dup(mount, 3)?),
        Rootfs::Path(path) => *path,
    };
    let tree = mount::open_tree_path(path, true)?;
    let receives = wish.is_some_and(|(p, _)| matches!(p, Propagation::Shared | Propagation::Slave));
    let now = if receives { Propagation::Slave } else { Propagation::Private };
    mount::set_attributes(&tree, &Attributes { propagation: Some(now), ..Default::default() }, true)?;
    Ok(tree)
}

fn root_propagation(word: Option<&str>) -> Result<Option<(Propagation, bool)>, Error> {
    match word {
        None | Some("") => Ok(None),
        Some(word) => options::propagation(word)
            .map(Some)
            .ok_or_else(|| Error::spec("linux.rootfsPropagation", format!("unknown word {word:?}"))),
    }
}

/// The standard nodes and those of the spec; one of the spec replaces a standard one.
fn devices(given: &[oci_spec::runtime::LinuxDevice], bind: bool) -> Result<Vec<DevicePlan>, Error> {
    let mut out = Vec::with_capacity(given.len() + 6);
    for &(path, major, minor) in super::devices::DEFAULT_NODES {
        if !given.iter().any(|d| d.path() == Path::new(path)) {
            let device = libc::makedev(major, minor);
            let host = bind.then(|| host_device(Path::new(path), libc::S_IFCHR, device)).transpose()?;
            out.push(DevicePlan {
                path: path.into(),
                mode: libc::S_IFCHR | 0o666,
                device,
                uid: 0,
                gid: 0,
                host,
            });
        }
    }
    for (i, d) in given.iter().enumerate() {
        let kind = match d.typ() {
            LinuxDeviceType::C | LinuxDeviceType::U => libc::S_IFCHR,
            LinuxDeviceType::B => libc::S_IFBLK,
            LinuxDeviceType::P => libc::S_IFIFO,
            LinuxDeviceType::A => {
                return Err(Error::spec(format!("linux.devices[{i}].type"), "must be b, c, u or p"));
            }
        };
        let number = |n: i64, name| {
            u32::try_from(n).map_err(|_| {
                Error::spec(format!("linux.devices[{i}].{name}"), format!("{n} is out of range"))
            })
        };
        let device = if kind == libc::S_IFIFO {
            0
        } else {
            libc::makedev(number(d.major(), "major")?, number(d.minor(), "minor")?)
        };
        let mode = kind | d.file_mode().unwrap_or(0o666) & 0o7777;
        let host =
            (bind && kind != libc::S_IFIFO).then(|| host_device(d.path(), kind, device)).transpose()?;
        let (uid, gid) = (d.uid().unwrap_or(0), d.gid().unwrap_or(0));
        out.push(DevicePlan { path: d.path().clone(), mode, device, uid, gid, host });
    }
    Ok(out)
}

/// The host's node at the same path, checked to be that device.
fn host_device(path: &Path, kind: u32, device: u64) -> Result<OwnedFd, Error> {
    let tree = mount::open_tree_path(path, false)?;
    let found = fd::stat(&tree)?;
    if found.st_mode & libc::S_IFMT != kind || found.st_rdev != device {
        return Err(Error::spec(
            "linux.devices",
            format!("{} of the host is another device", path.display()),
        ));
    }
    Ok(tree)
}

fn null_source() -> Result<OwnedFd, Error> {
    let tree = mount::open_tree_path(Path::new("/dev/null"), false)?;
    fd::verify_null(&tree)?;
    Ok(tree)
}

/// Kernel parameters, each checked to belong to a namespace that the container has to itself (rule R15).
fn sysctls<'a>(spec: &'a Spec, namespaces: &NamespacePlan) -> Result<Vec<(PathBuf, &'a str)>, Error> {
    let Some(given) = spec.linux().as_ref().and_then(|l| l.sysctl().as_ref()) else { return Ok(Vec::new()) };
    let mut out = Vec::with_capacity(given.len());
    for (key, value) in given {
        // A key with slashes uses them as separators and keeps its dots, as sysctl(8) has it.
        let key_path = if key.contains('/') { key.clone() } else { key.replace('.', "/") };
        namespaces.check_sysctl(key, &key_path)?;
        out.push((Path::new("sys").join(key_path), value.as_str()));
    }
    Ok(out)
}

fn personality(given: &oci_spec::runtime::LinuxPersonality) -> Result<u32, Error> {
    if given.flags().as_ref().is_some_and(|f| !f.is_empty()) {
        return Err(Error::spec("linux.personality.flags", "no flags are defined yet"));
    }
    Ok(match given.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

fn memory_policy(given: &oci_spec::runtime::LinuxMemoryPolicy) -> Result<(i32, Vec<u64>), Error> {
    let mut mode = match given.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    for flag in given.flags().iter().flatten() {
        mode |= match flag {
            MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
            MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
            MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
        };
    }
    let mut nodes = Vec::new();
    for node in process::cpu_list(given.nodes().as_deref().unwrap_or_default(), "linux.memoryPolicy.nodes")? {
        if nodes.len() <= node / 64 {
            nodes.resize(node / 64 + 1, 0);
        }
        nodes[node / 64] |= 1 << (node % 64);
    }
    Ok((mode, nodes))
}

/// Removes a leading `/`, for lookups beneath a directory.
pub(crate) fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}
