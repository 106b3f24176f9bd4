//! Device nodes of a container: the standard ones and those of the spec, each with a mount of a node that is ready
//! where the container is in a user namespace and may make none.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{FileType, Mode};

use super::host_tree::{HostTree, Wanted};
use super::namespaces::NamespacePlan;
use crate::runtime::Error;
use crate::runtime::devices::DEFAULT_NODES;
use crate::sys::error::Context as _;
use crate::sys::idmap::Range;
use crate::sys::mount::{self, Attributes};
use crate::sys::root::{Root, chmod, chown};
use crate::sys::visit;

/// A device node to make.
#[derive(Debug)]
pub(crate) struct DevicePlan {
    pub path: PathBuf,
    /// `S_IFCHR`, `S_IFBLK`, `S_IFIFO` and permissions.
    pub mode: u32,
    pub device: u64,
    pub uid: u32,
    pub gid: u32,
    /// The host's node as a detached mount: a user namespace may make none.
    pub host: Option<HostTree>,
}

/// The standard nodes and those of the spec; one of the spec replaces a standard one.
pub(crate) fn plan(given: &[LinuxDevice], namespaces: &NamespacePlan) -> Result<Vec<DevicePlan>, Error> {
    let bind = namespaces.in_user_namespace();
    let mut out = Vec::with_capacity(given.len() + 6);
    for &(path, major, minor) in DEFAULT_NODES {
        if !given.iter().any(|d| d.path() == Path::new(path)) {
            let device = libc::makedev(major, minor);
            let host =
                bind.then(|| host_device(Path::new(path), libc::S_IFCHR, device, namespaces)).transpose()?;
            out.push(DevicePlan {
                path: path.into(),
                mode: libc::S_IFCHR | 0o666,
                device,
                uid: 0,
                gid: 0,
                host,
            });
        }
    }
    for (i, d) in given.iter().enumerate() {
        if d.path() == Path::new("/dev/ptmx") {
            // That is a link to the container's own.
            continue;
        }
        let kind = match d.typ() {
            LinuxDeviceType::C | LinuxDeviceType::U => libc::S_IFCHR,
            LinuxDeviceType::B => libc::S_IFBLK,
            LinuxDeviceType::P => libc::S_IFIFO,
            LinuxDeviceType::A => {
                return Err(Error::spec(format!("linux.devices[{i}].type"), "must be b, c, u or p"));
            }
        };
        let number = |n: i64, name| {
            u32::try_from(n).map_err(|_| {
                Error::spec(format!("linux.devices[{i}].{name}"), format!("{n} is out of range"))
            })
        };
        let device = if kind == libc::S_IFIFO {
            0
        } else {
            libc::makedev(number(d.major(), "major")?, number(d.minor(), "minor")?)
        };
        let mode = kind | d.file_mode().unwrap_or(0o666) & 0o7777;
        let (uid, gid) = (d.uid().unwrap_or(0), d.gid().unwrap_or(0));
        let mut node = DevicePlan { path: d.path().clone(), mode, device, uid, gid, host: None };
        if bind && kind != libc::S_IFIFO {
            node.host = Some(for_user_namespace(&node, namespaces)?);
        }
        out.push(node);
    }
    Ok(out)
}

/// The host's node at the same path, checked to be that device.
fn host_device(path: &Path, kind: u32, device: u64, namespaces: &NamespacePlan) -> Result<HostTree, Error> {
    let wanted = Wanted { set: NO_PROGRAMS, device: Some((kind, device)), ..Wanted::new(path, false) };
    wanted.tree(namespaces).map_err(|e| match e.is(libc::ENODEV) {
        true => Error::spec("linux.devices", e.args),
        false => e.into(),
    })
}

/// Nobody starts programs from a device.
const NO_PROGRAMS: u64 = mount::attr::NOSUID | mount::attr::NOEXEC;

/// A node for a container in a user namespace, which may make none: one that we make on a file system of our own,
/// with the mode and owner that are asked for. Where that fails, or we do not know the maps, the host's own node has
/// to do.
fn for_user_namespace(node: &DevicePlan, namespaces: &NamespacePlan) -> Result<HostTree, Error> {
    let host = |n: u32, ranges: &[Range]| {
        ranges.iter().find(|r| r.inside <= n && n - r.inside < r.count).map(|r| r.outside + (n - r.inside))
    };
    let maps = namespaces.maps.as_ref().filter(|_| !namespaces.clones_in_child());
    let owner = maps.and_then(|(uids, gids)| Some((host(node.uid, uids)?, host(node.gid, gids)?)));
    match owner.and_then(|owner| make_node(node, owner).ok()) {
        Some(tree) => Ok(HostTree::Made(tree)),
        None => host_device(&node.path, node.mode & libc::S_IFMT, node.device, namespaces),
    }
}

fn make_node(node: &DevicePlan, (uid, gid): (u32, u32)) -> crate::sys::Result<OwnedFd> {
    let name = "node";
    let home = Root::new(mount::FsContext::new("tmpfs")?.mount(NO_PROGRAMS)?);
    let (dir, _) = home.parent(Path::new(name))?;
    let kind = FileType::from_raw_mode(node.mode);
    rustix::fs::mknodat(&dir, name, kind, Mode::empty(), node.device).call("mknodat", || name.into())?;
    let made = home.resolve_no_follow(Path::new(name))?;
    chown(&made, uid, gid)?;
    chmod(&made, node.mode & 0o7777)?;
    drop((made, dir));
    let tree = visit::clone_part(home.into_fd(), Path::new(name))?;
    mount::set_attributes(&tree, &Attributes { set: NO_PROGRAMS, ..Default::default() }, false)?;
    Ok(tree)
}
