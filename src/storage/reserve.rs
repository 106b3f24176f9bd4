//! A file of a megabyte that exists to be deleted: a full disk must not keep one from deleting things, and
//! deleting a row needs space in the database's log.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::{FallocateFlags, fallocate};

use super::paths::Paths;

/// Room for some hundred transactions.
const SIZE: u64 = 1 << 20;

/// Gives the space up; `false` when it was given up before.
pub(super) fn release(paths: &Paths) -> bool {
    std::fs::remove_file(paths.reserve()).is_ok()
}

/// Takes the space again, if there is any to take. Failing to is no error: it is tried again later.
pub(super) fn renew(paths: &Paths) {
    let path = paths.reserve();
    let Ok(file) = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) else { return };
    if fallocate(&file, FallocateFlags::empty(), 0, SIZE).is_err() {
        let _ = std::fs::remove_file(&path);
    }
}
