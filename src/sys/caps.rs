//! Capabilities: names, sets as bit masks, and the calls that set them.

use super::error::{Error, Result, check};

/// A set of capabilities as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapSet(pub u64);

/// Names by number, without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl CapSet {
    /// Adds one by number.
    pub fn insert(&mut self, number: u32) {
        self.0 |= 1 << number;
    }

    /// Whether it holds this number.
    #[must_use]
    pub fn contains(self, number: u32) -> bool {
        self.0 & (1 << number) != 0
    }

    /// Its names (`CAP_…`), by number.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        (0..64).filter(|&n| self.contains(n)).map(name).collect()
    }
}

/// The number of a capability by name, with or without `CAP_`, any case.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|&n| n == bare).and_then(|i| u32::try_from(i).ok())
}

/// `CAP_…` for a number.
#[must_use]
pub fn name(number: u32) -> String {
    NAMES.get(number as usize).map_or_else(|| format!("CAP_{number}"), |n| format!("CAP_{n}"))
}

/// All names (`CAP_…`) that this program knows.
pub fn all_names() -> impl Iterator<Item = String> {
    (0..NAMES.len() as u32).map(name)
}

/// The highest capability of the running kernel.
#[must_use]
pub fn last() -> u32 {
    let known = NAMES.len() as u32 - 1;
    // PR_CAPBSET_READ is EINVAL above the last; newer kernels may have more than we know.
    (known..64)
        .rev()
        .find(|&n| bounding_has(n).is_some())
        .or_else(|| (0..known).rev().find(|&n| bounding_has(n).is_some()))
        .unwrap_or(known)
}

/// Whether the bounding set has it; `None` where the kernel does not know it.
fn bounding_has(number: u32) -> Option<bool> {
    // SAFETY: integers only.
    match unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(number), 0, 0, 0) } {
        -1 => None,
        n => Some(n == 1),
    }
}

/// Takes everything out of the bounding set that `keep` lacks. Stops at the first number that the
/// kernel does not know.
pub fn limit_bounding(keep: CapSet) -> Result<()> {
    for n in 0..64 {
        if keep.contains(n) {
            continue;
        }
        // SAFETY: integers only.
        let r = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, n as libc::c_ulong, 0, 0, 0) };
        if r == -1 && super::error::errno() == libc::EINVAL {
            break;
        }
        check(r, "prctl", || format!("PR_CAPBSET_DROP, {}", name(n)))?;
    }
    Ok(())
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// Effective, permitted and inheritable sets of this thread.
pub fn get() -> Result<(CapSet, CapSet, CapSet)> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 reads one header and writes two data records, which live across the call.
    let r = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    check(r, "capget", String::new)?;
    let join = |lo: u32, hi: u32| CapSet(u64::from(lo) | u64::from(hi) << 32);
    Ok((
        join(data[0].effective, data[1].effective),
        join(data[0].permitted, data[1].permitted),
        join(data[0].inheritable, data[1].inheritable),
    ))
}

/// Whether this thread may use a capability (in its own user namespace); its name is one of ours.
#[must_use]
pub fn has(name: &str) -> bool {
    matches!((number(name), get()), (Some(number), Ok((effective, _, _))) if effective.contains(number))
}

/// Sets effective, permitted and inheritable sets of this thread.
pub fn set(effective: CapSet, permitted: CapSet, inheritable: CapSet) -> Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let part = |shift: u32| Data {
        effective: (effective.0 >> shift) as u32,
        permitted: (permitted.0 >> shift) as u32,
        inheritable: (inheritable.0 >> shift) as u32,
    };
    let data = [part(0), part(32)];
    // SAFETY: version 3 reads one header and two data records, which live across the call.
    let r = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    check(r, "capset", || format!("{:#x}, {:#x}, {:#x}", effective.0, permitted.0, inheritable.0)).map(drop)
}

/// Runs `work` with other ids for files and all the same with every capability that we have, which the kernel takes
/// away with the change. Single-threaded only; the process is not dumpable afterwards.
pub fn with_file_ids<T>(uid: u32, gid: u32, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: integers only. They return the former id and report no failure.
    let set = |uid: u32, gid: u32| unsafe {
        (libc::syscall(libc::SYS_setfsuid, uid), libc::syscall(libc::SYS_setfsgid, gid))
    };
    let (effective, permitted, inheritable) = get()?;
    let (old_uid, old_gid) = set(uid, gid);
    let done = self::set(effective, permitted, inheritable).and_then(|()| work());
    set(old_uid as u32, old_gid as u32);
    self::set(effective, permitted, inheritable)?;
    done
}

/// Makes these effective, as far as they are permitted; the other sets stay. Gives the permitted set.
pub fn raise(effective: CapSet) -> Result<CapSet> {
    let (_, permitted, inheritable) = get()?;
    set(CapSet(effective.0 & permitted.0), permitted, inheritable)?;
    Ok(permitted)
}

/// Empties the ambient set, then raises these.
pub fn set_ambient(ambient: CapSet) -> Result<()> {
    const AMBIENT: i32 = libc::PR_CAP_AMBIENT;
    // SAFETY: integers only.
    let r = unsafe {
        libc::prctl(
            AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
        )
    };
    check(r, "prctl", || "PR_CAP_AMBIENT_CLEAR_ALL".into())?;
    for n in (0..64).filter(|&n| ambient.contains(n)) {
        // SAFETY: integers only.
        let r = unsafe {
            libc::prctl(
                AMBIENT,
                libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong,
                n as libc::c_ulong,
                0 as libc::c_ulong,
                0 as libc::c_ulong,
            )
        };
        check(r, "prctl", || format!("PR_CAP_AMBIENT_RAISE, {}", name(n)))?;
    }
    Ok(())
}

/// Whether permitted capabilities survive a change from uid 0 (cleared by exec).
pub fn keep(on: bool) -> Result<()> {
    // SAFETY: integers only.
    let r = unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, libc::c_ulong::from(on), 0, 0, 0) };
    check(r, "prctl", || "PR_SET_KEEPCAPS".into()).map(drop)
}

/// An error for a name that is no capability.
#[must_use]
pub fn unknown(name: &str) -> Error {
    Error::new("capability", name, libc::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(number("net_raw"), Some(13));
        assert_eq!(number("nope"), None);
        assert_eq!(name(40), "CAP_CHECKPOINT_RESTORE");
        assert!(last() >= 40);
    }

    #[test]
    fn own_sets_can_be_read() {
        let (effective, permitted, _) = get().unwrap();
        assert_eq!(effective.0 & !permitted.0, 0);
    }
}
