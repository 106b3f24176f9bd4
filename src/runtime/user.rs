//! Users and groups, looked up in the container's own `/etc/passwd` and `/etc/group` (rules R6, R8).
//!
//! The files are hostile: regular files only, no link followed at their end, bounded in size, and a
//! line that does not parse is skipped. A number is never looked up as a name.

use std::os::fd::AsFd;

pub use super::oci::User;

/// A user or group that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user in /etc/passwd.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// No such group in /etc/group.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    /// A number beyond 32 bits, or the reserved 4294967295.
    #[error("user or group id {0} is out of range")]
    Range(String),
    /// The file cannot be used.
    #[error("reading {file} of the container")]
    File {
        /// `/etc/passwd` or `/etc/group`.
        file: &'static str,
        /// Why.
        #[source]
        source: crate::sys::Error,
    },
}

/// Looks up `user[:group]` (empty for root) and additional groups beneath a root directory.
///
/// # Errors
/// [`Error`].
pub fn lookup(root: impl AsFd, user: &str, group_add: &[String]) -> Result<User, Error> {
    let _ = (root, user, group_add);
    todo!()
}
