//! `top`: the processes of a container, read from /proc. No `ps` program is called.

mod fields;
mod process;

use std::collections::HashMap;

use super::context::Context;
use super::error::{Error, Kind};
use super::view::Container;
use crate::model::container::Running;
use crate::runtime::cgroup::Manager;
use crate::sys::ns;
use process::{Host, Process};

/// A table of processes: titles and rows of equal length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    /// Column titles.
    pub titles: Vec<String>,
    /// One row per process.
    pub rows: Vec<Vec<String>>,
}

/// The processes of a running container. `fields` are podman's descriptors (`pid`, `user`, `hgroup` …) or docker's ps
/// options; empty gives `UID PID PPID C STIME TTY TIME CMD`.
///
/// # Errors
/// No such container, not running, an unknown field.
pub fn top(ctx: &Context, name: &str, fields: &[String]) -> Result<Processes, Error> {
    let columns = fields::parse(fields, ctx.podman)?;
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    let running = container.running()?;
    let host = Host::read();
    let mut processes: Vec<Process> =
        pids(running)?.into_iter().filter_map(|pid| Process::read(&host, pid)).collect();
    super::journal::dockers_container(ctx, "top", &container.row, &[]);
    inner_parents(&mut processes);
    processes.sort_by_key(|p| (p.start, p.pid));
    Ok(Processes {
        titles: columns.iter().map(|c| c.title().to_owned()).collect(),
        rows: processes.iter().map(|p| columns.iter().map(|c| c.value(p, &host)).collect()).collect(),
    })
}

/// Who has its parent outside has none, in there.
fn inner_parents(processes: &mut [Process]) {
    let inner: HashMap<i32, i32> = processes.iter().map(|p| (p.pid, p.inner_pid)).collect();
    for process in processes {
        process.inner_ppid = inner.get(&process.ppid).copied().unwrap_or(0);
    }
}

/// The container's processes: its cgroup's; without a cgroup, all in its pid namespace.
fn pids(running: &Running) -> Result<Vec<i32>, Error> {
    if !running.cgroup.is_empty() {
        let cgroup = Manager::detect().and_then(|m| m.open(&running.cgroup));
        let pids = cgroup.and_then(|c| c.pids());
        return pids.map_err(|e| {
            Error::with_source(Kind::Internal, "reading the container's cgroup", e.to_string())
        });
    }
    let Ok(own) = ns::identity_of(running.init.pid, ns::Kind::Pid) else { return Ok(Vec::new()) };
    ns::members(own, ns::Kind::Pid).map_err(|e| Error::with_source(Kind::Internal, "reading /proc", e))
}
