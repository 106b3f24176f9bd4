//! What this kernel can do, asked once and only where it changes what we do.

use std::sync::OnceLock;

/// Kernel release as (major, minor).
#[must_use]
pub fn kernel() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    })
}

/// Whether the kernel release is at least this.
#[must_use]
pub fn kernel_at_least(major: u32, minor: u32) -> bool {
    kernel() >= (major, minor)
}

/// Effective user id of this process.
#[must_use]
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Effective group id of this process.
#[must_use]
pub fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_kernel_is_new_enough() {
        assert!(super::kernel_at_least(5, 12));
    }
}
