//! What a process carries through exec beside its ids: rlimits, umask, scheduling, io priority,
//! CPU affinity, personality, memory policy; and its ids themselves.

use super::error::{Result, check};

/// A resource limit's number (`RLIMIT_NOFILE` …).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource(pub i32);

/// Names and numbers of all limits.
const RESOURCES: [(&str, i32); 16] = [
    ("RLIMIT_CPU", 0),
    ("RLIMIT_FSIZE", 1),
    ("RLIMIT_DATA", 2),
    ("RLIMIT_STACK", 3),
    ("RLIMIT_CORE", 4),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_NPROC", 6),
    ("RLIMIT_NOFILE", 7),
    ("RLIMIT_MEMLOCK", 8),
    ("RLIMIT_AS", 9),
    ("RLIMIT_LOCKS", 10),
    ("RLIMIT_SIGPENDING", 11),
    ("RLIMIT_MSGQUEUE", 12),
    ("RLIMIT_NICE", 13),
    ("RLIMIT_RTPRIO", 14),
    ("RLIMIT_RTTIME", 15),
];

impl Resource {
    /// By name in upper case, `RLIMIT_` given or not.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let bare = name.strip_prefix("RLIMIT_").unwrap_or(name);
        RESOURCES
            .iter()
            .find(|(n, _)| n.strip_prefix("RLIMIT_") == Some(bare))
            .map(|&(_, number)| Self(number))
    }

    /// `RLIMIT_…`.
    #[must_use]
    pub fn name(self) -> &'static str {
        RESOURCES.iter().find(|(_, n)| *n == self.0).map_or("RLIMIT_?", |(n, _)| n)
    }
}

/// This process's limit: (soft, hard); `u64::MAX` is unlimited.
pub fn rlimit(resource: Resource) -> Result<(u64, u64)> {
    let mut now = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: no new limit is given; the old one is written to `now`.
    let r = unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource.0, std::ptr::null::<libc::rlimit64>(), &raw mut now)
    };
    check(r, "prlimit64", || resource.name().into())?;
    Ok((now.rlim_cur, now.rlim_max))
}

/// Sets this process's limit.
pub fn set_rlimit(resource: Resource, soft: u64, hard: u64) -> Result<()> {
    set_rlimit_of(0, resource, soft, hard)
}

/// Sets the limit of another process; 0 is this one.
pub fn set_rlimit_of(pid: i32, resource: Resource, soft: u64, hard: u64) -> Result<()> {
    let new = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `new` lives across the call; the old one is not asked for.
    let r = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid,
            resource.0,
            &raw const new,
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    };
    check(r, "prlimit64", || format!("{}, {soft}:{hard}", resource.name())).map(drop)
}

/// Raises the hard limits of a process (0 is this one) that are below these, as far as we may; who sets the limits
/// afterwards hears what is refused. For a process that is about to lose the right, in a user namespace.
pub fn raise_hard_of(pid: i32, wanted: &[(Resource, u64, u64)]) {
    for &(resource, _, hard) in wanted {
        if let Ok((soft, now)) = rlimit(resource)
            && hard > now
        {
            let _told_later = set_rlimit_of(pid, resource, soft, hard);
        }
    }
}

/// The file mode mask of this process.
#[must_use]
pub fn umask() -> u32 {
    // SAFETY: takes an integer and cannot fail; it can only be read by setting it.
    let mask = unsafe { libc::umask(0o022) };
    set_umask(mask);
    mask
}

/// Sets the file mode mask.
pub fn set_umask(mask: u32) {
    // SAFETY: takes an integer and cannot fail.
    unsafe { libc::umask(mask as libc::mode_t) };
}

/// Sets supplementary groups of this thread (the raw call: libc's would signal other threads).
pub fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: pointer and length describe the slice.
    let r = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    check(r, "setgroups", || format!("{groups:?}")).map(drop)
}

/// Sets real, effective and saved group id.
pub fn set_gid(gid: u32) -> Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }, "setresgid", || format!("{gid}"))
        .map(drop)
}

/// Sets real, effective and saved user id.
pub fn set_uid(uid: u32) -> Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }, "setresuid", || format!("{uid}"))
        .map(drop)
}

/// Sets the execution domain.
pub fn set_personality(domain: u32) -> Result<()> {
    // SAFETY: integer only.
    check(unsafe { libc::syscall(libc::SYS_personality, domain) }, "personality", || format!("{domain:#x}"))
        .map(drop)
}

/// `struct sched_attr` of the kernel.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedAttr {
    /// Size of this struct; filled by [`set_scheduler`].
    pub size: u32,
    /// `SCHED_…`.
    pub policy: u32,
    /// `SCHED_FLAG_…`.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Real-time priority.
    pub priority: u32,
    /// Deadline scheduling: run time in ns.
    pub runtime: u64,
    /// Deadline in ns.
    pub deadline: u64,
    /// Period in ns.
    pub period: u64,
}

/// Sets the scheduling of this process.
pub fn set_scheduler(attr: &SchedAttr) -> Result<()> {
    let attr = SchedAttr { size: size_of::<SchedAttr>() as u32, ..*attr };
    // SAFETY: attr lives across the call and carries its size.
    let r = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    check(r, "sched_setattr", || format!("{attr:?}")).map(drop)
}

/// Sets io priority of this process: class 1 (real time), 2 (best effort), 3 (idle).
pub fn set_io_priority(class: u32, priority: u32) -> Result<()> {
    const WHO_PROCESS: i32 = 1;
    // SAFETY: integers only.
    let r = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, class << 13 | priority) };
    check(r, "ioprio_set", || format!("class {class}, {priority}")).map(drop)
}

/// Binds a process (0 for this one) to CPUs.
pub fn set_affinity(pid: i32, cpus: &[usize]) -> Result<()> {
    // SAFETY: cpu_set_t is plain data for which zeroes are valid.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus.iter().filter(|&&c| c < libc::CPU_SETSIZE as usize) {
        // SAFETY: cpu is below CPU_SETSIZE.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the set lives across the call and its size is given.
    let r = unsafe { libc::sched_setaffinity(pid, size_of::<libc::cpu_set_t>(), &raw const set) };
    check(r, "sched_setaffinity", || format!("{cpus:?}")).map(drop)
}

/// Lets this process run on every CPU that its cgroup allows. A machine without that call has nothing to undo.
pub fn reset_affinity() {
    let all = [u64::MAX; 128];
    // SAFETY: the mask lives across the call and its size is given; the kernel drops the bits it does not know.
    let _kept = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(&all), all.as_ptr()) };
}

/// Sets the memory policy of this thread (`MPOL_… | MPOL_F_…`, bit mask of nodes).
pub fn set_mempolicy(mode: i32, nodes: &[u64]) -> Result<()> {
    let (pointer, bits) =
        if nodes.is_empty() { (std::ptr::null(), 0) } else { (nodes.as_ptr(), nodes.len() * 64 + 1) };
    // SAFETY: pointer and number of bits describe the slice (the kernel reads bits - 1).
    let r = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) };
    check(r, "set_mempolicy", || format!("{mode:#x}, {nodes:x?}")).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_by_name() {
        assert_eq!(Resource::parse("RLIMIT_NOFILE"), Some(Resource(7)));
        assert_eq!(Resource::parse("NPROC"), Some(Resource(6)));
        assert_eq!(Resource::parse("RLIMIT_X"), None);
        let (soft, hard) = rlimit(Resource(7)).unwrap();
        assert!(soft <= hard);
        set_rlimit(Resource(7), soft, hard).unwrap();
    }
}
