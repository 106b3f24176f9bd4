//! Measurements of a cgroup, in the shape that docker's `stats` and runc's `events` need.

/// One measurement. Times are nanoseconds, sizes bytes; a limit of `u64::MAX` is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// CPU.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Processes.
    pub pids: Pids,
    /// Block I/O.
    pub io: Io,
    /// Huge pages, one per size.
    pub hugetlb: Vec<HugePages>,
    /// Time lost to waiting, on v2 only.
    pub pressure: Pressure,
}

/// Pressure stall information, by what was waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// A CPU.
    pub cpu: Stall,
    /// Memory.
    pub memory: Stall,
    /// Block I/O.
    pub io: Stall,
}

/// Percentages of the last 10, 60 and 300 seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stall {
    /// In which some process waited.
    pub some: [f64; 3],
    /// In which all did.
    pub full: [f64; 3],
}

/// CPU time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Total.
    pub usage: u64,
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// Per CPU, on v1 only.
    pub per_cpu: Vec<u64>,
    /// Quota periods that passed.
    pub periods: u64,
    /// Periods in which the quota was used up.
    pub throttled_periods: u64,
    /// Time waited for the quota.
    pub throttled: u64,
}

/// Memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// In use, page cache included.
    pub usage: u64,
    /// Highest usage seen.
    pub max_usage: u64,
    /// Limit.
    pub limit: u64,
    /// How often the limit was hit.
    pub failures: u64,
    /// Processes killed for memory.
    pub oom_kills: u64,
    /// Swap in use.
    pub swap: u64,
    /// Limit of swap.
    pub swap_limit: u64,
    /// Kernel memory in use.
    pub kernel: u64,
    /// Page cache that is easily given up; what docker's `stats` subtracts from the usage.
    pub inactive_file: u64,
    /// `memory.stat`, as the kernel has it.
    pub stat: Vec<(String, u64)>,
}

impl Memory {
    /// What `stats` shows as used: without the page cache that is easily given up.
    #[must_use]
    pub fn working_set(&self) -> u64 {
        self.usage.saturating_sub(self.inactive_file)
    }
}

/// Number of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pids {
    /// Now.
    pub current: u64,
    /// Limit.
    pub limit: u64,
}

/// Block I/O.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Io {
    /// Bytes by device and operation.
    pub bytes: Vec<IoEntry>,
    /// Operations by device and operation.
    pub operations: Vec<IoEntry>,
}

impl Io {
    /// Bytes read and written in all.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let sum = |op: &str| self.bytes.iter().filter(|e| e.operation == op).map(|e| e.value).sum();
        (sum("Read"), sum("Write"))
    }
}

/// One number of block I/O.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// `Read`, `Write`, `Discard`, …
    pub operation: String,
    /// Bytes or operations.
    pub value: u64,
}

/// Huge pages of one size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HugePages {
    /// `2MB`, `1GB`.
    pub size: String,
    /// In use.
    pub usage: u64,
    /// Highest usage seen.
    pub max_usage: u64,
    /// How often the limit was hit.
    pub failures: u64,
}
