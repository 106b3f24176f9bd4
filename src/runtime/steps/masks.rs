//! Paths that the container may not see, or may not write to.

use std::os::fd::{AsFd, OwnedFd};

use crate::runtime::plan::host_tree::{HostTree, Opened};
use crate::runtime::plan::{Plan, relative};
use crate::runtime::sync::{During, Step};
use crate::sys::mount::{self, Attributes, FsContext, attr};
use crate::sys::root::Root;
use crate::sys::{Result, fd};

/// What files are covered by: of the host's mounts, so to be asked for before they are gone.
pub(in crate::runtime) fn null<'p>(plan: &'p Plan<'_>) -> Step<Option<Opened<'p>>> {
    plan.null.as_ref().map(HostTree::open).transpose().during(|| "opening the null device for masks".into())
}

/// Covers files by /dev/null and directories by an empty read-only tmpfs. What does not exist needs
/// no cover. Each source is verified on the very descriptor that is mounted (rule R3).
pub(in crate::runtime) fn mask(plan: &Plan<'_>, root: &Root, null: Option<Opened<'_>>) -> Step<()> {
    let mut empty: Option<OwnedFd> = None;
    let mut null_used = false;
    for path in &plan.masked {
        let target = match root.resolve(relative(path)) {
            Err(e) if absent(&e) => continue,
            other => other.during(|| format!("finding {} to mask it", path.display()))?,
        };
        let cover = |null_used: &mut bool, empty: &mut Option<OwnedFd>| -> Result<()> {
            if fd::stat(&target)?.st_mode & libc::S_IFMT == libc::S_IFDIR {
                cover_directory(&target, empty)
            } else {
                cover_file(null.as_ref(), &target, null_used)
            }
        };
        cover(&mut null_used, &mut empty).during(|| format!("masking {}", path.display()))?;
    }
    Ok(())
}

/// Makes paths, with all that is mounted below them, read-only.
pub(in crate::runtime) fn make_read_only(plan: &Plan<'_>, root: &Root) -> Step<()> {
    for path in &plan.read_only {
        let target = match root.resolve(relative(path)) {
            Err(e) if absent(&e) => continue,
            other => other.during(|| format!("finding {} to make it read-only", path.display()))?,
        };
        let cover = || -> Result<()> {
            let tree = mount::open_tree(&target, true)?;
            mount::set_attributes(&tree, &Attributes { set: attr::RDONLY, ..Default::default() }, true)?;
            mount::move_mount(&tree, &target)
        };
        cover().during(|| format!("making {} read-only", path.display()))?;
    }
    Ok(())
}

fn absent(e: &crate::sys::Error) -> bool {
    e.is(libc::ENOENT) || e.is(libc::ENOTDIR)
}

/// The first cover is the detached mount itself; once it is attached it can be cloned for the others.
fn cover_directory(target: &OwnedFd, empty: &mut Option<OwnedFd>) -> Result<()> {
    if let Some(first) = empty {
        return mount::move_mount(mount::open_tree(first, false)?, target);
    }
    let context = FsContext::new("tmpfs")?;
    context.set("source", "tmpfs")?;
    context.set("mode", "755")?;
    context.set("size", "0")?;
    context.set("nr_inodes", "1")?;
    let made = context.mount(attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC)?;
    mount::move_mount(&made, target)?;
    *empty = Some(made);
    Ok(())
}

fn cover_file(null: Option<&Opened<'_>>, target: &OwnedFd, used: &mut bool) -> Result<()> {
    let Some(null) = null else {
        return Err(crate::sys::Error::new("mask", "there is no null device", libc::ENODEV));
    };
    fd::verify_null(null)?;
    if *used {
        return mount::move_mount(mount::open_tree(null, false)?.as_fd(), target);
    }
    *used = true;
    mount::move_mount(null, target)
}
