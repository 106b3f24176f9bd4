//! `--sdnotify`: telling the service manager that the container runs.
//!
//! `conmon`: ready as soon as the process runs. `container`: the process says so itself, into a socket of ours
//! that it sees as `/run/notify/notify.sock`; we pass it on, because the service manager believes only processes
//! of its own unit. `healthy`: ready with the first healthy check. The main process of the unit is the monitor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use crate::sys::fd;

/// When the service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Started,
    Told,
    Healthy,
}

/// The way to the service manager.
#[derive(Debug)]
pub(super) struct Notify {
    manager: SocketAddr,
    when: When,
    /// Where the container tells us.
    inside: Option<UnixDatagram>,
}

/// Where the container finds its socket.
pub(super) const INSIDE: &str = "/run/notify/notify.sock";

impl Notify {
    /// As the container's options say; `None` where nobody is to be told.
    pub(super) fn new(mode: Option<&str>, socket: Option<&str>, own: &Path) -> io::Result<Option<Self>> {
        let (Some(mode), Some(socket)) = (mode, socket) else { return Ok(None) };
        let when = match mode {
            "conmon" => When::Started,
            "container" => When::Told,
            "healthy" => When::Healthy,
            _ => return Ok(None),
        };
        let manager = match socket.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(socket)?,
        };
        let inside = if when == When::Told {
            let listener = bind(own)?;
            // The process may be anyone in the container; who can reach the path is decided by the mount.
            std::fs::set_permissions(own, std::fs::Permissions::from_mode(0o666))?;
            listener.set_nonblocking(true)?;
            Some(listener)
        } else {
            None
        };
        Ok(Some(Self { manager, when, inside }))
    }

    /// Readable when the container has told us something.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inside.as_ref().map(AsFd::as_fd)
    }

    /// The process runs.
    pub(super) fn started(&self) {
        self.send("", self.when == When::Started);
    }

    /// The first healthy check.
    pub(super) fn healthy(&self) {
        if self.when == When::Healthy {
            self.send("", true);
        }
    }

    /// Passes on what the container told: that it is ready, and its status line. Nothing else: the container
    /// must not name another main process or ask for descriptors to be kept.
    pub(super) fn pass_on(&self) {
        let Some(inside) = &self.inside else { return };
        let mut buffer = [0; 4096];
        while let Ok(length) = inside.recv(&mut buffer) {
            let (ready, status) = understood(&String::from_utf8_lossy(&buffer[..length]));
            if ready || !status.is_empty() {
                self.send(&status, ready);
            }
        }
    }

    fn send(&self, status: &str, ready: bool) {
        let mut text = format!("MAINPID={}\n", crate::sys::process::pid());
        if ready {
            text.push_str("READY=1\n");
        }
        text.push_str(status);
        // A manager that is gone has nobody waiting for us.
        if let Ok(socket) = UnixDatagram::unbound() {
            let _gone = socket.send_to_addr(text.as_bytes(), &self.manager);
        }
    }
}

/// Binds a socket at a path of any length: by a descriptor of its directory, which makes the path short.
fn bind(path: &Path) -> io::Result<UnixDatagram> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = fd::open_path(parent)?;
    UnixDatagram::bind(fd::proc_path(&dir).join(name))
}

/// Of what a container told, what is passed on: whether it is ready, and its status line.
fn understood(text: &str) -> (bool, String) {
    let ready = text.lines().any(|line| line == "READY=1");
    let status = text.lines().find(|line| line.starts_with("STATUS="));
    (ready, status.map(|line| format!("{line}\n")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readiness_and_status_are_passed_on() {
        assert_eq!(understood("READY=1"), (true, String::new()));
        assert_eq!(understood("STATUS=up\nMAINPID=1\nREADY=1\n"), (true, "STATUS=up\n".to_owned()));
        assert_eq!(understood("MAINPID=1\nFDSTORE=1"), (false, String::new()));
    }
}
