//! [`ContainerSpec`] to OCI runtime spec: a pure function, so that what a container gets is data that a
//! test can compare.
//!
//! Everything that has to be looked up is passed in: facts of the host ([`HostFacts`]) and of this start
//! ([`ResolvedFacts`]). seccomp is left out of the spec: the monitor compiles it by
//! [`super::seccomp::for_container`] and hands the program to `runtime::spawn`.

mod mounts;
mod namespaces;
mod process;
mod resources;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use oci_spec::runtime as oci;

use super::cgroup::Layout;
use super::{defaults, devices};
use crate::model::container::{ContainerSpec, Hook};

pub use process::process_of;
pub use resources::{BlockNumbers, resources};

/// The version of the runtime spec that the produced documents follow.
pub const OCI_VERSION: &str = "1.2.1";

/// What the host can do, as far as the spec depends on it.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// How cgroups are mounted.
    pub cgroups: Layout,
    /// Hard limits of this process: `(RLIMIT_…, hard)`. A default above is clamped to it.
    pub rlimits: Vec<(String, u64)>,
    /// Whether limits may be raised (CAP_SYS_RESOURCE): nothing is clamped then.
    pub raise_rlimits: bool,
    /// Capabilities that this process can give (its bounding set), `CAP_…`. Others are left out.
    pub capabilities: Vec<String>,
    /// `oom_score_adj` of a process that asks for none, where it must not inherit this process's.
    pub oom_score_adj: Option<i32>,
    /// Number of CPUs, for the per-CPU masked paths.
    pub cpus: usize,
    /// The kernel has AppArmor.
    pub apparmor: bool,
    /// The kernel has SELinux.
    pub selinux: bool,
}

/// What was looked up for this start.
#[derive(Debug, Clone, Default)]
pub struct ResolvedFacts {
    /// Path of the root file system, for information only: the runtime gets a descriptor.
    pub rootfs: PathBuf,
    /// User and groups, looked up in the image.
    pub user: User,
    /// Host files bound over /etc/hosts, /etc/hostname, /etc/resolv.conf and the like:
    /// `(host path, path inside, read-only)`.
    pub files: Vec<(PathBuf, String, bool)>,
    /// Paths of namespaces to join.
    pub join: Join,
    /// Source of /dev/shm for `--ipc container:…`; with `--ipc host` the host's is bound.
    pub shm: Option<PathBuf>,
    /// Sources prepared by the caller, by target: image and overlay mounts and those with a path inside a
    /// volume. `/proc/self/fd/N` names a descriptor of the process that will mount it.
    pub sources: Vec<(String, PathBuf)>,
    /// Devices asked for, or all of the host's for a privileged container ([`devices::host_devices`]).
    pub devices: Vec<devices::Node>,
    /// Numbers of the block devices named in I/O limits.
    pub blocks: BlockNumbers,
    /// cgroup path, `/rcon/<id>` or `slice:prefix:name`; empty for none.
    pub cgroup: String,
}

/// A user looked up in the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, the primary one included.
    pub groups: Vec<u32>,
    /// `HOME`, set where the environment has none.
    pub home: String,
}

/// Namespaces to join: paths such as `/proc/123/ns/pid`. For a mode that says container or path there
/// must be one here; for others they are not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Join {
    /// Process ids.
    pub pid: Option<PathBuf>,
    /// SysV IPC and message queues.
    pub ipc: Option<PathBuf>,
    /// Host name.
    pub uts: Option<PathBuf>,
    /// cgroup view.
    pub cgroup: Option<PathBuf>,
    /// Network; also set where the monitor has made it beforehand.
    pub net: Option<PathBuf>,
    /// User ids.
    pub user: Option<PathBuf>,
}

/// The container's spec cannot be expressed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A device rule that is none.
    #[error(transparent)]
    Device(#[from] devices::Error),
    /// A namespace to join was not looked up.
    #[error("the {0} namespace to join was not found")]
    Join(&'static str),
    /// A word that the OCI spec does not know.
    #[error("unknown {what} {word:?}")]
    Unknown {
        /// Kind of word.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// A block device of a limit was not looked up.
    #[error("block device {0} was not looked up")]
    Block(String),
    /// A mount whose source the caller has to make was not made.
    #[error("the source of the mount at {0} was not prepared")]
    Unprepared(String),
    /// A limit beyond what this process may set.
    #[error(
        "the limit {kind} of {asked} is above the hard limit {top} of this machine, and CAP_SYS_RESOURCE is missing"
    )]
    Rlimit {
        /// `RLIMIT_…`.
        kind: String,
        /// Hard limit asked for.
        asked: u64,
        /// Hard limit of this process.
        top: u64,
    },
    /// A kernel parameter that a container may not set.
    #[error("the kernel parameter {key} cannot be set: {why}")]
    Sysctl {
        /// As typed.
        key: String,
        /// Why not.
        why: &'static str,
    },
    /// Two things ask for the same path.
    #[error("two mounts at {0}")]
    DuplicateMount(String),
    /// What is asked contradicts something else.
    #[error("{0}")]
    Conflict(&'static str),
}

/// Makes the OCI runtime spec of a container.
///
/// # Errors
/// [`Error`]; but for what only the host decides, nothing of it can happen for a spec that
/// `engine::resolve` made and facts looked up for it.
pub fn build(spec: &ContainerSpec, host: &HostFacts, facts: &ResolvedFacts) -> Result<oci::Spec, Error> {
    namespaces::check_sysctls(spec)?;
    let mut root = oci::Root::default();
    root.set_path(facts.rootfs.clone()).set_readonly(Some(spec.root.read_only));
    let mut out = oci::Spec::default();
    out.set_version(OCI_VERSION.to_owned())
        .set_root(Some(root))
        .set_process(Some(process::process(spec, host, &facts.user)?))
        .set_mounts(Some(mounts::mounts(spec, host, facts)?))
        .set_hostname(None)
        .set_annotations(Some(spec.annotations.iter().cloned().collect()))
        .set_linux(Some(linux(spec, host, facts)?));
    if !spec.hooks.is_empty() {
        out.set_hooks(Some(hooks(&spec.hooks)));
    }
    if namespaces::owns(&spec.namespaces.uts) {
        out.set_hostname(Some(spec.hostname.clone()).filter(|h| !h.is_empty()));
        out.set_domainname(Some(spec.domainname.clone()).filter(|d| !d.is_empty()));
    }
    Ok(out)
}

fn linux(spec: &ContainerSpec, host: &HostFacts, facts: &ResolvedFacts) -> Result<oci::Linux, Error> {
    let mut out = oci::Linux::default();
    out.set_namespaces(Some(namespaces::namespaces(spec, facts)?))
        .set_resources(Some(resources::with_devices(spec, facts)?))
        .set_cgroups_path(Some(PathBuf::from(&facts.cgroup)).filter(|_| !facts.cgroup.is_empty()))
        .set_devices(Some(facts.devices.iter().map(device).collect()))
        .set_sysctl(Some(spec.sysctls.iter().chain(&spec.unasked_sysctls).cloned().collect()))
        .set_masked_paths(Some(masked(&spec.security.masked_paths, host.cpus)))
        .set_readonly_paths(Some(spec.security.readonly_paths.clone()))
        .set_rootfs_propagation(mounts::root_propagation(spec))
        .set_personality(spec.personality.as_deref().map(personality).transpose()?);
    if let Some(class) = &spec.rdt_class {
        let mut rdt = oci::LinuxIntelRdt::default();
        rdt.set_clos_id(Some(class.clone()));
        out.set_intel_rdt(Some(rdt));
    }
    if let Some((uids, gids)) = namespaces::mappings(spec) {
        out.set_uid_mappings(Some(uids)).set_gid_mappings(Some(gids));
    }
    Ok(out)
}

#[allow(deprecated, reason = "the spec still demands that prestart hooks run")]
fn hooks(all: &[Hook]) -> oci::Hooks {
    let at = |stage: &str| {
        let of_stage = all.iter().filter(|h| h.stage == stage);
        let made: Vec<oci::Hook> = of_stage
            .map(|h| {
                let mut hook = oci::Hook::default();
                hook.set_path(PathBuf::from(&h.path))
                    .set_args((!h.args.is_empty()).then(|| h.args.clone()))
                    .set_env(Some(h.env.clone()))
                    .set_timeout(h.timeout);
                hook
            })
            .collect();
        (!made.is_empty()).then_some(made)
    };
    let mut out = oci::Hooks::default();
    out.set_prestart(at("prestart"))
        .set_create_runtime(at("createRuntime"))
        .set_create_container(at("createContainer"))
        .set_start_container(at("startContainer"))
        .set_poststart(at("poststart"))
        .set_poststop(at("poststop"));
    out
}

/// The masked paths, with the per-CPU entry written out.
fn masked(paths: &[String], cpus: usize) -> Vec<String> {
    let mut out = Vec::with_capacity(paths.len());
    for path in paths {
        if path == defaults::THERMAL_THROTTLE_GLOB {
            out.extend(defaults::thermal_throttle_paths(cpus));
        } else {
            out.push(path.clone());
        }
    }
    out
}

fn device(node: &devices::Node) -> oci::LinuxDevice {
    let mut d = oci::LinuxDevice::default();
    d.set_path(node.path.clone().into())
        .set_typ(match node.kind {
            devices::Kind::Char => oci::LinuxDeviceType::C,
            devices::Kind::Block => oci::LinuxDeviceType::B,
            devices::Kind::Fifo => oci::LinuxDeviceType::P,
        })
        .set_major(node.major.into())
        .set_minor(node.minor.into())
        .set_file_mode(Some(node.mode))
        .set_uid(Some(node.uid))
        .set_gid(Some(node.gid));
    d
}

fn personality(word: &str) -> Result<oci::LinuxPersonality, Error> {
    let domain = word.parse().map_err(|_| Error::Unknown { what: "personality", word: word.to_owned() })?;
    let mut p = oci::LinuxPersonality::default();
    p.set_domain(domain);
    Ok(p)
}
