//! Which processes are a container's: those of its cgroup, or, where it has none (a user without root), those of the
//! pid namespace that it has to itself.

use crate::runtime::Error;
use crate::runtime::state::{Container, Status};
use crate::sys::ns;
use crate::sys::process::PidFd;

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
    Ok(ns::members(own_pid_namespace(container)?, ns::Kind::Pid)?)
}

/// Sends a signal to each process of a container that has no cgroup.
pub(super) fn signal(container: &Container, signal: i32) -> Result<(), Error> {
    if container.status()? == Status::Stopped {
        return Ok(());
    }
    let namespace = own_pid_namespace(container)?;
    for pid in ns::members(namespace, ns::Kind::Pid)? {
        // What has gone meanwhile needs no signal; whoever has its number now is looked at once more.
        if let Ok(process) = PidFd::open(pid)
            && ns::identity_of(pid, ns::Kind::Pid).is_ok_and(|its| its == namespace)
        {
            let _gone = process.signal(signal);
        }
    }
    Ok(())
}

fn own_pid_namespace(container: &Container) -> Result<ns::Identity, Error> {
    let own = super::delete::ends_with_init(&container.spec()?);
    let there = ns::identity_of(container.state.init.pid, ns::Kind::Pid).ok().filter(|_| own);
    there.ok_or_else(|| {
        Error::refused("it has neither a cgroup nor a pid namespace of its own, so its processes cannot be told from others")
    })
}
