//! The processes of a cgroup: list, attach, signal, kill, freeze; and its removal.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Error;
use crate::sys::cgroup as sys;

/// Processes of one cgroup, without those below.
pub(super) fn of(dir: &Path) -> Result<Vec<i32>, Error> {
    let file = dir.join("cgroup.procs");
    let text = match sys::read(&file) {
        Ok(text) => text,
        // Removed meanwhile, or a threaded cgroup of v2, whose processes its root shows.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) if matches!(e.raw_os_error(), Some(ENODEV | EOPNOTSUPP)) => return Ok(Vec::new()),
        Err(source) => return Err(Error::Read { path: file, source }),
    };
    // 0 is a process of another pid namespace: there, but not ours to name.
    Ok(text.lines().filter_map(|l| l.parse().ok()).filter(|p| *p > 0).collect())
}

const ENODEV: i32 = rustix::io::Errno::NODEV.raw_os_error();
const EOPNOTSUPP: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();

/// Processes of a cgroup and all below it.
pub(super) fn below(dir: &Path) -> Result<Vec<i32>, Error> {
    let mut out = of(dir)?;
    for child in children(dir) {
        out.extend(below(&child)?);
    }
    Ok(out)
}

pub(super) fn children(dir: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let dirs = entries.filter_map(Result::ok).filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    dirs.map(|e| e.path()).collect()
}

/// Moves a process into a cgroup.
pub(super) fn attach(dir: &Path, pid: i32) -> Result<(), Error> {
    let file = dir.join("cgroup.procs");
    sys::write(&file, pid.to_string().as_bytes()).map_err(|source| Error::Attach {
        pid,
        path: dir.to_owned(),
        source,
    })
}

/// Sends a signal to all of them.
pub(super) fn signal(pids: &[i32], signal: i32) -> Result<(), Error> {
    for pid in pids {
        sys::signal(*pid, signal).map_err(|source| Error::Signal { pid: *pid, source })?;
    }
    Ok(())
}

/// Removes a cgroup and those below. Dying processes hold it for a moment.
pub(super) fn remove(dir: &Path, deadline: Instant) -> Result<(), Error> {
    let mut pause = Duration::from_micros(200);
    loop {
        match sys::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) => {}
        }
        for child in children(dir) {
            remove(&child, deadline)?;
        }
        match sys::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) if Instant::now() < deadline => std::thread::sleep(pause),
            Err(source) => {
                let pids = below(dir).unwrap_or_default();
                let path = dir.to_string_lossy().into_owned();
                return Err(if pids.is_empty() {
                    Error::Remove { path: dir.to_owned(), source }
                } else {
                    Error::Busy { path, pids }
                });
            }
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
