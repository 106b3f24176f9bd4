//! Resource limits of a container: memory, CPU, pids, block I/O, huge pages.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ParseError;

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

impl DeviceValue {
    /// `PATH:BYTES` of `--device-read-bps` and `--device-write-bps`; units as in sizes.
    ///
    /// # Errors
    /// Not of that form.
    pub fn parse_rate(text: &str) -> Result<Self, ParseError> {
        Self::split(text, "device rate", "PATH:NUMBER[kb|mb|gb]", |v| v.parse::<ByteSize>().ok().map(|b| b.0))
    }

    /// `PATH:OPERATIONS` of `--device-read-iops` and `--device-write-iops`.
    ///
    /// # Errors
    /// Not of that form.
    pub fn parse_operations(text: &str) -> Result<Self, ParseError> {
        Self::split(text, "device rate", "PATH:NUMBER", |v| v.parse().ok())
    }

    /// `PATH:WEIGHT` of `--blkio-weight-device`; 0, or 10 to 1000.
    ///
    /// # Errors
    /// Not of that form.
    pub fn parse_weight(text: &str) -> Result<Self, ParseError> {
        Self::split(text, "device weight", "PATH:WEIGHT with a weight from 10 to 1000", |v| {
            v.parse().ok().filter(|w| *w == 0 || (10..=1000).contains(w))
        })
    }

    fn split(
        text: &str,
        what: &'static str,
        want: &str,
        value: impl Fn(&str) -> Option<u64>,
    ) -> Result<Self, ParseError> {
        let bad = || ParseError::new(what, text, format!("want {want}"));
        let (path, number) = text.rsplit_once(':').ok_or_else(bad)?;
        if !path.starts_with("/dev/") {
            return Err(ParseError::new(what, text, "the path of the device must begin with /dev/"));
        }
        Ok(Self { path: path.to_owned(), value: value(number).ok_or_else(bad)? })
    }
}

impl fmt::Display for DeviceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_values() {
        let rate = |t| DeviceValue::parse_rate(t).map(|d| (d.path, d.value));
        assert_eq!(rate("/dev/sda:1mb"), Ok(("/dev/sda".to_owned(), 1 << 20)));
        assert!(rate("sda:1mb").is_err());
        assert!(rate("/dev/sda").is_err());
        assert!(DeviceValue::parse_operations("/dev/sda:1k").is_err());
        assert_eq!(DeviceValue::parse_weight("/dev/sda:200").map(|d| d.value), Ok(200));
        assert!(DeviceValue::parse_weight("/dev/sda:5").is_err());
    }
}
