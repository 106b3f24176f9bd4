//! A container's file system as seen from the host, for `cp`, `export`, `mount` and `volume import`: through the init
//! process of a running container, by a detached overlay mount for one that does not run.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Error, Kind};
use super::view::Container;
use crate::model::container::ContainerSpec;
use crate::model::mount::{MountKind, MountSpec};
use crate::model::namespace::{IdMap, IdMaps, UserNsMode};
use crate::storage::overlay::{self, Options};
use crate::storage::volatile::RunDir;
use crate::storage::volumes::{self, VolumeSource};
use crate::sys::root::Root;
use crate::sys::{idmap, process};

/// A container's root, held open. Nothing is visible on the host, and nothing stays when it is dropped.
#[derive(Debug)]
pub(super) struct Rootfs {
    root: Root,
    /// Mount targets of a container that does not run, deepest first, with what is mounted there.
    mounts: Vec<Mounted>,
    /// Keeps a container that does not run from being started while its upper layer is mounted here.
    lock: Option<RunDir>,
}

/// What is mounted in a container that does not run.
#[derive(Debug)]
struct Mounted {
    target: PathBuf,
    root: Root,
    /// Where it is below the root: `/`, or a file's name.
    inner: PathBuf,
}

impl Mounted {
    /// The source of a bind or volume; none where it is gone.
    fn open(mount: &MountSpec) -> Option<Self> {
        let target = PathBuf::from(&mount.target);
        let source = Path::new(&mount.source);
        if std::fs::metadata(source).is_ok_and(|m| !m.is_dir()) {
            let root = Root::open_host(source.parent()?).ok()?;
            return Some(Self { target, root, inner: Path::new("/").join(source.file_name()?) });
        }
        let mut root = Root::open_host(source).ok()?;
        if let Some(below) = &mount.subpath {
            root = Root::new(root.open_dir(Path::new(below)).ok()?);
        }
        Some(Self { target, root, inner: PathBuf::from("/") })
    }
}

impl Rootfs {
    /// Opens the root of a container.
    pub(super) fn open(ctx: &Context, container: &Container, spec: &ContainerSpec) -> Result<Self, Error> {
        if let Some(running) = container.phase.running() {
            return live(running, &container.row.name);
        }
        let lock = RunDir::acquire(&ctx.paths, &spec.id)?;
        let root = match spec.root.directory.as_ref().filter(|_| spec.root.is_lent()) {
            Some(path) => {
                Root::open_host(Path::new(path)).map_err(|e| kernel("opening the root directory", e))?
            }
            None => Root::new(layers(ctx, spec)?),
        };
        fill_volumes(ctx, &root, spec)?;
        let mut mounts = Vec::new();
        for mount in spec.mounts.iter().filter(|m| matches!(m.kind, MountKind::Volume | MountKind::Bind)) {
            // A source that is gone shows as the directory below it, as it would be after `umount`.
            mounts.extend(Mounted::open(mount));
        }
        mounts.sort_by_key(|m| std::cmp::Reverse(m.target.components().count()));
        Ok(Self { root, mounts, lock: Some(lock) })
    }

    /// The root that a path (absolute, cleaned) lies in, and the rest of the path below it.
    pub(super) fn place(&self, path: &Path) -> (&Root, PathBuf) {
        for mount in &self.mounts {
            if let Ok(rest) = path.strip_prefix(&mount.target) {
                let at =
                    if rest.as_os_str().is_empty() { mount.inner.clone() } else { mount.inner.join(rest) };
                return (&mount.root, at);
            }
        }
        (&self.root, path.to_owned())
    }

    /// Gives up the mounts and the lock.
    pub(super) fn close(self) -> Result<(), Error> {
        let Self { root, mounts, lock } = self;
        drop((root, mounts));
        if let Some(lock) = lock {
            lock.remove()?;
        }
        Ok(())
    }
}

/// Fills empty volumes from the image, as the first start would: after a copy into one it would no longer be empty.
fn fill_volumes(ctx: &Context, root: &Root, spec: &ContainerSpec) -> Result<(), Error> {
    for mount in spec.mounts.iter().filter(|m| m.kind == MountKind::Volume && m.copy_up) {
        let Some(name) = &mount.name else { continue };
        let Some(volume) = ctx.store()?.volume(name)? else { continue };
        // One that its options mount from elsewhere is not filled at a start either.
        let VolumeSource::Directory(directory) = volumes::open(&volume)? else { continue };
        let Ok(content) = root.read_dir_fd(Path::new(&mount.target)) else { continue };
        let into = Root::open_host(&directory)
            .and_then(|v| v.read_dir_fd(Path::new(mount.subpath.as_deref().unwrap_or("/"))))
            .map_err(|e| kernel(&format!("opening volume {name}"), e))?;
        volumes::copy_up(content.as_fd(), into.as_fd())?;
    }
    Ok(())
}

fn kernel(what: &str, e: crate::sys::error::Error) -> Error {
    Error::with_source(Kind::Internal, what, e)
}

/// The root of a running container, through its init.
fn live(running: &crate::model::container::Running, name: &str) -> Result<Rootfs, Error> {
    // The descriptor of the process proves afterwards that the number still meant it when the root was opened.
    let gone = || Error::new(Kind::State, format!("container {name} ended meanwhile"));
    let process = process::open_identity(&running.init).map_err(|_| gone())?;
    let root = Root::open_host(Path::new(&format!("/proc/{}/root", running.init.pid)))
        .map_err(|e| kernel("opening the container's root", e))?;
    if !process.is_running().unwrap_or(false) {
        return Err(gone());
    }
    Ok(Rootfs { root, mounts: Vec::new(), lock: None })
}

/// The overlay of a container that does not run, as a detached mount.
pub(super) fn layers(ctx: &Context, spec: &ContainerSpec) -> Result<OwnedFd, Error> {
    let lowers = ctx.paths.lowers(&spec.root);
    let (upper, work) = (ctx.paths.upper(&spec.id), ctx.paths.work(&spec.id));
    Ok(overlay::mount(&lowers, &upper, &work, Options::default())?)
}

/// Makes a directory in the root of a container that was just created and does not run.
pub(super) fn make_directory(ctx: &Context, spec: &ContainerSpec, path: &Path) -> Result<(), Error> {
    let lock = RunDir::acquire(&ctx.paths, &spec.id)?;
    let root = Root::new(layers(ctx, spec)?);
    let made = root.mkdir_all(path, 0o755).map_err(|e| kernel("making the working directory", e));
    drop(root);
    lock.remove()?;
    made.map(drop)
}

/// A container's own files, read-only and without anything that is mounted into it (volumes, secrets, /proc): its
/// layers, or its root directory. Also while it runs.
pub(super) fn layers_only(ctx: &Context, spec: &ContainerSpec) -> Result<Root, Error> {
    if let Some(path) = spec.root.directory.as_ref().filter(|_| spec.root.is_lent()) {
        return Root::open_host(Path::new(path)).map_err(|e| kernel("opening the root directory", e));
    }
    let upper = std::iter::once(ctx.paths.upper(&spec.id));
    let all: Vec<PathBuf> = upper.chain(ctx.paths.lowers(&spec.root)).collect();
    Ok(Root::new(overlay::mount_readonly(&all, Options::default())?))
}

/// The id maps of a running container that lives in a user namespace other than the host's.
pub(super) fn id_maps(spec: &ContainerSpec, init: i32) -> Option<IdMaps> {
    if spec.namespaces.user == UserNsMode::Host {
        return None;
    }
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/{init}/{name}")).unwrap_or_default();
        let ranges = idmap::parse(&text).into_iter();
        ranges.map(|r| IdMap { inside: r.inside, outside: r.outside, count: r.count }).collect()
    };
    Some(IdMaps { uids: read("uid_map"), gids: read("gid_map") })
}
