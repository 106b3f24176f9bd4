//! Limits of the model to the OCI's `LinuxResources`, and the device rules.

use oci_spec::runtime as oci;

use super::{Error, ResolvedFacts};
use crate::model::container::ContainerSpec;
use crate::model::resources::{DeviceValue, Resources};
use crate::runtime::devices::{self, DEFAULT_RULES, Kind};

/// Numbers of block devices by host path: `(path, major, minor)`.
pub type BlockNumbers = Vec<(String, u32, u32)>;

/// Scheduling period in microseconds that `--cpus` is spread over where no period is asked for.
const CPU_PERIOD: u64 = 100_000;

/// Limits as the OCI spells them, without device rules. Used at start and by `update`.
///
/// # Errors
/// [`Error::Block`] where a device of an I/O limit is not among `blocks`.
pub fn resources(limits: &Resources, blocks: &BlockNumbers) -> Result<oci::LinuxResources, Error> {
    let mut out = oci::LinuxResources::default();
    out.set_memory(memory(limits)).set_cpu(cpu(limits)).set_block_io(block_io(limits, blocks)?);
    if let Some(limit) = limits.pids_limit {
        let mut pids = oci::LinuxPids::default();
        pids.set_limit(if limit <= 0 { -1 } else { limit });
        out.set_pids(Some(pids));
    }
    if !limits.unified.is_empty() {
        out.set_unified(Some(limits.unified.iter().cloned().collect()));
    }
    Ok(out)
}

/// Limits and device rules of a container.
pub(super) fn with_devices(
    spec: &ContainerSpec,
    facts: &ResolvedFacts,
) -> Result<oci::LinuxResources, Error> {
    let mut out = resources(&spec.resources, &facts.blocks)?;
    let mut rules = Vec::new();
    if spec.security.privileged {
        rules.push(rule(true, None, None, None, "rwm"));
    } else {
        rules.push(rule(false, None, None, None, "rwm"));
        for (kind, major, minor, access) in DEFAULT_RULES {
            rules.push(rule(true, *kind, *major, *minor, access));
        }
        for node in &facts.devices {
            rules.push(rule(true, Some(node.kind), Some(node.major), Some(node.minor), &node.access));
        }
    }
    for text in &spec.device_rules {
        let r = devices::parse_rule(text)?;
        rules.push(rule(r.allow, r.kind, r.major, r.minor, &r.access));
    }
    out.set_devices(Some(rules));
    Ok(out)
}

fn rule(
    allow: bool,
    kind: Option<Kind>,
    major: Option<u32>,
    minor: Option<u32>,
    access: &str,
) -> oci::LinuxDeviceCgroup {
    let mut r = oci::LinuxDeviceCgroup::default();
    r.set_allow(allow)
        .set_typ(Some(match kind {
            None | Some(Kind::Fifo) => oci::LinuxDeviceType::A,
            Some(Kind::Char) => oci::LinuxDeviceType::C,
            Some(Kind::Block) => oci::LinuxDeviceType::B,
        }))
        .set_major(major.map(i64::from))
        .set_minor(minor.map(i64::from))
        .set_access(Some(access.to_owned()));
    r
}

fn memory(limits: &Resources) -> Option<oci::LinuxMemory> {
    let bytes = |b: crate::model::units::ByteSize| i64::try_from(b.0).unwrap_or(i64::MAX);
    let mut m = oci::LinuxMemory::default();
    m.set_limit(limits.memory.map(bytes))
        .set_reservation(limits.memory_reservation.map(bytes))
        .set_swap(limits.memory_swap)
        .set_swappiness(limits.memory_swappiness)
        .set_disable_oom_killer(limits.oom_kill_disable.filter(|d| *d));
    (m != oci::LinuxMemory::default()).then_some(m)
}

fn cpu(limits: &Resources) -> Option<oci::LinuxCpu> {
    let mut c = oci::LinuxCpu::default();
    c.set_shares(limits.cpu_shares)
        .set_period(limits.cpu_period)
        .set_quota(limits.cpu_quota)
        .set_realtime_period(limits.cpu_rt_period)
        .set_realtime_runtime(limits.cpu_rt_runtime)
        .set_cpus(limits.cpuset_cpus.clone())
        .set_mems(limits.cpuset_mems.clone());
    if let Some(nano) = limits.nano_cpus {
        let period = limits.cpu_period.unwrap_or(CPU_PERIOD);
        let quota = u128::from(nano.0) * u128::from(period) / 1_000_000_000;
        // The kernel refuses a quota under one millisecond.
        let quota = i64::try_from(quota).unwrap_or(i64::MAX).max(1000);
        c.set_period(Some(period)).set_quota(Some(quota));
    }
    (c != oci::LinuxCpu::default()).then_some(c)
}

fn block_io(limits: &Resources, blocks: &BlockNumbers) -> Result<Option<oci::LinuxBlockIo>, Error> {
    let mut b = oci::LinuxBlockIo::default();
    b.set_weight(limits.blkio_weight);
    let weights = limits.blkio_weight_device.iter().map(|d| {
        let (major, minor) = find(d, blocks)?;
        Ok(oci::LinuxWeightDeviceBuilder::default()
            .major(major)
            .minor(minor)
            .weight(u16::try_from(d.value).unwrap_or(u16::MAX))
            .build()
            .expect("every part has a default"))
    });
    b.set_weight_device(some(weights.collect::<Result<_, Error>>()?))
        .set_throttle_read_bps_device(throttles(&limits.read_bps, blocks)?)
        .set_throttle_write_bps_device(throttles(&limits.write_bps, blocks)?)
        .set_throttle_read_iops_device(throttles(&limits.read_iops, blocks)?)
        .set_throttle_write_iops_device(throttles(&limits.write_iops, blocks)?);
    Ok((b != oci::LinuxBlockIo::default()).then_some(b))
}

fn throttles(
    values: &[DeviceValue],
    blocks: &BlockNumbers,
) -> Result<Option<Vec<oci::LinuxThrottleDevice>>, Error> {
    let made = values.iter().map(|d| {
        let (major, minor) = find(d, blocks)?;
        Ok(oci::LinuxThrottleDeviceBuilder::default()
            .major(major)
            .minor(minor)
            .rate(d.value)
            .build()
            .expect("every part has a default"))
    });
    Ok(some(made.collect::<Result<_, Error>>()?))
}

fn find(device: &DeviceValue, blocks: &BlockNumbers) -> Result<(i64, i64), Error> {
    blocks
        .iter()
        .find(|(path, ..)| *path == device.path)
        .map(|(_, major, minor)| (i64::from(*major), i64::from(*minor)))
        .ok_or_else(|| Error::Block(device.path.clone()))
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
