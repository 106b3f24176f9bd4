//! delete: what is left of a container goes.

use std::time::Duration;

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Spec};

use crate::runtime::cgroup::{Cgroup, Manager};
use crate::runtime::state::{Container, Status, Store};
use crate::runtime::{Error, hooks};
use crate::sys::{event, process};

/// Deletes a stopped container; a created or, with `force`, running one is killed first.
///
/// # Errors
/// [`Error::NoContainer`] unless forced; [`Error::Spec`] where it runs.
pub fn delete(store: &Store, id: &str, force: bool) -> Result<(), Error> {
    let container = match store.open(id) {
        Ok(container) => container,
        // Half-made: its maker was killed before the state was written.
        Err(Error::NoContainer(_)) if force => {
            let _nothing_there = std::fs::remove_dir_all(store.dir(id)?);
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    delete_opened(container, force)
}

/// [`delete`] of one that is at hand.
pub(super) fn delete_opened(container: Container, force: bool) -> Result<(), Error> {
    let id = &container.state.id;
    match container.status()? {
        Status::Stopped => {}
        Status::Created => kill(&container)?,
        Status::Running | Status::Paused if force => kill(&container)?,
        status => {
            let word = status.word();
            return Err(Error::refused(format!("cannot delete container {id} that is not stopped: {word}")));
        }
    }
    destroy(container)
}

pub(super) fn kill(container: &Container) -> Result<(), Error> {
    let init = match process::open_identity(&container.state.init) {
        Err(e) if e.is(libc::ESRCH) => return Ok(()),
        other => other?,
    };
    let cgroup = container.cgroup()?;
    let killed = cgroup.as_ref().map_or(Ok(()), Cgroup::kill);
    let _gone = init.signal(libc::SIGKILL);
    // A frozen process does not die before it thaws.
    let thawed = cgroup.as_ref().map_or(Ok(()), |c| c.thaw_to_end(container.state.init.pid));
    if let Err(e) = killed.and(thawed)
        && !event::wait_readable(&init, Some(Duration::from_secs(1)))?
    {
        return Err(e.into());
    }
    if !event::wait_readable(&init, Some(Duration::from_secs(10)))? {
        return Err(Error::refused("its first process did not end within 10 s of SIGKILL"));
    }
    Ok(())
}

/// Removes cgroup and state of a container that has ended, then runs its poststop hooks. The state goes last: while
/// anything is left that it names, the removal can be tried again.
///
/// # Errors
/// The first of what failed.
pub fn destroy(container: Container) -> Result<(), Error> {
    let spec = match container.spec() {
        // One that cannot be read now may have hooks; one that makes no sense never ran any.
        Err(Error::Sys(e)) => return Err(e.into()),
        other => other,
    };
    if spec.as_ref().is_ok_and(|s| !namespaces(s).iter().any(|n| n.typ() == LinuxNamespaceType::Mount)) {
        // Its mounts are the host's.
        let _unmounted_already = crate::sys::mount::unmount_detach(&container.state.rootfs);
    }
    if let Some(cgroup) = container.cgroup()? {
        if !spec.as_ref().is_ok_and(ends_with_init) {
            let _none_left = cgroup.kill();
        }
        cgroup.remove()?;
    } else if container.state.systemd && !container.state.cgroup.is_empty() {
        // systemd takes the cgroup of a scope that failed, and keeps the scope.
        Manager::detect()?.remove(&container.state.cgroup)?;
    }
    container.state.rdt.remove();
    std::fs::remove_dir_all(&container.dir)
        .map_err(|e| crate::sys::Error::from_io("rmdir", container.dir.display().to_string(), &e))?;
    let Ok(spec) = spec else { return Ok(()) };
    let after = hooks::poststop(&spec);
    if after.is_empty() {
        return Ok(());
    }
    let state = &container.state;
    hooks::run_each("poststop", after, &hooks::state_json(&state.id, "stopped", 0, &state.bundle, &spec));
    Ok(())
}

/// With a pid namespace of its own, the end of its first process was the end of all.
pub(super) fn ends_with_init(spec: &Spec) -> bool {
    namespaces(spec).iter().any(|n| n.typ() == LinuxNamespaceType::Pid && n.path().is_none())
}

fn namespaces(spec: &Spec) -> &[LinuxNamespace] {
    spec.linux().as_ref().and_then(|l| l.namespaces().as_deref()).unwrap_or_default()
}
