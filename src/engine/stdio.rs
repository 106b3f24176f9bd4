//! The caller's own descriptors, where a container gets them themselves: log driver `passthrough`,
//! `--preserve-fds`, and the streams of an exec without a terminal.

use std::os::fd::{AsFd, OwnedFd};

use super::error::{Error, Kind};

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

/// Descriptors 3 to 2 + `count`, for `--preserve-fds`.
pub(super) fn preserved(count: u32) -> Result<Vec<OwnedFd>, Error> {
    if count == 0 {
        return Ok(Vec::new());
    }
    Err(Error::new(
        Kind::Unsupported,
        "--preserve-fds is not supported: descriptors above 2 are never inherited",
    ))
}
