//! The root: attached over the old one, entered, the old one detached.

use std::os::fd::AsFd;
use std::path::Path;

use crate::runtime::plan::Plan;
use crate::runtime::sync::{During, Step};
use crate::sys::fd;
use crate::sys::mount::{self, Attributes, Propagation, attr};
use crate::sys::ns;
use crate::sys::root::Root;

/// Attaches the container's root and gives the handle beneath which everything else is looked up.
///
/// A root that has a path is attached there, where hooks that enter the mount namespace look for it; one that
/// has none, or whose path a user namespace or one out of a `chroot` cannot walk, on top of `/`, where only this
/// namespace sees it.
pub(in crate::runtime) fn attach(plan: &Plan<'_>) -> Step<Root> {
    let what = || "attaching the root file system".into();
    let rootfs = &plan.rootfs.open().during(what)?;
    // Of an engine in a `chroot` the container would keep the file system around it: an exec would land there, and
    // a second `chroot` would lead there. The path then has another meaning.
    let moved = plan.own_mounts && ns::leave_chroot().during(what)?;
    let at_path = plan.rootfs_path.filter(|_| !moved).map(|path| mount::move_mount_to_path(rootfs, path));
    match at_path {
        Some(Err(e)) if plan.own_mounts && e.is(libc::EACCES) => {
            mount::move_mount_to_path(rootfs, Path::new("/")).during(what)?;
        }
        Some(done) => done.during(what)?,
        None => mount::move_mount_to_path(rootfs, Path::new("/")).during(what)?,
    }
    Ok(Root::new(fd::dup(rootfs, 3).during(what)?))
}

/// A working directory that is not there is made, while the root can be written to.
pub(in crate::runtime) fn make_working_directory(plan: &Plan<'_>, root: &Root) -> Step<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(plan.process.cwd.to_bytes()));
    match root.mkdir_all(path.strip_prefix("/").unwrap_or(path), 0o755) {
        // Whether it can be entered is seen when it is.
        Ok(_) => Ok(()),
        Err(e) if e.is(libc::EACCES) || e.is(libc::ELOOP) => Ok(()),
        Err(e) if e.is(libc::ENOTDIR) => {
            Err(e).during(|| format!("the working directory {path:?} is not a directory"))
        }
        Err(e) => Err(e).during(|| format!("making the working directory {path:?}")),
    }
}

/// Enters the root and lets go of the host's; in the host's own mount namespace its tree stays, and only our
/// view of it changes.
pub(in crate::runtime) fn enter(plan: &Plan<'_>, root: &Root) -> Step<()> {
    mount::change_directory(root)
        .and_then(|()| if plan.own_mounts { mount::pivot_to_cwd() } else { mount::change_root_to_cwd() })
        .and_then(|()| mount::change_directory_path(c"/"))
        .during(|| "changing the root".into())
}

/// What could not be done while mount points were made: read-only root, propagation. Not before the
/// pivot, which takes no shared mount.
pub(in crate::runtime) fn finish(plan: &Plan<'_>, root: &Root) -> Step<()> {
    if plan.root_read_only {
        let change = Attributes { set: attr::RDONLY, ..Default::default() };
        mount::set_attributes(root.as_fd(), &change, false).during(|| "making the root read-only".into())?;
    }
    if let Some((propagation, deep)) = plan.root_propagation {
        let set = |p, deep| {
            let change = Attributes { propagation: Some(p), ..Default::default() };
            mount::set_attributes(root.as_fd(), &change, deep)
                .during(|| "setting the propagation of the root".into())
        };
        // Binds have the propagation that they asked for; the root's own word is for the root.
        set(propagation, deep && propagation != Propagation::Private)?;
    }
    Ok(())
}
