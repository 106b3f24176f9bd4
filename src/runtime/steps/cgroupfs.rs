//! The container's view of cgroups below /sys/fs/cgroup.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;

use crate::runtime::plan::host_tree::HostTree;
use crate::runtime::plan::mounts::CgroupView;
use crate::runtime::plan::options::Options;
use crate::sys::mount::{self, Attributes, FsContext, attr};
use crate::sys::root::Root;
use crate::sys::{Result, fd};

/// Mounts the view on a directory.
pub(super) fn mount(view: &CgroupView, options: &Options, target: &OwnedFd) -> Result<()> {
    // Nothing of the container's own is ever mounted below it, so the recursive words are the plain ones.
    let set = options.set & !options.recursive_clear | options.recursive_set;
    let options = &Options { set, ..options.clone() };
    match view {
        CgroupView::Unified => {
            let context = FsContext::new("cgroup2")?;
            context.set("source", "cgroup")?;
            mount::move_mount(context.mount(options.set)?, target)
        }
        CgroupView::Directory(tree) => {
            let tree = &tree.open()?;
            mount::set_attributes(
                tree,
                &Attributes { set: options.set & !attr::ATIME_MASK, ..Default::default() },
                true,
            )?;
            mount::move_mount(tree, target)
        }
        CgroupView::Legacy(hierarchies) => legacy(hierarchies, options, target),
    }
}

/// A tmpfs with a directory for each hierarchy, and a link for each controller of a joint one.
fn legacy(hierarchies: &[(String, HostTree)], options: &Options, target: &OwnedFd) -> Result<()> {
    let context = FsContext::new("tmpfs")?;
    context.set("source", "tmpfs")?;
    context.set("mode", "755")?;
    if let Some(label) = &options.label {
        context.set("context", label.as_c_str())?;
    }
    let base = context.mount(options.set & !attr::RDONLY)?;
    mount::move_mount(&base, target)?;
    let root = Root::new(fd::dup(&base, 3)?);
    for (name, tree) in hierarchies {
        let place = root.mkdir_all(Path::new(name), 0o755)?;
        let tree = &tree.open()?;
        mount::set_attributes(
            tree,
            &Attributes { set: options.set & !attr::ATIME_MASK, ..Default::default() },
            false,
        )?;
        mount::move_mount(tree, &place)?;
        for controller in name.split(',').filter(|c| c.len() < name.len()) {
            root.symlink(Path::new(name), Path::new(controller))?;
        }
    }
    if options.read_only() {
        mount::set_attributes(base.as_fd(), &Attributes { set: attr::RDONLY, ..Default::default() }, false)?;
    }
    debug_assert!(root.open(Path::new("."), OFlags::PATH).is_ok());
    Ok(())
}
