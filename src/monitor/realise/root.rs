//! The root file system: an overlay of the image's layers, or a host directory; a detached mount either way.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::Start;
use super::ids::Ids;
use crate::monitor::proto::{Failure, FailureKind};
use crate::storage::overlay;
use crate::sys::root::Root;
use crate::sys::{fd, mount};

impl Start<'_> {
    /// The root of this start. A restart mounts it anew: when the last process of the start before was reaped, its
    /// mount namespace and so the overlay were gone.
    pub(super) fn mount_root(&self) -> Result<OwnedFd, Failure> {
        let spec = &self.handoff.spec;
        let paths = &self.world.paths;
        if let Some(mounted) = self.mounted_on_host()? {
            return Ok(mounted);
        }
        if let Some(ids) = &self.world.ids {
            return self.new_mapped_root(ids);
        }
        if let Some(directory) = spec.root.directory.as_ref().filter(|_| spec.root.is_lent()) {
            return mount::open_tree_path(Path::new(directory), true).map_err(|e| {
                Failure::of(FailureKind::NotFound, format!("using {directory} as the root file system"), &e)
            });
        }
        let lowers = paths.lowers(&spec.root);
        let options = self.overlay_options()?;
        overlay::mount(&lowers, &paths.upper(&spec.id), &paths.work(&spec.id), options)
            .map_err(|e| Failure::internal("mounting the root file system", &e))
    }

    /// With `--rm` nothing is synced. Only a `restart` mounts the layer of such a container a second time.
    fn overlay_options(&self) -> Result<overlay::Options, Failure> {
        let spec = &self.handoff.spec;
        let volatile = spec.lifecycle.auto_remove;
        if volatile {
            overlay::forget_volatile(&self.world.paths.work(&spec.id))
                .map_err(|e| Failure::internal("preparing the root file system", &e))?;
        }
        Ok(overlay::Options { volatile, ..Default::default() })
    }

    /// The overlay that `rcon mount` made: two of the same upper directory would not know of each other.
    fn mounted_on_host(&self) -> Result<Option<OwnedFd>, Failure> {
        use std::os::unix::fs::MetadataExt as _;
        let paths = &self.world.paths;
        let merged = paths.merged(&self.world.id);
        let Ok(there) = std::fs::metadata(&merged) else { return Ok(None) };
        let around = std::fs::metadata(paths.container(&self.world.id));
        if around.is_ok_and(|around| around.dev() == there.dev()) {
            return Ok(None);
        }
        if self.world.ids.is_some() {
            let text = "its file system is mounted on the host without the mapping of its user namespace";
            return Err(Failure::plain(FailureKind::State, text)
                .hint(format!("take the mount away first: rcon unmount {}", self.handoff.spec.name)));
        }
        mount::open_tree_path(&merged, false)
            .map(Some)
            .map_err(|e| Failure::internal("using the root file system that is mounted on the host", &e))
    }

    /// The root of a container with a user namespace: ids as the image has them on disk, shifted in the mount.
    fn new_mapped_root(&self, ids: &Ids) -> Result<OwnedFd, Failure> {
        let spec = &self.handoff.spec;
        let paths = &self.world.paths;
        let hint =
            "the file system must allow idmapped mounts, and the kernel mounts an overlay of them (5.19)";
        if let Some(directory) = spec.root.directory.as_ref().filter(|_| spec.root.is_lent()) {
            let step = || format!("using {directory} as the root file system");
            return ids
                .clone_of(Path::new(directory), false)
                .map_err(|e| Failure::of(FailureKind::NotFound, step(), &e).hint(hint));
        }
        let lowers = paths.lowers(&spec.root);
        let options = self.overlay_options()?;
        overlay::mount_mapped(&lowers, Some(&paths.container(&spec.id)), options, ids.as_shift()).map_err(
            |e| Failure::internal("mounting the root file system with its ids mapped", &e).hint(hint),
        )
    }

    /// That the working directory is there, where it is not to be made. Below a mount it is seen when it is entered.
    pub(super) fn find_working_directory(&self, root: &OwnedFd) -> Result<(), Failure> {
        let spec = &self.handoff.spec;
        let cwd = Path::new(&spec.process.cwd);
        if !spec.process.cwd_must_exist || spec.mounts.iter().any(|m| cwd.starts_with(&m.target)) {
            return Ok(());
        }
        let step = || format!("the working directory {cwd:?} does not exist in container {}", spec.id);
        let root = Root::new(fd::dup(root, 3).map_err(|e| Failure::internal("opening the root", &e))?);
        match root.open_dir(cwd) {
            // A link may lead into a mount.
            Err(e) if e.is(libc::ENOENT) && root.read_link(cwd).is_err() => {
                Err(Failure { code: 126, ..Failure::plain(FailureKind::NotFound, step()) })
            }
            _ => Ok(()),
        }
    }
}
