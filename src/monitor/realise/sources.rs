//! Sources of the container's own mounts that are more than a host path: volumes to be filled or given to the
//! user, image mounts, throw-away overlays, paths inside a volume. Each becomes a detached mount.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::{Start, on_host};
use crate::model::mount::{MountKind, MountSpec, OverlayDirs};
use crate::monitor::proto::{Failure, FailureKind};
use crate::runtime::user::User;
use crate::storage::{overlay, paths, tree, volumes};
use crate::sys::fd;
use crate::sys::root::Root;
use crate::sys::visit;

/// Detached mounts by destination.
pub(super) type Sources = Vec<(String, OwnedFd)>;

impl Start<'_> {
    /// Prepares all sources, in the order of the spec.
    pub(super) fn prepare_sources(&mut self, root: &OwnedFd, user: &User) -> Result<Sources, Failure> {
        let mut out = Sources::new();
        for (index, wish) in self.handoff.spec.mounts.iter().enumerate() {
            let made = match wish.kind {
                MountKind::Bind | MountKind::Volume => self.bind(index, wish, root, user)?,
                MountKind::Image => Some(self.image(index, wish)?),
                MountKind::Tmpfs | MountKind::Ramfs | MountKind::Devpts | MountKind::Glob => None,
            };
            out.extend(made.map(|fd| (wish.target.clone(), fd)));
        }
        Ok(out)
    }

    fn bind(
        &self,
        index: usize,
        wish: &MountSpec,
        root: &OwnedFd,
        user: &User,
    ) -> Result<Option<OwnedFd>, Failure> {
        let step = || format!("preparing the mount at {}", wish.target);
        let source = Path::new(&wish.source);
        let device = self.open_volume(wish)?;
        if wish.kind == MountKind::Volume && wish.copy_up && device.is_none() {
            self.fill(root, wish).map_err(|e| Failure::internal(step(), &*e))?;
        }
        if wish.give && device.is_none() {
            give(root, wish, user).map_err(|e| Failure::internal(step(), &e))?;
        }
        let shifted = self.shift(wish, device.as_ref()).map_err(|e| Failure::internal(step(), &e))?;
        if wish.chown && wish.overlay.is_none() {
            // Through a mount with shifted ids the container sees the ids that are on disk.
            let on_disk = shifted.is_some() || wish.idmap.is_some();
            let ids = self.world.ids.as_ref().filter(|_| !on_disk);
            let (uid, gid) = on_host(ids, user.uid, user.gid);
            tree::chown(source, uid, gid).map_err(|e| Failure::internal(step(), &e))?;
        }
        let device = device.or(shifted);
        if let Some(dirs) = &wish.overlay {
            let made = self.throw_away(index, wish, dirs)?;
            if wish.chown {
                // Of the source itself nothing is changed.
                let (uid, gid) = on_host(self.world.ids.as_ref(), user.uid, user.gid);
                tree::chown(&fd::proc_path(&made).join("."), uid, gid)
                    .map_err(|e| Failure::internal(step(), &e))?;
            }
            return Ok(Some(made));
        }
        let Some(subpath) = &wish.subpath else { return Ok(device) };
        let base = match device {
            Some(mounted) => mounted,
            None => fd::open_path(source).map_err(|e| missing(wish, &e))?,
        };
        inside(base, subpath, wish).map(Some)
    }

    /// A volume in a container with a user namespace: its files keep the ids that the container gave them, so that
    /// containers with other mappings can share it. Where the file system cannot, it is mounted as it is.
    fn shift(
        &self,
        wish: &MountSpec,
        device: Option<&OwnedFd>,
    ) -> Result<Option<OwnedFd>, crate::sys::Error> {
        let Some(ids) = self.world.ids.as_ref().filter(|_| wish.idmap.is_none() && wish.overlay.is_none())
        else {
            return Ok(None);
        };
        if wish.kind != MountKind::Volume {
            return Ok(None);
        }
        if let Some(device) = device {
            // Mounted for this container: the mount itself is shifted.
            let _as_it_is = ids.shift(device);
            return Ok(None);
        }
        match ids.clone_of(Path::new(&wish.source), false) {
            Ok(tree) => Ok(Some(tree)),
            Err(e) if e.is(libc::EINVAL) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Fills an empty volume from the image, as docker does at the first mount. Ids are those on disk.
    fn fill(&self, root: &OwnedFd, wish: &MountSpec) -> Result<(), Box<dyn std::error::Error>> {
        if self.world.ids.is_none() || self.handoff.spec.root.is_lent() {
            return fill(root, wish);
        }
        let paths = &self.world.paths;
        let upper = std::iter::once(paths.upper(&self.world.id));
        let layers: Vec<PathBuf> = upper.chain(paths.lowers(&self.handoff.spec.root)).collect();
        fill(&overlay::mount_readonly(&layers, overlay::Options::default())?, wish)
    }

    /// A volume whose driver options name something to mount.
    fn open_volume(&self, wish: &MountSpec) -> Result<Option<OwnedFd>, Failure> {
        let Some(name) = wish.name.as_ref().filter(|_| wish.kind == MountKind::Volume) else {
            return Ok(None);
        };
        let Some(volume) = self.handoff.volumes.iter().find(|v| v.name == *name) else { return Ok(None) };
        match volumes::open(volume) {
            Ok(volumes::VolumeSource::Directory(_)) => Ok(None),
            Ok(volumes::VolumeSource::Mount(fd)) => Ok(Some(fd)),
            Err(e) => {
                Err(Failure::internal(format!("mounting volume {name} for container {}", self.world.id), &e))
            }
        }
    }

    /// The file system of an image: read-only, or with a throw-away upper directory.
    fn image(&self, index: usize, wish: &MountSpec) -> Result<OwnedFd, Failure> {
        let step = || format!("mounting the image at {}", wish.target);
        let lowers: Vec<PathBuf> = wish.layers.iter().rev().map(|l| self.world.paths.layer_diff(l)).collect();
        let mounted = if let (true, Some(ids)) = (wish.read_only, &self.world.ids) {
            overlay::mount_mapped(&lowers, None, overlay::Options::default(), ids.as_shift())
                .map_err(|e| Failure::internal(step(), &e))?
        } else if wish.read_only {
            overlay::mount_readonly(&lowers, overlay::Options::default())
                .map_err(|e| Failure::internal(step(), &e))?
        } else {
            let (upper, work) = self.scratch(index, &OverlayDirs::default())?;
            overlay::mount(&lowers, &upper, &work, overlay::Options::default())
                .map_err(|e| Failure::internal(step(), &e))?
        };
        match &wish.subpath {
            None => Ok(mounted),
            Some(subpath) => inside(mounted, subpath, wish),
        }
    }

    /// `O`: an overlay over the source whose writes are thrown away (or kept where the user said).
    fn throw_away(&self, index: usize, wish: &MountSpec, dirs: &OverlayDirs) -> Result<OwnedFd, Failure> {
        let (upper, work) = self.scratch(index, dirs)?;
        let lower = [PathBuf::from(&wish.source)];
        overlay::mount(&lower, &upper, &work, overlay::Options::default())
            .map_err(|e| Failure::internal(format!("mounting the overlay at {}", wish.target), &e))
    }

    /// Upper and work directories: the user's, or empty ones of the container.
    fn scratch(&self, index: usize, dirs: &OverlayDirs) -> Result<(PathBuf, PathBuf), Failure> {
        let own = self.world.paths.container(&self.world.id).join(format!("mount-{index}"));
        let step = "making the directories of an overlay mount";
        if dirs.upper.is_none() || dirs.work.is_none() {
            // What an earlier start wrote there is what is thrown away.
            tree::remove(&own).map_err(|e| Failure::internal(step, &e))?;
        }
        let mut pair = [(&dirs.upper, "upper"), (&dirs.work, "work")].into_iter().map(|(given, name)| {
            if let Some(path) = given {
                return Ok(PathBuf::from(path));
            }
            let path = own.join(name);
            paths::ensure_private(&path).map_err(|e| Failure::internal(step, &e))?;
            Ok(path)
        });
        let (upper, work) = (pair.next(), pair.next());
        Ok((upper.expect("two were given")?, work.expect("two were given")?))
    }
}

fn missing(wish: &MountSpec, error: &crate::sys::Error) -> Failure {
    Failure::of(FailureKind::NotFound, format!("opening the mount source {}", wish.source), error)
}

/// A path inside a volume or image, which its content must not lead out of (rule R1).
fn inside(base: OwnedFd, subpath: &str, wish: &MountSpec) -> Result<OwnedFd, Failure> {
    visit::clone_part(base, Path::new(subpath)).map_err(|e| {
        let step = format!("cannot access path {subpath} for the mount at {}", wish.target);
        if e.is(libc::ENOENT) {
            // docker's code: it takes any missing path in the runtime's error for a missing command.
            return Failure { code: 127, ..Failure::of(FailureKind::NotFound, step, &e) };
        }
        Failure::of(FailureKind::Internal, step, &e)
    })
}

/// Fills an empty volume from the image, as docker does at the first mount.
fn fill(root: &OwnedFd, wish: &MountSpec) -> Result<(), Box<dyn std::error::Error>> {
    let image = Root::new(fd::dup(root, 3)?);
    let source = match image.read_dir_fd(Path::new(&wish.target)) {
        Ok(source) => source,
        // The image has nothing (or a file) there: the volume stays as it is.
        Err(e) if e.is(libc::ENOENT) || e.is(libc::ENOTDIR) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let volume = Root::open_host(Path::new(&wish.source))?;
    let into = match volume.read_dir_fd(Path::new(wish.subpath.as_deref().unwrap_or("/"))) {
        Ok(into) => into,
        // The mount tells better than we could what is wrong with the part of the volume.
        Err(_) if wish.subpath.is_some() => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    volumes::copy_up(source.as_fd(), into.as_fd())?;
    Ok(())
}

/// A volume that nobody has used belongs to the container's user, as the ids are on disk; what the image has in its place
/// decides, where there is something.
fn give(root: &OwnedFd, wish: &MountSpec, user: &User) -> Result<(), crate::sys::Error> {
    use std::os::unix::fs::MetadataExt as _;
    let source = Path::new(&wish.source);
    let failed = |e: std::io::Error| crate::sys::Error::from_io("chown", wish.source.clone(), &e);
    if Root::new(fd::dup(root, 3)?).read_dir_fd(Path::new(&wish.target)).is_ok() {
        return Ok(());
    }
    let owner = std::fs::metadata(source).map_err(failed)?;
    let used = std::fs::read_dir(source).map_err(failed)?.next().is_some();
    if (owner.uid(), owner.gid()) != (0, 0) || used {
        return Ok(());
    }
    std::os::unix::fs::chown(source, Some(user.uid), Some(user.gid)).map_err(failed)
}
