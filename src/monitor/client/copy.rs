//! Bytes from one descriptor to another, for the stdio of an exec that is relayed.
//!
//! Input goes into a pipe of ours, which is non-blocking: a process that does not read its input must not keep
//! us from relaying its output. Output goes to the user's descriptor, which is shared with others and stays as
//! it is: writing waits, which is the back-pressure a user expects.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::sys::event::{Epoll, interest, wait_readable};
use crate::sys::{Error, fd};

const PIECE: usize = 16 * 1024;

/// One direction.
#[derive(Debug)]
pub(super) struct Copy {
    from: OwnedFd,
    to: Option<OwnedFd>,
    input: bool,
    waiting: Vec<u8>,
    armed: Option<Side>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    From,
    To,
    /// A regular file: always ready, cannot be polled.
    Always,
}

impl Copy {
    /// The user's stdin into a pipe of ours.
    pub(super) fn input(from: OwnedFd, to: OwnedFd) -> Result<Self, Error> {
        fd::set_nonblocking(&to, true)?;
        Ok(Self { from, to: Some(to), input: true, waiting: Vec::new(), armed: None })
    }

    /// A pipe of ours into the user's stdout or stderr.
    pub(super) fn output(from: OwnedFd, to: OwnedFd) -> Self {
        Self { from, to: Some(to), input: false, waiting: Vec::new(), armed: None }
    }

    /// Whether nothing more is to be copied; then it is waited for no more. (Closing alone would not do: the
    /// user's descriptor may be open elsewhere, and epoll forgets a file only with its last descriptor.)
    pub(super) fn over(&self, epoll: &Epoll) -> bool {
        let over = self.to.is_none();
        if over && self.armed == Some(Side::From) {
            let _gone = epoll.remove(&self.from);
        }
        over
    }

    /// Whether it must be stepped without being told.
    pub(super) fn unpolled(&self) -> bool {
        self.armed == Some(Side::Always)
    }

    /// Says what to wait for; true when there is no need to wait.
    pub(super) fn register(&mut self, epoll: &Epoll, token: u64) -> bool {
        let Some(to) = &self.to else { return false };
        let want = if self.waiting.is_empty() { Side::From } else { Side::To };
        let same = self.armed == Some(want) || (want == Side::From && self.armed == Some(Side::Always));
        if same {
            // Copies before it may have gone, so that the token is another now.
            let what = if want == Side::From { interest::READ } else { interest::WRITE };
            let _unpolled = epoll.modify(if want == Side::From { &self.from } else { to }, token, what);
            return self.unpolled();
        }
        match self.armed {
            Some(Side::From) => drop(epoll.remove(&self.from)),
            Some(Side::To) => drop(epoll.remove(to)),
            Some(Side::Always) | None => {}
        }
        let added = match want {
            Side::To => epoll.add(to, token, interest::WRITE),
            Side::From | Side::Always => epoll.add(&self.from, token, interest::READ),
        };
        self.armed = Some(if added.is_ok() { want } else { Side::Always });
        self.unpolled()
    }

    /// Moves what can be moved now.
    pub(super) fn step(&mut self) {
        if self.waiting.is_empty() {
            let mut buffer = vec![0; PIECE];
            match fd::read(&self.from, &mut buffer) {
                Ok(0) => return self.end(),
                Ok(n) => {
                    buffer.truncate(n);
                    self.waiting = buffer;
                }
                Err(e) if e.is(libc::EAGAIN) => return,
                Err(_) => return self.end(),
            }
        }
        let Some(to) = &self.to else { return };
        let written = if self.input {
            fd::write(to, &self.waiting)
        } else {
            fd::write_all(to, &self.waiting).map(|()| self.waiting.len())
        };
        match written {
            Ok(n) => drop(self.waiting.drain(..n)),
            Err(e) if e.is(libc::EAGAIN) => {}
            Err(_) => self.end(),
        }
    }

    /// Takes what is in an output pipe already.
    pub(super) fn drain(&mut self) {
        while !self.input
            && self.to.is_some()
            && wait_readable(&self.from, Some(Duration::ZERO)).unwrap_or(false)
        {
            self.step();
        }
    }

    fn end(&mut self) {
        self.to = None;
    }
}
