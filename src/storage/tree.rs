//! Walks over file trees by descriptors: delete, measure, copy. No path is resolved twice, no link is followed.

use std::os::fd::BorrowedFd;
use std::path::Path;

use super::error::Result;

/// Deletes `path` and everything below it. A missing path is no error.
///
/// # Errors
/// What the kernel says.
pub fn remove(path: &Path) -> Result<u64> {
    let _ = path;
    todo!()
}

/// Bytes that the tree takes on disk, hard links counted once.
///
/// # Errors
/// What the kernel says.
pub fn disk_usage(path: &Path) -> Result<u64> {
    let _ = path;
    todo!()
}

/// Copies the content of one directory into another: owners, modes, times, xattrs, hard links, devices.
///
/// # Errors
/// What the kernel says.
pub fn copy(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    let _ = (source, target);
    todo!()
}
