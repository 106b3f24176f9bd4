//! Who writes the id maps of a new user namespace: we, where we may, and `newuidmap` and `newgidmap` for a user
//! without root, who may use the ranges of /etc/subuid and /etc/subgid only by them.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use super::Error;
use crate::sys::idmap::{self, Range};
use crate::sys::{caps, probe};

/// Writes the maps of a process that waits for them.
pub(super) fn write(pid: i32, uids: &[Range], gids: &[Range]) -> Result<(), Error> {
    if caps::has("SETUID") && caps::has("SETGID") {
        return Ok(idmap::write(pid, uids, gids, false)?);
    }
    if is_only(uids, probe::effective_uid()) && is_only(gids, probe::effective_gid()) {
        // The kernel lets a user do this alone, once no group can be dropped any more by which something is forbidden.
        return Ok(idmap::write(pid, uids, gids, true)?);
    }
    by_helper("newgidmap", pid, gids)?;
    by_helper("newuidmap", pid, uids)
}

fn is_only(ranges: &[Range], id: u32) -> bool {
    matches!(ranges, [Range { outside, count: 1, .. }] if *outside == id)
}

fn by_helper(program: &'static str, pid: i32, ranges: &[Range]) -> Result<(), Error> {
    let done = Command::new(program)
        .args(arguments(pid, ranges))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let done = done.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::refused(format!(
            "{program} is not installed (Debian: package uidmap), and a user without root maps ranges of ids by it"
        )),
        _ => Error::refused(format!("running {program}: {e}")),
    })?;
    if done.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&done.stderr);
    match told.trim() {
        "" => Err(Error::refused(format!("{program} ended with {}", done.status))),
        told => Err(Error::refused(told.to_owned())),
    }
}

fn arguments(pid: i32, ranges: &[Range]) -> Vec<OsString> {
    let numbers = ranges.iter().flat_map(|r| [r.inside, r.outside, r.count]);
    std::iter::once(pid.to_string()).chain(numbers.map(|n| n.to_string())).map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_may_write_alone_and_what_the_helpers_are_told() {
        let one = |outside, count| Range { inside: 0, outside, count };
        assert!(is_only(&[one(1000, 1)], 1000));
        assert!(!is_only(&[one(1001, 1)], 1000));
        assert!(!is_only(&[one(1000, 2)], 1000));
        let more = [one(1000, 1), Range { inside: 1, outside: 100_000, count: 65536 }];
        assert!(!is_only(&more, 1000));
        assert_eq!(arguments(7, &more), ["7", "0", "1000", "1", "1", "100000", "65536"]);
    }
}
