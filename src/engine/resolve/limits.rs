//! Resource limits, with docker's rules and messages.

use super::{Inputs, invalid};
use crate::engine::error::Error;
use crate::engine::host::Host;
use crate::model::resources::Resources;
use crate::model::units::ByteSize;

/// The least memory that a container can be limited to; below it, it cannot even start.
const MIN_MEMORY: u64 = 6 << 20;

pub(super) fn resolve(
    wish: &Resources,
    inputs: &Inputs<'_>,
    warnings: &mut Vec<String>,
) -> Result<Resources, Error> {
    check_resources(wish, inputs.host, inputs.config.podman)?;
    if wish.oom_kill_disable == Some(true) && wish.memory.is_none() {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the \
             system running out of resources"
                .to_owned(),
        );
    }
    let mut resources = wish.clone();
    if let (Some(ByteSize(memory)), None | Some(0)) = (wish.memory, wish.memory_swap)
        && memory > 0
    {
        // Docker's default: as much swap as memory.
        resources.memory_swap = i64::try_from(memory.saturating_mul(2)).ok();
    }
    if resources.pids_limit.is_none() {
        resources.pids_limit = inputs.config.containers.pids_limit;
    }
    Ok(resources)
}

/// Checks limits against each other and the host; used by `create` and `update`. podman leaves to the kernel how small or large
/// they may be.
///
/// # Errors
/// Docker's message for the first rule that is broken.
pub fn check_resources(r: &Resources, host: &Host, podman: bool) -> Result<(), Error> {
    let Resources {
        memory,
        memory_reservation,
        memory_swap,
        memory_swappiness,
        oom_kill_disable: _,
        nano_cpus: _,
        cpu_shares: _,
        cpu_period: _,
        cpu_quota: _,
        cpu_rt_period: _,
        cpu_rt_runtime: _,
        cpuset_cpus,
        cpuset_mems,
        pids_limit: _,
        blkio_weight,
        blkio_weight_device,
        read_bps: _,
        write_bps: _,
        read_iops: _,
        write_iops: _,
        unified: _,
    } = r;
    memory_rules(*memory, *memory_reservation, *memory_swap, *memory_swappiness, podman)?;
    cpu_rules(r, host, podman)?;
    if let Some(list) = cpuset_cpus {
        available("cpus", "CPUs", list, host.cpus())?;
    }
    if let Some(list) = cpuset_mems {
        available("mems", "memory nodes", list, host.memory_nodes())?;
    }
    if let Some(weight) = blkio_weight
        && *weight != 0
        && !(10..=1000).contains(weight)
    {
        return Err(invalid("Range of blkio weight is from 10 to 1000"));
    }
    if let Some(device) = blkio_weight_device.iter().find(|d| d.value != 0 && !(10..=1000).contains(&d.value))
    {
        return Err(invalid(format!("invalid weight for device {}: range is from 10 to 1000", device.path)));
    }
    Ok(())
}

fn memory_rules(
    memory: Option<ByteSize>,
    reservation: Option<ByteSize>,
    swap: Option<i64>,
    swappiness: Option<u64>,
    podman: bool,
) -> Result<(), Error> {
    let memory = memory.map_or(0, |m| m.0);
    let reservation = reservation.map_or(0, |m| m.0);
    if memory > 0 && memory < MIN_MEMORY && !podman {
        return Err(invalid("Minimum memory limit allowed is 6MB"));
    }
    match swap {
        Some(s) if s < -1 => {
            return Err(invalid(format!("invalid memory swap limit {s}: -1 is unlimited")));
        }
        Some(s) if s > 0 && memory == 0 => {
            return Err(invalid(
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ));
        }
        Some(s) if s > 0 && u64::try_from(s).is_ok_and(|s| s < memory) => {
            return Err(invalid("Minimum memoryswap limit should be larger than memory limit, see usage"));
        }
        Some(_) | None => {}
    }
    if let Some(value) = swappiness
        && value > 100
    {
        return Err(invalid(format!("Valid memory swappiness range is 0-100, not {value}")));
    }
    if reservation > 0 && reservation < MIN_MEMORY && !podman {
        return Err(invalid("Minimum memory reservation allowed is 6MB"));
    }
    if memory > 0 && reservation > memory && !podman {
        return Err(invalid("Minimum memory limit can not be less than memory reservation limit, see usage"));
    }
    Ok(())
}

fn cpu_rules(r: &Resources, host: &Host, podman: bool) -> Result<(), Error> {
    let set = |v: Option<u64>| v.is_some_and(|v| v != 0);
    if let Some(cpus) = r.nano_cpus.filter(|c| c.0 > 0) {
        if set(r.cpu_period) {
            return Err(invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set"));
        }
        if r.cpu_quota.is_some_and(|q| q != 0) {
            return Err(invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set"));
        }
        let have = host.cpus();
        if !podman && (cpus.0 > u64::from(have) * 1_000_000_000 || cpus.0 < 10_000_000) {
            return Err(invalid(format!(
                "range of CPUs is from 0.01 to {have}.00, as there are only {have} CPUs available"
            )));
        }
    }
    if r.cpu_period.is_some_and(|p| p != 0 && !(1_000..=1_000_000).contains(&p)) {
        return Err(invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if r.cpu_quota.is_some_and(|q| q > 0 && q < 1_000) {
        return Err(invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    Ok(())
}

/// Checks a list such as `0-2,5` and that each number is below `have`.
fn available(file: &str, what: &str, list: &str, have: u32) -> Result<(), Error> {
    let bad = || invalid(format!("Invalid value {list} for cpuset {file}"));
    let mut highest = 0;
    for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: u32 = first.parse().map_err(|_| bad())?;
        let last: u32 = last.parse().map_err(|_| bad())?;
        if last < first {
            return Err(bad());
        }
        highest = highest.max(last);
    }
    if highest >= have {
        let range = if have == 1 { "0".to_owned() } else { format!("0-{}", have.saturating_sub(1)) };
        return Err(invalid(format!(
            "Requested {what} are not available - requested {list}, available: {range}"
        )));
    }
    Ok(())
}
