//! Which processes are a container's: those of its cgroup, or, where it has none (a user without root), those of the
//! pid namespace that it has to itself.

use crate::runtime::Error;
use crate::runtime::state::{Container, Status};
use crate::sys::process::PidFd;
use crate::sys::{fd, ns};

/// Their pids, as we see them.
///
/// # Errors
/// [`Error`] of its cgroup; [`Error::Refused`] where nothing tells its processes from others.
pub fn pids(container: &Container) -> Result<Vec<i32>, Error> {
    if let Some(cgroup) = container.cgroup()? {
        return Ok(cgroup.pids()?);
    }
    if container.status()? == Status::Stopped {
        return Ok(Vec::new());
    }
    let namespace = own_pid_namespace(container)?;
    let entries = std::fs::read_dir("/proc").map_err(|e| Error::refused(format!("reading /proc: {e}")))?;
    let numbers = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<i32> = numbers.filter(|&pid| pid_namespace(pid) == Some(namespace)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Sends a signal to each process of a container that has no cgroup.
pub(super) fn signal(container: &Container, signal: i32) -> Result<(), Error> {
    let members = pids(container)?;
    if members.is_empty() {
        return Ok(());
    }
    let namespace = own_pid_namespace(container)?;
    for pid in members {
        // What has gone meanwhile needs no signal; whoever has its number now is looked at once more.
        if let Ok(process) = PidFd::open(pid)
            && pid_namespace(pid) == Some(namespace)
        {
            let _gone = process.signal(signal);
        }
    }
    Ok(())
}

/// Device and inode of a namespace's file.
type Identity = (u64, u64);

fn own_pid_namespace(container: &Container) -> Result<Identity, Error> {
    let own = super::delete::ends_with_init(&container.spec()?);
    let init = container.state.init.pid;
    let there = pid_namespace(init).filter(|_| own);
    there.ok_or_else(|| {
        Error::refused("it has neither a cgroup nor a pid namespace of its own, so its processes cannot be told from others")
    })
}

fn pid_namespace(pid: i32) -> Option<Identity> {
    let found = fd::stat(ns::open_of(pid, ns::Kind::Pid).ok()?).ok()?;
    Some((found.st_dev, found.st_ino))
}
