//! Namespaces: kinds, leaving into new ones, joining existing ones.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;

use super::error::{Context, Error, Result, check};
use super::fd;
use super::process::PidFd;

/// A kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// User and group ids.
    User,
    /// cgroup view.
    Cgroup,
    /// SysV IPC and message queues.
    Ipc,
    /// Host name.
    Uts,
    /// Network.
    Net,
    /// Process ids.
    Pid,
    /// Clock offsets.
    Time,
    /// Mounts.
    Mount,
}

impl Kind {
    /// All kinds, in the order in which they are joined: the user namespace first, because it gives
    /// the rights for the others; the mount namespace last, because it changes what paths mean.
    pub const ALL: [Self; 8] =
        [Self::User, Self::Cgroup, Self::Ipc, Self::Uts, Self::Net, Self::Pid, Self::Time, Self::Mount];

    /// Its `CLONE_NEW…` flag.
    #[must_use]
    pub fn flag(self) -> u64 {
        let flag = match self {
            Self::User => libc::CLONE_NEWUSER,
            Self::Cgroup => libc::CLONE_NEWCGROUP,
            Self::Ipc => libc::CLONE_NEWIPC,
            Self::Uts => libc::CLONE_NEWUTS,
            Self::Net => libc::CLONE_NEWNET,
            Self::Pid => libc::CLONE_NEWPID,
            Self::Time => libc::CLONE_NEWTIME,
            Self::Mount => libc::CLONE_NEWNS,
        };
        flag as u64
    }

    /// Its file in `/proc/PID/ns`.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::Time => "time",
            Self::Mount => "mnt",
        }
    }
}

/// Opens a namespace file of a process.
pub fn open_of(pid: i32, kind: Kind) -> Result<OwnedFd> {
    fd::open(Path::new(&format!("/proc/{pid}/ns/{}", kind.file())), OFlags::RDONLY, 0)
}

/// Opens our own namespace of a kind; for pid and time the one that our children get.
pub fn open_of_self(kind: Kind) -> Result<OwnedFd> {
    let file = match kind {
        Kind::Pid => "pid_for_children",
        Kind::Time => "time_for_children",
        other => other.file(),
    };
    fd::open(Path::new(&format!("/proc/self/ns/{file}")), OFlags::RDONLY, 0)
}

/// Opens a namespace by a path (a `/proc/PID/ns/…` file or a bind of one) and checks its kind.
pub fn open_path(path: &Path, kind: Kind) -> Result<OwnedFd> {
    let file = fd::open(path, OFlags::RDONLY, 0)?;
    // SAFETY: NS_GET_NSTYPE takes nothing and returns the flag.
    let found = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE as _) };
    if found as i64 as u64 != kind.flag() {
        return Err(Error::new("ioctl", format!("{path:?} is no {} namespace", kind.file()), libc::EINVAL));
    }
    Ok(file)
}

const NS_GET_NSTYPE: u64 = 0xb703;

/// Which namespace one is, as long as it exists: device and inode of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity(u64, u64);

/// The identity of an open namespace.
pub fn identity(namespace: impl AsFd) -> Result<Identity> {
    fd::stat(namespace).map(|found| Identity(found.st_dev, found.st_ino))
}

/// The identity of a process's namespace of a kind.
pub fn identity_of(pid: i32, kind: Kind) -> Result<Identity> {
    identity(open_of(pid, kind)?)
}

/// The processes that are in a namespace, by ascending pid as we see them. One that we may not look at is left out.
pub fn members(namespace: Identity, kind: Kind) -> Result<Vec<i32>> {
    let entries = std::fs::read_dir("/proc").call("readdir", || "/proc".into())?;
    let numbers = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<i32> =
        numbers.filter(|&pid| identity_of(pid, kind).is_ok_and(|its| its == namespace)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Joins a namespace.
pub fn join(namespace: impl AsFd, kind: Kind) -> Result<()> {
    join_raw(namespace.as_fd().as_raw_fd(), kind.flag(), kind.file())
}

/// Joins several namespaces of a process at once by its pidfd; all or none.
pub fn join_process(pidfd: impl AsFd, flags: u64) -> Result<()> {
    join_raw(pidfd.as_fd().as_raw_fd(), flags, "pidfd")
}

fn join_raw(raw: i32, flags: u64, what: &str) -> Result<()> {
    // SAFETY: integers only.
    let r = unsafe { libc::setns(raw, flags as i32) };
    check(r, "setns", || format!("{what}, {flags:#x}")).map(drop)
}

/// Makes the root of our mount namespace our root directory, out of whatever `chroot` we are in, and tells whether that
/// was another one. A process that may not do so stays where it is: without CAP_SYS_CHROOT nobody below it leaves
/// a `chroot` either.
pub fn leave_chroot() -> Result<bool> {
    let place = |()| rustix::fs::stat("/").call("stat", || "/".into()).map(|s| (s.st_dev, s.st_ino));
    let before = place(())?;
    let own = PidFd::open(rustix::process::getpid().as_raw_pid())?;
    match join_process(own.as_fd(), Kind::Mount.flag()) {
        Err(e) if e.is(libc::EPERM) => return Ok(false),
        other => other?,
    }
    Ok(place(())? != before)
}

/// Leaves into new namespaces (`CLONE_NEW…` flags).
pub fn unshare(flags: u64) -> Result<()> {
    // SAFETY: CLONE_FILES is never given here, so no descriptor changes its owner.
    check(unsafe { libc::unshare(flags as i32) }, "unshare", || format!("{flags:#x}")).map(drop)
}

/// A new network namespace as a descriptor; this process stays where it is. Single-threaded only.
pub fn new_net() -> Result<OwnedFd> {
    let own = Path::new("/proc/self/ns/net");
    let before = fd::open(own, OFlags::RDONLY, 0)?;
    unshare(Kind::Net.flag())?;
    let made = fd::open(own, OFlags::RDONLY, 0);
    join(&before, Kind::Net)?;
    made
}

/// Sets the host name of this UTS namespace.
pub fn set_hostname(name: &[u8]) -> Result<()> {
    rustix::system::sethostname(name).call("sethostname", || String::from_utf8_lossy(name).into_owned())
}

/// Sets the domain name of this UTS namespace.
pub fn set_domainname(name: &[u8]) -> Result<()> {
    rustix::system::setdomainname(name).call("setdomainname", || String::from_utf8_lossy(name).into_owned())
}
