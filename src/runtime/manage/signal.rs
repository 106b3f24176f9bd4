//! kill, pause, resume.

use crate::runtime::Error;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::state::{Container, Status, Store};

/// Sends a signal to the first process, or to all.
///
/// # Errors
/// [`Error::Spec`] where it is not running.
pub fn kill(store: &Store, id: &str, signal: i32, all: bool) -> Result<(), Error> {
    let container = store.open(id)?;
    if all {
        return match container.cgroup()? {
            Some(cgroup) if signal == libc::SIGKILL => Ok(cgroup.kill()?),
            Some(cgroup) => Ok(cgroup.signal(signal)?),
            None => super::members::signal(&container, signal),
        };
    }
    if signal == libc::SIGKILL && !container.spec().as_ref().is_ok_and(super::delete::ends_with_init) {
        // The end of its first process would not be the end of the others.
        let cgroup = container.cgroup()?;
        if let Some(cgroup) = cgroup.filter(|c| c.pids().is_ok_and(|pids| !pids.is_empty())) {
            return Ok(cgroup.kill()?);
        }
    }
    let init = super::create::init_of(&container)?;
    init.signal(signal)?;
    if signal == libc::SIGKILL
        && let Some(cgroup) = container.cgroup()?
    {
        cgroup.thaw_to_end(container.state.init.pid)?;
    }
    Ok(())
}

/// Freezes all processes.
///
/// # Errors
/// [`Error::Spec`] where it does not run or has no cgroup.
pub fn pause(store: &Store, id: &str) -> Result<(), Error> {
    let container = store.open(id)?;
    let _lock = container.lock()?;
    match container.status()? {
        Status::Running | Status::Created => Ok(cgroup(&container)?.freeze()?),
        status => Err(Error::refused(format!("container not running or created: {}", status.word()))),
    }
}

/// Lets all processes run on.
///
/// # Errors
/// [`Error::Spec`] where it is not paused.
pub fn resume(store: &Store, id: &str) -> Result<(), Error> {
    let container = store.open(id)?;
    let _lock = container.lock()?;
    match container.status()? {
        Status::Paused => Ok(cgroup(&container)?.thaw()?),
        status => Err(Error::refused(format!("container not paused: {}", status.word()))),
    }
}

fn cgroup(container: &Container) -> Result<Cgroup, Error> {
    container.cgroup()?.ok_or_else(|| Error::refused("it has no cgroup"))
}
