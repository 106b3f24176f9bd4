//! Reading the measurements: which files, and how their text becomes [`Stats`]. A file that is missing
//! (an old kernel, a controller that is off) leaves its numbers zero.
//!
//! Single values, processes, pressure and the sizes of huge pages are read by libcgroups. Its managers are
//! not used: they give nothing at all where one file is missing.

use std::path::Path;

use libcgroups::stats as read;

use super::stats::{Cpu, HugePages, Io, IoEntry, Memory, Pids, Pressure, Stall, Stats};
use crate::sys::cgroup as sys;

fn text(dir: &Path, file: &str) -> String {
    sys::read(&dir.join(file)).unwrap_or_default()
}

/// One number; `max` is no limit, and so is what v1 shows for it.
fn value(dir: &Path, file: &str) -> u64 {
    read::parse_single_value(&dir.join(file)).map_or(0, unlimited)
}

fn unlimited(n: u64) -> u64 {
    // v1's "no limit" is the largest page-aligned signed number; page sizes go up to 64 KiB.
    const V1_NONE: u64 = (i64::MAX as u64) & !0xffff;
    if n >= V1_NONE { u64::MAX } else { n }
}

fn pids(dir: &Path) -> Pids {
    let Ok(p) = read::pid_stats(dir) else { return Pids::default() };
    // 0 stands for no limit there.
    Pids { current: p.current, limit: if p.limit == 0 { u64::MAX } else { p.limit } }
}

fn stall(dir: &Path, file: &str) -> Stall {
    let Ok(psi) = read::psi_stats(&dir.join(file)) else { return Stall::default() };
    let averages = |d: &read::PSIData| [d.avg10, d.avg60, d.avg300];
    Stall { some: averages(&psi.some), full: averages(&psi.full) }
}

/// `key value` lines.
fn table(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|l| l.split_once(' '))
        .filter_map(|(k, v)| Some((k.to_owned(), v.trim().parse().ok()?)))
        .collect()
}

fn get(table: &[(String, u64)], key: &str) -> u64 {
    table.iter().find(|(k, _)| k == key).map_or(0, |(_, v)| *v)
}

/// Processes killed for memory, as `memory.events` (v2) or `memory.oom_control` (v1) has it.
pub(super) fn oom_kills(dir: &Path, file: &str) -> u64 {
    get(&table(&text(dir, file)), "oom_kill")
}

/// v1: memory has run out, and nobody is to be killed for it.
pub(super) fn waits_for_memory(dir: &Path) -> bool {
    let control = table(&text(dir, "memory.oom_control"));
    get(&control, "under_oom") != 0 && get(&control, "oom_kill_disable") != 0
}

/// v2: everything is in one directory.
pub(super) fn v2(dir: &Path) -> Stats {
    let cpu = table(&text(dir, "cpu.stat"));
    let usec = |key| get(&cpu, key).saturating_mul(1000);
    let stat = table(&text(dir, "memory.stat"));
    let events = table(&text(dir, "memory.events"));
    Stats {
        cpu: Cpu {
            usage: usec("usage_usec"),
            user: usec("user_usec"),
            system: usec("system_usec"),
            per_cpu: Vec::new(),
            periods: get(&cpu, "nr_periods"),
            throttled_periods: get(&cpu, "nr_throttled"),
            throttled: usec("throttled_usec"),
        },
        memory: Memory {
            usage: value(dir, "memory.current"),
            max_usage: value(dir, "memory.peak"),
            limit: value(dir, "memory.max"),
            failures: get(&events, "max"),
            oom_kills: get(&events, "oom_kill"),
            swap: value(dir, "memory.swap.current"),
            swap_limit: value(dir, "memory.swap.max"),
            kernel: get(&stat, "kernel"),
            inactive_file: get(&stat, "inactive_file"),
            stat,
        },
        pids: pids(dir),
        io: io_v2(&text(dir, "io.stat")),
        hugetlb: huge_pages(dir, "current", None, "events"),
        pressure: Pressure {
            cpu: stall(dir, "cpu.pressure"),
            memory: stall(dir, "memory.pressure"),
            io: stall(dir, "io.pressure"),
        },
    }
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn io_v2(text: &str) -> Io {
    let mut out = Io::default();
    for line in text.lines() {
        let Some((device, rest)) = line.split_once(' ') else { continue };
        let Some((major, minor)) = device_numbers(device) else { continue };
        for (key, value) in rest.split(' ').filter_map(|w| w.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            let (bytes, operation) = match key {
                "rbytes" => (true, "Read"),
                "wbytes" => (true, "Write"),
                "dbytes" => (true, "Discard"),
                "rios" => (false, "Read"),
                "wios" => (false, "Write"),
                "dios" => (false, "Discard"),
                _ => continue,
            };
            let entry = IoEntry { major, minor, operation: operation.to_owned(), value };
            if bytes { out.bytes.push(entry) } else { out.operations.push(entry) }
        }
    }
    out
}

fn device_numbers(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// v1: `at` gives the directory of a controller.
pub(super) fn v1(at: &dyn Fn(&str) -> Option<std::path::PathBuf>) -> Stats {
    let mut out = Stats::default();
    if let Some(dir) = at("cpuacct") {
        out.cpu.usage = value(&dir, "cpuacct.usage");
        out.cpu.user = value(&dir, "cpuacct.usage_user");
        out.cpu.system = value(&dir, "cpuacct.usage_sys");
        let each = text(&dir, "cpuacct.usage_percpu");
        out.cpu.per_cpu = each.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    }
    if let Some(dir) = at("cpu") {
        let stat = table(&text(&dir, "cpu.stat"));
        out.cpu.periods = get(&stat, "nr_periods");
        out.cpu.throttled_periods = get(&stat, "nr_throttled");
        out.cpu.throttled = get(&stat, "throttled_time");
    }
    if let Some(dir) = at("memory") {
        out.memory = memory_v1(&dir);
    }
    if let Some(dir) = at("pids") {
        out.pids = pids(&dir);
    }
    if let Some(dir) = at("blkio") {
        // The scheduler's own count is the finer one; it is empty unless BFQ is in use.
        let either = |name: &str| {
            let bfq = io_v1(&text(&dir, &format!("blkio.bfq.{name}_recursive")));
            if bfq.is_empty() { io_v1(&text(&dir, &format!("blkio.throttle.{name}_recursive"))) } else { bfq }
        };
        out.io = Io { bytes: either("io_service_bytes"), operations: either("io_serviced") };
    }
    if let Some(dir) = at("hugetlb") {
        out.hugetlb = huge_pages(&dir, "usage_in_bytes", Some("max_usage_in_bytes"), "failcnt");
    }
    out
}

fn memory_v1(dir: &Path) -> Memory {
    let stat = table(&text(dir, "memory.stat"));
    let usage = value(dir, "memory.usage_in_bytes");
    let limit = value(dir, "memory.limit_in_bytes");
    let both_limit = value(dir, "memory.memsw.limit_in_bytes");
    Memory {
        usage,
        max_usage: value(dir, "memory.max_usage_in_bytes"),
        limit,
        failures: value(dir, "memory.failcnt"),
        oom_kills: oom_kills(dir, "memory.oom_control"),
        swap: value(dir, "memory.memsw.usage_in_bytes").saturating_sub(usage),
        swap_limit: if both_limit == u64::MAX { u64::MAX } else { both_limit.saturating_sub(limit) },
        kernel: value(dir, "memory.kmem.usage_in_bytes"),
        inactive_file: get(&stat, "total_inactive_file"),
        stat,
    }
}

/// `8:0 Read 123`; the last line is a total.
fn io_v1(text: &str) -> Vec<IoEntry> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (major, minor) = device_numbers(words.next()?)?;
            let operation = words.next()?.to_owned();
            let value = words.next()?.parse().ok()?;
            (operation != "Total").then_some(IoEntry { major, minor, operation, value })
        })
        .collect()
}

/// One entry for each size that the machine has and the cgroup counts.
fn huge_pages(dir: &Path, usage: &str, highest: Option<&str>, failures: &str) -> Vec<HugePages> {
    let mut sizes = read::supported_page_sizes().unwrap_or_default();
    sizes.sort();
    let counted = sizes.into_iter().filter_map(|size| {
        let file = |name: &str| format!("hugetlb.{size}.{name}");
        let usage = read::parse_single_value(&dir.join(file(usage))).ok()?;
        let failed = text(dir, &file(failures));
        let failed = failed.trim();
        Some(HugePages {
            usage,
            // v2 does not keep it.
            max_usage: highest.map_or(0, |name| value(dir, &file(name))),
            failures: failed.strip_prefix("max ").unwrap_or(failed).parse().unwrap_or(0),
            size,
        })
    });
    counted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (n, shown) in [(12, 12), (9_223_372_036_854_771_712, u64::MAX), (u64::MAX, u64::MAX)] {
            assert_eq!(unlimited(n), shown);
        }
        assert_eq!(value(Path::new("/proc"), "no-such-file"), 0);
    }

    #[test]
    fn io() {
        let v2 = io_v2("8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0 cost.usage=3\n253:1 \nbad\n");
        assert_eq!(v2.totals(), (10, 20));
        assert_eq!(v2.operations.len(), 3);
        let v1 = io_v1("8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n");
        assert_eq!(v1.len(), 2);
        assert_eq!((v1[1].major, &*v1[1].operation, v1[1].value), (8, "Write", 20));
    }
}
