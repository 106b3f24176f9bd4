//! Limits: shared by `run`, `create`, `update` and `container clone`.

use super::super::exit::Failure;
use super::strict_pair;
use crate::model::resources::{DeviceValue, Resources};
use crate::model::units::{ByteSize, NanoCpus, parse_swap};

/// Flags for limits.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Resources")]
pub struct ResourceArgs {
    /// Memory limit (64m, 2g)
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// Soft memory limit
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<ByteSize>,
    /// Memory plus swap; -1 for unlimited swap
    #[arg(long, value_name = "SIZE", value_parser = parse_swap)]
    pub memory_swap: Option<i64>,
    /// Swappiness, 0 to 100
    #[arg(long, value_name = "N")]
    pub memory_swappiness: Option<i64>,
    /// Number of CPUs (1.5)
    #[arg(long, value_name = "N")]
    pub cpus: Option<NanoCpus>,
    /// Relative weight of CPU time
    #[arg(short, long, value_name = "N")]
    pub cpu_shares: Option<u64>,
    /// Period of the CPU quota, microseconds
    #[arg(long, value_name = "N")]
    pub cpu_period: Option<i64>,
    /// CPU time per period, microseconds
    #[arg(long, value_name = "N")]
    pub cpu_quota: Option<i64>,
    /// Period of real-time scheduling, microseconds
    #[arg(long, value_name = "N")]
    pub cpu_rt_period: Option<u64>,
    /// Real-time CPU time per period, microseconds
    #[arg(long, value_name = "N")]
    pub cpu_rt_runtime: Option<i64>,
    /// CPUs to use (0-3, 0,1)
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use (0-3, 0,1)
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Most processes; -1 for no limit
    #[arg(long, value_name = "N")]
    pub pids_limit: Option<i64>,
    /// Relative weight of block I/O, 10 to 1000
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u16>,
    /// Weight for one device
    #[arg(long, value_name = "PATH:WEIGHT", value_parser = DeviceValue::parse_weight)]
    pub blkio_weight_device: Vec<DeviceValue>,
    /// Most bytes read per second from a device
    #[arg(long, value_name = "PATH:RATE", value_parser = DeviceValue::parse_rate)]
    pub device_read_bps: Vec<DeviceValue>,
    /// Most bytes written per second to a device
    #[arg(long, value_name = "PATH:RATE", value_parser = DeviceValue::parse_rate)]
    pub device_write_bps: Vec<DeviceValue>,
    /// Most reads per second from a device
    #[arg(long, value_name = "PATH:N", value_parser = DeviceValue::parse_operations)]
    pub device_read_iops: Vec<DeviceValue>,
    /// Most writes per second to a device
    #[arg(long, value_name = "PATH:N", value_parser = DeviceValue::parse_operations)]
    pub device_write_iops: Vec<DeviceValue>,
    /// A file of cgroup v2 and its value
    #[arg(long, value_name = "KEY=VALUE")]
    pub cgroup_conf: Vec<String>,
    /// Do not let the kernel kill processes when memory runs out
    #[arg(long)]
    pub oom_kill_disable: bool,
}

impl ResourceArgs {
    /// The limits. 0 means "not said", as in docker.
    ///
    /// # Errors
    /// Values that contradict each other or are out of range.
    pub fn into_options(self) -> Result<Resources, Failure> {
        let size = |s: Option<ByteSize>| s.filter(|s| s.0 > 0);
        let weight = match self.blkio_weight {
            Some(w) if w != 0 && !(10..=1000).contains(&w) => {
                return Err(Failure::usage(format!(
                    "invalid argument \"{w}\" for \"--blkio-weight\" flag: want 10 to 1000, or 0 for none"
                )));
            }
            weight => weight.filter(|w| *w > 0),
        };
        let swappiness = match self.memory_swappiness {
            None | Some(-1) => None,
            Some(n) => Some(u64::try_from(n).ok().filter(|n| *n <= 100).ok_or_else(|| {
                Failure::usage(format!(
                    "Valid memory swappiness range is 0-100 (-1 for the default), not {n}"
                ))
            })?),
        };
        if self.cpus.is_some_and(|c| c.0 > 0) {
            // podman's words.
            let both = |flag: &str| Err(Failure::usage(format!("{flag} and --cpus cannot be set together")));
            if self.cpu_period.is_some() {
                return both("--cpu-period");
            }
            if self.cpu_quota.is_some() {
                return both("--cpu-quota");
            }
        }
        let unified =
            self.cgroup_conf.iter().map(|t| strict_pair("cgroup-conf", t)).collect::<Result<_, _>>()?;
        Ok(Resources {
            memory: size(self.memory),
            memory_reservation: size(self.memory_reservation),
            memory_swap: self.memory_swap.filter(|n| *n != 0),
            memory_swappiness: swappiness,
            oom_kill_disable: self.oom_kill_disable.then_some(true),
            nano_cpus: self.cpus.filter(|c| c.0 > 0),
            cpu_shares: self.cpu_shares.filter(|n| *n > 0),
            // What is negative is out of range, and is told so with the other numbers that are.
            cpu_period: self.cpu_period.filter(|n| *n != 0).map(|n| u64::try_from(n).unwrap_or(u64::MAX)),
            cpu_quota: self.cpu_quota.filter(|n| *n != 0),
            cpu_rt_period: self.cpu_rt_period.filter(|n| *n > 0),
            cpu_rt_runtime: self.cpu_rt_runtime.filter(|n| *n != 0),
            cpuset_cpus: self.cpuset_cpus.filter(|s| !s.is_empty()),
            cpuset_mems: self.cpuset_mems.filter(|s| !s.is_empty()),
            pids_limit: self.pids_limit,
            blkio_weight: weight,
            blkio_weight_device: self.blkio_weight_device,
            read_bps: self.device_read_bps,
            write_bps: self.device_write_bps,
            read_iops: self.device_read_iops,
            write_iops: self.device_write_iops,
            unified,
        })
    }
}
