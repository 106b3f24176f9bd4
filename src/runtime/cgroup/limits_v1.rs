//! OCI limits to the files of cgroup v1, purely.

use oci_spec::runtime as oci;

use super::Error;
use super::setting::Setting;

/// The settings, in the order of writing for a fresh cgroup.
pub(super) fn settings(limits: &oci::LinuxResources) -> Result<Vec<Setting>, Error> {
    let mut out = Vec::new();
    if let Some(m) = limits.memory() {
        memory(m, &mut out);
    }
    if let Some(c) = limits.cpu() {
        cpu(c, &mut out);
    }
    if let Some(p) = limits.pids() {
        let value = super::convert::pids(p.limit());
        out.push(Setting::new("pids", "the limit of processes", "pids.max", value));
    }
    if let Some(b) = limits.block_io() {
        block_io(b, &mut out);
    }
    for limit in limits.hugepage_limits().iter().flatten() {
        let file = format!("hugetlb.{}.limit_in_bytes", super::convert::page_size(limit.page_size())?);
        out.push(Setting::new("hugetlb", "the limit of huge pages", file, limit.limit()));
    }
    if let Some(n) = limits.network() {
        network(n, &mut out);
    }
    for (device, limit) in limits.rdma().iter().flatten() {
        let value = super::convert::rdma(device, limit)?;
        out.push(Setting::new("rdma", "the RDMA limit", "rdma.max", value));
    }
    if let Some((key, _)) = limits.unified().iter().flatten().next() {
        let why = "invalid configuration: this machine has its controllers on cgroup v1";
        return Err(Error::Unsupported { setting: format!("the cgroup v2 value {key}"), why });
    }
    Ok(out)
}

fn memory(m: &oci::LinuxMemory, out: &mut Vec<Setting>) {
    let mut set = |what, file: &'static str, value: Option<i64>| {
        if let Some(value) = value {
            out.push(Setting::new("memory", what, file, value));
        }
    };
    set("the memory limit", "memory.limit_in_bytes", m.limit());
    // No limit of memory alone: both may be no less than memory.
    let both = m.swap().filter(|s| *s != 0).or(m.limit().filter(|limit| *limit == -1));
    if let Some(both) = both {
        // Docker's own default is twice the memory; a machine that does not count swap has no file.
        let nobody_asked = both == -1 || m.limit().is_some_and(|limit| limit > 0 && both == 2 * limit);
        let setting =
            Setting::new("memory", "the limit of memory and swap", "memory.memsw.limit_in_bytes", both);
        out.push(setting.optional(nobody_asked));
    }
    let mut set = |what, file: &'static str, value: Option<i64>| {
        if let Some(value) = value {
            out.push(Setting::new("memory", what, file, value));
        }
    };
    set("the memory reservation", "memory.soft_limit_in_bytes", m.reservation());
    set("the limit of TCP buffers", "memory.kmem.tcp.limit_in_bytes", m.kernel_tcp());
    let swappiness = m.swappiness().and_then(|s| i64::try_from(s).ok());
    set("the swappiness", "memory.swappiness", swappiness);
    set("switching off the OOM killer", "memory.oom_control", m.disable_oom_killer().map(i64::from));
}

fn cpu(c: &oci::LinuxCpu, out: &mut Vec<Setting>) {
    let mut set = |what, file: &'static str, value: Option<String>| {
        if let Some(value) = value {
            out.push(Setting::new("cpu", what, file, value));
        }
    };
    let text = |v: Option<u64>| v.map(|v| v.to_string());
    let signed = |v: Option<i64>| v.map(|v| v.to_string());
    set("the real-time period", "cpu.rt_period_us", text(c.realtime_period()));
    set("the real-time run time", "cpu.rt_runtime_us", signed(c.realtime_runtime()));
    // 0 is "not set" to every tool that writes this document.
    set("the CPU shares", "cpu.shares", text(c.shares().filter(|s| *s > 0)));
    set("the CPU period", "cpu.cfs_period_us", text(c.period().filter(|p| *p > 0)));
    set("the CPU quota", "cpu.cfs_quota_us", signed(c.quota().filter(|q| *q != 0)));
    set("the CPU burst", "cpu.cfs_burst_us", text(c.burst()));
    set("the idle class", "cpu.idle", signed(c.idle()));
    let mut set = |what, file: &'static str, value: Option<&String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            out.push(Setting::new("cpuset", what, file, value));
        }
    };
    set("the set of CPUs", "cpuset.cpus", c.cpus().as_ref());
    set("the set of memory nodes", "cpuset.mems", c.mems().as_ref());
}

fn block_io(b: &oci::LinuxBlockIo, out: &mut Vec<Setting>) {
    if let Some(weight) = b.weight().filter(|w| *w > 0) {
        let setting = Setting::new("blkio", "the I/O weight", "blkio.weight", weight);
        out.push(setting.or("blkio.bfq.weight", weight));
    }
    if let Some(weight) = b.leaf_weight().filter(|w| *w > 0) {
        out.push(Setting::new("blkio", "the I/O leaf weight", "blkio.leaf_weight", weight));
    }
    for d in b.weight_device().iter().flatten() {
        if let Some(weight) = d.weight() {
            let value = format!("{}:{} {weight}", d.major(), d.minor());
            let setting = Setting::new("blkio", "the I/O weight", "blkio.weight_device", &value);
            out.push(setting.or("blkio.bfq.weight_device", value));
        }
        if let Some(weight) = d.leaf_weight() {
            let value = format!("{}:{} {weight}", d.major(), d.minor());
            out.push(Setting::new("blkio", "the I/O leaf weight", "blkio.leaf_weight_device", value));
        }
    }
    for (file, devices) in [
        ("blkio.throttle.read_bps_device", b.throttle_read_bps_device()),
        ("blkio.throttle.write_bps_device", b.throttle_write_bps_device()),
        ("blkio.throttle.read_iops_device", b.throttle_read_iops_device()),
        ("blkio.throttle.write_iops_device", b.throttle_write_iops_device()),
    ] {
        for d in devices.iter().flatten() {
            let value = format!("{}:{} {}", d.major(), d.minor(), d.rate());
            out.push(Setting::new("blkio", "the I/O limit", file, value));
        }
    }
}

fn network(n: &oci::LinuxNetwork, out: &mut Vec<Setting>) {
    if let Some(class) = n.class_id() {
        out.push(Setting::new("net_cls", "the network class", "net_cls.classid", class));
    }
    for p in n.priorities().iter().flatten() {
        out.push(Setting::new(
            "net_prio",
            "the network priority",
            "net_prio.ifpriomap",
            p.to_string().trim_end(),
        ));
    }
}
