//! The caller's own descriptors, where a container gets them themselves: log driver `passthrough`,
//! `--preserve-fds`, and the streams of an exec without a terminal.

use std::os::fd::{AsFd, OwnedFd};

use super::error::{Error, Kind};
use crate::sys::fd;

fn copy(fd: impl AsFd, what: &str) -> Result<OwnedFd, Error> {
    fd.as_fd()
        .try_clone_to_owned()
        .map_err(|e| Error::with_source(Kind::Internal, format!("duplicating {what}"), e))
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
