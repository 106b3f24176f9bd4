//! A clone inside a user namespace that exists already.
//!
//! Who has joined it owns nothing outside any more and cannot come back, so the way goes over a process
//! between: it joins all that is to be joined, makes the container's process as its sibling
//! (`CLONE_PARENT`, so that it is our child) in the new namespaces, which that user namespace then owns,
//! hands its pid and pidfd over, and ends.

use std::os::fd::{AsFd, OwnedFd};

use super::plan::Plan;
use super::plan::namespaces::NamespacePlan;
use super::sync::{self, Up};
use super::{Error, init};
use crate::sys::process::{self, Child, CloneArgs};
use crate::sys::{self, ns, socket};

/// Makes the container's process.
pub(super) fn clone(plan: &Plan<'_>, args: &CloneArgs<'_>, theirs: OwnedFd) -> Result<Child, Error> {
    // With another's cgroup namespace ours must come first: the process between is in it, and its child too then.
    let early = plan.namespaces.joins_cgroup();
    let (first, second) = if early { (args.cgroup, None) } else { (None, args.cgroup) };
    sibling(
        &CloneArgs { flags: 0, cgroup: first },
        || enter(&plan.namespaces),
        &CloneArgs { flags: args.flags, cgroup: second },
        || init::run(plan, theirs),
    )
}

/// A child of ours that a process between makes after it has entered something.
pub(super) fn sibling(
    first: &CloneArgs<'_>,
    enter: impl FnOnce() -> sys::Result<()>,
    second: &CloneArgs<'_>,
    run: impl FnOnce() -> i32,
) -> Result<Child, Error> {
    let (ours, up) = socket::pair(socket::Kind::SeqPacket)?;
    let between = process::clone(first, || {
        let made = enter().and_then(|()| {
            let flags = second.flags | libc::CLONE_PARENT as u64;
            process::clone(&CloneArgs { flags, cgroup: second.cgroup }, run)
        });
        match made {
            Ok(child) => {
                let told = socket::send(&up, &child.pid.to_ne_bytes(), &[child.pidfd.as_fd()]);
                i32::from(told.is_err())
            }
            Err(e) => {
                sync::Failure {
                    kind: sync::Kind::Step,
                    what: "entering the user namespace".into(),
                    why: e.to_string(),
                    errno: e.errno,
                }
                .send(&up);
                1
            }
        }
    })?;
    drop(up);
    let answer = hear(&ours);
    between.pidfd.wait()?;
    answer
}

fn hear(socket: &OwnedFd) -> Result<Child, Error> {
    let mut buffer = [0; sync::MAX];
    let (n, mut fds) = socket::receive(socket, &mut buffer)?;
    if let (Ok(pid), Some(fd)) = (<[u8; 4]>::try_from(&buffer[..n]), fds.pop()) {
        // The pid is the one that the new pid namespace's parent sees, which the process between may not be in.
        return Ok(Child { pid: pid_of(&fd).unwrap_or(i32::from_ne_bytes(pid)), pidfd: fd.into() });
    }
    match sync::parse_up(&buffer[..n], fds) {
        Up::Failed(failure) => Err(failure.into()),
        Up::Tag(..) | Up::ListenerAt(_) | Up::End => {
            Err(Error::Died("while it entered the user namespace".into()))
        }
    }
}

/// The pid behind a pidfd, as we see it.
fn pid_of(pidfd: &OwnedFd) -> Option<i32> {
    use std::os::fd::AsRawFd as _;
    let text = sys::fd::read_file(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()).as_ref()).ok()?;
    let text = String::from_utf8(text).ok()?;
    text.lines().find_map(|l| l.strip_prefix("Pid:"))?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Joins everything, the user namespace first: it owns the others.
fn enter(plan: &NamespacePlan) -> sys::Result<()> {
    // What is ours to join by the caller's rights comes before.
    let user = |kind: &ns::Kind| *kind == ns::Kind::User;
    let mut left = Vec::new();
    for (kind, file) in plan.joined.iter().filter(|(kind, _)| !user(kind)) {
        if ns::join(file, *kind).is_err() {
            left.push((kind, file));
        }
    }
    for (kind, file) in plan.joined.iter().filter(|(kind, _)| user(kind)) {
        ns::join(file, *kind)?;
    }
    for (kind, file) in left {
        ns::join(file, *kind)?;
    }
    if plan.is_new(ns::Kind::Time) {
        plan.unshare_time()?;
    }
    Ok(())
}
