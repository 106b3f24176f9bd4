//! `prune`: removes what nothing uses.

use super::context::Context;
use super::error::Error;
use super::filter::{Filters, has_label};
use super::images::Removal;
use super::view::{self, Container};
use super::{journal, rm, volumes as volume_verbs};
use crate::model::container::Phase;
use crate::model::units::parse_timestamp;
use crate::storage::{Error as StorageError, Store};

/// Filters of every prune.
const FILTERS: &[&str] = &["label", "label!", "until"];

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Containers.
    pub containers: Vec<String>,
    /// Images: names, ids and layers.
    pub images: Vec<Removal>,
    /// Networks.
    pub networks: Vec<String>,
    /// Volumes.
    pub volumes: Vec<String>,
    /// Bytes given back.
    pub reclaimed: u64,
}

/// What `system prune` covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// `--filter` (`until`, `label`, `label!`) as typed.
    pub filters: Vec<String>,
    /// `-a`: all unused images, not only dangling ones.
    pub all: bool,
    /// `--volumes`.
    pub volumes: bool,
}

/// `container prune`: removes containers that do not run.
///
/// # Errors
/// An unknown filter, or a store that cannot be written.
pub fn containers(ctx: &Context, filters: &[String]) -> Result<Pruned, Error> {
    let filters = Filters::parse(filters, FILTERS)?;
    let store = ctx.store()?;
    let mut pruned = Pruned::default();
    let until = until(&filters)?;
    for c in view::all(ctx, &store)? {
        if idle(&c) && until.is_none_or(|t| c.row.created < t) && labels(&filters, &c.row.labels) {
            pruned.reclaimed += store.container_size(c.id()).unwrap_or(0);
            match c.phase {
                Phase::Initialized(_) => rm::initialized(ctx, &store, &c)?,
                _ => rm::remove_record(ctx, &store, &c.row, c.row.auto_remove)?,
            }
            pruned.containers.push(c.row.id.to_string());
        }
    }
    journal::pruned(ctx, "container", pruned.reclaimed);
    Ok(pruned)
}

fn idle(c: &Container) -> bool {
    match c.phase {
        Phase::Created | Phase::Failed { .. } | Phase::Exited(_) | Phase::Initialized(_) => true,
        Phase::Running(_) | Phase::Paused(_) | Phase::Restarting(_) | Phase::Removing => false,
    }
}

fn until(filters: &Filters) -> Result<Option<jiff::Timestamp>, Error> {
    let parse = |text: &String| parse_timestamp(text, jiff::Timestamp::now(), &jiff::tz::TimeZone::system());
    Ok(filters.values("until").first().map(parse).transpose()?)
}

fn labels(filters: &Filters, labels: &[(String, String)]) -> bool {
    filters.values("label").iter().all(|l| has_label(labels, l))
        && !filters.values("label!").iter().any(|l| has_label(labels, l))
}

/// `volume prune`: removes unused volumes; anonymous ones, with `all` named ones too.
///
/// # Errors
/// As [`containers`].
pub fn volumes(ctx: &Context, filters: &[String], all: bool) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    for name in unused_volumes(ctx, filters, all)? {
        remove_volume(ctx, &ctx.store()?, &name, &mut pruned)?;
    }
    journal::pruned(ctx, "volume", pruned.reclaimed);
    Ok(pruned)
}

/// The names of the volumes that [`volumes`] would remove now.
///
/// # Errors
/// As [`containers`].
pub fn unused_volumes(ctx: &Context, filters: &[String], all: bool) -> Result<Vec<String>, Error> {
    let filters = Filters::parse(filters, volume_verbs::FILTERS)?;
    let all = all || filters.values("all").iter().any(|v| matches!(v.as_str(), "true" | "1" | "t"));
    let store = ctx.store()?;
    let mut unused = Vec::new();
    for volume in volume_verbs::filtered(&store, &filters)? {
        if (all || volume.anonymous) && !volume_verbs::in_use(&store, &volume)? {
            unused.push(volume.name);
        }
    }
    Ok(unused)
}

/// `system prune --external`: only what commands that were killed left behind: files of containers, layers and staging
/// areas that the database does not know.
///
/// # Errors
/// A store that cannot be written.
pub fn leftovers(ctx: &Context) -> Result<u64, Error> {
    Ok(ctx.store()?.sweep()?.bytes)
}

fn remove_volume(ctx: &Context, store: &Store, name: &str, pruned: &mut Pruned) -> Result<(), Error> {
    let bytes = crate::storage::tree::disk_usage(&ctx.paths.volume_data(name)).unwrap_or(0);
    match store.remove_volume(name) {
        Ok(()) => {
            journal::volume(ctx, "destroy", name);
            pruned.reclaimed += bytes;
            pruned.volumes.push(name.to_owned());
            Ok(())
        }
        // Taken or removed by someone else in this moment.
        Err(StorageError::InUse { .. }) => Ok(()),
        Err(e) if e.is_not_found() => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// `system prune`.
///
/// # Errors
/// As [`containers`].
pub fn system(ctx: &Context, options: &PruneOptions) -> Result<Pruned, Error> {
    let mut pruned = containers(ctx, &options.filters)?;
    pruned.add(super::networks::prune(ctx, &options.filters)?);
    if options.volumes {
        // `until` is no filter of volumes: their age says nothing.
        let filters: Vec<String> =
            options.filters.iter().filter(|f| !f.starts_with("until")).cloned().collect();
        pruned.add(volumes(ctx, &filters, ctx.podman)?);
    }
    // Last, because a removed container may have been the last user of its image.
    let images = super::images::prune(ctx, options.all, &options.filters)?;
    pruned.reclaimed += images.reclaimed;
    pruned.images = images.removed;
    let swept = ctx.store()?.sweep()?;
    pruned.reclaimed += swept.bytes;
    Ok(pruned)
}

impl Pruned {
    /// Adds what another prune removed.
    pub fn add(&mut self, other: Self) {
        let Self { containers, images, networks, volumes, reclaimed } = other;
        self.containers.extend(containers);
        self.images.extend(images);
        self.networks.extend(networks);
        self.volumes.extend(volumes);
        self.reclaimed += reclaimed;
    }
}
