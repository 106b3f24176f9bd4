//! [`Host`]: what this host can do. Each fact is read when first asked for and then kept.

use std::sync::OnceLock;

/// Facts about the host, read lazily.
#[derive(Debug, Clone, Default)]
pub struct Host {
    boot_id: OnceLock<String>,
    cpus: OnceLock<u32>,
}

impl Host {
    /// The kernel's boot id; a different one means that nothing from before runs.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        self.boot_id.get_or_init(|| {
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map(|s| s.trim().to_owned())
                .unwrap_or_default()
        })
    }

    /// Number of CPUs that are on line.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        *self.cpus.get_or_init(|| {
            std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
        })
    }
}
