//! `restore --import`: a container is made of the archive of a checkpoint, as it was, and restored.
//!
//! An archive is as trusted as a program that root runs: what is in it becomes processes with whatever rights it says.
//! Unpacking alone is safe with any (`storage::unpack`).

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::Report;
use super::archive::{DELETED, DOCUMENT, Document, ROOTFS_DIFF, VERSION, VOLUMES};
use super::restore::{self, RestoreOptions};
use crate::engine::context::Context;
use crate::engine::error::{Error, Kind};
use crate::engine::images::WantedImage;
use crate::engine::progress::Progress;
use crate::engine::view::Container;
use crate::engine::{cp, images, journal, lookup, random, resolve, rm, rootfs, secrets};
use crate::model::container::ContainerSpec;
use crate::model::id::check_name;
use crate::model::lifecycle::PullPolicy;
use crate::model::mount::MountKind;
use crate::model::network::PortRequest;
use crate::storage::checkpoints::{self, Checkpoint, Staged};
use crate::storage::containers::Stored;
use crate::storage::unpack;
use crate::storage::volatile::RunDir;
use crate::storage::volumes::NewVolume;
use crate::storage::{Store, tree};
use crate::sys::root::Root;

/// How to make the container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOptions {
    /// `--name`: another name, and another id.
    pub name: Option<String>,
    /// `--publish`: these ports instead.
    pub publish: Vec<PortRequest>,
    /// `--ignore-rootfs`: the root file system is the image's.
    pub ignore_rootfs: bool,
    /// `--ignore-volumes`: volumes stay as they are.
    pub ignore_volumes: bool,
    /// `--import-previous`: the archive of the pre-checkpoint.
    pub previous: Option<PathBuf>,
}

impl ImportOptions {
    /// The first flag that is given: none of them is for a container that is there.
    pub(super) fn given(&self) -> Option<&'static str> {
        let flags = [
            (self.name.is_some(), "name"),
            (!self.publish.is_empty(), "publish"),
            (self.ignore_rootfs, "ignore-rootfs"),
            (self.ignore_volumes, "ignore-volumes"),
            (self.previous.is_some(), "import-previous"),
        ];
        flags.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
    }
}

/// Makes a container of an archive, and restores it.
///
/// # Errors
/// No archive of ours, a name or volume that is taken, an image that is not to be had; nothing is left then.
pub fn import(
    ctx: &Context,
    file: &Path,
    import: &ImportOptions,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<Report, Error> {
    super::allowed()?;
    let store = ctx.store()?;
    let staged = checkpoints::stage(&ctx.paths)?;
    unpack_into(file, staged.path())?;
    if let Some(previous) = &import.previous {
        unpack_into(previous, staged.path())?;
    }
    bring(ctx, &store, staged, (import, options), progress)
}

pub(super) fn unpack_into(file: &Path, folder: &Path) -> Result<(), Error> {
    let failed = |e| Error::with_source(Kind::NotFound, format!("reading {}", file.display()), e);
    let opened = File::open(file).map_err(failed)?;
    let mut plain = crate::image::archive::unpacked(opened).map_err(failed)?;
    cp::fill(folder, &mut plain).map_err(|e| e.context(format!("reading {}", file.display()))).map(drop)
}

/// Makes a container of an unpacked archive, and restores it.
pub(super) fn bring(
    ctx: &Context,
    store: &Store,
    staged: Staged,
    (import, options): (&ImportOptions, &RestoreOptions),
    progress: &dyn Progress,
) -> Result<Report, Error> {
    let mut document = read(staged.path())?;
    adapt(ctx, &mut document.spec, import)?;
    let spec = &document.spec;
    free(store, spec)?;
    image(ctx, store, spec, progress)?;
    for attachment in &spec.network.attachments {
        lookup::network(ctx, store, &attachment.network)?;
    }
    let made = volumes(ctx, store, &document, import, staged.path());
    let (made, done) = match made {
        Ok(made) => (made, Ok(())),
        Err((made, e)) => (made, Err(e)),
    };
    let done = done.and_then(|()| {
        store.insert_container(spec, &Stored::Created)?;
        let restored = restore(ctx, store, &document, staged, (import, options));
        if restored.is_err() {
            let row = store.container(&spec.id)?;
            rm::remove_record(ctx, store, &row, false)?;
        }
        restored
    });
    if done.is_err() {
        for name in made {
            if let Err(e) = store.remove_volume(&name) {
                tracing::warn!("removing volume {name}: {e}");
            }
        }
    }
    done
}

/// Our document in the archive.
fn read(folder: &Path) -> Result<Document, Error> {
    let text = std::fs::read(folder.join(DOCUMENT)).map_err(|e| {
        let text = format!("the archive has no {DOCUMENT}: it is no checkpoint that rcon exported");
        Error::with_source(Kind::Invalid, text, e).hint("restore it with the engine that made it")
    })?;
    let document: Document = serde_json::from_slice(&text)
        .map_err(|e| Error::with_source(Kind::Invalid, format!("reading {DOCUMENT} of the archive"), e))?;
    if document.version > VERSION {
        let text = format!("the archive has version {}, this rcon knows {VERSION}", document.version);
        return Err(Error::new(Kind::Unsupported, text));
    }
    check_name("container name", &document.spec.name)?;
    Ok(document)
}

/// The container as it is going to be here.
fn adapt(ctx: &Context, spec: &mut ContainerSpec, import: &ImportOptions) -> Result<(), Error> {
    if let Some(name) = &import.name {
        check_name("container name", name)?;
        spec.name.clone_from(name);
        spec.options.name = Some(name.clone());
        spec.id = random::id();
    }
    if !import.publish.is_empty() {
        spec.network.ports = resolve::expand_publish(&import.publish, &[])?;
    }
    for mount in spec.mounts.iter_mut().filter(|m| m.kind == MountKind::Volume) {
        let Some(name) = &mount.name else { continue };
        check_name("volume name", name)?;
        mount.source = ctx.paths.volume_data(name).display().to_string();
        // It has its content already.
        mount.copy_up = false;
    }
    Ok(())
}

/// Neither the name nor the id is taken.
fn free(store: &Store, spec: &ContainerSpec) -> Result<(), Error> {
    match store.container(&spec.id) {
        Ok(row) => {
            let text = format!("container {} exists already", row.name);
            Err(Error::new(Kind::Conflict, text).hint("give the restored one another name: --name"))
        }
        Err(e) if e.is_not_found() => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// The very image, by its id or by the name that it had.
fn image(ctx: &Context, store: &Store, spec: &ContainerSpec, progress: &dyn Progress) -> Result<(), Error> {
    let Some(id) = &spec.root.image_id else {
        return Err(Error::new(Kind::Invalid, "the archive names no image"));
    };
    match lookup::image(ctx, store, id.as_str()) {
        Ok(_) => return Ok(()),
        Err(e) if e.kind() == Kind::NotFound => {}
        Err(e) => return Err(e),
    }
    let registry = Default::default();
    let name = spec.root.image_name.as_str();
    let wanted = WantedImage { name, platform: None, policy: PullPolicy::Missing, registry: &registry };
    let found = images::ensure(ctx, store, &wanted, progress)?;
    if found.id == *id {
        return Ok(());
    }
    let text = format!("image {name} is not the one that the container was made of ({})", id.as_str());
    Err(Error::new(Kind::Conflict, text).hint("load that image, or pull it by its digest"))
}

/// Makes the volumes with their content. Returns the names of those that were made, also beside an error.
fn volumes(
    ctx: &Context,
    store: &Store,
    document: &Document,
    import: &ImportOptions,
    folder: &Path,
) -> Result<Vec<String>, (Vec<String>, Error)> {
    let mut made = Vec::new();
    for volume in &document.volumes {
        let exists = match store.volume(&volume.name) {
            Ok(found) => found.is_some(),
            Err(e) => return Err((made, e.into())),
        };
        if exists && !import.ignore_volumes {
            let text = format!(
                "volume with name {} already exists. Use --ignore-volumes to not restore content of volumes",
                volume.name
            );
            return Err((made, Error::new(Kind::Conflict, text)));
        }
        if exists {
            continue;
        }
        let anonymous =
            document.spec.mounts.iter().any(|m| m.anonymous && m.name.as_ref() == Some(&volume.name));
        let new = NewVolume {
            name: Some(volume.name.clone()),
            anonymous,
            labels: volume.labels.clone(),
            options: volume.options.clone(),
        };
        if let Err(e) = store.create_volume(&new) {
            return Err((made, e.into()));
        }
        made.push(volume.name.clone());
        journal::volume(ctx, "create", &volume.name);
        let content = folder.join(VOLUMES).join(format!("{}.tar", volume.name));
        if !import.ignore_volumes
            && content.exists()
            && let Err(e) = unpack_into(&content, &ctx.paths.volume_data(&volume.name))
        {
            return Err((made, e));
        }
    }
    Ok(made)
}

/// The container is on record: its files, then its processes.
fn restore(
    ctx: &Context,
    store: &Store,
    document: &Document,
    staged: Staged,
    (import, options): (&ImportOptions, &RestoreOptions),
) -> Result<Report, Error> {
    let (spec, paths) = (&document.spec, &ctx.paths);
    secrets::copy(ctx, store, spec)?;
    if !import.ignore_rootfs {
        root_changes(ctx, spec, staged.path())?;
    }
    for name in [ROOTFS_DIFF, DELETED, VOLUMES, DOCUMENT, "config.dump", "spec.dump", "network.status"] {
        let path = staged.path().join(name);
        if path.exists() {
            tree::remove(&path)?;
        }
    }
    staged.settle(&paths.userdata(&spec.id))?;
    let kept = Checkpoint {
        written: Some(jiff::Timestamp::now()),
        // Under another name it may run beside the first.
        network: if import.name.is_some() { Vec::new() } else { document.network.clone() },
        ..Checkpoint::default()
    };
    checkpoints::write(paths, &spec.id, &kept)?;
    let container = Container::find(ctx, store, spec.id.as_str())?;
    journal::created(ctx, &container.row);
    restore::one(ctx, store, &container, options)
}

/// The writable layer as it was.
fn root_changes(ctx: &Context, spec: &ContainerSpec, folder: &Path) -> Result<(), Error> {
    let Ok(tar) = File::open(folder.join(ROOTFS_DIFF)) else { return Ok(()) };
    let failed = |e| Error::with_source(Kind::Internal, "restoring the root file system", e);
    let lock = RunDir::acquire(&ctx.paths, &spec.id)?;
    let root = Root::new(rootfs::layers(ctx, spec)?);
    let whole = root.read_dir_fd(Path::new("/")).map_err(failed)?;
    let tar = std::io::BufReader::with_capacity(1 << 16, tar);
    unpack::unpack(tar, whole.as_fd(), &unpack::Options::default())
        .map_err(|e| Error::with_source(Kind::Invalid, "restoring the root file system", e))?;
    let deleted = std::fs::read(folder.join(DELETED)).unwrap_or_else(|_| b"[]".to_vec());
    let deleted: Vec<PathBuf> = serde_json::from_slice(&deleted)
        .map_err(|e| Error::with_source(Kind::Invalid, format!("reading {DELETED} of the archive"), e))?;
    for path in deleted {
        // What is above it may be gone too.
        let Ok((parent, name)) = root.parent(&path) else { continue };
        tree::remove(&crate::sys::fd::proc_path(&parent).join(name))?;
    }
    drop((whole, root));
    lock.remove()?;
    Ok(())
}
