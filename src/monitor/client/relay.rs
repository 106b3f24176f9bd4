//! Moving bytes between the user's stdio and a monitor.
//!
//! One loop over the connection, the user's stdin, stdout and stderr, and signals. Nothing here blocks on one
//! side while another has something to say: output that the user's side does not take waits here while the
//! connection is not read (that is the back-pressure), input waits while the connection does not take it.
//! The user's descriptors are shared with other processes, so they are never made non-blocking: they are
//! written in pieces of `PIECE` bytes, which a pipe or terminal that polls writable takes without blocking.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::detach::{DetachKeys, Typed, Watch};
use super::super::proto::{CHUNK, Kind, Recorded, Reply, TermSize};
use super::super::wire::{self, WireError};
use super::{ClientError, ask};
use crate::model::container::Exited;
use crate::model::id::ContainerId;
use crate::storage::Paths;
use crate::sys::event::{Epoll, Events, SignalFd, interest};
use crate::sys::{fd, signal, socket, tty};

/// Bytes written to the user's stdout at once; a pipe that polls writable has room for them.
const PIECE: usize = 4096;

/// Signals that the relay sends on: all that a process may catch, but for those that mean something to
/// ourselves (a child, a broken pipe, the window's size) or come of our own faults.
const PROXIED: &[i32] = &[
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGIO,
    libc::SIGPWR,
];

/// Signals that end us, where they are not sent on: the terminal must be restored first.
const ENDING: &[i32] = &[libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// A connection whose packets are streams of the main process or of an exec with a terminal.
#[derive(Debug)]
pub struct Attached {
    pub(super) socket: OwnedFd,
    pub(super) paths: Paths,
    pub(super) id: ContainerId,
    pub(super) exec: Option<String>,
    pub(super) tty: bool,
}

/// The user's side of a relay.
#[derive(Debug)]
pub struct Relay<'a> {
    /// Read and sent on; `None` sends nothing (and no end of file).
    pub stdin: Option<BorrowedFd<'a>>,
    /// Where standard output goes.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Where standard error goes.
    pub stderr: Option<BorrowedFd<'a>>,
    /// Keys that detach; used only with a terminal on `stdin` or with `tty`.
    pub detach_keys: DetachKeys,
    /// Signals that reach us are sent to the process instead.
    pub sig_proxy: bool,
}

/// How a relay ended.
#[derive(Debug)]
pub enum Ended {
    /// The process ended.
    Exited(Exited),
    /// The process ended, and we are the one to delete the record.
    Ending(Ending),
    /// The user typed the detach keys; the process goes on.
    Detached,
    /// The monitor closed the connection because we read too slowly; the process goes on.
    TooSlow,
}

impl Attached {
    /// Whether the process has a terminal.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.tty
    }

    /// The raw connection, for a caller that relays by itself (the REST API).
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Relays until the process ends or the user detaches. Puts the user's terminal into raw mode while the
    /// process has one, and restores it; follows its size.
    ///
    /// # Errors
    /// The monitor is lost, or the terminal refuses. A stdout that nobody reads any more is no error: the
    /// relay goes on without it, as docker's.
    pub fn relay(self, user: Relay<'_>) -> Result<Ended, ClientError> {
        let terminal = user.stdin.filter(|fd| self.tty && tty::is_tty(fd));
        let raw = terminal
            .map(tty::RawMode::enter)
            .transpose()
            .map_err(|e| ClientError::Terminal { what: "change the mode of", source: e.into() })?;
        let mut pump = Pump::new(self, user)?;
        pump.follow_size();
        let ended = pump.run();
        drop(raw);
        if let Some(number) = pump.ending {
            // As if we had never caught it, with the terminal restored.
            let _gone = signal::default_action(number);
            let _sent = signal::kill(crate::sys::process::pid(), number);
            let _unblocked = signal::unblock_all();
        }
        ended
    }
}

/// A container that is being taken apart while its starter deletes the record.
#[derive(Debug)]
pub struct Ending {
    socket: OwnedFd,
    exited: Exited,
}

impl Ending {
    /// Tells the monitor whether the record is deleted, and waits until it has taken everything apart.
    #[must_use]
    pub fn recorded(self, done: bool) -> Exited {
        if wire::send_document(&self.socket, &Recorded { done }, &[]).is_err() {
            return self.exited;
        }
        // Whatever comes, or does not: the process has ended, and how is known.
        let _last = wire::receive(&self.socket);
        self.exited
    }
}

const SOCKET: u64 = 0;
const STDIN: u64 = 1;
const STDOUT: u64 = 2;
const STDERR: u64 = 3;
const SIGNALS: u64 = 4;

/// One of the user's output descriptors, with what it has not taken yet.
struct Sink<'a> {
    fd: Option<BorrowedFd<'a>>,
    token: u64,
    waiting: Vec<u8>,
    at: usize,
    polled: bool,
}

impl<'a> Sink<'a> {
    fn new(fd: Option<BorrowedFd<'a>>, token: u64) -> Self {
        Self { fd, token, waiting: Vec::new(), at: 0, polled: false }
    }

    fn is_empty(&self) -> bool {
        self.at >= self.waiting.len()
    }

    fn put(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.is_empty(), "the connection is read only when the sinks are empty");
        self.waiting = bytes;
        self.at = 0;
    }

    /// Writes one piece. A sink that fails is given up.
    fn write(&mut self) {
        let Some(fd) = self.fd else { return self.put(Vec::new()) };
        let end = self.waiting.len().min(self.at + PIECE);
        match fd::write(fd, &self.waiting[self.at..end]) {
            Ok(n) => self.at += n,
            Err(e) if e.is(libc::EAGAIN) => {}
            Err(_) => {
                self.fd = None;
                self.waiting.clear();
            }
        }
    }

    /// Registers for room while something waits. A regular file cannot be polled and needs no polling.
    fn register(&mut self, epoll: &Epoll) -> bool {
        let Some(fd) = self.fd.filter(|_| !self.is_empty()) else {
            if let Some(fd) = self.fd.filter(|_| self.polled) {
                let _gone = epoll.remove(fd);
            }
            self.polled = false;
            return false;
        };
        if !self.polled {
            self.polled = epoll.add(fd, self.token, interest::WRITE).is_ok();
        }
        !self.polled
    }
}

struct Pump<'a> {
    link: Attached,
    epoll: Epoll,
    stdin: Option<BorrowedFd<'a>>,
    stdin_polled: bool,
    stdin_always: bool,
    input: Vec<u8>,
    input_end: bool,
    watch: Option<Watch>,
    sinks: [Sink<'a>; 2],
    signals: Option<SignalFd>,
    sig_proxy: bool,
    ending: Option<i32>,
    size_of: Option<BorrowedFd<'a>>,
}

impl<'a> Pump<'a> {
    fn new(link: Attached, user: Relay<'a>) -> Result<Self, ClientError> {
        let failed = |e: crate::sys::Error| ClientError::Terminal { what: "follow", source: e.into() };
        let epoll = Epoll::new().map_err(failed)?;
        epoll.add(&link.socket, SOCKET, interest::READ).map_err(failed)?;
        let terminal = user.stdin.is_some_and(tty::is_tty);
        let mut wanted: Vec<i32> = Vec::new();
        if user.sig_proxy {
            wanted.extend(PROXIED);
            wanted.extend(libc::SIGRTMIN()..=libc::SIGRTMAX());
        } else if link.tty {
            wanted.extend(ENDING);
        }
        if link.tty {
            wanted.push(libc::SIGWINCH);
        }
        let signals = if wanted.is_empty() { None } else { Some(SignalFd::new(&wanted).map_err(failed)?) };
        if let Some(signals) = &signals {
            epoll.add(signals, SIGNALS, interest::READ).map_err(failed)?;
        }
        let keys = user.detach_keys != DetachKeys::none() && (link.tty || terminal);
        Ok(Self {
            size_of: [user.stdout, user.stdin].into_iter().flatten().find(|fd| link.tty && tty::is_tty(fd)),
            link,
            epoll,
            stdin: user.stdin,
            stdin_polled: false,
            stdin_always: false,
            input: Vec::new(),
            input_end: false,
            watch: keys.then(|| Watch::new(user.detach_keys)),
            sinks: [Sink::new(user.stdout, STDOUT), Sink::new(user.stderr, STDERR)],
            signals,
            sig_proxy: user.sig_proxy,
            ending: None,
        })
    }

    fn run(&mut self) -> Result<Ended, ClientError> {
        let mut events = Events::default();
        loop {
            let ready = self.prepare()?;
            let timeout = ready.then_some(std::time::Duration::ZERO);
            let came: Vec<_> = self
                .epoll
                .wait(&mut events, timeout)
                .map_err(|e| ClientError::Terminal { what: "wait for", source: e.into() })?
                .to_vec();
            for event in &came {
                let ended = match event.token {
                    SOCKET => self.socket(event.what)?,
                    STDIN => self.typed()?,
                    STDOUT => self.written(0),
                    STDERR => self.written(1),
                    _ => self.signalled(),
                };
                if let Some(ended) = ended {
                    return Ok(ended);
                }
            }
            if self.stdin_always
                && self.wants_input()
                && let Some(ended) = self.typed()?
            {
                return Ok(ended);
            }
            for sink in &mut self.sinks {
                if !sink.is_empty() && !sink.polled {
                    sink.write();
                }
            }
            if self.ending.is_some() {
                return Ok(Ended::Detached);
            }
        }
    }

    fn wants_input(&self) -> bool {
        self.stdin.is_some() && self.input.is_empty() && !self.input_end
    }

    /// Says what to wait for; true when something can be done without waiting.
    fn prepare(&mut self) -> Result<bool, ClientError> {
        let mut ready = false;
        let mut quiet = true;
        for sink in &mut self.sinks {
            ready |= sink.register(&self.epoll);
            quiet &= sink.is_empty();
        }
        let mut what = if quiet { interest::READ } else { 0 };
        if !self.input.is_empty() || (self.input_end && self.stdin.is_some()) {
            what |= interest::WRITE;
        }
        let failed = |e: crate::sys::Error| ClientError::Terminal { what: "follow", source: e.into() };
        self.epoll.modify(&self.link.socket, SOCKET, what).map_err(failed)?;
        let want = self.wants_input() && !self.stdin_always;
        if let Some(stdin) = self.stdin.filter(|_| want != self.stdin_polled) {
            if want {
                match self.epoll.add(stdin, STDIN, interest::READ) {
                    Ok(()) => self.stdin_polled = true,
                    // A regular file: always readable, not to be polled.
                    Err(_) => self.stdin_always = true,
                }
            } else {
                let _gone = self.epoll.remove(stdin);
                self.stdin_polled = false;
            }
        }
        Ok(ready || (self.stdin_always && self.wants_input()))
    }

    /// The connection: input that waits goes out, output comes in.
    fn socket(&mut self, what: u32) -> Result<Option<Ended>, ClientError> {
        if what & interest::WRITE != 0 {
            self.send_input();
        }
        if what & (interest::READ | interest::HANGUP) == 0 || self.sinks.iter().any(|s| !s.is_empty()) {
            return Ok(None);
        }
        let mut buffer = vec![0; super::super::proto::INLINE + 1];
        let (length, fds) = match socket::try_receive(&self.link.socket, &mut buffer) {
            Ok(got) => got,
            Err(e) if e.is(libc::EAGAIN) => return Ok(None),
            Err(_) => return Err(ClientError::lost(&self.link.paths, &self.link.id)),
        };
        buffer.truncate(length);
        let packet = match wire::decode(buffer, fds) {
            Ok(packet) => packet,
            Err(WireError::Closed) => return Err(ClientError::lost(&self.link.paths, &self.link.id)),
            Err(e) => {
                return Err(ClientError::Unexpected { id: self.link.id.clone(), got: e.to_string() });
            }
        };
        match packet.kind {
            Kind::Stdout => self.sinks[0].put(packet.body),
            Kind::Stderr => self.sinks[1].put(packet.body),
            _ => return self.told(&packet),
        }
        Ok(None)
    }

    fn told(&mut self, packet: &wire::Packet) -> Result<Option<Ended>, ClientError> {
        match packet.document::<Reply>() {
            Ok(Reply::Exited(exited)) => Ok(Some(Ended::Exited(exited))),
            Ok(Reply::Ending(exited)) => {
                let socket = fd::dup(&self.link.socket, 3)
                    .map_err(|e| ClientError::Terminal { what: "follow", source: e.into() })?;
                Ok(Some(Ended::Ending(Ending { socket, exited })))
            }
            Ok(Reply::TooSlow) => Ok(Some(Ended::TooSlow)),
            Ok(Reply::Error(failure)) => Err(ClientError::Refused(failure)),
            Ok(other) => Err(ask::unexpected(&self.link.id, &other)),
            Err(e) => Err(ClientError::Unexpected { id: self.link.id.clone(), got: e.to_string() }),
        }
    }

    /// The user's stdin has something, or its end.
    fn typed(&mut self) -> Result<Option<Ended>, ClientError> {
        let Some(stdin) = self.stdin.filter(|_| self.wants_input()) else { return Ok(None) };
        let mut buffer = vec![0; CHUNK];
        match fd::read(stdin, &mut buffer) {
            Ok(0) => {
                self.input = self.watch.as_mut().map(Watch::flush).unwrap_or_default();
                self.input_end = true;
            }
            Ok(n) => {
                buffer.truncate(n);
                self.input = match &mut self.watch {
                    None => buffer,
                    Some(watch) => match watch.feed(&buffer) {
                        Typed::Send(bytes) => bytes,
                        Typed::Detach(bytes) => {
                            self.input = bytes;
                            self.send_input();
                            return Ok(Some(Ended::Detached));
                        }
                    },
                };
            }
            Err(e) if e.is(libc::EAGAIN) => return Ok(None),
            // A terminal that hung up (EIO) is at its end.
            Err(_) => self.input_end = true,
        }
        self.send_input();
        Ok(None)
    }

    /// Sends waiting input, then the end of file. What does not fit stays.
    fn send_input(&mut self) {
        if !self.input.is_empty() {
            let end = self.input.len().min(CHUNK);
            match try_send(&self.link.socket, &self.input[..end]) {
                Ok(()) => drop(self.input.drain(..end)),
                Err(e) if e.is(libc::EAGAIN) => return,
                // The monitor closed: the loop hears of it by reading.
                Err(_) => self.input.clear(),
            }
        }
        if self.input.is_empty() && self.input_end && self.stdin.is_some() {
            match try_send(&self.link.socket, &[]) {
                Err(e) if e.is(libc::EAGAIN) => {}
                _ => self.stdin = None,
            }
        }
    }

    fn written(&mut self, sink: usize) -> Option<Ended> {
        self.sinks[sink].write();
        None
    }

    fn signalled(&mut self) -> Option<Ended> {
        while let Some(received) = self.signals.as_ref().and_then(|s| s.read().ok().flatten()) {
            if received.signal == libc::SIGWINCH {
                self.follow_size();
            } else if self.sig_proxy {
                // The process may have ended meanwhile; its end is on the way then.
                let _ended = match &self.link.exec {
                    None => ask::kill(&self.link.paths, &self.link.id, received.signal, false),
                    Some(exec) => ask::kill_exec(&self.link.paths, &self.link.id, exec, received.signal),
                };
            } else {
                self.ending = Some(received.signal);
            }
        }
        None
    }

    /// Tells the monitor the size of the user's terminal. A process that ended meanwhile is no error here.
    fn follow_size(&self) {
        let Some((rows, cols)) = self.size_of.and_then(|fd| tty::size(fd).ok()) else { return };
        if (rows, cols) != (0, 0) {
            let size = TermSize { rows, cols };
            let _ended = ask::resize(&self.link.paths, &self.link.id, self.link.exec.as_deref(), size);
        }
    }
}

fn try_send(to: impl AsFd, bytes: &[u8]) -> Result<(), crate::sys::Error> {
    wire::send_stream(to, Kind::Stdin, bytes)
}
