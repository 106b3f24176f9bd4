//! [`ContainerSpec`] (resolved, immutable but for `update` and `rename`) and [`Phase`] (what state it is in).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::digest::{ChainId, Digest};
use super::id::ContainerId;
use super::lifecycle::{HealthAction, HealthCheck, HealthLog, LogSpec, RestartPolicy};
use super::mount::MountSpec;
use super::namespace::NamespaceSpec;
use super::network::NetworkSpec;
use super::process::ProcessSpec;
use super::resources::Resources;
use super::security::{DeviceRequest, SecuritySpec};

/// The container as it will be: complete, versioned, saved as `spec.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Version of this document, [`ContainerSpec::VERSION`].
    pub version: u32,
    /// Id.
    pub id: ContainerId,
    /// Name, unique.
    pub name: String,
    /// When it was created.
    pub created: jiff::Timestamp,
    /// What it runs from.
    pub root: RootSpec,
    /// argv, environment, user.
    pub process: ProcessSpec,
    /// Limits.
    pub resources: Resources,
    /// Mounts in order of mounting, image volumes included; the system mounts (/proc, /dev …) are the
    /// runtime's matter.
    pub mounts: Vec<MountSpec>,
    /// Size of /dev/shm in bytes.
    pub shm_size: u64,
    /// Size in bytes of each tmpfs of systemd mode (`--shm-size-systemd`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_size_systemd: Option<u64>,
    /// Directories that get the engine's files as the root does (`--chrootdirs`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chroot_dirs: Vec<String>,
    /// Group of the resctrl file system that its processes are in (`--rdt-class`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rdt_class: Option<String>,
    /// Devices beyond the standard ones.
    #[serde(default)]
    pub devices: Vec<DeviceRequest>,
    /// Folders with CDI specifications, where a device is named by one.
    #[serde(default)]
    pub cdi_dirs: Vec<String>,
    /// Device cgroup rules as typed.
    #[serde(default)]
    pub device_rules: Vec<String>,
    /// Namespaces but the network one.
    pub namespaces: NamespaceSpec,
    /// Host name inside.
    pub hostname: String,
    /// Domain name inside.
    #[serde(default)]
    pub domainname: String,
    /// Network.
    pub network: NetworkSpec,
    /// cgroup below which the container's is made; empty for the default.
    #[serde(default)]
    pub cgroup_parent: String,
    /// Whether it has a cgroup of its own (`--cgroups=disabled`).
    pub cgroups: bool,
    /// Security.
    pub security: SecuritySpec,
    /// Kernel parameters.
    #[serde(default)]
    pub sysctls: Vec<(String, String)>,
    /// Kernel parameters that nobody asked for and docker sets: `inspect` does not show them.
    #[serde(default)]
    pub unasked_sysctls: Vec<(String, String)>,
    /// Life.
    pub lifecycle: LifecycleSpec,
    /// Labels, image's and own.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
    /// Annotations.
    #[serde(default)]
    pub annotations: Vec<(String, String)>,
    /// Time zone: a name, `local`, or none.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Secrets mounted or set, resolved to store ids.
    #[serde(default)]
    pub secrets: Vec<SecretUse>,
    /// What mounts.conf gave it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<Subscription>,
    /// systemd mode (`/run`, `/tmp` tmpfs and cgroup prepared for systemd as pid 1).
    #[serde(default)]
    pub systemd: bool,
    /// Add the user to the container's passwd when it is missing there.
    #[serde(default)]
    pub passwd: bool,
    /// `--passwd-entry`: the entry instead of the usual one.
    #[serde(default)]
    pub passwd_entry: Option<String>,
    /// `--group-entry`: the same for /etc/group.
    #[serde(default)]
    pub group_entry: Option<String>,
    /// Lines of the host's /etc/passwd that the container gets (`--hostuser`).
    #[serde(default)]
    pub host_users: Vec<String>,
    /// Containers that must run first, full ids.
    #[serde(default)]
    pub requires: Vec<ContainerId>,
    /// An OCI runtime other than our own.
    #[serde(default)]
    pub runtime: Option<String>,
    /// personality(2), `LINUX` or `LINUX32`.
    #[serde(default)]
    pub personality: Option<String>,
    /// OCI hooks, in order.
    #[serde(default)]
    pub hooks: Vec<Hook>,
    /// The OCI document of each start is kept beside it, for others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub oci_config: bool,
    /// What the caller said, for `inspect --as-run`, `clone` and recreation in place.
    pub options: super::create::CreateOptions,
}

impl ContainerSpec {
    /// Version of the document that this program writes.
    pub const VERSION: u32 = 1;
}

/// What a container runs from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootSpec {
    /// Image as typed, for `ps`.
    pub image_name: String,
    /// Image id (digest of the config); `None` with a directory root.
    pub image_id: Option<Digest>,
    /// Layers, lowest first; empty with a directory root.
    pub layers: Vec<ChainId>,
    /// A host directory instead of an image (`--rootfs`).
    pub directory: Option<String>,
    /// The directory is only read: what is written goes to the container's own layer (`--rootfs DIR:O`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub overlay: bool,
    /// Root mounted read-only.
    pub read_only: bool,
    /// With a read-only root: tmpfs on /tmp, /var/tmp, /run, /dev/shm writable.
    pub read_only_tmpfs: bool,
    /// How far the writable layer may grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<RootQuota>,
}

impl RootSpec {
    /// Whether the root is the user's own directory, which the engine leaves as it is.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.directory.is_some() && !self.overlay
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it by reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Limits of a writable layer (`--storage-opt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootQuota {
    /// `size`: bytes.
    pub size: Option<u64>,
    /// `inodes`: files, directories and links.
    pub inodes: Option<u64>,
}

/// Life of a container, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleSpec {
    /// Remove when it ends.
    pub auto_remove: bool,
    /// Remove the image too, unless others use it.
    pub remove_image: bool,
    /// Restart policy.
    pub restart: RestartPolicy,
    /// Signal number that asks it to stop.
    pub stop_signal: i32,
    /// Seconds until SIGKILL; -1 waits for ever.
    pub stop_timeout: i64,
    /// Seconds it may run; 0 is for ever.
    pub timeout: u64,
    /// Health check, if any; defaults written out.
    pub health: Option<HealthCheck>,
    /// What an unhealthy container brings about.
    pub health_on_failure: HealthAction,
    /// What becomes of the results of its check.
    #[serde(default)]
    pub health_log: HealthLog,
    /// Logs.
    pub log: LogSpec,
    /// What happens to it is not written into the journal of events.
    #[serde(default)]
    pub no_events: bool,
    /// `--sdnotify`.
    #[serde(default)]
    pub sdnotify: Option<String>,
    /// `--pidfile`: gets the pid of init at each start by a command.
    #[serde(default)]
    pub pidfile: Option<PathBuf>,
    /// `--conmon-pidfile`: the same for the monitor.
    #[serde(default)]
    pub monitor_pidfile: Option<PathBuf>,
}

/// A program that runs at a stage of the container's life (the runtime specification's hooks).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// `prestart`, `createRuntime`, `createContainer`, `startContainer`, `poststart`, `poststop`.
    pub stage: String,
    /// The program, absolute.
    pub path: String,
    /// Its arguments, its name first.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<String>,
    /// Seconds until it is killed.
    pub timeout: Option<i64>,
}

/// A directory or file of the host whose copy a container has (mounts.conf).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Host path.
    pub source: String,
    /// Path in the container.
    pub target: String,
}

/// One secret of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUse {
    /// Secret id.
    pub id: String,
    /// Secret name.
    pub name: String,
    /// File in the container (`/run/secrets/NAME`), or `None` for an environment variable.
    pub target: Option<String>,
    /// Environment variable.
    pub env: Option<String>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// File mode.
    pub mode: u32,
}

/// A process that cannot be mistaken for another: pid and start time (clock ticks since boot,
/// field 22 of /proc/PID/stat).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id in the host's pid namespace.
    pub pid: i32,
    /// Start time in clock ticks since boot.
    pub start: u64,
}

/// Where a container is in its life. Each variant owns what is known only then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Phase {
    /// Made, never started.
    Created,
    /// A start that did not succeed; shown as created with this error.
    Failed {
        /// 125, 126 or 127.
        code: i32,
        /// Why.
        error: String,
        /// When.
        at: jiff::Timestamp,
    },
    /// All is made but that its command is executed (podman's `init`).
    Initialized(Running),
    /// Its process runs.
    Running(Running),
    /// Its process is frozen.
    Paused(Running),
    /// The restart policy waits for the next start.
    Restarting(Exited),
    /// Its process ended.
    Exited(Exited),
    /// Being removed.
    Removing,
}

/// A running container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The container's init.
    pub init: ProcessIdentity,
    /// Its monitor.
    pub monitor: ProcessIdentity,
    /// When it started.
    pub started: jiff::Timestamp,
    /// Addresses, ports and interface names in force.
    #[serde(default)]
    pub network: Vec<AttachmentState>,
    /// Ports in force (random ones filled in).
    #[serde(default)]
    pub ports: Vec<super::network::PortMapping>,
    /// Path of the cgroup below each hierarchy's mount.
    #[serde(default)]
    pub cgroup: String,
    /// Health, if there is a check.
    #[serde(default)]
    pub health: Option<Health>,
    /// Starts by the restart policy since the last start by a user.
    #[serde(default)]
    pub restarts: u32,
    /// It was asked to end, and has not yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
}

/// One attachment in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentState {
    /// Network name.
    pub network: String,
    /// Network id.
    pub network_id: String,
    /// Interface inside.
    pub interface: String,
    /// Interface on the host.
    pub host_interface: String,
    /// MAC address inside.
    pub mac: String,
    /// IPv4 address and prefix.
    pub ip: Option<(std::net::Ipv4Addr, u8)>,
    /// IPv4 gateway.
    pub gateway: Option<std::net::Ipv4Addr>,
    /// IPv6 address and prefix.
    pub ip6: Option<(std::net::Ipv6Addr, u8)>,
    /// IPv6 gateway.
    pub gateway6: Option<std::net::Ipv6Addr>,
    /// DNS aliases.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// An ended container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// Exit code, 128 + n for a signal.
    pub code: i32,
    /// Whether the kernel killed it for memory.
    pub oom: bool,
    /// When it had started.
    pub started: jiff::Timestamp,
    /// When it ended.
    pub at: jiff::Timestamp,
    /// Why it ended, where that is not its own doing ("monitor lost").
    #[serde(default)]
    pub error: String,
    /// Starts by the restart policy.
    #[serde(default)]
    pub restarts: u32,
    /// The user stopped it (for `unless-stopped`).
    #[serde(default)]
    pub stopped_by_user: bool,
    /// Last health, if there was a check.
    #[serde(default)]
    pub health: Option<Health>,
}

/// Health of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `starting`, `healthy`, `unhealthy`.
    pub status: String,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last five results, oldest first.
    pub log: Vec<HealthResult>,
}

/// One run of a health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResult {
    /// Start.
    pub start: jiff::Timestamp,
    /// End.
    pub end: jiff::Timestamp,
    /// Exit code; -1 where it timed out.
    pub exit_code: i32,
    /// Output, cut to 4096 bytes.
    pub output: String,
}

impl Phase {
    /// docker's word for the state: `created`, `running`, `paused`, `restarting`, `exited`, `removing`; podman's
    /// `initialized`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Created | Self::Failed { .. } => "created",
            Self::Initialized(_) => "initialized",
            Self::Running(_) => "running",
            Self::Paused(_) => "paused",
            Self::Restarting(_) => "restarting",
            Self::Exited(_) => "exited",
            Self::Removing => "removing",
        }
    }

    /// podman's word for the state: docker's, but for `stopping`.
    #[must_use]
    pub fn podmans_status(&self) -> &'static str {
        match self {
            Self::Running(r) if r.stopping => "stopping",
            other => other.status(),
        }
    }

    /// The running view, if its process is there: it runs, is paused or waits for its start.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        match self {
            Self::Initialized(r) | Self::Running(r) | Self::Paused(r) => Some(r),
            Self::Created | Self::Failed { .. } | Self::Restarting(_) | Self::Exited(_) | Self::Removing => {
                None
            }
        }
    }
}
