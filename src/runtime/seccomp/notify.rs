//! Handing the notify descriptor of a filter to its agent, as the runtime spec says: one message on a
//! unix socket with the state of the container's process, the descriptor beside it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Filter, Listener};
use crate::sys::error::Result;
use crate::sys::socket;

/// The agent of a process that is about to start.
#[derive(Debug)]
pub struct Agent {
    listener: Listener,
    /// The container's state document.
    state: Vec<u8>,
}

impl Agent {
    /// The agent of a filter, if that has one.
    pub fn of(filter: Option<&Filter>, state: impl FnOnce() -> Vec<u8>) -> Option<Self> {
        let listener = filter?.listener.clone()?;
        Some(Self { listener, state: state() })
    }

    /// Gives it what the process sent, at once: its next call may be one that is notified.
    ///
    /// # Errors
    /// As [`send`].
    pub fn take(&self, pid: i32, sent: Vec<OwnedFd>) -> Result<()> {
        sent.into_iter().try_for_each(|fd| send(&self.listener, &self.state, pid, fd.as_fd()))
    }
}

/// Sends it. `state` is the container's state document, `pid` the process that the filter is on (the
/// container's first, or an exec's), as the agent sees it.
///
/// It must be done as soon as the descriptor is there: the process may be waiting in a system call already.
///
/// # Errors
/// What connecting or sending says; the process must not go on then, since nobody would answer it.
fn send(listener: &Listener, state: &[u8], pid: i32, fd: BorrowedFd<'_>) -> Result<()> {
    let message = message(listener, state, pid);
    let connection = socket::connect(&listener.path, socket::Kind::Stream).map_err(|mut e| {
        e.args = format!("{}: failed to connect with seccomp agent", e.args);
        e
    })?;
    socket::send_all(&connection, message.as_bytes(), &[fd.as_fd()])
}

/// The `ContainerProcessState` of the runtime spec.
fn message(listener: &Listener, state: &[u8], pid: i32) -> String {
    let state: serde_json::Value = serde_json::from_slice(state).unwrap_or_default();
    serde_json::json!({
        "ociVersion": state.get("ociVersion").cloned().unwrap_or_default(),
        "fds": [oci_spec::runtime::SECCOMP_FD_NAME],
        "pid": pid,
        "metadata": listener.metadata,
        "state": state,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_the_specs() {
        let listener = Listener { path: "/run/agent".into(), metadata: "m".into(), by_number: false };
        let state = br#"{"ociVersion":"1.2.1","id":"c","status":"creating","pid":7,"bundle":"/b"}"#;
        let text = message(&listener, state, 9);
        let read: oci_spec::runtime::ContainerProcessState = serde_json::from_str(&text).unwrap();
        assert_eq!((read.pid(), read.metadata().as_deref()), (&9, Some("m")));
        assert_eq!(read.fds(), &["seccompFd"]);
        assert_eq!(read.state().id(), "c");
        assert_eq!(read.version(), "1.2.1");
    }
}
