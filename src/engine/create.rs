//! `create`: pulls what is missing, resolves the options and stores the container.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Error, Kind};
use super::lookup::StoreWorld;
use super::progress::Progress;
use super::resolve::{self, Inputs, Resolved, names};
use super::rm;
use super::{journal, random};
use crate::model::container::ContainerSpec;
use crate::model::create::CreateOptions;
use crate::model::id::{ContainerId, check_name};
use crate::model::image::Image;
use crate::model::namespace::UserNsMode;
use crate::model::network::Network;
use crate::storage::container_rows::Summary;
use crate::storage::containers::Stored;
use crate::storage::lock::FileLock;
use crate::storage::volatile::RunDir;
use crate::storage::volumes::NewVolume;
use crate::storage::{Error as StorageError, Store, host_ids};

/// How often a fresh name is drawn before the collision is an error.
const NAME_DRAWS: u32 = 8;

/// Files that `create` and `run` write beside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SideFiles {
    /// `--cidfile`: must not exist; for podman's users it is overwritten.
    pub cidfile: Option<PathBuf>,
    /// `--pidfile`: pid of the container's init, written at start.
    pub pidfile: Option<PathBuf>,
    /// `--conmon-pidfile`: pid of the monitor.
    pub monitor_pidfile: Option<PathBuf>,
}

/// A container that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// Things worth saying that are no errors ("Published ports are discarded when using host network mode").
    pub warnings: Vec<String>,
}

/// A container that is stored but not started; what a start right after it needs.
pub(super) struct Made {
    pub(super) resolved: Resolved,
    pub(super) networks: Vec<Network>,
    /// With its lock held, when the caller is going to start it.
    pub(super) run_dir: Option<RunDir>,
}

/// Creates a container.
///
/// # Errors
/// No image, a name that is taken, options that contradict each other or that this host cannot honour.
pub fn create(
    ctx: &Context,
    options: &CreateOptions,
    files: &SideFiles,
    progress: &dyn Progress,
) -> Result<Created, Error> {
    let store = ctx.store()?;
    let made = make(ctx, &store, options, files, progress, Purpose::Create)?;
    let Resolved { spec, warnings, .. } = made.resolved;
    if !ctx.podman {
        working_directory(ctx, &spec);
    }
    Ok(Created { id: spec.id, warnings })
}

/// As docker: a working directory that was asked for is there before the first start, for `cp`.
fn working_directory(ctx: &Context, spec: &ContainerSpec) {
    let path = Path::new(&spec.process.cwd);
    let asked = spec.options.process.workdir.is_some() && path.is_absolute();
    if asked && !spec.root.is_lent() && !spec.mounts.iter().any(|m| path.starts_with(&m.target)) {
        // What stands in the way is told by the start, which makes it where it is not there.
        if let Err(e) = super::rootfs::make_directory(ctx, spec, path) {
            tracing::debug!(container = %spec.id, "making the working directory ahead: {e}");
        }
    }
}

/// What a container is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be started some time.
    Create,
    /// To be started at once, with this id.
    Run(ContainerId),
}

/// `privileged` and `userns` of containers.conf, as if the caller had said it.
fn as_configured<'a>(ctx: &Context, options: &'a CreateOptions) -> Result<Cow<'a, CreateOptions>, Error> {
    let config = &ctx.config.containers;
    let mut options = Cow::Borrowed(options);
    if config.privileged && !options.process.privileged {
        options.to_mut().process.privileged = true;
    }
    let said = &options.namespaces;
    let says = said.user.is_some() || said.subuid_name.is_some() || said.subgid_name.is_some();
    if let Some(text) = config.userns.as_deref().filter(|t| !says && !t.is_empty() && *t != "private") {
        let mode = text.parse().map_err(|e| Error::from(e).context("reading the default user namespace"))?;
        options.to_mut().namespaces.user = Some(mode);
    }
    Ok(options)
}

/// The common half of `create` and `run`. For `run` the row says "started" at once and the run lock is held.
pub(super) fn make(
    ctx: &Context,
    store: &Store,
    options: &CreateOptions,
    files: &SideFiles,
    progress: &dyn Progress,
    purpose: Purpose,
) -> Result<Made, Error> {
    let (start, id) = match purpose {
        Purpose::Create => (false, random::id()),
        Purpose::Run(id) => (true, id),
    };
    if let Some(path) = files.cidfile.as_ref().filter(|_| !ctx.podman) {
        free_cidfile(path)?;
    }
    if let Some(name) = &options.name {
        check_name("container name", name).map_err(|_| {
            Error::new(
                Kind::Invalid,
                format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
            )
        })?;
        if !options.replace {
            free_name(store, name)?;
        }
    }
    let image = image(ctx, store, options, progress)?;
    let options = &*as_configured(ctx, options)?;
    let world = StoreWorld::new(ctx, store);
    let mut inputs = Inputs {
        options,
        id,
        name: options.name.clone().unwrap_or_else(|| names::random(random::number(), 0)),
        now: jiff::Timestamp::now(),
        image: image.as_ref(),
        config: &ctx.config,
        host: &ctx.host,
        world: &world,
    };
    // Held until the choice is on record.
    let choosing = match resolve::is_automatic(options.namespaces.user.as_ref()) {
        true => Some(host_ids::lock(&ctx.paths)?),
        false => None,
    };
    let mut resolved = resolve::resolve(&inputs)?;
    resolved.spec.lifecycle.pidfile.clone_from(&files.pidfile);
    resolved.spec.lifecycle.monitor_pidfile.clone_from(&files.monitor_pidfile);
    resolved.spec.hooks = super::hooks::of(&resolved.spec, &ctx.config.engine.hooks_dirs)?;
    resolved.spec.subscriptions = super::subscriptions::of(ctx)?;
    resolved.spec.oci_config = ctx.podman || !resolved.spec.hooks.is_empty();
    if let (true, Some(name)) = (options.replace, &options.name) {
        rm::replace(ctx, store, name)?;
    }
    directories(&resolved)?;
    let volumes = volumes(ctx, store, &resolved)?;
    let run_dir = if start { Some(RunDir::acquire(&ctx.paths, &inputs.id)?) } else { None };
    let stored = if start { Stored::started_now()? } else { Stored::Created };
    let mut draw = 0;
    loop {
        match store.insert_container(&resolved.spec, &stored) {
            Ok(()) => break,
            Err(StorageError::NameTaken { .. }) if options.name.is_none() && draw < NAME_DRAWS => {
                draw += 1;
                inputs.name = names::random(random::number(), draw);
                resolved.spec.name.clone_from(&inputs.name);
            }
            Err(e) => {
                // Nothing half-made stays: the volumes that only this container would have used go again.
                for name in volumes {
                    store.remove_volume(&name).ok();
                }
                if let Some(run_dir) = run_dir {
                    run_dir.remove().ok();
                }
                return Err(e.into());
            }
        }
    }
    let row = summary_of(&resolved, stored);
    if let Err(e) = belongings(ctx, store, &resolved.spec, choosing) {
        rm::remove_record(ctx, store, &row, true)?;
        return Err(e);
    }
    journal::created(ctx, &row);
    if let Some(path) = &files.cidfile
        && let Err(e) = std::fs::write(path, resolved.spec.id.as_str())
    {
        rm::remove_record(ctx, store, &row, true)?;
        return Err(Error::with_source(
            Kind::Invalid,
            format!("writing the container id to {}", path.display()),
            e,
        ));
    }
    Ok(Made { resolved, networks: world.into_networks(), run_dir })
}

/// What a container has beside its document: copies of secrets, host ids of its own.
fn belongings(
    ctx: &Context,
    store: &Store,
    spec: &ContainerSpec,
    choosing: Option<FileLock>,
) -> Result<(), Error> {
    if let (Some(_lock), UserNsMode::Mapped(maps)) = (choosing, &spec.namespaces.user) {
        let ranges: Vec<(u32, u32)> =
            maps.uids.iter().chain(&maps.gids).map(|r| (r.outside, r.count)).collect();
        host_ids::record(&ctx.paths, &spec.id, &ranges)?;
    }
    super::secrets::copy(ctx, store, spec)
}

fn free_cidfile(path: &Path) -> Result<(), Error> {
    if path.symlink_metadata().is_ok() {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "container ID file found, make sure the other container isn't running or delete {}",
                path.display()
            ),
        ));
    }
    Ok(())
}

fn free_name(store: &Store, name: &str) -> Result<(), Error> {
    match store.find_container(name) {
        Ok(row) if row.name == name => {
            Err(StorageError::NameTaken { name: name.to_owned(), id: row.id }.into())
        }
        Ok(_) => Ok(()),
        Err(e) if e.is_not_found() => Ok(()),
        Err(StorageError::Ambiguous { .. }) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn image(
    ctx: &Context,
    store: &Store,
    options: &CreateOptions,
    progress: &dyn Progress,
) -> Result<Option<Image>, Error> {
    if let Some((path, _)) = options.root_directory()? {
        if !Path::new(path).is_dir() {
            return Err(Error::new(Kind::Invalid, format!("--rootfs {path}: there is no such directory")));
        }
        return Ok(None);
    }
    if options.image.is_empty() {
        return Err(Error::new(Kind::Invalid, "an image name is required"));
    }
    super::lookup::ensure_image(ctx, store, options, progress).map(Some)
}

/// docker makes missing sources of `-v`; `--mount` has refused them before.
fn directories(resolved: &Resolved) -> Result<(), Error> {
    for path in &resolved.directories {
        std::fs::create_dir_all(path).map_err(|e| {
            Error::with_source(Kind::Invalid, format!("creating the bind source directory {path}"), e)
        })?;
    }
    Ok(())
}

/// Makes the volumes; returns the names of the anonymous ones.
fn volumes(ctx: &Context, store: &Store, resolved: &Resolved) -> Result<Vec<String>, Error> {
    let mut anonymous = Vec::new();
    for volume in &resolved.volumes {
        store.ensure_volume(&NewVolume {
            name: Some(volume.name.clone()),
            anonymous: volume.anonymous,
            labels: volume.labels.clone(),
            options: volume.options.clone(),
        })?;
        journal::volume(ctx, "create", &volume.name);
        if volume.anonymous {
            anonymous.push(volume.name.clone());
        }
    }
    Ok(anonymous)
}

/// The row of a container that was just inserted, without reading it back.
pub(super) fn summary_of(resolved: &Resolved, stored: Stored) -> Summary {
    let spec = &resolved.spec;
    Summary {
        id: spec.id.clone(),
        name: spec.name.clone(),
        image_name: spec.root.directory.clone().unwrap_or_else(|| spec.root.image_name.clone()),
        image_id: spec.root.image_id.clone(),
        command: spec.process.argv.clone(),
        created: spec.created,
        labels: spec.labels.clone(),
        stored,
        desired: crate::storage::containers::Desired::default(),
        ports: spec.network.ports.clone(),
        exposed: spec.network.exposed.clone(),
        networks: spec.network.attachments.iter().map(|a| a.network.clone()).collect(),
        mounts: spec
            .mounts
            .iter()
            .map(|m| (m.name.clone().unwrap_or_else(|| m.source.clone()), m.target.clone()))
            .collect(),
        restart: spec.lifecycle.restart,
        auto_remove: spec.lifecycle.auto_remove,
        has_health: spec.lifecycle.health.is_some(),
    }
}
