//! [`Host`]: what this host can do. Each fact is read when first asked for and then kept.

use std::path::Path;
use std::sync::OnceLock;

use crate::model::process::{RLIMITS, Rlimit};
use crate::sys::limits;

/// Facts about the host, read lazily. Tests fill them in by [`Host::fixed`].
#[derive(Debug, Clone, Default)]
pub struct Host {
    cpus: OnceLock<u32>,
    memory_nodes: OnceLock<u32>,
    bounding: OnceLock<Vec<String>>,
    apparmor: OnceLock<bool>,
    selinux: OnceLock<bool>,
}

impl Host {
    /// A host of this shape, whatever the real one is.
    #[must_use]
    pub fn fixed(cpus: u32, bounding: Vec<String>) -> Self {
        Self {
            cpus: OnceLock::from(cpus),
            memory_nodes: OnceLock::from(1),
            bounding: OnceLock::from(bounding),
            apparmor: OnceLock::from(false),
            selinux: OnceLock::from(false),
        }
    }

    /// Number of CPUs that are on line.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        *self.cpus.get_or_init(|| {
            let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
            count(&online).unwrap_or_else(|| {
                std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
            })
        })
    }

    /// All limits of this process.
    #[must_use]
    pub fn rlimits(&self) -> Vec<Rlimit> {
        let one = |name: &&str| {
            let kind = format!("RLIMIT_{}", name.to_ascii_uppercase());
            let (soft, hard) = limits::rlimit(limits::Resource::parse(&kind)?).ok()?;
            Some(Rlimit { kind, soft, hard, asked: false })
        };
        RLIMITS.iter().filter_map(one).collect()
    }

    /// Number of memory nodes.
    #[must_use]
    pub fn memory_nodes(&self) -> u32 {
        *self.memory_nodes.get_or_init(|| {
            let online = std::fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
            count(&online).unwrap_or(1)
        })
    }

    /// Capabilities that this process can give away: its bounding set, as `CAP_…`.
    #[must_use]
    pub fn bounding_capabilities(&self) -> &[String] {
        self.bounding.get_or_init(|| {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let mask = status
                .lines()
                .find_map(|l| l.strip_prefix("CapBnd:"))
                .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
                .unwrap_or(0);
            crate::runtime::defaults::ALL_CAPABILITIES
                .iter()
                .enumerate()
                .filter(|(bit, _)| mask >> bit & 1 == 1)
                .map(|(_, name)| (*name).to_owned())
                .collect()
        })
    }

    /// The kernel enforces AppArmor.
    #[must_use]
    pub fn apparmor(&self) -> bool {
        *self.apparmor.get_or_init(|| {
            std::fs::read_to_string("/sys/module/apparmor/parameters/enabled")
                .is_ok_and(|t| t.starts_with('Y'))
        })
    }

    /// The kernel enforces SELinux.
    #[must_use]
    pub fn selinux(&self) -> bool {
        *self.selinux.get_or_init(|| Path::new("/sys/fs/selinux/enforce").exists())
    }
}

/// One more than the highest number of a list such as `0-3,5`.
fn count(list: &str) -> Option<u32> {
    let last = list.trim().rsplit([',', '-']).next()?;
    last.parse::<u32>().ok().map(|n| n + 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn cpu_lists_are_counted() {
        assert_eq!(super::count("0-3\n"), Some(4));
        assert_eq!(super::count("0"), Some(1));
        assert_eq!(super::count("0-1,4-7"), Some(8));
        assert_eq!(super::count(""), None);
    }
}
