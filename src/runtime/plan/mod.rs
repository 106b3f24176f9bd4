//! From an OCI spec to what the child will do: everything checked, opened and written out before the
//! clone, so that a wrong spec fails in the parent and the child only acts.
//!
//! Sources of binds are opened here, as detached clones, in the caller's mount namespace and with
//! the caller's rights; by the child where the caller may not ([`host_tree`]).

pub(crate) mod devices;
pub(crate) mod domain;
pub(crate) mod host_tree;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod options;
pub(crate) mod process;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;

use super::Error;
use super::cgroup::Cgroup;
use super::netdev::{self, NetDevice};
use super::seccomp::Filter;
use super::spawn::{Request, Rootfs, StartOn, Stdio};
use crate::sys::mount::Propagation;
use crate::sys::{fd, ns, self_exe};
use devices::DevicePlan;
use domain::Domain;
use host_tree::{HostTree, Wanted};
use mounts::MountPlan;
use namespaces::NamespacePlan;
use process::ProcessPlan;

/// All that the child does, in the order of its fields where that matters.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub namespaces: NamespacePlan,
    /// Devices that move into the network namespace while the child waits.
    pub net_devices: Vec<NetDevice>,
    /// The child waits for a word of the parent: cgroup joined, id maps written.
    pub waits: bool,
    /// Files by which the child joins its cgroup itself ([`super::cgroup::Cgroup::join_files`]).
    pub join_cgroup: Vec<OwnedFd>,
    pub parent_death_signal: Option<i32>,
    /// Take an empty session keyring instead of the caller's.
    pub new_keyring: bool,
    /// Detached mount that becomes the root.
    pub rootfs: HostTree,
    /// Where it is on the host, if it has a path.
    pub rootfs_path: Option<&'a Path>,
    /// The container has a mount namespace of its own.
    pub own_mounts: bool,
    pub root_read_only: bool,
    pub root_propagation: Option<(Propagation, bool)>,
    pub mounts: Vec<MountPlan>,
    /// Make device nodes and links below /dev (not when a host's /dev is bound there).
    pub set_up_dev: bool,
    pub devices: Vec<DevicePlan>,
    pub masked: Vec<PathBuf>,
    pub read_only: Vec<PathBuf>,
    /// A detached clone of the host's /dev/null, verified: the source of masks of files.
    pub null: Option<HostTree>,
    pub hostname: Option<&'a str>,
    pub domainname: Option<&'a str>,
    /// Path below /proc/sys and text.
    pub sysctls: Vec<(PathBuf, &'a str)>,
    pub domain: Domain,
    pub hooks_outside: bool,
    pub hooks: super::hooks::InContainer<'a>,
    pub process: ProcessPlan,
    pub stdio: Stdio<'a>,
    pub preserved: &'a [Option<BorrowedFd<'a>>],
    pub seccomp: Option<&'a Filter>,
    pub start_on: StartOn<'a>,
    /// Our own program, where it shall be the first process.
    pub reaper: Option<OwnedFd>,
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
        let rootfs_path = match request.rootfs {
            Rootfs::Path(path) => Some(path),
            Rootfs::Mount(_) => None,
        };
        let own_mounts = namespaces.is_new(ns::Kind::Mount);
        if !own_mounts && rootfs_path.is_none() {
            return Err(Error::spec("linux.namespaces", "a mount namespace of its own is needed"));
        }
        let prepared = std::mem::take(&mut request.mounts);
        let mounts = mounts::plan(spec, prepared, &namespaces, request.cgroup, rootfs_path)?;
        let masked = once(linux.masked_paths().as_deref(), "linux.maskedPaths")?;
        let (join_cgroup, attached_by_parent) = way_into_cgroup(request.cgroup)?;
        let net_devices = netdev::plan(linux, &namespaces)?;
        Ok(Self {
            waits: namespaces.maps.is_some() || attached_by_parent || !net_devices.is_empty(),
            net_devices,
            join_cgroup: join_cgroup.unwrap_or_default(),
            rootfs_path,
            own_mounts,
            rootfs: rootfs(&request.rootfs, root_propagation, &namespaces)?,
            root_read_only: root.readonly().unwrap_or(false),
            root_propagation,
            mounts,
            set_up_dev: mounts::sets_up_dev(spec),
            devices: devices::plan(linux.devices().as_deref().unwrap_or_default(), &namespaces)?,
            null: (!masked.is_empty()).then(|| null_source(&namespaces)).transpose()?,
            masked,
            read_only: once(linux.readonly_paths().as_deref(), "linux.readonlyPaths")?,
            hostname: spec.hostname().as_deref().filter(|h| !h.is_empty()),
            domainname: spec.domainname().as_deref().filter(|h| !h.is_empty()),
            sysctls: sysctls(spec, &namespaces)?,
            domain: Domain::new(linux)?,
            hooks_outside: super::hooks::any_outside(spec),
            hooks: super::hooks::InContainer::new(request),
            process: process_plan(spec, linux, process)?,
            stdio: request.stdio,
            preserved: request.preserved,
            seccomp: request.seccomp,
            start_on: request.start_on,
            reaper: request.init.then(self_exe::open).transpose()?,
            parent_death_signal: request.parent_death_signal,
            new_keyring: request.new_keyring,
            namespaces,
        })
    }
}

fn process_plan(
    spec: &Spec,
    linux: &oci_spec::runtime::Linux,
    process: &oci_spec::runtime::Process,
) -> Result<ProcessPlan, Error> {
    let mut plan = ProcessPlan { limited_cpus: limits_cpus(linux), ..ProcessPlan::new(process)? };
    if process::keeps_groups(spec) {
        plan.groups = None;
    }
    Ok(plan)
}

fn limits_cpus(linux: &oci_spec::runtime::Linux) -> bool {
    let cpu = linux.resources().as_ref().and_then(|r| r.cpu().as_ref());
    cpu.and_then(|c| c.cpus().as_ref()).is_some_and(|cpus| !cpus.is_empty())
}

/// Paths in their order, each once. The spec wants them absolute.
fn once(paths: Option<&[String]>, field: &str) -> Result<Vec<PathBuf>, Error> {
    let mut seen = std::collections::HashSet::new();
    let paths = paths.unwrap_or_default().iter().filter(|p| seen.insert(*p)).map(PathBuf::from);
    let absolute = |path: PathBuf| match path.is_absolute() {
        true => Ok(path),
        false => Err(Error::spec(field, format!("{path:?} is not absolute"))),
    };
    paths.map(absolute).collect()
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

/// The root as a detached mount, private for now: pivot_root takes no shared one.
fn rootfs(
    given: &Rootfs<'_>,
    wish: Option<(Propagation, bool)>,
    namespaces: &NamespacePlan,
) -> Result<HostTree, Error> {
    let path = match given {
        Rootfs::Mount(mount) => return Ok(HostTree::Made(fd::dup(mount, 3)?)),
        Rootfs::Path(path) => *path,
    };
    // To be shared is to be a peer group of its own, as the spec has it, not the host's.
    let receives = wish.is_some_and(|(p, _)| matches!(p, Propagation::Slave));
    let now = if receives { Propagation::Slave } else { Propagation::Private };
    Ok(Wanted { propagation: Some(now), ..Wanted::new(path, true) }.tree(namespaces)?)
}

fn root_propagation(word: Option<&str>) -> Result<Option<(Propagation, bool)>, Error> {
    match word {
        None | Some("") => Ok(None),
        Some(word) => options::propagation(word)
            .map(Some)
            .ok_or_else(|| Error::spec("linux.rootfsPropagation", format!("unknown word {word:?}"))),
    }
}

fn null_source(namespaces: &NamespacePlan) -> Result<HostTree, Error> {
    let device = Some((libc::S_IFCHR, libc::makedev(1, 3)));
    Ok(Wanted { device, ..Wanted::new(Path::new("/dev/null"), false) }.tree(namespaces)?)
}

/// Kernel parameters, each checked to belong to a namespace that the container has to itself (rule R15).
fn sysctls<'a>(spec: &'a Spec, namespaces: &NamespacePlan) -> Result<Vec<(PathBuf, &'a str)>, Error> {
    let Some(given) = spec.linux().as_ref().and_then(|l| l.sysctl().as_ref()) else { return Ok(Vec::new()) };
    let mut out = Vec::with_capacity(given.len());
    for (key, value) in given {
        // A key with slashes uses them as separators and keeps its dots, as sysctl(8) has it.
        let key_path = if key.contains('/') { key.clone() } else { key.replace('.', "/") };
        namespaces.check_sysctl(key, &key_path)?;
        refuse_names(spec, key, &key_path, value)?;
        out.push((Path::new("sys").join(key_path), value.as_str()));
    }
    Ok(out)
}

/// What a field of its own is for: two values of the same thing would be decided by chance.
fn refuse_names(spec: &Spec, key: &str, path: &str, value: &str) -> Result<(), Error> {
    let domain = spec.domainname().as_ref().is_some_and(|d| !d.is_empty() && d != value);
    let field = match path {
        "kernel/hostname" => "hostname",
        "kernel/domainname" if domain => "domainname",
        _ => return Ok(()),
    };
    Err(Error::spec(
        format!("linux.sysctl[{key}]"),
        format!("conflicts with the field {field:?}, which is for that"),
    ))
}

/// Removes a leading `/`, for lookups beneath a directory.
pub(crate) fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}
