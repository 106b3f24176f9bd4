//! Maps of user namespaces, and user namespaces made only to shift the ids of a mount.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::OFlags;

use super::error::Result;
use super::process::{self, CloneArgs};
use super::{fd, ns, socket};

/// A range of ids, as in `/proc/PID/uid_map`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Writes the maps of a process in a new user namespace. `deny_setgroups` is needed where the
/// writer has no CAP_SETGID outside.
pub fn write(pid: i32, uids: &[Range], gids: &[Range], deny_setgroups: bool) -> Result<()> {
    if deny_setgroups {
        fd::write_file(Path::new(&format!("/proc/{pid}/setgroups")), b"deny")?;
    }
    fd::write_file(Path::new(&format!("/proc/{pid}/gid_map")), text(gids).as_bytes())?;
    fd::write_file(Path::new(&format!("/proc/{pid}/uid_map")), text(uids).as_bytes())
}

/// The text of a map.
#[must_use]
pub fn text(ranges: &[Range]) -> String {
    let mut out = String::new();
    for r in ranges {
        // Writing to a String cannot fail.
        let _ok = writeln!(out, "{} {} {}", r.inside, r.outside, r.count);
    }
    out
}

/// A user namespace with these maps that no process lives in, for an idmapped mount.
pub fn namespace(uids: &[Range], gids: &[Range]) -> Result<OwnedFd> {
    let (ours, theirs) = socket::pair(socket::Kind::Stream)?;
    let args = CloneArgs { flags: ns::Kind::User.flag(), cgroup: None };
    let child = process::clone(&args, || {
        // Waits to be killed, once the parent has opened our namespace.
        let mut byte = [0];
        let _end = fd::read(&theirs, &mut byte);
        0
    })?;
    let made = write(child.pid, uids, gids, false)
        .and_then(|()| fd::open(Path::new(&format!("/proc/{}/ns/user", child.pid)), OFlags::RDONLY, 0));
    let _killed = child.pidfd.signal(libc::SIGKILL);
    let _reaped = child.pidfd.wait();
    drop((ours, theirs));
    made
}
