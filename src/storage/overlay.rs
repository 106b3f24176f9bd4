//! Overlay mounts as detached descriptors: any number of layers by `lowerdir+`, the legacy option string
//! where the kernel is older.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::error::Result;

/// Options of an overlay mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// No syncs of the upper directory: right for containers that go when they end, wrong for others,
    /// because the kernel refuses the upper directory after a crash.
    pub volatile: bool,
    /// `user.overlay.*` attributes, for mounts in a user namespace.
    pub userxattr: bool,
}

/// A writable overlay: `lowers` top first, at least one. `upper` and `work` exist, are empty or reused, and are on
/// one file system. The mount is detached; attach it with move_mount.
///
/// # Errors
/// [`super::Error::Overlay`] says which call failed and what the kernel logged.
pub fn mount(lowers: &[PathBuf], upper: &Path, work: &Path, options: Options) -> Result<OwnedFd> {
    let _ = (lowers, upper, work, options);
    todo!()
}

/// A read-only overlay of `lowers`, top first. One layer alone becomes a read-only bind of it.
///
/// # Errors
/// As [`mount`].
pub fn mount_readonly(lowers: &[PathBuf], options: Options) -> Result<OwnedFd> {
    let _ = (lowers, options);
    todo!()
}
