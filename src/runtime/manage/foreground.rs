//! Staying with a process until it ends: signals forwarded, a terminal relayed.

use std::os::fd::{AsFd, OwnedFd};

use crate::runtime::Error;
use crate::sys::event::{Epoll, Events, SignalFd, interest};
use crate::sys::process::{ExitStatus, PidFd};
use crate::sys::tty::{self, RawMode};
use crate::sys::{self, fd, signal};

const SIGNALS: u64 = 0;
const CHILD: u64 = 1;
const INPUT: u64 = 2;
const MASTER: u64 = 3;

/// The foreground; made before the process, so that no signal is lost.
#[derive(Debug)]
pub struct Foreground {
    signals: SignalFd,
}

impl Foreground {
    /// Catches signals from now on.
    ///
    /// # Errors
    /// A system call of ours.
    pub fn new() -> Result<Self, Error> {
        let kept = [
            libc::SIGKILL,
            libc::SIGSTOP,
            libc::SIGCHLD,
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
        ];
        let numbers: Vec<i32> =
            (1..32).chain(libc::SIGRTMIN()..=signal::max()).filter(|n| !kept.contains(n)).collect();
        Ok(Self { signals: SignalFd::new(&numbers)? })
    }

    /// Waits for the end of the process and reaps it.
    ///
    /// # Errors
    /// A system call of ours.
    pub fn follow(&self, child: &PidFd, console: Option<OwnedFd>) -> Result<ExitStatus, Error> {
        let epoll = Epoll::new()?;
        epoll.add(&self.signals, SIGNALS, interest::READ)?;
        epoll.add(child, CHILD, interest::READ)?;
        let relay = console.map(Relay::new).transpose()?;
        if let Some(relay) = &relay {
            epoll.add(&relay.master, MASTER, interest::READ)?;
            // A file or /dev/null cannot be waited for; it is read whenever the master is.
            let _plain_file = epoll.add(rustix::stdio::stdin(), INPUT, interest::READ);
            relay.take_size();
        }
        let mut events = Events::default();
        loop {
            let mut ended = false;
            for event in epoll.wait(&mut events, None)? {
                match event.token {
                    SIGNALS => self.forward(child, relay.as_ref())?,
                    CHILD => ended = true,
                    INPUT => relay
                        .as_ref()
                        .is_none_or(Relay::input)
                        .then_some(())
                        .map_or_else(|| epoll.remove(rustix::stdio::stdin()), Ok)?,
                    _ => relay
                        .as_ref()
                        .is_none_or(Relay::output)
                        .then_some(())
                        .map_or_else(|| relay.as_ref().map_or(Ok(()), |r| epoll.remove(&r.master)), Ok)?,
                }
            }
            if ended {
                // What it wrote last is still in the terminal.
                while relay.as_ref().is_some_and(|r| r.pending() && r.output()) {}
                return Ok(child.wait()?);
            }
        }
    }

    fn forward(&self, child: &PidFd, relay: Option<&Relay>) -> Result<(), Error> {
        while let Some(received) = self.signals.read()? {
            match (received.signal, relay) {
                (libc::SIGWINCH, Some(relay)) => relay.take_size(),
                (libc::SIGURG | libc::SIGWINCH, _) => {}
                (number, _) => {
                    let _ended_meanwhile = child.signal(number);
                }
            }
        }
        Ok(())
    }
}

struct Relay {
    master: OwnedFd,
    _raw: Option<RawMode>,
}

impl Relay {
    fn new(master: OwnedFd) -> Result<Self, Error> {
        let stdin = rustix::stdio::stdin();
        let raw = if tty::is_tty(stdin) { Some(RawMode::enter(stdin)?) } else { None };
        Ok(Self { master, _raw: raw })
    }

    fn take_size(&self) {
        if let Ok((rows, columns)) = tty::size(rustix::stdio::stdin()) {
            let _gone = tty::set_size(&self.master, rows, columns);
        }
    }

    /// Whether there is more to come from us.
    fn input(&self) -> bool {
        copy(rustix::stdio::stdin(), &self.master)
    }

    /// Whether there is more to come from the terminal.
    fn output(&self) -> bool {
        copy(&self.master, rustix::stdio::stdout())
    }

    fn pending(&self) -> bool {
        sys::event::wait_readable(&self.master, Some(std::time::Duration::ZERO)).unwrap_or(false)
    }
}

/// One read and its write; `false` at the end (EIO is the end of a terminal).
fn copy(from: impl AsFd, to: impl AsFd) -> bool {
    let mut buffer = [0; 16384];
    match fd::read(from, &mut buffer) {
        Ok(n) if n > 0 => fd::write_all(to, &buffer[..n]).is_ok(),
        Ok(_) | Err(_) => false,
    }
}
