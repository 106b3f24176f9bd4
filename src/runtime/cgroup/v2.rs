//! One cgroup on the unified hierarchy: make, hand controllers down to it, limit.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;

use super::devices::Access;
use super::hierarchy::make_below;
use super::setting::Setting;
use super::{Error, limits_v2, processes, v1};
use crate::sys::{bpf, cgroup as sys, idmap};

/// Controllers that every container gets where the machine has them: for limits that come later by
/// `update`, and for statistics.
const ALWAYS: &[&str] = &["cpu", "io", "memory", "pids"];

/// Makes the cgroup, applies everything, and gives a descriptor of it for clone3.
pub(super) fn create(mount: &Path, relative: &str, limits: &LinuxResources) -> Result<OwnedFd, Error> {
    make(mount, relative, &limits_v2::settings(limits)?)?;
    warn(limits);
    let done = fill(mount, relative, limits);
    if done.is_err() {
        // The failure is what is reported; a cgroup that cannot be removed now a later sweep will take.
        drop(sys::remove_dir(&mount.join(relative)));
    }
    done
}

/// Whether limits can be expressed, without touching anything.
pub(super) fn check(limits: &LinuxResources) -> Result<(), Error> {
    limits_v2::settings(limits)?;
    warn(limits);
    Access::of(limits.devices().as_deref().unwrap_or_default()).map(drop)
}

/// A scope that runs is another container's.
pub(super) fn check_empty(mount: &Path, relative: &str) -> Result<(), Error> {
    let pids = processes::below(&mount.join(relative))?;
    if pids.is_empty() {
        return Ok(());
    }
    Err(Error::Busy { path: format!("/{relative}"), pids })
}

fn warn(limits: &LinuxResources) {
    if limits_v2::weighs_idle(limits) {
        tracing::warn!("unable to apply both cpu.idle and a CPU weight, ignoring the weight");
    }
}

/// Applies everything to a cgroup that is there.
pub(super) fn fill(mount: &Path, relative: &str, limits: &LinuxResources) -> Result<OwnedFd, Error> {
    let settings = limits_v2::settings(limits)?;
    let path = mount.join(relative);
    hand_down(mount, relative, &settings)?;
    settle(&path, &settings);
    settings.iter().try_for_each(|s| s.write(&path))?;
    let dir = open(&path, relative)?;
    restrict_devices(&dir, relative, &Access::of(limits.devices().as_deref().unwrap_or_default())?)?;
    Ok(dir)
}

/// Opens the directory.
pub(super) fn open(path: &Path, relative: &str) -> Result<OwnedFd, Error> {
    sys::open_dir(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Gone { path: format!("/{relative}") },
        _ => Error::Read { path: path.to_owned(), source },
    })
}

/// Makes the directory with the controllers that are always wanted and those of the settings; one that is
/// in the way is made anew.
pub(super) fn make(mount: &Path, relative: &str, settings: &[Setting]) -> Result<(), Error> {
    let path = mount.join(relative);
    if !make_below(mount, relative, &mut |_| Ok(()))? {
        v1::replace(&path, relative)?;
    }
    let done = hand_down(mount, relative, settings);
    if done.is_err() {
        // As above.
        drop(sys::remove_dir(&path));
    }
    done
}

/// Controllers that are offered at the top.
pub(super) fn controllers(mount: Option<&Path>) -> Result<Vec<String>, Error> {
    let Some(mount) = mount else { return Ok(Vec::new()) };
    words(&mount.join("cgroup.controllers"))
}

fn words(file: &Path) -> Result<Vec<String>, Error> {
    let text = sys::read(file).map_err(|source| Error::Read { path: file.to_owned(), source })?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Enables controllers in each cgroup above ours. Mostly one read says that nothing is to be done.
fn hand_down(mount: &Path, relative: &str, settings: &[Setting]) -> Result<(), Error> {
    let needed = |c: &str| settings.iter().any(|s| s.controller == c && c != "cgroup");
    let here = words(&mount.join(relative).join("cgroup.controllers"))?;
    let has = |list: &[String], c: &str| list.iter().any(|h| h == c);
    let extra: Vec<&str> = settings.iter().map(|s| s.controller).filter(|c| needed(c)).collect();
    if ALWAYS.iter().chain(&extra).all(|c| has(&here, c)) {
        return Ok(());
    }
    let offered = controllers(Some(mount))?;
    if let Some(s) = settings.iter().find(|s| needed(s.controller) && !has(&offered, s.controller)) {
        return Err(Error::NoController { setting: s.what, controller: s.controller });
    }
    let mut wanted: Vec<&str> = ALWAYS.iter().copied().filter(|c| has(&offered, c)).collect();
    for c in extra {
        if !wanted.contains(&c) {
            wanted.push(c);
        }
    }
    let mut dir = mount.to_owned();
    enable(&dir, &wanted, &extra_of(settings))?;
    let parts: Vec<&str> = relative.split('/').filter(|p| !p.is_empty()).collect();
    for part in &parts[..parts.len().saturating_sub(1)] {
        dir.push(part);
        enable(&dir, &wanted, &extra_of(settings))?;
    }
    Ok(())
}

/// Waits until another process that enables controllers in the cgroup above has brought their files into ours.
/// The kernel shows a controller in cgroup.controllers first and makes its files afterwards, under a lock that
/// a write to cgroup.subtree_control takes, even one that changes nothing.
fn settle(path: &Path, settings: &[Setting]) {
    if settings.iter().all(|s| path.join(&*s.file).exists()) {
        return;
    }
    let Some(file) = path.parent().map(|p| p.join("cgroup.subtree_control")) else { return };
    let Ok(on) = words(&file) else { return };
    let line = on.iter().map(|c| format!("+{c}")).collect::<Vec<_>>().join(" ");
    // Without the right to write there nobody of ours is just enabling anything; the settings tell what is missing.
    drop(sys::write(&file, line.as_bytes()));
}

fn extra_of(settings: &[Setting]) -> Vec<&'static str> {
    settings.iter().map(|s| s.controller).collect()
}

/// Enables controllers for the children of a cgroup: all at once, and where that is refused one by one, so
/// that a controller nobody asked for does not keep the others away.
fn enable(dir: &Path, wanted: &[&str], required: &[&'static str]) -> Result<(), Error> {
    let file = dir.join("cgroup.subtree_control");
    let on = words(&file)?;
    let missing: Vec<&str> = wanted.iter().copied().filter(|w| !on.iter().any(|o| o == w)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = |list: &[&str]| list.iter().map(|c| format!("+{c}")).collect::<Vec<_>>().join(" ");
    if sys::write(&file, line(&missing).as_bytes()).is_ok() {
        return Ok(());
    }
    for c in missing {
        let value = line(&[c]);
        let Err(source) = sys::write(&file, value.as_bytes()) else { continue };
        if !required.contains(&c) {
            tracing::debug!(controller = c, path = %file.display(), %source, "controller left off");
            continue;
        }
        if source.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) {
            return Err(Error::Occupied { path: dir.to_owned() });
        }
        return Err(Error::Write { path: file, value, source });
    }
    Ok(())
}

/// A user without root, or root of a user namespace that one made.
fn is_without_root() -> bool {
    crate::sys::probe::effective_uid() != 0 || idmap::user_above().is_some()
}

/// Sets which devices the cgroup may use. Nothing is loaded where everything is allowed and nothing was
/// restricted before.
pub(super) fn restrict_devices(dir: &OwnedFd, relative: &str, access: &Access) -> Result<(), Error> {
    let failed = |source| Error::Devices { path: format!("/{relative}"), source };
    if access.allow && access.exceptions.is_empty() {
        let present = bpf::device_programs(dir.as_fd());
        // Without the right to ask there is nothing that we could have loaded.
        if present.map_or(true, |p| p.is_empty()) {
            return Ok(());
        }
    }
    let attach = || {
        let program = bpf::load_device_program(&access.program())?;
        bpf::attach_device_program(dir.as_fd(), program.as_fd())
    };
    match attach() {
        // In a user namespace, and without root, nobody may, as nobody may make a device then: what its user may open is the limit.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied && is_without_root() => {
            tracing::debug!("the device filter of {relative} is left off: {e}");
            Ok(())
        }
        done => done.map_err(failed),
    }
}

/// A change as a whole: the quota of CPU time and its period, of which one may be given alone, are one value here.
/// A memory limit below what is in use is refused, if that was asked for.
pub(super) fn completed(path: &Path, limits: &LinuxResources) -> Result<LinuxResources, Error> {
    check_usage(path, limits)?;
    let mut limits = limits.clone();
    let Some(mut cpu) = limits.cpu().clone() else { return Ok(limits) };
    let (quota, period) = (cpu.quota().filter(|q| *q != 0), cpu.period().filter(|p| *p != 0));
    if quota.is_some() != period.is_some()
        && let Ok(text) = sys::read(&path.join("cpu.max"))
    {
        let mut now = text.split_whitespace();
        let (now_quota, now_period) = (now.next(), now.next());
        if quota.is_none() {
            cpu.set_quota(now_quota.and_then(|q| q.parse().ok()));
        } else {
            cpu.set_period(now_period.and_then(|p| p.parse().ok()));
        }
        limits.set_cpu(Some(cpu));
    }
    Ok(limits)
}

fn check_usage(path: &Path, limits: &LinuxResources) -> Result<(), Error> {
    let Some(memory) = limits.memory().as_ref().filter(|m| m.check_before_update() == Some(true)) else {
        return Ok(());
    };
    let file = path.join("memory.current");
    let text = sys::read(&file).map_err(|source| Error::Read { path: file.clone(), source })?;
    let usage: u64 = text.trim().parse().map_err(|_| Error::Unexpected { path: file, text: text.clone() })?;
    for (setting, limit) in [("memory+swap limit", memory.swap()), ("memory limit", memory.limit())] {
        if let Some(limit) = limit.filter(|l| *l > 0 && u64::try_from(*l).is_ok_and(|l| l < usage)) {
            return Err(Error::InUse { setting, limit, usage });
        }
    }
    Ok(())
}

/// Changes limits of a cgroup that has processes.
pub(super) fn update(
    mount: &Path,
    relative: &str,
    dir: &OwnedFd,
    limits: &LinuxResources,
) -> Result<(), Error> {
    let settings = limits_v2::settings(limits)?;
    warn(limits);
    let path: PathBuf = mount.join(relative);
    hand_down(mount, relative, &settings)?;
    settle(&path, &settings);
    settings.iter().try_for_each(|s| s.write(&path))?;
    match limits.devices().as_deref() {
        None | Some([]) => Ok(()),
        Some(rules) => restrict_devices(dir, relative, &Access::of(rules)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> LinuxResources {
        serde_json::from_str(text).unwrap()
    }

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("rcon-v2-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_change_of_one_half_keeps_the_other() {
        let dir = folder("half");
        for (now, change, quota, period) in [
            ("50000 100000", r#"{"cpu":{"period":200000}}"#, Some(50_000), Some(200_000)),
            ("50000 200000", r#"{"cpu":{"quota":7000}}"#, Some(7000), Some(200_000)),
            ("max 100000", r#"{"cpu":{"period":200000}}"#, None, Some(200_000)),
            ("50000 300000", r#"{"cpu":{"quota":-1}}"#, Some(-1), Some(300_000)),
            ("50000 300000", r#"{"cpu":{"quota":1,"period":2}}"#, Some(1), Some(2)),
            ("50000 300000", r#"{"cpu":{"shares":9}}"#, None, None),
        ] {
            std::fs::write(dir.join("cpu.max"), now).unwrap();
            let whole = completed(&dir, &json(change)).unwrap();
            let cpu = whole.cpu().as_ref().unwrap();
            assert_eq!((cpu.quota(), cpu.period()), (quota, period), "{now} {change}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_limit_below_the_usage_is_refused_on_demand() {
        let dir = folder("usage");
        std::fs::write(dir.join("memory.current"), "5000\n").unwrap();
        let attempt = |text: &str| completed(&dir, &json(text)).map(drop).map_err(|e| e.to_string());
        let refused = attempt(r#"{"memory":{"limit":1024,"checkBeforeUpdate":true}}"#).unwrap_err();
        assert_eq!(refused, "rejecting memory limit 1024 < usage 5000");
        let both = attempt(r#"{"memory":{"limit":1024,"swap":2048,"checkBeforeUpdate":true}}"#).unwrap_err();
        assert_eq!(both, "rejecting memory+swap limit 2048 < usage 5000");
        for fine in [
            r#"{"memory":{"limit":1024}}"#,
            r#"{"memory":{"limit":6000,"checkBeforeUpdate":true}}"#,
            r#"{"memory":{"limit":-1,"swap":-1,"checkBeforeUpdate":true}}"#,
        ] {
            attempt(fine).unwrap();
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn an_idle_group_has_no_weight() {
        for (text, idle) in [
            (r#"{"cpu":{"idle":1,"shares":5}}"#, true),
            (r#"{"unified":{"cpu.idle":"1","cpu.weight":"8"}}"#, true),
            (r#"{"cpu":{"shares":5},"unified":{"cpu.idle":"1"}}"#, true),
            (r#"{"cpu":{"idle":0,"shares":5}}"#, false),
            (r#"{"cpu":{"shares":5}}"#, false),
        ] {
            let limits = json(text);
            let settings = limits_v2::settings(&limits).unwrap();
            assert_eq!(!settings.iter().any(|s| s.file == "cpu.weight"), idle, "{text}");
            assert_eq!(limits_v2::weighs_idle(&limits), idle, "{text}");
        }
    }
}
