//! Freezing, thawing and killing all processes of a cgroup, on both versions.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Cgroup, Error, processes, v1};
use crate::sys::cgroup as sys;

/// How long a freeze may take: a process in an uninterruptible wait holds it up.
const LIMIT: Duration = Duration::from_secs(10);

const SIGKILL: i32 = 9;

impl Cgroup {
    /// Freezes all processes and waits until they are frozen.
    ///
    /// # Errors
    /// [`Error`]; thawed again then.
    pub fn freeze(&self) -> Result<(), Error> {
        match self.v2_dir() {
            Some(dir) => freeze_v2(&dir),
            None => freeze_v1(&self.freezer()?),
        }
    }

    /// Lets frozen processes run.
    ///
    /// # Errors
    /// [`Error`].
    pub fn thaw(&self) -> Result<(), Error> {
        match self.v2_dir() {
            Some(dir) => thaw_v2(&dir),
            None => thaw_v1(&self.own_freezer().ok_or_else(no_freezer)?),
        }
    }

    /// Thaws it so that a process that was sent SIGKILL can end, wherever that is frozen: another's cgroup keeps it, too.
    ///
    /// # Errors
    /// [`Error`].
    pub fn thaw_to_end(&self, pid: i32) -> Result<(), Error> {
        match self.is_frozen() {
            Ok(false) | Err(Error::NoController { .. } | Error::Gone { .. }) => {}
            Ok(true) | Err(_) => self.thaw()?,
        }
        match (self.v2_dir(), self.hierarchies.v1.iter().find(|h| h.controllers.contains(&"freezer"))) {
            (None, Some(h)) => release_v1(&h.mount, &h.mount.join(self.relative()), pid),
            _ => Ok(()),
        }
    }

    /// Whether it is frozen, or freezing.
    ///
    /// # Errors
    /// [`Error`].
    pub fn is_frozen(&self) -> Result<bool, Error> {
        match self.v2_dir() {
            Some(dir) => is_frozen_v2(&dir),
            None => is_frozen_v1(&self.own_freezer().ok_or_else(no_freezer)?),
        }
    }

    /// Kills every process in it and below, frozen ones too, and does not wait for their end. A cgroup
    /// that is gone has none.
    ///
    /// # Errors
    /// [`Error`].
    pub fn kill(&self) -> Result<(), Error> {
        match (self.v2_dir(), self.any_dir()) {
            (Some(dir), _) => kill_v2(&dir),
            (None, Ok(list)) => kill_v1(self.own_freezer().as_deref(), &list),
            (None, Err(Error::Gone { .. })) => Ok(()),
            (None, Err(e)) => Err(e),
        }
    }

    fn freezer(&self) -> Result<PathBuf, Error> {
        self.controller("freezer").ok_or_else(no_freezer)
    }

    /// Whether there is one or not: a question that fails must not read as "no".
    fn own_freezer(&self) -> Option<PathBuf> {
        v1::directory(&self.hierarchies, "freezer", self.relative())
    }
}

fn no_freezer() -> Error {
    Error::NoController { setting: "pausing", controller: "freezer" }
}

fn write(dir: &Path, file: &str, value: &str) -> Result<(), Error> {
    let path = dir.join(file);
    sys::write(&path, value.as_bytes()).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Gone { path: dir.to_string_lossy().into_owned() },
        _ => Error::Write { path, value: value.to_owned(), source },
    })
}

fn read(dir: &Path, file: &str) -> Result<String, Error> {
    let path = dir.join(file);
    sys::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Gone { path: dir.to_string_lossy().into_owned() },
        _ => Error::Read { path, source },
    })
}

/// v1: writes FROZEN until it holds. A process forked meanwhile may slip through the first attempt, so
/// it is written again and again, as the kernel's documentation asks. What fails on the way is thawed again.
fn freeze_v1(dir: &Path) -> Result<(), Error> {
    wait_frozen_v1(dir).inspect_err(|_| drop(thaw_v1(dir)))
}

fn wait_frozen_v1(dir: &Path) -> Result<(), Error> {
    let end = Instant::now() + LIMIT;
    loop {
        write(dir, "freezer.state", "FROZEN")?;
        if read(dir, "freezer.state")?.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(too_slow(dir));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn thaw_v1(dir: &Path) -> Result<(), Error> {
    surely(|| write(dir, "freezer.state", "THAWED"))
}

/// Thaws it and what is below, which may have been frozen apart.
fn thaw_all_v1(dir: &Path) -> Result<(), Error> {
    let own = thaw_v1(dir);
    let below = processes::children(dir).iter().map(|child| thaw_all_v1(child)).fold(Ok(()), Result::and);
    own.and(below)
}

/// Moves a process that is frozen in another's cgroup, where nobody might ever thaw it, into one that is not.
fn release_v1(mount: &Path, own: &Path, pid: i32) -> Result<(), Error> {
    let Some(place) = place_v1(pid).map(|p| mount.join(p)).filter(|p| !p.starts_with(own)) else {
        return Ok(());
    };
    // That of the root has no such file.
    if !is_frozen_v1(&place).unwrap_or(false) {
        return Ok(());
    }
    let to = if sys::is_dir(own) { own } else { mount };
    surely(|| processes::attach(to, pid))
}

/// The cgroup of a process on the freezer's hierarchy, without the slash at its start.
fn place_v1(pid: i32) -> Option<String> {
    let text = sys::read(Path::new(&format!("/proc/{pid}/cgroup"))).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers.split(',').any(|c| c == "freezer").then(|| path.trim_start_matches('/').to_owned())
    })
}

fn unless_gone(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(Error::Gone { .. }) => Ok(()),
        other => other,
    }
}

/// Tries again what must not fail: what is frozen and not thawed stands still for good.
fn surely(attempt: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    for _ in 0..4 {
        match attempt() {
            Err(Error::Gone { .. }) | Ok(()) => break,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    attempt()
}

fn is_frozen_v1(dir: &Path) -> Result<bool, Error> {
    // FREEZING is what a group shows whose processes are on their way.
    Ok(read(dir, "freezer.state")?.trim() != "THAWED")
}

/// v2: the kernel reports in `cgroup.events` when all are frozen. What fails on the way is thawed again.
fn freeze_v2(dir: &Path) -> Result<(), Error> {
    freeze_v2_within(LIMIT, dir)
}

fn freeze_v2_within(limit: Duration, dir: &Path) -> Result<(), Error> {
    wait_frozen_v2(limit, dir).inspect_err(|_| drop(thaw_v2(dir)))
}

fn wait_frozen_v2(limit: Duration, dir: &Path) -> Result<(), Error> {
    let path = dir.join("cgroup.events");
    let failed = |source| Error::Read { path: path.clone(), source };
    let events = sys::open_for_read(&path).map_err(failed)?;
    write(dir, "cgroup.freeze", "1")?;
    let end = Instant::now() + limit;
    loop {
        if sys::read_open(events.as_fd()).map_err(failed)?.lines().any(|l| l == "frozen 1") {
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_slow(dir));
        }
        sys::wait_change(events.as_fd(), left).map_err(failed)?;
    }
}

fn thaw_v2(dir: &Path) -> Result<(), Error> {
    surely(|| write(dir, "cgroup.freeze", "0"))
}

fn is_frozen_v2(dir: &Path) -> Result<bool, Error> {
    Ok(read(dir, "cgroup.freeze")?.trim() == "1")
}

fn too_slow(dir: &Path) -> Error {
    Error::Freeze { path: dir.to_string_lossy().into_owned(), seconds: LIMIT.as_secs() }
}

/// v2: one write, and nothing escapes by forking.
fn kill_v2(dir: &Path) -> Result<(), Error> {
    match sys::write(&dir.join("cgroup.kill"), b"1") {
        Ok(()) => Ok(()),
        // Before 5.14; or the cgroup is gone, and then the list is empty.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let _best_effort = freeze_v2(dir);
            let killed = processes::below(dir).and_then(|pids| processes::signal(&pids, SIGKILL));
            killed.and(unless_gone(thaw_v2(dir)))
        }
        Err(source) => Err(Error::Write { path: dir.join("cgroup.kill"), value: "1".to_owned(), source }),
    }
}

/// v1: frozen so that nobody forks meanwhile, killed, thawed to die. Where freezing does not work,
/// until nobody is left who was not killed.
fn kill_v1(freezer: Option<&Path>, list: &Path) -> Result<(), Error> {
    // The usual case after the end of a container. Freezing patches the kernel's code on all processors.
    if processes::below(list)?.is_empty() {
        return Ok(());
    }
    let _best_effort = freezer.map(freeze_v1);
    let mut killed: Vec<i32> = Vec::new();
    let done = loop {
        let pids = match processes::below(list) {
            Ok(pids) => pids,
            Err(e) => break Err(e),
        };
        let new: Vec<i32> = pids.into_iter().filter(|p| !killed.contains(p)).collect();
        if new.is_empty() {
            break Ok(());
        }
        if let Err(e) = processes::signal(&new, SIGKILL) {
            break Err(e);
        }
        killed.extend(new);
    };
    // Whether we have frozen it or it was: nothing that is frozen ends.
    done.and(freezer.map_or(Ok(()), |f| unless_gone(thaw_all_v1(f))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_freeze_in_time_is_thawed() {
        let dir = std::env::temp_dir().join(format!("rcon-freeze-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        std::fs::write(dir.join("cgroup.freeze"), "0").unwrap();
        let failed = freeze_v2_within(Duration::ZERO, &dir).unwrap_err();
        assert!(matches!(failed, Error::Freeze { .. }), "{failed}");
        assert!(!is_frozen_v2(&dir).unwrap());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
