//! One cgroup on the hierarchies of v1: make, limit, attach.
//!
//! Hierarchies are joined only where something needs them: [`ALWAYS`], and what a limit asks for. On a
//! hybrid machine a limit whose controller is on v2 is set there.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;

use super::devices::Access;
use super::hierarchy::{Hierarchies, Hierarchy, make_below};
use super::setting::Setting;
use super::{Error, limits_v1, limits_v2, v2};
use crate::sys::cgroup as sys;

/// What every container joins: device access, statistics, pausing, and the hierarchy by which systemd
/// tells whose process it is.
const ALWAYS: &[&str] = &["devices", "memory", "pids", "cpu", "cpuacct", "freezer", "blkio", "systemd"];

/// What is to be set where.
struct Plan {
    v1: Vec<Setting>,
    v2: Vec<Setting>,
    access: Option<Access>,
}

/// Decides which settings go to v1 and which, on a hybrid machine, to v2.
fn plan(h: &Hierarchies, limits: &LinuxResources, with_devices: bool) -> Result<Plan, Error> {
    let mounted = |c: &str| h.v1.iter().any(|h| h.controllers.contains(&c));
    let (v1, elsewhere): (Vec<_>, Vec<_>) =
        limits_v1::settings(limits)?.into_iter().partition(|s| mounted(s.controller));
    let mut on_v2 = Vec::new();
    if let Some(first) = elsewhere.first() {
        let offered = v2::controllers(h.v2.as_deref())?;
        if let Some(s) = elsewhere.iter().find(|s| !offered.iter().any(|c| c == s.controller)) {
            return Err(Error::NoController { setting: s.what, controller: s.controller });
        }
        tracing::debug!(controller = first.controller, "controller is on cgroup v2");
        let wanted = |s: &Setting| elsewhere.iter().any(|e| e.controller == s.controller);
        on_v2 = limits_v2::settings(limits)?.into_iter().filter(wanted).collect();
    }
    let rules = limits.devices().as_deref().unwrap_or_default();
    let access = (with_devices || !rules.is_empty()).then(|| Access::of(rules)).transpose()?;
    Ok(Plan { v1, v2: on_v2, access })
}

/// Makes the cgroup and applies everything.
pub(super) fn create(h: &Hierarchies, relative: &str, limits: &LinuxResources) -> Result<(), Error> {
    let plan = plan(h, limits, true)?;
    let mut made: Vec<PathBuf> = Vec::new();
    let done = make_all(h, relative, &plan, &mut made);
    if done.is_err() {
        for path in made.iter().rev() {
            // The first failure is what is reported; what cannot be removed now a later sweep will.
            drop(sys::remove_dir(path));
        }
    }
    done
}

fn make_all(h: &Hierarchies, relative: &str, plan: &Plan, made: &mut Vec<PathBuf>) -> Result<(), Error> {
    for hierarchy in &h.v1 {
        let needed = |c: &&str| ALWAYS.contains(c) || plan.v1.iter().any(|s| s.controller == *c);
        if hierarchy.controllers.iter().any(needed) {
            made.push(make(hierarchy, relative)?);
        }
    }
    apply(h, relative, plan)?;
    if let (false, Some(mount)) = (plan.v2.is_empty(), &h.v2) {
        made.push(mount.join(relative));
        v2::make(mount, relative, &plan.v2)?;
        plan.v2.iter().try_for_each(|s| s.write(&mount.join(relative)))?;
    }
    Ok(())
}

/// Makes the directory on one hierarchy, fresh.
fn make(hierarchy: &Hierarchy, relative: &str) -> Result<PathBuf, Error> {
    let path = hierarchy.mount.join(relative);
    let cpuset = hierarchy.controllers.contains(&"cpuset");
    let inherit = &mut |dir: &Path| if cpuset { inherit_cpuset(dir) } else { Ok(()) };
    if !make_below(&hierarchy.mount, relative, inherit)? {
        // Left over from something that died: its limits must not become ours.
        replace(&path, relative)?;
    }
    if cpuset {
        inherit_cpuset(&path)?;
    }
    Ok(path)
}

/// Removes an empty cgroup that is in the way and makes it anew.
pub(super) fn replace(path: &Path, relative: &str) -> Result<(), Error> {
    match sys::remove_dir(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Error::Remove { path: path.to_owned(), source });
        }
        Err(_) => {
            let pids = super::processes::of(path).unwrap_or_default();
            return Err(Error::Busy { path: format!("/{relative}"), pids });
        }
    }
    sys::make_dir(path).map_err(|source| Error::Make { path: path.to_owned(), source })
}

/// A new cpuset has no CPU and no memory node, and takes no process then.
fn inherit_cpuset(dir: &Path) -> Result<(), Error> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (from, to) = (parent.join(file), dir.join(file));
        let value = sys::read(&from).map_err(|source| Error::Read { path: from, source })?;
        let value = value.trim();
        sys::write(&to, value.as_bytes()).map_err(|source| Error::Write {
            path: to,
            value: value.to_owned(),
            source,
        })?;
    }
    Ok(())
}

fn apply(h: &Hierarchies, relative: &str, plan: &Plan) -> Result<(), Error> {
    let write = |setting: &Setting| {
        setting.write(&directory(h, setting.controller, relative).expect("planned for a mounted controller"))
    };
    let mut again = Vec::new();
    for setting in &plan.v1 {
        match write(setting) {
            // A period that does not go with the present quota may go with the new one.
            Err(Error::Write { source, .. })
                if setting.file.ends_with("_period_us") && source.kind() == io::ErrorKind::InvalidInput =>
            {
                again.push(setting);
            }
            other => other?,
        }
    }
    again.into_iter().try_for_each(write)?;
    if let (Some(access), Some(dir)) = (&plan.access, directory(h, "devices", relative)) {
        devices(&dir, access)?;
    } else if plan.access.as_ref().is_some_and(|a| !a.allow) {
        return Err(Error::NoController { setting: "restricting devices", controller: "devices" });
    }
    Ok(())
}

/// Directory of the cgroup on the hierarchy of a controller.
pub(super) fn directory(h: &Hierarchies, controller: &str, relative: &str) -> Option<PathBuf> {
    let on = h.v1.iter().find(|h| h.controllers.contains(&controller))?;
    Some(on.mount.join(relative))
}

/// Sets device access: everything first, then the exceptions. A moment with too little access harms
/// nobody; one with too much would.
fn devices(dir: &Path, access: &Access) -> Result<(), Error> {
    let file = |name: &str| dir.join(name);
    let write = |path: &Path, value: &str| {
        sys::write(path, value.as_bytes()).map_err(|source| Error::Write {
            path: path.to_owned(),
            value: value.to_owned(),
            source,
        })
    };
    let exceptions = if access.allow {
        // A fresh cgroup has what its parent has; only one that was narrowed has to be widened.
        let list = sys::read(&file("devices.list")).unwrap_or_default();
        if list.trim() != "a *:* rwm" {
            write(&file("devices.allow"), "a")?;
        }
        file("devices.deny")
    } else {
        write(&file("devices.deny"), "a")?;
        file("devices.allow")
    };
    if access.exceptions.is_empty() {
        return Ok(());
    }
    let fd = sys::open_for_write(&exceptions).map_err(|source| Error::Write {
        path: exceptions.clone(),
        value: String::new(),
        source,
    })?;
    for line in access.lines() {
        sys::write_open(std::os::fd::AsFd::as_fd(&fd), line.as_bytes()).map_err(|source| Error::Write {
            path: exceptions.clone(),
            value: line,
            source,
        })?;
    }
    Ok(())
}

/// Changes limits of a cgroup that has processes.
pub(super) fn update(h: &Hierarchies, relative: &str, limits: &LinuxResources) -> Result<(), Error> {
    let mut plan = plan(h, limits, false)?;
    order_memory(h, relative, &mut plan.v1);
    for setting in &plan.v1 {
        let Some(dir) = directory(h, setting.controller, relative) else { continue };
        if sys::is_dir(&dir) {
            continue;
        }
        // A controller that nothing asked for until now: make it there and move everybody in.
        let hierarchy = h.v1.iter().find(|x| x.controllers.contains(&setting.controller));
        let made = make(hierarchy.expect("planned for a mounted controller"), relative)?;
        for pid in processes(h, relative)? {
            super::processes::attach(&made, pid)?;
        }
    }
    apply(h, relative, &plan)?;
    if let (false, Some(mount)) = (plan.v2.is_empty(), &h.v2) {
        let dir = mount.join(relative);
        if !sys::is_dir(&dir) {
            v2::make(mount, relative, &plan.v2)?;
            for pid in processes(h, relative)? {
                super::processes::attach(&dir, pid)?;
            }
        }
        plan.v2.iter().try_for_each(|s| s.write(&dir))?;
    }
    Ok(())
}

/// Memory may never be above memory and swap: which is written first depends on where they go.
fn order_memory(h: &Hierarchies, relative: &str, settings: &mut [Setting]) {
    let at = |file: &str| settings.iter().position(|s| s.file == file);
    let (Some(limit), Some(both)) = (at("memory.limit_in_bytes"), at("memory.memsw.limit_in_bytes")) else {
        return;
    };
    let Some(dir) = directory(h, "memory", relative) else { return };
    let now = sys::read(&dir.join("memory.memsw.limit_in_bytes")).ok();
    let now: Option<u64> = now.and_then(|t| t.trim().parse().ok());
    let wanted = settings[limit].value.parse::<i64>().ok();
    // -1 is the largest of all.
    let wanted = wanted.map(|w| u64::try_from(w).unwrap_or(u64::MAX));
    if wanted > now {
        settings.swap(limit, both);
    }
}

/// The `tasks` file of every hierarchy on which the cgroup exists; `None` where v2 has it too, which
/// knows no such file.
pub(super) fn join_files(h: &Hierarchies, relative: &str) -> Result<Option<Vec<OwnedFd>>, Error> {
    if h.v2.as_ref().is_some_and(|mount| sys::is_dir(&mount.join(relative))) {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(h.v1.len());
    for hierarchy in &h.v1 {
        let path = hierarchy.mount.join(relative).join("tasks");
        match crate::sys::fd::open(&path, crate::sys::fd::OpenFlags::WRONLY, 0) {
            Ok(file) => out.push(file),
            Err(e) if e.is(libc::ENOENT) => {}
            Err(e) => return Err(Error::Attach { path, pid: 0, source: e.into() }),
        }
    }
    Ok((!out.is_empty()).then_some(out))
}

/// Moves a process into the cgroup on every hierarchy on which it exists.
pub(super) fn attach(h: &Hierarchies, relative: &str, pid: i32) -> Result<(), Error> {
    let mut joined = false;
    for mount in h.v1.iter().map(|h| &h.mount).chain(&h.v2) {
        match super::processes::attach(&mount.join(relative), pid) {
            Ok(()) => joined = true,
            // Not joined there.
            Err(Error::Attach { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    if joined { Ok(()) } else { Err(Error::Gone { path: format!("/{relative}") }) }
}

/// A directory that has all the processes: of the first hierarchy of [`ALWAYS`] that has the cgroup.
pub(super) fn any_directory(h: &Hierarchies, relative: &str) -> Option<PathBuf> {
    ALWAYS.iter().filter_map(|c| directory(h, c, relative)).find(|d| sys::is_dir(d))
}

fn processes(h: &Hierarchies, relative: &str) -> Result<Vec<i32>, Error> {
    let dir = any_directory(h, relative).ok_or_else(|| Error::Gone { path: format!("/{relative}") })?;
    super::processes::below(&dir)
}

/// The directories that exist: controllers of v1, then on a hybrid machine v2 (the empty name).
pub(super) fn directories(h: &Hierarchies, relative: &str) -> Vec<(&'static str, PathBuf)> {
    let mut out = Vec::with_capacity(ALWAYS.len());
    for hierarchy in &h.v1 {
        let dir = hierarchy.mount.join(relative);
        if sys::is_dir(&dir) {
            out.extend(hierarchy.controllers.iter().map(|c| (*c, dir.clone())));
        }
    }
    // The order of ALWAYS puts those first that a container surely has.
    out.sort_by_key(|(c, _)| ALWAYS.iter().position(|a| a == c).unwrap_or(usize::MAX));
    if let Some(dir) = h.v2.as_ref().map(|m| m.join(relative)).filter(|d| sys::is_dir(d)) {
        out.push(("", dir));
    }
    out
}
