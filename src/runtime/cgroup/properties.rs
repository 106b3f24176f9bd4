//! The values of a cgroup's files as properties of a systemd unit, purely: systemd writes those that it knows
//! again whenever it likes, so it has to be told them too.

use std::borrow::Cow;

use oci_spec::runtime::LinuxResources;

use super::dbus::Value;
use super::setting::Setting;

/// A property of a unit.
pub(super) type Property = (Cow<'static, str>, Value);

/// systemd that knows which CPUs and memory nodes a unit may use.
const KNOWS_SETS: u32 = 244;
/// systemd that takes a weight of 0 for `cpu.idle`.
const KNOWS_IDLE: u32 = 252;

/// Whether the properties of these settings depend on systemd's version.
pub(super) fn need_version(settings: &[Setting]) -> bool {
    settings.iter().any(|s| matches!(&*s.file, "cpu.idle" | "cpuset.cpus" | "cpuset.mems"))
}

/// The properties; what has none, or what this systemd does not know, is left to the files.
pub(super) fn of(settings: &[Setting], version: u32) -> Vec<Property> {
    let mut out = Vec::new();
    for s in settings {
        let value = s.value.trim();
        match &*s.file {
            "memory.max" => add(&mut out, "MemoryMax", amount(value)),
            "memory.high" => add(&mut out, "MemoryHigh", amount(value)),
            "memory.low" => add(&mut out, "MemoryLow", amount(value)),
            "memory.min" => add(&mut out, "MemoryMin", amount(value)),
            "memory.swap.max" => add(&mut out, "MemorySwapMax", amount(value)),
            "pids.max" => add(&mut out, "TasksMax", amount(value)),
            "cpu.weight" => add(&mut out, "CPUWeight", amount(value)),
            // The other way there is no word for: only a weight ends it.
            "cpu.idle" if value == "1" && version >= KNOWS_IDLE => {
                add(&mut out, "CPUWeight", Some(Value::U64(0)));
            }
            "cpu.max" => quota(value, &mut out),
            "cpuset.cpus" if version >= KNOWS_SETS => add(&mut out, "AllowedCPUs", bits(value)),
            "cpuset.mems" if version >= KNOWS_SETS => add(&mut out, "AllowedMemoryNodes", bits(value)),
            _ => {}
        }
    }
    out
}

/// The later value of the same thing counts, as in the files.
fn add(out: &mut Vec<Property>, name: &'static str, value: Option<Value>) {
    let Some(value) = value else { return };
    out.retain(|(n, _)| n != name);
    out.push((name.into(), value));
}

fn amount(text: &str) -> Option<Value> {
    if text == "max" { Some(Value::U64(u64::MAX)) } else { text.parse().ok().map(Value::U64) }
}

fn quota(text: &str, out: &mut Vec<Property>) {
    let mut words = text.split_whitespace();
    let Some(quota) = words.next() else { return };
    let period = words.next().map_or(Some(100_000), |p| p.parse().ok()).filter(|p| *p > 0);
    let Some(period) = period else { return };
    let per_second = match quota {
        "max" => Some(u64::MAX),
        n => n.parse().ok().map(|n| per_second(n, period)),
    };
    add(out, "CPUQuotaPeriodUSec", Some(Value::U64(period)));
    add(out, "CPUQuotaPerSecUSec", per_second.map(Value::U64));
}

/// Limits whose quota of CPU time is one that systemd can count in: else it would change the file later.
pub(super) fn rounded(limits: &LinuxResources) -> LinuxResources {
    let mut out = limits.clone();
    let Some(mut cpu) = limits.cpu().clone() else { return out };
    let period = cpu.period().filter(|p| *p > 0).unwrap_or(100_000);
    let quota = cpu.quota().and_then(|q| u64::try_from(q).ok()).filter(|q| *q > 0);
    if let Some(quota) = quota {
        cpu.set_quota(i64::try_from(per_second(quota, period).saturating_mul(period) / 1_000_000).ok());
        out.set_cpu(Some(cpu));
    }
    out
}

/// Microseconds of CPU in a second, rounded up to the hundredth that systemd counts in.
fn per_second(quota: u64, period: u64) -> u64 {
    (quota.saturating_mul(1_000_000) / period).next_multiple_of(10_000)
}

/// `0-3,8` as bits, the lowest first; what is no such list the kernel refuses better than we do.
fn bits(list: &str) -> Option<Value> {
    let mut out: Vec<u8> = Vec::new();
    for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (usize, usize) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        if from > to || to > 8191 {
            return None;
        }
        out.resize(out.len().max(to / 8 + 1), 0);
        (from..=to).for_each(|n| out[n / 8] |= 1 << (n % 8));
    }
    (!out.is_empty()).then_some(Value::Bytes(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_files(files: &[(&'static str, &str)], version: u32) -> Vec<(String, Value)> {
        let settings: Vec<_> =
            files.iter().map(|(file, value)| Setting::new("cpu", "it", *file, value)).collect();
        of(&settings, version).into_iter().map(|(n, v)| (n.into_owned(), v)).collect()
    }

    #[test]
    fn files_become_properties() {
        let number = |name: &str, n| (name.to_owned(), Value::U64(n));
        for (file, value, wanted) in [
            ("memory.max", "1000", vec![number("MemoryMax", 1000)]),
            ("memory.swap.max", "max", vec![number("MemorySwapMax", u64::MAX)]),
            ("pids.max", "7", vec![number("TasksMax", 7)]),
            ("cpu.weight", "16", vec![number("CPUWeight", 16)]),
            ("cpu.idle", "1", vec![number("CPUWeight", 0)]),
            ("cpu.idle", "0", vec![]),
            (
                "cpu.max",
                "50000 100000",
                vec![number("CPUQuotaPeriodUSec", 100_000), number("CPUQuotaPerSecUSec", 500_000)],
            ),
            (
                "cpu.max",
                "1000",
                vec![number("CPUQuotaPeriodUSec", 100_000), number("CPUQuotaPerSecUSec", 10_000)],
            ),
            (
                "cpu.max",
                "max 5000",
                vec![number("CPUQuotaPeriodUSec", 5000), number("CPUQuotaPerSecUSec", u64::MAX)],
            ),
            ("cpuset.cpus", "0,3-4,8", vec![("AllowedCPUs".to_owned(), Value::Bytes(vec![0b1_1001, 1]))]),
            ("cpuset.mems", "0", vec![("AllowedMemoryNodes".to_owned(), Value::Bytes(vec![1]))]),
            ("cpuset.cpus", "4-1", vec![]),
            ("cpuset.cpus", "0-99999999", vec![]),
            ("io.weight", "100", vec![]),
        ] {
            assert_eq!(of_files(&[(file, value)], 257), wanted, "{file} {value}");
        }
    }

    #[test]
    fn quotas_are_what_systemd_counts_in() {
        for (quota, period, wanted) in
            [(500_000, 900_000, 504_000), (50_000, 100_000, 50_000), (-1, 100_000, -1), (1000, 100_000, 1000)]
        {
            let text = format!(r#"{{"cpu":{{"quota":{quota},"period":{period}}}}}"#);
            let limits = rounded(&serde_json::from_str(&text).unwrap());
            assert_eq!(limits.cpu().as_ref().unwrap().quota(), Some(wanted), "{quota}");
        }
    }

    #[test]
    fn an_older_systemd_is_told_what_it_knows() {
        assert_eq!(of_files(&[("cpu.idle", "1"), ("cpuset.cpus", "0")], 243), []);
        assert_eq!(of_files(&[("cpu.idle", "1"), ("cpuset.cpus", "0")], 249).len(), 1);
    }

    #[test]
    fn the_later_value_counts() {
        let twice = of_files(&[("cpu.weight", "1"), ("cpu.weight", "2")], 257);
        assert_eq!(twice, [("CPUWeight".to_owned(), Value::U64(2))]);
    }
}
