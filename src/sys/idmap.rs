//! Maps of user namespaces, and user namespaces made only to shift the ids of a mount.

use std::fmt::Write as _;
use std::os::fd::{AsFd, OwnedFd};
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

/// The maps (uids, gids) of a user namespace, as this process sees them; none where it is our own.
pub fn maps_of(userns: impl AsFd) -> Result<Option<(Vec<Range>, Vec<Range>)>> {
    let own = fd::stat(ns::open_of_self(ns::Kind::User)?)?;
    let theirs = fd::stat(&userns)?;
    if (own.st_dev, own.st_ino) == (theirs.st_dev, theirs.st_ino) {
        return Ok(None);
    }
    let (ours, end) = socket::pair(socket::Kind::Stream)?;
    let child = process::clone(&CloneArgs::default(), || {
        // A process in it is what has the maps to be read; it waits to be killed.
        if ns::join(&userns, ns::Kind::User).is_err() {
            return 1;
        }
        let mut byte = [0];
        let _told = fd::write(&end, b"j").and_then(|_| fd::read(&end, &mut byte));
        0
    })?;
    drop(end);
    let mut joined = [0];
    let read = |name: &str| {
        let bytes = fd::read_file(Path::new(&format!("/proc/{}/{name}", child.pid)))?;
        Ok(parse(&String::from_utf8_lossy(&bytes)))
    };
    let made = match fd::read(&ours, &mut joined)? {
        1 => read("uid_map").and_then(|uids| Ok((uids, read("gid_map")?))),
        _ => Err(super::Error::new("setns", "user namespace", libc::EPERM)),
    };
    let _killed = child.pidfd.signal(libc::SIGKILL);
    let _reaped = child.pidfd.wait();
    made.map(Some)
}

/// Our user as seen from above the user namespace that we are in; `None` in the first one, that of the machine.
#[must_use]
pub fn user_above() -> Option<u32> {
    let text = fd::read_file(Path::new("/proc/self/uid_map")).ok()?;
    above(&parse(&String::from_utf8_lossy(&text)), rustix::process::geteuid().as_raw())
}

fn above(maps: &[Range], user: u32) -> Option<u32> {
    if let [Range { inside: 0, outside: 0, count: u32::MAX }] = maps {
        return None;
    }
    let range = maps.iter().find(|r| r.inside <= user && user - r.inside < r.count)?;
    Some(range.outside + (user - range.inside))
}

/// The ranges of a text such as [`text`] makes.
#[must_use]
pub fn parse(text: &str) -> Vec<Range> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (inside, outside, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Range { inside, outside, count })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_above() {
        let of = |text: &str, user| above(&parse(text), user);
        assert_eq!(of("         0          0 4294967295\n", 0), None);
        assert_eq!(of("0 1000 1\n1 100000 65536\n", 0), Some(1000));
        assert_eq!(of("0 1000 1\n1 100000 65536\n", 5), Some(100_004));
        // Nobody in particular above.
        assert_eq!(of("0 1000 1\n", 7), None);
    }
}
