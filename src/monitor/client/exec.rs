//! A second process in a running container.
//!
//! Without a terminal the process gets three descriptors. The caller's own are handed over only where they
//! are pipes: a container that holds the user's terminal could read what is typed there, and one that holds
//! a file could read or truncate it through /proc/self/fd. For those there is a pipe in between, and we relay.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::proto::{ExecRequest, Reply, Request};
use super::super::wire;
use super::copy::Copy;
use super::{Attached, ClientError, ask};
use crate::model::container::Exited;
use crate::model::id::ContainerId;
use crate::storage::Paths;
use crate::sys::event::{Epoll, Events, SignalFd, interest};
use crate::sys::fd;

/// stdio of an exec without a terminal.
#[derive(Debug)]
pub enum ExecStdio {
    /// All three are /dev/null (detached).
    Null,
    /// The caller's own descriptors (`None` is /dev/null). Pipes are passed through to the process; terminals,
    /// files and sockets are never handed to a container: bytes are relayed by us.
    Inherit {
        /// Standard input.
        stdin: Option<OwnedFd>,
        /// Standard output.
        stdout: Option<OwnedFd>,
        /// Standard error.
        stderr: Option<OwnedFd>,
    },
    /// A terminal in the container; bytes come over [`ExecStarted::attached`].
    Terminal,
}

/// An exec that runs.
#[derive(Debug)]
pub struct ExecStarted {
    /// Its id.
    pub id: String,
    /// Its pid on the host.
    pub pid: i32,
    /// What comes next.
    pub outcome: ExecOutcome,
}

/// How to learn the end of an exec.
#[derive(Debug)]
pub enum ExecOutcome {
    /// Detached: by `exec_inspect`.
    Detached,
    /// With a terminal: relay it.
    Terminal(Attached),
    /// Without: wait for it.
    Waiting(ExecWait),
}

/// Waits for an exec without a terminal, relaying what must be relayed.
#[derive(Debug)]
pub struct ExecWait {
    link: Attached,
    copies: Vec<Copy>,
}

/// Starts a process in a running container.
///
/// # Errors
/// [`ClientError::Refused`] with code 126 or 127 where the command cannot run.
pub fn exec(
    paths: &Paths,
    id: &ContainerId,
    mut request: ExecRequest,
    stdio: ExecStdio,
    preserved: Vec<OwnedFd>,
) -> Result<ExecStarted, ClientError> {
    let (detach, tty) = (request.detach, request.tty);
    let failed = |e: crate::sys::Error| ClientError::Terminal { what: "prepare pipes for", source: e.into() };
    let mut copies = Vec::new();
    let mut passed: Vec<OwnedFd> = Vec::new();
    if let ExecStdio::Inherit { stdin, stdout, stderr } = stdio {
        request.stdio_passed = true;
        passed.push(input(stdin, &mut copies).map_err(failed)?);
        passed.push(output(stdout, &mut copies).map_err(failed)?);
        passed.push(output(stderr, &mut copies).map_err(failed)?);
    }
    passed.extend(preserved);
    let fds: Vec<BorrowedFd<'_>> = passed.iter().map(AsFd::as_fd).collect();
    let socket = ask::open(paths, id, Request::Exec(Box::new(request)), &fds)?;
    // Our copies of the process's ends must go, or the pipes never end.
    drop(passed);
    match ask::answer(paths, id, &socket)? {
        Reply::ExecStarted { id: exec, pid } => {
            let link =
                Attached { socket, paths: paths.clone(), id: id.clone(), exec: Some(exec.clone()), tty };
            let outcome = match (detach, tty) {
                (true, _) => ExecOutcome::Detached,
                (false, true) => ExecOutcome::Terminal(link),
                (false, false) => ExecOutcome::Waiting(ExecWait { link, copies }),
            };
            Ok(ExecStarted { id: exec, pid, outcome })
        }
        other => Err(ask::unexpected(id, &other)),
    }
}

fn is_pipe(fd: &OwnedFd) -> bool {
    fd::stat(fd).is_ok_and(|st| st.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

fn input(ours: Option<OwnedFd>, copies: &mut Vec<Copy>) -> Result<OwnedFd, crate::sys::Error> {
    match ours {
        None => fd::open_null(false),
        Some(pipe) if is_pipe(&pipe) => Ok(pipe),
        Some(from) => {
            let (theirs, to) = fd::pipe()?;
            copies.push(Copy::input(from, to)?);
            Ok(theirs)
        }
    }
}

fn output(ours: Option<OwnedFd>, copies: &mut Vec<Copy>) -> Result<OwnedFd, crate::sys::Error> {
    match ours {
        None => fd::open_null(true),
        Some(pipe) if is_pipe(&pipe) || fd::verify_null(&pipe).is_ok() => Ok(pipe),
        Some(to) => {
            let (from, theirs) = fd::pipe()?;
            copies.push(Copy::output(from, to));
            Ok(theirs)
        }
    }
}

const SOCKET: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;
/// Signals sent on to the process.
const PROXIED: &[i32] =
    &[libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];

impl ExecWait {
    /// Blocks until the process ends, relaying what must be relayed.
    ///
    /// # Errors
    /// The monitor is lost.
    pub fn wait(mut self, sig_proxy: bool) -> Result<Exited, ClientError> {
        if self.copies.is_empty() && !sig_proxy {
            return self.end();
        }
        let failed = |e: crate::sys::Error| ClientError::Terminal { what: "follow", source: e.into() };
        let epoll = Epoll::new().map_err(failed)?;
        epoll.add(&self.link.socket, SOCKET, interest::READ).map_err(failed)?;
        let signals = sig_proxy.then(|| SignalFd::new(PROXIED)).transpose().map_err(failed)?;
        if let Some(signals) = &signals {
            epoll.add(signals, SIGNALS, interest::READ).map_err(failed)?;
        }
        let mut copies: Vec<Copy> = self.copies.drain(..).collect();
        let mut events = Events::default();
        let mut ended = false;
        while !ended {
            let mut ready = false;
            for (token, copy) in (0..).zip(&mut copies) {
                ready |= copy.register(&epoll, token);
            }
            let timeout = ready.then_some(std::time::Duration::ZERO);
            let came = epoll.wait(&mut events, timeout).map_err(failed)?;
            for event in came {
                match event.token {
                    SOCKET => ended = true,
                    SIGNALS => self.send_on(signals.as_ref()),
                    token => {
                        let copy = copies.get_mut(usize::try_from(token).unwrap_or(usize::MAX));
                        copy.into_iter().for_each(Copy::step);
                    }
                }
            }
            copies.iter_mut().filter(|c| c.unpolled()).for_each(Copy::step);
            copies.retain(|c| !c.over(&epoll));
        }
        // The process ended; what it wrote last may still be in the pipes. Something it left behind may hold
        // them open, so only what is there already is taken.
        copies.iter_mut().for_each(Copy::drain);
        self.end()
    }

    fn send_on(&self, signals: Option<&SignalFd>) {
        let Some(exec) = &self.link.exec else { return };
        while let Some(received) = signals.and_then(|s| s.read().ok().flatten()) {
            // The process may have ended meanwhile; its end is on the way then.
            let _ended = ask::kill_exec(&self.link.paths, &self.link.id, exec, received.signal);
        }
    }

    fn end(&self) -> Result<Exited, ClientError> {
        match wire::receive(&self.link.socket).and_then(|packet| packet.document()) {
            Ok(Reply::Exited(exited)) => Ok(exited),
            Ok(other) => Err(ask::unexpected(&self.link.id, &other)),
            Err(_) => Err(ClientError::lost(&self.link.paths, &self.link.id)),
        }
    }
}
