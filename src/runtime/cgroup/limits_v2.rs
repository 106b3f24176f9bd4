//! OCI limits, which are those of v1, to the files of cgroup v2, purely.

use oci_spec::runtime as oci;

use super::Error;
use super::convert;
use super::setting::Setting;

/// The settings, in the order of writing.
pub(super) fn settings(limits: &oci::LinuxResources) -> Result<Vec<Setting>, Error> {
    let mut out = Vec::new();
    if let Some(m) = limits.memory() {
        memory(m, &mut out)?;
    }
    if let Some(c) = limits.cpu() {
        cpu(c, &mut out)?;
    }
    if let Some(p) = limits.pids() {
        let value = super::convert::pids(p.limit());
        out.push(Setting::new("pids", "the limit of processes", "pids.max", value));
    }
    if let Some(b) = limits.block_io() {
        block_io(b, &mut out)?;
    }
    for limit in limits.hugepage_limits().iter().flatten() {
        let size = convert::page_size(limit.page_size())?;
        let what = "the limit of huge pages";
        out.push(Setting::new("hugetlb", what, format!("hugetlb.{size}.max"), limit.limit()));
        // Reservations are counted apart; without this a mapping could reserve beyond the limit.
        let reserved = Setting::new("hugetlb", what, format!("hugetlb.{size}.rsvd.max"), limit.limit());
        out.push(reserved.optional(true));
    }
    if limits.network().as_ref().is_some_and(|n| *n != oci::LinuxNetwork::default()) {
        return unsupported("the network class or priority");
    }
    for (device, limit) in limits.rdma().iter().flatten() {
        out.push(Setting::new("rdma", "the RDMA limit", "rdma.max", convert::rdma(device, limit)?));
    }
    unified(limits, &mut out)?;
    if is_idle(&out) {
        // An idle group has no weight; the kernel refuses to set one.
        out.retain(|s| s.file != "cpu.weight");
    }
    Ok(out)
}

fn is_idle(settings: &[Setting]) -> bool {
    settings.iter().rev().find(|s| s.file == "cpu.idle").is_some_and(|s| s.value.trim() == "1")
}

/// Whether a weight was given beside the idle class, which has none.
pub(super) fn weighs_idle(limits: &oci::LinuxResources) -> bool {
    let given = |file: &str| limits.unified().as_ref().and_then(|u| u.get(file));
    let cpu = limits.cpu().as_ref();
    let idle = given("cpu.idle").map_or(cpu.and_then(|c| c.idle()) == Some(1), |v| v.trim() == "1");
    let weighs = given("cpu.weight").is_some() || cpu.and_then(|c| c.shares()).is_some_and(|s| s > 0);
    idle && weighs
}

fn unsupported<T>(setting: &str) -> Result<T, Error> {
    Err(Error::Unsupported { setting: setting.to_owned(), why: "cgroup v2 has nothing like it" })
}

/// -1 is "no limit".
fn or_max(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

fn memory(m: &oci::LinuxMemory, out: &mut Vec<Setting>) -> Result<(), Error> {
    if m.swappiness().is_some() {
        return unsupported("the swappiness");
    }
    if m.disable_oom_killer() == Some(true) {
        return unsupported("switching off the OOM killer");
    }
    if m.kernel_tcp().is_some_and(|k| k > 0) {
        return unsupported("a limit of TCP buffers");
    }
    if let Some(swap) = convert::swap(m.limit(), m.swap())? {
        let setting = Setting::new("memory", "the limit of swap", "memory.swap.max", or_max(swap));
        // Without swap there is no file; then neither "none" nor "any amount" of it means a thing, nor
        // docker's own default, as much swap as memory.
        out.push(setting.optional(swap <= 0 || Some(swap) == m.limit()));
    }
    if let Some(limit) = m.limit().filter(|l| *l != 0) {
        out.push(Setting::new("memory", "the memory limit", "memory.max", or_max(limit)));
    }
    if let Some(reservation) = m.reservation().filter(|r| *r != 0) {
        out.push(Setting::new("memory", "the memory reservation", "memory.low", or_max(reservation)));
    }
    Ok(())
}

fn cpu(c: &oci::LinuxCpu, out: &mut Vec<Setting>) -> Result<(), Error> {
    if c.realtime_period().is_some_and(|p| p > 0) || c.realtime_runtime().is_some_and(|r| r > 0) {
        return unsupported("a share of real time");
    }
    if let Some(idle) = c.idle() {
        out.push(Setting::new("cpu", "the idle class", "cpu.idle", idle));
    }
    if let Some(shares) = c.shares().filter(|s| *s > 0) {
        out.push(Setting::new("cpu", "the CPU shares", "cpu.weight", convert::cpu_weight(shares)));
    }
    let (quota, period) = (c.quota().filter(|q| *q != 0), c.period().filter(|p| *p != 0));
    if quota.is_some() || period.is_some() {
        // The second number alone cannot be given; with "max" the kernel keeps no quota.
        let mut value = quota.map_or_else(|| "max".to_owned(), or_max);
        if let Some(period) = period {
            value.push_str(&format!(" {period}"));
        }
        out.push(Setting::new("cpu", "the CPU quota", "cpu.max", value));
    }
    if let Some(burst) = c.burst() {
        out.push(Setting::new("cpu", "the CPU burst", "cpu.max.burst", burst));
    }
    for (what, file, value) in
        [("the set of CPUs", "cpuset.cpus", c.cpus()), ("the set of memory nodes", "cpuset.mems", c.mems())]
    {
        if let Some(value) = value.as_ref().filter(|v| !v.is_empty()) {
            out.push(Setting::new("cpuset", what, file, value));
        }
    }
    Ok(())
}

fn block_io(b: &oci::LinuxBlockIo, out: &mut Vec<Setting>) -> Result<(), Error> {
    let what = "the I/O weight";
    if b.leaf_weight().is_some_and(|w| w > 0) {
        return unsupported("an I/O leaf weight");
    }
    if let Some(weight) = b.weight().filter(|w| *w > 0) {
        let setting = Setting::new("io", what, "io.bfq.weight", weight);
        out.push(setting.or("io.weight", format!("default {}", convert::io_weight(weight))));
    }
    for d in b.weight_device().iter().flatten() {
        if d.leaf_weight().is_some_and(|w| w > 0) {
            return unsupported("an I/O leaf weight");
        }
        if let Some(weight) = d.weight() {
            let device = format!("{}:{}", d.major(), d.minor());
            let setting = Setting::new("io", what, "io.bfq.weight", format!("{device} {weight}"));
            out.push(setting.or("io.weight", format!("{device} {}", convert::io_weight(weight))));
        }
    }
    for (key, devices) in [
        ("rbps", b.throttle_read_bps_device()),
        ("wbps", b.throttle_write_bps_device()),
        ("riops", b.throttle_read_iops_device()),
        ("wiops", b.throttle_write_iops_device()),
    ] {
        for d in devices.iter().flatten() {
            let rate = if d.rate() == 0 { "max".to_owned() } else { d.rate().to_string() };
            let value = format!("{}:{} {key}={rate}", d.major(), d.minor());
            out.push(Setting::new("io", "the I/O limit", "io.max", value));
        }
    }
    Ok(())
}

/// Files of v2 given by name. The names come from the document, so they may not leave the directory.
fn unified(limits: &oci::LinuxResources, out: &mut Vec<Setting>) -> Result<(), Error> {
    let mut given: Vec<_> = limits.unified().iter().flatten().collect();
    given.sort();
    for (file, value) in given {
        let refuse = |why| Err(Error::Unsupported { setting: format!("the cgroup value {file:?}"), why });
        if file.contains('/') {
            return refuse("it is not a file of a cgroup");
        }
        let Some((prefix, _)) = file.split_once('.') else {
            return refuse("it is not a file of a cgroup");
        };
        let Some(controller) =
            ["cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma", "misc", "cgroup", "dmem"]
                .into_iter()
                .find(|c| *c == prefix)
        else {
            return refuse("no controller has it");
        };
        // Several lines of a keyed file are several writes: the kernel takes one at a time.
        for line in value.lines() {
            out.push(Setting::new(controller, "a cgroup value", file.clone(), line));
        }
    }
    Ok(())
}
