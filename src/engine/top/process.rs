//! One process as /proc shows it, and what of the host is needed to put its numbers into words.

use std::collections::HashMap;

/// Clock ticks per second in /proc: a constant of the kernel's interface (USER_HZ) on all that we run on.
pub(super) const TICKS: u64 = 100;

/// Facts of the host, read once per table.
pub(super) struct Host {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
    /// Seconds since boot.
    pub(super) uptime: f64,
    /// Time of boot, seconds since 1970.
    pub(super) boot: i64,
    /// Bytes of memory.
    pub(super) memory: u64,
}

impl Host {
    pub(super) fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let names = |path: &str| {
            let lines = text(path);
            let pairs = lines.lines().filter_map(|l| {
                let mut parts = l.split(':');
                let name = parts.next()?.to_owned();
                Some((parts.nth(1)?.parse().ok()?, name))
            });
            // The first name of a number counts.
            let mut map = HashMap::new();
            for (id, name) in pairs {
                map.entry(id).or_insert(name);
            }
            map
        };
        let stat = text("/proc/stat");
        let boot = stat.lines().find_map(|l| l.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0);
        let meminfo = text("/proc/meminfo");
        let memory = meminfo
            .lines()
            .find_map(|l| l.strip_prefix("MemTotal:")?.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Self {
            users: names("/etc/passwd"),
            groups: names("/etc/group"),
            uptime: text("/proc/uptime").split(' ').next().and_then(|s| s.parse().ok()).unwrap_or(0.0),
            boot,
            memory: memory.unwrap_or(0) * 1024,
        }
    }

    pub(super) fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    pub(super) fn group(&self, gid: u32) -> String {
        self.groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string())
    }
}

/// One process.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Pid on the host.
    pub(super) pid: i32,
    /// Pid in the container.
    pub(super) inner_pid: i32,
    pub(super) ppid: i32,
    /// Pid of the parent in the container; 0 where it is outside.
    pub(super) inner_ppid: i32,
    pub(super) pgid: i32,
    pub(super) comm: String,
    pub(super) args: String,
    pub(super) state: char,
    pub(super) tty: i32,
    pub(super) nice: i32,
    /// Ticks in user and kernel mode.
    pub(super) ticks: u64,
    /// Start in ticks since boot.
    pub(super) start: u64,
    pub(super) vsize: u64,
    pub(super) rss: u64,
    /// Real and effective.
    pub(super) uid: (u32, u32),
    /// Real and effective.
    pub(super) gid: (u32, u32),
    pub(super) status: HashMap<String, String>,
}

impl Process {
    /// `None` for one that has ended.
    pub(super) fn read(_host: &Host, pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // The command may contain anything, also brackets: it ends at the last one.
        let (head, tail) = stat.rsplit_once(')')?;
        let comm = head.split_once('(').map(|(_, c)| c.to_owned())?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let number = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<i64>().ok()).unwrap_or(0);
        let positive = |n: usize| u64::try_from(number(n)).unwrap_or(0);
        let small = |n: usize| i32::try_from(number(n)).unwrap_or(0);
        let status: HashMap<String, String> = status
            .lines()
            .filter_map(|l| l.split_once(':').map(|(k, v)| (k.to_owned(), v.trim().to_owned())))
            .collect();
        let ids = |key: &str| {
            let mut parts = status.get(key).map_or("", String::as_str).split_whitespace();
            let mut next = || parts.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            (next(), next())
        };
        let inner = status.get("NSpid").and_then(|l| l.split_whitespace().last()?.parse().ok());
        let words = cmdline.split(|b| *b == 0).filter(|w| !w.is_empty());
        let words: Vec<String> = words.map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        Some(Self {
            pid,
            inner_pid: inner.unwrap_or(pid),
            ppid: small(4),
            inner_ppid: 0,
            pgid: small(5),
            // Kernel threads and zombies have no command line.
            args: if words.is_empty() { format!("[{comm}]") } else { words.join(" ") },
            comm,
            state: fields.first().and_then(|f| f.chars().next()).unwrap_or('?'),
            tty: small(7),
            nice: small(19),
            ticks: positive(14) + positive(15),
            start: positive(22),
            vsize: positive(23),
            rss: positive(24) * 4096,
            uid: ids("Uid"),
            gid: ids("Gid"),
            status,
        })
    }
}
