//! Device nodes, and the links that every /dev has.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode};

use crate::runtime::plan::devices::DevicePlan;
use crate::runtime::plan::{Plan, relative};
use crate::runtime::sync::{During, Step};
use crate::sys::error::Context;
use crate::sys::root::{Root, chown};
use crate::sys::{Result, mount};

/// Links below /dev.
const LINKS: [(&str, &str); 5] = [
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    ("dev/ptmx", "pts/ptmx"),
];

/// Makes the nodes and links. The umask is 0.
pub(in crate::runtime) fn set_up(plan: &Plan<'_>, root: &Root) -> Step<()> {
    if !plan.set_up_dev {
        return Ok(());
    }
    let mut last: Option<(&Path, OwnedFd)> = None;
    for device in &plan.devices {
        let parent = relative(&device.path).parent().unwrap_or(Path::new(""));
        if last.as_ref().is_none_or(|(path, _)| *path != parent) {
            let dir = root
                .mkdir_all(parent, 0o755)
                .during(|| format!("making the directory of {:?}", device.path))?;
            last = Some((parent, dir));
        }
        let Some((_, dir)) = &last else { continue };
        make(device, dir, root).during(|| format!("making the device {}", device.path.display()))?;
    }
    for (link, target) in LINKS {
        make_link(root, link, target).during(|| format!("making the link /{link}"))?;
    }
    Ok(())
}

fn make(device: &DevicePlan, dir: &OwnedFd, root: &Root) -> Result<()> {
    let name = device.path.file_name().unwrap_or(OsStr::new(""));
    if let Some(tree) = &device.host {
        let place = root.make_file_target(relative(&device.path))?;
        return mount::move_mount(tree.open()?, place);
    }
    let kind = FileType::from_raw_mode(device.mode);
    let mode = Mode::from_raw_mode(device.mode & 0o7777);
    match rustix::fs::mknodat(dir, name, kind, mode, device.device) {
        Err(rustix::io::Errno::EXIST) => return keep_or_replace(device, dir, name),
        other => other.call("mknodat", || format!("{name:?}"))?,
    }
    if (device.uid, device.gid) != (0, 0) {
        own(device, dir, name)?;
    }
    Ok(())
}

/// An image may bring a node of that name. The very device stays, anything else is replaced.
fn keep_or_replace(device: &DevicePlan, dir: &OwnedFd, name: &OsStr) -> Result<()> {
    let found =
        rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).call("fstatat", || format!("{name:?}"))?;
    if found.st_mode & libc::S_IFMT != device.mode & libc::S_IFMT || found.st_rdev != device.device {
        rustix::fs::unlinkat(dir, name, AtFlags::empty()).call("unlinkat", || format!("{name:?}"))?;
        let kind = FileType::from_raw_mode(device.mode);
        let mode = Mode::from_raw_mode(device.mode & 0o7777);
        rustix::fs::mknodat(dir, name, kind, mode, device.device).call("mknodat", || format!("{name:?}"))?;
    }
    own(device, dir, name)
}

fn own(device: &DevicePlan, dir: &OwnedFd, name: &OsStr) -> Result<()> {
    use crate::sys::fd::{OpenFlags, open_at};
    let node = open_at(dir, Path::new(name), OpenFlags::PATH | OpenFlags::NOFOLLOW, 0)?;
    chown(node, device.uid, device.gid)
}

/// A link of the image's own is left where it says the same; ptmx must be ours.
fn make_link(root: &Root, link: &str, target: &str) -> Result<()> {
    match root.symlink(Path::new(target), Path::new(link)) {
        Err(e) if e.is(libc::EEXIST) => {
            if link != "dev/ptmx" || root.read_link(Path::new(link)).is_ok_and(|t| t == Path::new(target)) {
                return Ok(());
            }
            root.unlink(Path::new(link))?;
            root.symlink(Path::new(target), Path::new(link))
        }
        other => other,
    }
}
