//! Resource limits of a container: memory, CPU, pids, block I/O, huge pages.

use serde::{Deserialize, Serialize};

use super::units::{ByteSize, NanoCpus};

/// Limits; `None` is "no limit said". Shared by run, create, update, build and pods.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// `-m`.
    pub memory: Option<ByteSize>,
    /// `--memory-reservation`.
    pub memory_reservation: Option<ByteSize>,
    /// `--memory-swap`: memory plus swap; -1 is unlimited.
    pub memory_swap: Option<i64>,
    /// `--memory-swappiness`, 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// `--oom-kill-disable`.
    pub oom_kill_disable: Option<bool>,
    /// `--cpus`.
    pub nano_cpus: Option<NanoCpus>,
    /// `--cpu-shares`.
    pub cpu_shares: Option<u64>,
    /// `--cpu-period`, microseconds.
    pub cpu_period: Option<u64>,
    /// `--cpu-quota`, microseconds; -1 is unlimited.
    pub cpu_quota: Option<i64>,
    /// `--cpu-rt-period`, microseconds.
    pub cpu_rt_period: Option<u64>,
    /// `--cpu-rt-runtime`, microseconds.
    pub cpu_rt_runtime: Option<i64>,
    /// `--cpuset-cpus`.
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems`.
    pub cpuset_mems: Option<String>,
    /// `--pids-limit`; -1 or 0 is unlimited.
    pub pids_limit: Option<i64>,
    /// `--blkio-weight`, 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// `--blkio-weight-device PATH:WEIGHT`.
    pub blkio_weight_device: Vec<DeviceValue>,
    /// `--device-read-bps PATH:BYTES`.
    pub read_bps: Vec<DeviceValue>,
    /// `--device-write-bps`.
    pub write_bps: Vec<DeviceValue>,
    /// `--device-read-iops`.
    pub read_iops: Vec<DeviceValue>,
    /// `--device-write-iops`.
    pub write_iops: Vec<DeviceValue>,
    /// `--cgroup-conf KEY=VALUE` (cgroup v2 files).
    pub unified: Vec<(String, String)>,
}

/// A limit of one block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceValue {
    /// Device node on the host.
    pub path: String,
    /// Weight, bytes per second or operations per second.
    pub value: u64,
}
