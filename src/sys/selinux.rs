//! SELinux: whether the kernel labels by it.

use std::path::Path;

/// Whether it is there and has a policy.
#[must_use]
pub fn enabled() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}
