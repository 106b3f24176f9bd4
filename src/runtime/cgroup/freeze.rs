//! Freezing, thawing and killing all processes of a cgroup, on both versions.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Error, processes};
use crate::sys::cgroup as sys;

/// How long a freeze may take: a process in an uninterruptible wait holds it up.
const LIMIT: Duration = Duration::from_secs(10);

const SIGKILL: i32 = 9;

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
/// it is written again and again, as the kernel's documentation asks.
pub(super) fn freeze_v1(dir: &Path) -> Result<(), Error> {
    let end = Instant::now() + LIMIT;
    loop {
        write(dir, "freezer.state", "FROZEN")?;
        if read(dir, "freezer.state")?.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() > end {
            thaw_v1(dir)?;
            return Err(too_slow(dir));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn thaw_v1(dir: &Path) -> Result<(), Error> {
    write(dir, "freezer.state", "THAWED")
}

pub(super) fn is_frozen_v1(dir: &Path) -> Result<bool, Error> {
    // FREEZING is what a group shows whose processes are on their way.
    Ok(read(dir, "freezer.state")?.trim() != "THAWED")
}

/// v2: the kernel reports in `cgroup.events` when all are frozen.
pub(super) fn freeze_v2(dir: &Path) -> Result<(), Error> {
    let path = dir.join("cgroup.events");
    let failed = |source| Error::Read { path: path.clone(), source };
    let events = sys::open_for_read(&path).map_err(failed)?;
    write(dir, "cgroup.freeze", "1")?;
    let end = Instant::now() + LIMIT;
    loop {
        if sys::read_open(events.as_fd()).map_err(failed)?.lines().any(|l| l == "frozen 1") {
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            thaw_v2(dir)?;
            return Err(too_slow(dir));
        }
        sys::wait_change(events.as_fd(), left).map_err(failed)?;
    }
}

pub(super) fn thaw_v2(dir: &Path) -> Result<(), Error> {
    write(dir, "cgroup.freeze", "0")
}

pub(super) fn is_frozen_v2(dir: &Path) -> Result<bool, Error> {
    Ok(read(dir, "cgroup.freeze")?.trim() == "1")
}

fn too_slow(dir: &Path) -> Error {
    Error::Freeze { path: dir.to_string_lossy().into_owned(), seconds: LIMIT.as_secs() }
}

/// v2: one write, and nothing escapes by forking.
pub(super) fn kill_v2(dir: &Path) -> Result<(), Error> {
    match sys::write(&dir.join("cgroup.kill"), b"1") {
        Ok(()) => Ok(()),
        // Before 5.14; or the cgroup is gone, and then the list is empty.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let frozen = freeze_v2(dir);
            let killed = processes::below(dir).and_then(|pids| processes::signal(&pids, SIGKILL));
            if frozen.is_ok() {
                thaw_v2(dir)?;
            }
            killed
        }
        Err(source) => Err(Error::Write { path: dir.join("cgroup.kill"), value: "1".to_owned(), source }),
    }
}

/// v1: frozen so that nobody forks meanwhile, killed, thawed to die. Where freezing does not work,
/// until nobody is left who was not killed.
pub(super) fn kill_v1(freezer: Option<&Path>, list: &Path) -> Result<(), Error> {
    // The usual case after the end of a container. Freezing patches the kernel's code on all processors.
    if processes::below(list)?.is_empty() {
        return Ok(());
    }
    let frozen = freezer.is_some_and(|f| freeze_v1(f).is_ok());
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
    if let (true, Some(freezer)) = (frozen, freezer) {
        thaw_v1(freezer)?;
    }
    done
}
