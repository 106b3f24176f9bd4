//! update, and the numbers of `events` in runc's shape.

use clap::Args;
use oci_spec::runtime::{LinuxIntelRdt, LinuxResources};
use serde_json::{Map, Value, json};

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::model::units::ByteSize;
use crate::runtime::bundle;
use crate::runtime::cgroup::Stats;
use crate::runtime::cgroup::stats::{HugePages, IoEntry};
use crate::runtime::manage::update as changing;
use crate::sys::fd;

use super::{Ctx, failure};

#[derive(Debug, Args)]
pub(super) struct Update {
    /// Read the limits from this file (- for stdin), as JSON
    #[arg(short, long, value_name = "FILE")]
    pub resources: Option<std::path::PathBuf>,
    /// Weight of block I/O, 10 to 1000
    #[arg(long)]
    pub blkio_weight: Option<u16>,
    /// CFS period in microseconds
    #[arg(long)]
    pub cpu_period: Option<u64>,
    /// CFS quota in microseconds
    #[arg(long, allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// CFS burst in microseconds
    #[arg(long)]
    pub cpu_burst: Option<u64>,
    /// Relative weight of CPU time
    #[arg(long)]
    pub cpu_share: Option<u64>,
    /// Real-time period in microseconds
    #[arg(long)]
    pub cpu_rt_period: Option<u64>,
    /// Real-time run time in microseconds
    #[arg(long, allow_hyphen_values = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// CPUs to use
    #[arg(long)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long)]
    pub cpuset_mems: Option<String>,
    /// SCHED_IDLE of the cgroup, 0 or 1
    #[arg(long, allow_hyphen_values = true)]
    pub cpu_idle: Option<i64>,
    /// Memory limit in bytes
    #[arg(long, allow_hyphen_values = true, value_parser = size)]
    pub memory: Option<i64>,
    /// Soft memory limit in bytes
    #[arg(long, allow_hyphen_values = true, value_parser = size)]
    pub memory_reservation: Option<i64>,
    /// Limit of memory and swap in bytes, -1 for none
    #[arg(long, allow_hyphen_values = true, value_parser = size)]
    pub memory_swap: Option<i64>,
    /// Most processes
    #[arg(long, allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Lines of Intel RDT about the L3 cache, such as "L3:0=f"
    #[arg(long, value_name = "SCHEMA")]
    pub l3_cache_schema: Option<String>,
    /// Line of Intel RDT about memory bandwidth, such as "MB:0=50"
    #[arg(long, value_name = "SCHEMA")]
    pub mem_bw_schema: Option<String>,
    /// Id of the container
    pub id: String,
}

/// Bytes, with a unit or without; -1 for no limit.
fn size(text: &str) -> Result<i64, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let size: ByteSize = text.parse().map_err(|e: crate::model::ParseError| e.to_string())?;
    i64::try_from(size.0).map_err(|_| "too large".to_owned())
}

pub(super) fn update(args: &Update, ctx: &mut Ctx<'_>) -> Outcome {
    let resources = match &args.resources {
        Some(file) => read(file)?,
        None => from_flags(args)?,
    };
    changing::update(&ctx.store, &args.id, &resources, shares(args).as_ref()).map_err(|e| failure("", &e))?;
    Ok(Exit::OK)
}

/// An empty text is as good as none.
fn shares(args: &Update) -> Option<LinuxIntelRdt> {
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    let (cache, bandwidth) = (given(&args.l3_cache_schema), given(&args.mem_bw_schema));
    (cache.is_some() || bandwidth.is_some()).then(|| {
        let mut out = LinuxIntelRdt::default();
        out.set_l3_cache_schema(cache).set_mem_bw_schema(bandwidth);
        out
    })
}

fn read(file: &std::path::Path) -> Result<LinuxResources, Failure> {
    let text = if file == std::path::Path::new("-") {
        fd::read_all(rustix::stdio::stdin(), 1 << 20)
    } else {
        fd::read_file(file)
    };
    let text = text.map_err(|e| failure("", &e))?;
    bundle::parse_resources(&text, file).map_err(|e| failure("", &e))
}

/// By way of the JSON that `-r` takes: one shape.
fn from_flags(a: &Update) -> Result<LinuxResources, Failure> {
    let mut out = Map::new();
    let mut group = |name: &str, fields: Vec<(&str, Option<Value>)>| {
        let set: Map<String, Value> =
            fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect();
        if !set.is_empty() {
            out.insert(name.to_owned(), Value::Object(set));
        }
    };
    group(
        "memory",
        vec![
            ("limit", a.memory.map(Value::from)),
            ("reservation", a.memory_reservation.map(Value::from)),
            ("swap", a.memory_swap.map(Value::from)),
        ],
    );
    group(
        "cpu",
        vec![
            ("shares", a.cpu_share.map(Value::from)),
            ("quota", a.cpu_quota.map(Value::from)),
            ("period", a.cpu_period.map(Value::from)),
            ("burst", a.cpu_burst.map(Value::from)),
            ("realtimePeriod", a.cpu_rt_period.map(Value::from)),
            ("realtimeRuntime", a.cpu_rt_runtime.map(Value::from)),
            ("cpus", a.cpuset_cpus.clone().map(Value::from)),
            ("mems", a.cpuset_mems.clone().map(Value::from)),
            ("idle", a.cpu_idle.map(Value::from)),
        ],
    );
    group("pids", vec![("limit", a.pids_limit.map(Value::from))]);
    group("blockIO", vec![("weight", a.blkio_weight.map(Value::from))]);
    serde_json::from_value(Value::Object(out)).map_err(|e| failure("limits", &e))
}

/// `events`: what runc puts into `data`.
pub(super) fn stats_document(s: &Stats) -> Value {
    let huge: Map<String, Value> = s.hugetlb.iter().map(|h| (h.size.clone(), huge_pages(h))).collect();
    json!({
        "cpu": {
            "usage": { "total": s.cpu.usage, "percpu": s.cpu.per_cpu, "kernel": s.cpu.system, "user": s.cpu.user },
            "throttling": {
                "periods": s.cpu.periods,
                "throttledPeriods": s.cpu.throttled_periods,
                "throttledTime": s.cpu.throttled,
            },
        },
        "memory": memory(s),
        "pids": { "current": s.pids.current, "limit": if s.pids.limit == u64::MAX { 0 } else { s.pids.limit } },
        "blkio": {
            "ioServiceBytesRecursive": s.io.bytes.iter().map(entry).collect::<Vec<_>>(),
            "ioServicedRecursive": s.io.operations.iter().map(entry).collect::<Vec<_>>(),
        },
        "hugetlb": huge,
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

fn memory(s: &Stats) -> Value {
    let m = &s.memory;
    let raw: Map<String, Value> = m.stat.iter().map(|(k, v)| (k.clone(), (*v).into())).collect();
    json!({
        "usage": { "limit": m.limit, "usage": m.usage, "max": m.max_usage, "failcnt": m.failures },
        "swap": { "limit": m.swap_limit, "usage": m.swap, "max": 0, "failcnt": 0 },
        "kernel": { "limit": 0, "usage": m.kernel, "max": 0, "failcnt": 0 },
        "cache": m.stat.iter().find(|(k, _)| k == "cache" || k == "file").map_or(0, |(_, v)| *v),
        "raw": raw,
    })
}

fn huge_pages(h: &HugePages) -> Value {
    json!({ "usage": h.usage, "max": h.max_usage, "failcnt": h.failures })
}

fn entry(e: &IoEntry) -> Value {
    json!({ "major": e.major, "minor": e.minor, "op": e.operation, "value": e.value })
}
