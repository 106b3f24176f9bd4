//! The mount API by descriptors: file system contexts, detached mounts, attributes.
//!
//! Nothing here takes a path beneath a container root; destinations are descriptors that
//! [`super::root`] resolved.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::mount::{self as rm, FsMountFlags, FsOpenFlags, MountAttrFlags, UnmountFlags};

use super::error::{Context, Error, Result, check};
use super::fd;

/// Attribute bits of a mount (`MOUNT_ATTR_…`).
pub mod attr {
    /// Read-only.
    pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    /// No set-user-id bits, no file capabilities.
    pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
    /// No devices.
    pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
    /// No execution.
    pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
    /// The bits of access time.
    pub const ATIME_MASK: u64 = libc::MOUNT_ATTR__ATIME;
    /// Access times as relatime (no bit).
    pub const RELATIME: u64 = libc::MOUNT_ATTR_RELATIME;
    /// No access times.
    pub const NOATIME: u64 = libc::MOUNT_ATTR_NOATIME;
    /// Strict access times.
    pub const STRICTATIME: u64 = libc::MOUNT_ATTR_STRICTATIME;
    /// No access times of directories.
    pub const NODIRATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
    /// Links are not followed.
    pub const NOSYMFOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;
    /// Ids shifted by a user namespace.
    pub const IDMAP: u64 = libc::MOUNT_ATTR_IDMAP;
}

/// Propagation of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Events go nowhere.
    Private,
    /// Events go both ways.
    Shared,
    /// Events come in.
    Slave,
    /// Private, and cannot be bound.
    Unbindable,
}

impl Propagation {
    fn raw(self) -> u64 {
        match self {
            Self::Private => libc::MS_PRIVATE,
            Self::Shared => libc::MS_SHARED,
            Self::Slave => libc::MS_SLAVE,
            Self::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// A change of a mount's attributes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// Bits of [`attr`] to set.
    pub set: u64,
    /// Bits of [`attr`] to clear.
    pub clear: u64,
    /// Propagation to take.
    pub propagation: Option<Propagation>,
    /// User namespace whose maps shift the ids ([`attr::IDMAP`] is added).
    pub userns: Option<std::os::fd::BorrowedFd<'a>>,
}

/// A file system being configured (`fsopen`).
#[derive(Debug)]
pub struct FsContext {
    fd: OwnedFd,
    kind: &'static str,
}

impl FsContext {
    /// Starts to configure a file system of a kind that we know.
    pub fn new(kind: &'static str) -> Result<Self> {
        let fd = rm::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).call("fsopen", || kind.to_owned())?;
        Ok(Self { fd, kind })
    }

    /// The same for a kind named by a spec; the errors then call it "filesystem".
    pub fn named(kind: &CStr) -> Result<Self> {
        let fd = rm::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
            .call("fsopen", || kind.to_string_lossy().into_owned())?;
        Ok(Self { fd, kind: "filesystem" })
    }

    /// Sets a parameter to a text.
    pub fn set(&self, key: impl rustix::path::Arg, value: impl rustix::path::Arg) -> Result<()> {
        let key = key.as_cow_c_str().call("fsconfig", || "key".into())?;
        let value = value.as_cow_c_str().call("fsconfig", || "value".into())?;
        self.explain(rm::fsconfig_set_string(&self.fd, &*key, &*value), || {
            format!("{}={}", key.to_string_lossy(), value.to_string_lossy())
        })
    }

    /// Sets a flag.
    pub fn flag(&self, key: impl rustix::path::Arg) -> Result<()> {
        let key = key.as_cow_c_str().call("fsconfig", || "key".into())?;
        self.explain(rm::fsconfig_set_flag(&self.fd, &*key), || key.to_string_lossy().into_owned())
    }

    /// Sets a parameter to a descriptor (overlay's `lowerdir+` and others, kernel 6.13).
    pub fn set_fd(&self, key: &str, value: impl AsFd) -> Result<()> {
        self.explain(rm::fsconfig_set_fd(&self.fd, key, value), || format!("{key}=<fd>"))
    }

    /// Makes the superblock and a detached mount of it with these attribute bits.
    pub fn mount(self, attributes: u64) -> Result<OwnedFd> {
        self.explain(rm::fsconfig_create(&self.fd), || "CMD_CREATE".into())?;
        let flags = MountAttrFlags::from_bits_retain(attributes as u32);
        self.explain(rm::fsmount(&self.fd, FsMountFlags::FSMOUNT_CLOEXEC, flags), || {
            format!("{attributes:#x}")
        })
    }

    /// Adds what the kernel wrote about the failure to the error.
    fn explain<T>(&self, result: rustix::io::Result<T>, what: impl FnOnce() -> String) -> Result<T> {
        result.map_err(|e| {
            let said = self.messages();
            let what = what();
            let sep = if said.is_empty() { "" } else { ": " };
            Error::new("fsconfig", format!("{}, {what}{sep}{said}", self.kind), e.raw_os_error())
        })
    }

    /// The kernel's own words about what went wrong, joined.
    fn messages(&self) -> String {
        let mut out: Vec<String> = Vec::new();
        let mut buffer = [0; 512];
        while let Ok(n) = rustix::io::read(&self.fd, &mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..n]);
            let text = text.trim();
            // Each begins with its severity: "e ", "w ", "i ".
            if let Some(error) = text.strip_prefix("e ").or_else(|| text.strip_prefix("w ")) {
                out.push(error.to_owned());
            }
            if n == 0 || out.len() > 8 {
                break;
            }
        }
        out.join("; ")
    }
}

/// A detached clone of the mount (and, if `recursive`, of what is mounted below) at a host path.
pub fn open_tree_path(path: &Path, recursive: bool) -> Result<OwnedFd> {
    let c = fd::c_path(path)?;
    open_tree_raw(libc::AT_FDCWD, &c, tree_flags(recursive))
        .map_err(|e| Error { args: format!("{path:?}"), ..e })
}

/// A detached clone of the mount at what a descriptor points to.
pub fn open_tree(at: impl AsFd, recursive: bool) -> Result<OwnedFd> {
    open_tree_raw(at.as_fd().as_raw_fd(), c"", tree_flags(recursive) | libc::AT_EMPTY_PATH as u32)
}

fn tree_flags(recursive: bool) -> u32 {
    let recursive = if recursive { libc::AT_RECURSIVE as u32 } else { 0 };
    libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | recursive
}

fn open_tree_raw(dir: RawFd, path: &CStr, flags: u32) -> Result<OwnedFd> {
    // SAFETY: path is NUL-terminated and lives across the call.
    let raw = unsafe { libc::syscall(libc::SYS_open_tree, dir, path.as_ptr(), flags) };
    let raw = check(raw, "open_tree", || format!("{dir}, {path:?}, {flags:#x}"))?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

/// Attaches a detached mount on what a descriptor points to. Both are descriptors: nothing is
/// looked up, so nothing can be swapped.
pub fn move_mount(mount: impl AsFd, target: impl AsFd) -> Result<()> {
    const FLAGS: u32 = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    let (from, to) = (mount.as_fd().as_raw_fd(), target.as_fd().as_raw_fd());
    // SAFETY: both paths are static empty strings.
    let r = unsafe { libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, c"".as_ptr(), FLAGS) };
    check(r, "move_mount", || format!("{from}, {to}")).map(drop)
}

/// Attaches a detached mount on a host path that no container can influence.
pub fn move_mount_to_path(mount: impl AsFd, path: &Path) -> Result<()> {
    let c = fd::c_path(path)?;
    let from = mount.as_fd().as_raw_fd();
    // SAFETY: both paths are NUL-terminated and live across the call.
    let r = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from,
            c"".as_ptr(),
            libc::AT_FDCWD,
            c.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    check(r, "move_mount", || format!("{path:?}")).map(drop)
}

/// Changes attributes of the mount that a descriptor is the root of, and of all below if `recursive`.
pub fn set_attributes(mount: impl AsFd, wish: &Attributes<'_>, recursive: bool) -> Result<()> {
    let raw = mount.as_fd().as_raw_fd();
    let mut change = libc::mount_attr {
        attr_set: wish.set,
        attr_clr: wish.clear,
        propagation: wish.propagation.map_or(0, Propagation::raw),
        userns_fd: 0,
    };
    if let Some(userns) = wish.userns {
        change.attr_set |= attr::IDMAP;
        change.userns_fd = userns.as_raw_fd() as u64;
    }
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: change lives across the call and its size is given.
    let r = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            raw,
            c"".as_ptr(),
            flags,
            &raw mut change,
            size_of::<libc::mount_attr>(),
        )
    };
    check(r, "mount_setattr", || {
        format!(
            "{raw}, +{:#x} -{:#x} {:?}, recursive {recursive}",
            change.attr_set, change.attr_clr, wish.propagation
        )
    })
    .map(drop)
}

/// Makes every mount of this namespace private or a slave of the host's, starting at `/`.
pub fn set_propagation_of_all(how: Propagation) -> Result<()> {
    let flags = libc::MS_REC | how.raw();
    // SAFETY: the strings are static; type and data are not read with these flags.
    let r =
        unsafe { libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
    check(r, "mount", || format!("\"/\", MS_REC | {how:?}")).map(drop)
}

/// Propagation of the mount at a host path.
pub fn set_propagation(path: &Path, how: Propagation, recursive: bool) -> Result<()> {
    let c = fd::c_path(path)?;
    let flags = how.raw() | if recursive { libc::MS_REC } else { 0 };
    // SAFETY: the path lives across the call; type and data are not read with these flags.
    let r = unsafe { libc::mount(std::ptr::null(), c.as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
    check(r, "mount", || format!("{path:?}, {how:?}")).map(drop)
}

/// Detaches what is mounted at a host path (`MNT_DETACH`), not following a link at its end.
pub fn unmount_detach(path: &Path) -> Result<()> {
    rm::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
        .call("umount2", || format!("{path:?}, MNT_DETACH"))
}

/// Makes what a descriptor points to the current directory.
pub fn change_directory(fd: impl AsFd) -> Result<()> {
    rustix::process::fchdir(fd).call("fchdir", String::new)
}

/// Changes the current directory by a path of the current root.
pub fn change_directory_path(path: &CStr) -> Result<()> {
    rustix::process::chdir(path).call("chdir", || format!("{path:?}"))
}

/// Makes the current directory the root (for a process that joins a mount namespace, where the
/// root changes by itself, this is not needed).
pub fn change_root_to_cwd() -> Result<()> {
    rustix::process::chroot(c".").call("chroot", || "\".\"".into())
}

/// The current directory as the kernel names it; `ENOENT` where it is outside the root (rule R5).
pub fn current_directory() -> Result<Vec<u8>> {
    let path = rustix::process::getcwd(Vec::new()).call("getcwd", String::new)?;
    let path = path.into_bytes();
    if path.first() == Some(&b'/') {
        return Ok(path);
    }
    Err(Error::new("getcwd", String::from_utf8_lossy(&path), libc::ENOENT))
}

/// Exchanges the root mount for the current directory and stacks the old root on top of it
/// (`pivot_root(".", ".")`), then detaches the old one.
pub fn pivot_to_cwd() -> Result<()> {
    // SAFETY: static strings.
    let r = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    check(r, "pivot_root", || "\".\", \".\"".into())?;
    // SAFETY: static string.
    let r = unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) };
    check(r, "umount2", || "old root, MNT_DETACH".into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_option_is_explained() {
        let Ok(context) = FsContext::new("tmpfs") else { return };
        let error = context.set("size", "nonsense").unwrap_err();
        assert!(error.to_string().contains("tmpfs"), "{error}");
    }
}
