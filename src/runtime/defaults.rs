//! Docker's defaults as tables: capabilities, hidden and read-only paths, the search path.
//!
//! `engine::resolve` writes them into the container's spec; nothing below the spec adds a default of
//! its own. The device defaults are in [`super::devices`], the system call policy in [`super::seccomp`].

/// Capabilities of a container that asked for none: docker's fourteen.
pub const CAPABILITIES: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Every capability that the kernel knows, in the order of their numbers.
pub const ALL_CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Paths hidden in a container that is not privileged: files by /dev/null, directories by an empty
/// read-only tmpfs. A path that does not exist is left alone.
///
/// Power meters and thermal sensors are here because they leak what other tenants compute
/// (Platypus, CVE-2020-8694), /proc/interrupts because it times their key strokes.
/// [`THERMAL_THROTTLE_GLOB`] is one path for each CPU; `runtime::oci` writes it out.
pub const MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    THERMAL_THROTTLE_GLOB,
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Per CPU: how often it was throttled. [`thermal_throttle_paths`] lists them for a number of CPUs.
pub const THERMAL_THROTTLE_GLOB: &str = "/sys/devices/system/cpu/cpu*/thermal_throttle";

/// Paths that are read-only in a container that is not privileged.
pub const READONLY_PATHS: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// `PATH` of a container whose image sets none.
pub const PATH_ENV: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Size of /dev/shm where none is asked for.
pub const SHM_SIZE: u64 = 64 << 20;

/// cgroup below which containers are made where no parent is asked for.
pub const CGROUP_PARENT: &str = "/rcon";

/// The thermal throttle directories of the first `cpus` CPUs.
#[must_use]
pub fn thermal_throttle_paths(cpus: usize) -> Vec<String> {
    (0..cpus).map(|n| THERMAL_THROTTLE_GLOB.replace('*', &n.to_string())).collect()
}
