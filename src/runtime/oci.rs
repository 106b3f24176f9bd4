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
use super::devices;
use crate::model::container::ContainerSpec;

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
/// [`Error`]; nothing of it can happen for a spec that `engine::resolve` made and facts looked up for it.
pub fn build(spec: &ContainerSpec, host: &HostFacts, facts: &ResolvedFacts) -> Result<oci::Spec, Error> {
    let _ = (spec, host, facts);
    todo!()
}
