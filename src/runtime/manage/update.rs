//! update: limits of a container that is there, in its cgroup and in its group of resctrl.

use oci_spec::runtime::{LinuxIntelRdt, LinuxResources};

use super::members;
use crate::runtime::Error;
use crate::runtime::rdt;
use crate::runtime::state::{Container, State, Status, Store};

/// Changes the limits that are given and leaves the others.
///
/// # Errors
/// [`Error::Spec`] for what the machine has not, before anything is changed; [`Error`] of the cgroup.
pub fn update(
    store: &Store,
    id: &str,
    resources: &LinuxResources,
    shares: Option<&LinuxIntelRdt>,
) -> Result<(), Error> {
    let container = store.open(id)?;
    let _lock = container.lock()?;
    if container.status()? == Status::Stopped {
        return Err(Error::refused("container not running"));
    }
    let resctrl = rdt::check(shares)?;
    if *resources != LinuxResources::default() || shares.is_none() {
        let cgroup = container.cgroup()?.ok_or_else(|| Error::refused("the container has no cgroup"))?;
        cgroup.update(resources)?;
    }
    let (Some(root), Some(shares)) = (resctrl, shares) else { return Ok(()) };
    let mut groups = container.state.rdt.clone();
    groups.share(root, shares, id, &threads(&container)?)?;
    let Container { dir, state } = container;
    Container::save(dir, State { rdt: groups, ..state }).map(drop)
}

/// All threads of the container: a group takes one by one. Those that end meanwhile are left out.
fn threads(container: &Container) -> Result<Vec<i32>, Error> {
    let of = |pid: i32| {
        let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
    };
    Ok(members::pids(container)?.into_iter().flat_map(of).collect())
}
