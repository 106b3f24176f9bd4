//! `mount` and `unmount`: a container's file system, visible on the host at `<root>/containers/<id>/merged`.
//!
//! There is ever only one overlay of a container: a running one's is shown (its mount cloned out of its namespace),
//! and a start takes the one that is mounted here. Nothing else makes mounts on the host; these stay until `unmount`,
//! `rm` or the next boot.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::context::Context;
use super::error::{Error, Kind};
use super::rootfs;
use super::select::{Done, Selection, targets};
use super::view::Container;
use crate::model::id::ContainerId;
use crate::storage::volatile::RunDir;
use crate::storage::{Paths, Store};
use crate::sys::mount as sys_mount;

/// A container's file system mounted on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Where.
    pub path: String,
}

/// Mounts each container's file system, or with nothing named reports those that are mounted.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn mount(ctx: &Context, which: &Selection, report: &mut dyn FnMut(Done<Mounted>)) -> Result<(), Error> {
    let store = ctx.store()?;
    let listing = *which == Selection::default();
    let wanted = if listing { Selection { all: true, ..Selection::default() } } else { which.clone() };
    for target in targets(ctx, &store, &wanted, |_| true)? {
        let result = match target.found {
            Ok(c) if listing && !is_mounted(&ctx.paths, c.id()) => continue,
            Ok(c) => {
                one(ctx, &store, &c).map_err(|e| e.context(format!("mounting container {}", c.row.name)))
            }
            Err(e) => Err(e),
        };
        report(Done { given: target.given, result });
    }
    Ok(())
}

fn one(ctx: &Context, store: &Store, container: &Container) -> Result<Mounted, Error> {
    let id = container.id();
    let path = ctx.paths.merged(id);
    let mounted =
        || Mounted { id: id.clone(), name: container.row.name.clone(), path: path.display().to_string() };
    if is_mounted(&ctx.paths, id) {
        return Ok(mounted());
    }
    let spec = container.spec(store)?;
    if let Some(directory) = spec.root.directory.as_ref().filter(|_| spec.root.is_lent()) {
        return Ok(Mounted { path: directory.clone(), ..mounted() });
    }
    if let Some(running) = container.phase.running() {
        let tree = crate::sys::visit::clone_mount(&running.init, Path::new(""))
            .map_err(|e| Error::with_source(Kind::Internal, "reaching its file system", e))?;
        attach(&tree, &path)?;
        return Ok(mounted());
    }
    // Held so that it is not started while its layers are put together here.
    let lock = RunDir::acquire(&ctx.paths, id)?;
    let done = rootfs::layers(ctx, &spec).and_then(|tree| attach(&tree, &path));
    lock.remove()?;
    done.map(|()| mounted())
}

/// Makes a tree visible at a path of the host.
pub(super) fn attach(tree: &OwnedFd, path: &Path) -> Result<(), Error> {
    let failed =
        |e: std::io::Error| Error::with_source(Kind::Internal, format!("making {}", path.display()), e);
    std::fs::create_dir_all(path).map_err(failed)?;
    sys_mount::move_mount_to_path(tree, path)
        .map_err(|e| Error::with_source(Kind::Internal, format!("mounting at {}", path.display()), e))
}

/// Takes the mounts away. A container that is not mounted is no error.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn unmount(
    ctx: &Context,
    which: &Selection,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |_| true)? {
        let result = target.found.and_then(|c| {
            detach(&ctx.paths, c.id())?;
            Ok(c.row.id)
        });
        report(Done { given: target.given, result });
    }
    Ok(())
}

/// Whether the container's file system is visible on the host.
fn is_mounted(paths: &Paths, id: &ContainerId) -> bool {
    is_mount_point(&paths.merged(id))
}

/// Whether something is mounted there. The device would not tell: an image of one layer is bound from its own file system.
pub(super) fn is_mount_point(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    found.is_ok_and(|s| s.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Takes the mount of a container away, if there is one: also before it is removed.
pub(super) fn detach(paths: &Paths, id: &ContainerId) -> Result<(), Error> {
    take_away(&paths.merged(id)).map(drop)
}

/// Takes what is mounted at a path away, and the directory with it; says whether something was. A mount that is used
/// goes when its last user does.
pub(super) fn take_away(path: &Path) -> Result<bool, Error> {
    if !path.exists() {
        return Ok(false);
    }
    let failed = |e| Error::with_source(Kind::Internal, format!("unmounting {}", path.display()), e);
    let mut was = false;
    while is_mount_point(path) {
        sys_mount::unmount_detach(path).map_err(failed)?;
        was = true;
    }
    // Not empty where something was put there while nothing was mounted.
    let _kept = std::fs::remove_dir(path);
    Ok(was)
}
