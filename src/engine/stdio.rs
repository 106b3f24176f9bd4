//! The caller's own descriptors, where a container gets them themselves: log driver `passthrough`,
//! `--preserve-fds`, and the streams of an exec without a terminal. And what is typed as the answer to a question.

use std::os::fd::{AsFd, OwnedFd};

use super::error::{Error, Kind};
use rustix::event::{PollFd, PollFlags, poll};

use crate::sys::event::Held;
use crate::sys::fd;

fn copy(fd: impl AsFd, what: &str) -> Result<OwnedFd, Error> {
    fd.as_fd()
        .try_clone_to_owned()
        .map_err(|e| Error::with_source(Kind::Internal, format!("duplicating {what}"), e))
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A line, without its end.
    Line(String),
    /// There is nobody to answer.
    Nobody,
    /// SIGINT or SIGTERM came instead.
    Interrupted,
}

/// A question that is going to be asked. From its beginning on SIGINT and SIGTERM are answers to it, if it is
/// `interruptible`; else they end the process as ever.
#[derive(Debug)]
pub struct Question(Option<Held>);

impl Question {
    /// Begins; the question is to be printed after this, so that no signal falls between.
    ///
    /// # Errors
    /// Signals cannot be held back.
    pub fn begin(interruptible: bool) -> Result<Self, Error> {
        let held = interruptible.then(|| Held::new(&[libc::SIGINT, libc::SIGTERM])).transpose();
        held.map(Self).map_err(|e| Error::with_source(Kind::Internal, "holding signals back", e))
    }

    /// Reads what is typed.
    #[must_use]
    pub fn answer(self) -> Answer {
        let stdin = std::io::stdin();
        let mut line = Vec::new();
        loop {
            if let Some(held) = &self.0 {
                let mut both = [PollFd::new(held, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
                // What a signal would do later is done: it was an answer.
                if poll(&mut both, None).is_ok() && matches!(held.take(), Ok(Some(_))) {
                    return Answer::Interrupted;
                }
            }
            let mut byte = [0];
            match rustix::io::read(&stdin, &mut byte) {
                Ok(1) if byte[0] != b'\n' => line.push(byte[0]),
                Ok(0) if line.is_empty() => return Answer::Nobody,
                Ok(_) => return Answer::Line(String::from_utf8_lossy(&line).into_owned()),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Answer::Nobody,
            }
        }
    }
}

/// stdin, stdout and stderr of this process.
pub(super) fn own() -> Result<[OwnedFd; 3], Error> {
    Ok([
        copy(std::io::stdin(), "standard input")?,
        copy(std::io::stdout(), "standard output")?,
        copy(std::io::stderr(), "standard error")?,
    ])
}

/// Copies of a caller's streams.
pub(super) fn copies(streams: super::attach::Streams<'_>) -> Result<[OwnedFd; 3], Error> {
    Ok([
        copy(streams.stdin, "standard input")?,
        copy(streams.stdout, "standard output")?,
        copy(streams.stderr, "standard error")?,
    ])
}

/// Copies of descriptors by their numbers, for `--preserve-fds` and `--preserve-fd`.
pub(super) fn preserved(numbers: &[u32]) -> Result<Vec<OwnedFd>, Error> {
    let copy = |number: &u32| {
        let raw = i32::try_from(*number).unwrap_or(i32::MAX);
        fd::dup_number(raw).map_err(|e| {
            let text = format!("file descriptor {number} is not available - the caller must have it open");
            Error::with_source(Kind::Invalid, text, e)
        })
    };
    numbers.iter().map(copy).collect()
}

/// Checks, before we open anything ourselves, that the caller has what is to be handed on.
///
/// # Errors
/// A number that is not open.
pub fn check_preserved(count: u32, list: &[u32]) -> Result<(), Error> {
    preserved(&crate::model::process::preserved(count, list)).map(drop)
}
