//! Quotas by project: what lies below a directory counts as one project, and that may not grow beyond a limit.

use std::os::fd::{AsFd, AsRawFd as _};

use super::error::{Result, check};

/// `FS_IOC_FSGETXATTR` and `FS_IOC_FSSETXATTR`.
const GET: u32 = 0x801c_581f;
const SET: u32 = 0x401c_5820;
/// What is made below has the same project.
const INHERIT: u32 = 0x200;
/// Quotas of projects (and not of users or groups).
const PROJECTS: i32 = 2;
/// Bytes in a block of the limits.
const BLOCK: u64 = 1024;

/// `struct fsxattr`.
#[repr(C)]
#[derive(Debug, Default)]
struct Attributes {
    xflags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    pad: [u8; 8],
}

/// Makes a directory and all that will be made below it part of a project.
///
/// # Errors
/// The kernel's answer; `ENOTTY` and `EOPNOTSUPP` where the file system knows no projects.
pub fn set_project(directory: impl AsFd, project: u32) -> Result<()> {
    let raw = directory.as_fd().as_raw_fd();
    let mut now = Attributes::default();
    // SAFETY: the kernel writes 28 bytes, the size of `Attributes`, which lives as long as the call.
    check(unsafe { libc::ioctl(raw, GET as _, &raw mut now) }, "ioctl", || "FS_IOC_FSGETXATTR".into())?;
    now.project = project;
    now.xflags |= INHERIT;
    // SAFETY: the kernel reads 28 bytes, the size of `Attributes`, which lives as long as the call.
    check(unsafe { libc::ioctl(raw, SET as _, &raw const now) }, "ioctl", || "FS_IOC_FSSETXATTR".into())
        .map(drop)
}

/// Limits a project on the file system of a directory, in bytes and in inodes; `None` sets no limit.
///
/// # Errors
/// The kernel's answer; `ESRCH`, `ENOSYS` and `EINVAL` where no quotas of projects are in force.
pub fn limit(directory: impl AsFd, project: u32, bytes: Option<u64>, inodes: Option<u64>) -> Result<()> {
    // SAFETY: a plain struct of integers, for which all zeroes is a value.
    let mut quota: libc::dqblk = unsafe { std::mem::zeroed() };
    quota.dqb_bhardlimit = bytes.map_or(0, |bytes| bytes.div_ceil(BLOCK));
    quota.dqb_bsoftlimit = quota.dqb_bhardlimit;
    quota.dqb_ihardlimit = inodes.unwrap_or(0);
    quota.dqb_isoftlimit = quota.dqb_ihardlimit;
    quota.dqb_valid = libc::QIF_LIMITS;
    let command = libc::QCMD(libc::Q_SETQUOTA, PROJECTS);
    let raw = directory.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one `dqblk`, which lives as long as the call.
    let r = unsafe { libc::syscall(libc::SYS_quotactl_fd, raw, command, project, &raw const quota) };
    check(r, "quotactl_fd", || format!("project {project}")).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_struct_has_its_size() {
        assert_eq!(std::mem::size_of::<Attributes>(), 28);
    }
}
