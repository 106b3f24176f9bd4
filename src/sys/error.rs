//! [`Error`]: a system call that failed, with its arguments and its errno.
//!
//! The text of the arguments is made by a closure, so that a call that succeeds allocates nothing.

use std::io;

/// A result of this layer.
pub type Result<T> = std::result::Result<T, Error>;

/// A system call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}({args}): {}", nix::errno::Errno::from_raw(*.errno).desc())]
pub struct Error {
    /// Name of the call.
    pub call: &'static str,
    /// Its arguments, as they help a reader.
    pub args: String,
    /// The number that the kernel gave.
    pub errno: i32,
}

impl Error {
    /// Makes an error of an errno.
    pub fn new(call: &'static str, args: impl Into<String>, errno: i32) -> Self {
        Self { call, args: args.into(), errno }
    }

    /// The error of the call that just failed.
    pub fn last(call: &'static str, args: impl Into<String>) -> Self {
        Self::new(call, args, errno())
    }

    /// Wraps an [`io::Error`]; one without a number becomes `EIO`.
    pub fn from_io(call: &'static str, args: impl Into<String>, error: &io::Error) -> Self {
        Self::new(call, args, error.raw_os_error().unwrap_or(libc::EIO))
    }

    /// Whether it is this number.
    #[must_use]
    pub fn is(&self, errno: i32) -> bool {
        self.errno == errno
    }

    /// The portable kind of it.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        io::Error::from_raw_os_error(self.errno).kind()
    }

    /// Only what the errno says ("No such file or directory").
    #[must_use]
    pub fn reason(&self) -> &'static str {
        nix::errno::Errno::from_raw(self.errno).desc()
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        Self::from_raw_os_error(e.errno)
    }
}

/// The current errno of this thread.
#[must_use]
pub fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}

/// Turns `-1` into the error of `call`; `args` runs only then.
pub(crate) fn check<T: Into<i64> + Copy>(
    returned: T,
    call: &'static str,
    args: impl FnOnce() -> String,
) -> Result<T> {
    if returned.into() == -1 { Err(Error::new(call, "", errno()).with(args)) } else { Ok(returned) }
}

impl Error {
    fn with(mut self, args: impl FnOnce() -> String) -> Self {
        self.args = args();
        self
    }
}

/// Gives a result of rustix, nix or std its call and arguments.
pub trait Context<T> {
    /// Names the call; `args` runs only on failure.
    fn call(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::result::Result<T, rustix::io::Errno> {
    fn call(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::new(call, args(), e.raw_os_error()))
    }
}

impl<T> Context<T> for std::result::Result<T, nix::errno::Errno> {
    fn call(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::new(call, args(), e as i32))
    }
}

impl<T> Context<T> for io::Result<T> {
    fn call(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::from_io(call, args(), &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_the_call() {
        let e = Error::new("open", "\"/nowhere\"", libc::ENOENT);
        assert_eq!(e.to_string(), "open(\"/nowhere\"): No such file or directory");
        assert!(e.is(libc::ENOENT));
        assert_eq!(e.kind(), io::ErrorKind::NotFound);
    }
}
