//! `container checkpoint`: the processes of a container become files, in its own folder, from which `container restore`
//! ([`restore`]) makes it run again. criu does it, for the monitor ([`crate::monitor`]), which knows then that its container
//! was not lost.
//!
//! What is in the folder `userdata` is named as podman names it.

pub mod archive;
mod image;
pub mod import;
pub mod named;
pub mod restore;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::context::Context;
use super::error::{Error, Kind};
use super::select::{Done, Selection, targets};
use super::view::Container;
use super::{journal, rm};
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::monitor::client;
use crate::monitor::proto::CheckpointWish;
use crate::runtime::criu::stats;
use crate::storage::{Store, checkpoints, tree};

pub use crate::runtime::criu::stats::Statistics;
pub use archive::{Compression, Export};
pub use image::is_image;
pub use import::{ImportOptions, import};

/// How to checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// `--keep`: criu's log and statistics stay.
    pub keep: bool,
    /// `--leave-running`.
    pub leave_running: bool,
    /// `--tcp-established`.
    pub tcp_established: bool,
    /// `--file-locks`.
    pub file_locks: bool,
    /// `--pre-checkpoint`: memory only, ahead; the container runs on.
    pub pre: bool,
    /// `--with-previous`: what was written ahead is not written again.
    pub with_previous: bool,
    /// `--export`: an archive of it, and what goes into that.
    pub export: Option<(PathBuf, Export)>,
    /// `--create-image`: an image of it.
    pub image: Option<String>,
}

/// A checkpoint that was written, or a container that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The container.
    pub id: ContainerId,
    /// How long criu took, with the making of what is around the processes.
    pub took: Duration,
    /// What criu counted.
    pub statistics: Statistics,
}

/// Checkpoints each container.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn checkpoint(
    ctx: &Context,
    which: &Selection,
    options: &CheckpointOptions,
    report: &mut dyn FnMut(Done<Report>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |c| matches!(c.phase, Phase::Running(_)))? {
        let result = target.found.and_then(|c| one(ctx, &store, &c, options));
        report(Done { given: target.given, result });
    }
    Ok(())
}

/// criu needs to be root on the machine.
fn allowed() -> Result<(), Error> {
    if crate::sys::probe::effective_uid() == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Unsupported, "checkpoint and restore of a container need root"))
}

fn one(
    ctx: &Context,
    store: &Store,
    container: &Container,
    options: &CheckpointOptions,
) -> Result<Report, Error> {
    let (id, paths) = (container.id(), &ctx.paths);
    runs(container)?;
    let ends = !options.leave_running && !options.pre;
    if container.row.auto_remove && ends && options.export.is_none() {
        let text =
            "cannot checkpoint containers that have been started with '--rm' unless '--export' is used";
        return Err(Error::new(Kind::Invalid, text));
    }
    let spec = container.spec(store)?;
    if options.export.is_some() || options.image.is_some() {
        archive::check(&spec)?;
    }
    let (work, images) = (paths.userdata(id), paths.checkpoint(id));
    let ahead = paths.pre_checkpoint(id);
    if options.with_previous && !ahead.is_dir() {
        let text = format!("container {id} has no pre-checkpoint for --with-previous");
        return Err(Error::new(Kind::NotFound, text).hint("make one first: container checkpoint -P"));
    }
    let images = if options.pre { ahead } else { images };
    let wish = CheckpointWish {
        parent: options.with_previous.then(|| PathBuf::from("../pre-checkpoint")),
        pre: options.pre,
        leave_running: options.leave_running,
        tcp_established: options.tcp_established,
        file_locks: options.file_locks,
        ..CheckpointWish::default()
    };
    let took = dump(ctx, container, &work, &images, wish)?;
    let statistics = stats::read(&work.join(stats::DUMP));
    if let Some((file, export)) = &options.export {
        archive::write_file(ctx, store, &spec, (export, options.pre), file)?;
    }
    if let Some(name) = &options.image {
        image::create(ctx, store, &spec, name)?;
    }
    if container.row.auto_remove && ends {
        rm::remove_record(ctx, store, &container.row, true)?;
        return Ok(Report { id: id.clone(), took, statistics });
    }
    if !options.keep && !options.pre {
        clean(&work, &["dump.log", stats::DUMP]);
        let mut kept = checkpoints::read(paths, id)?;
        kept.dump_log = None;
        checkpoints::write(paths, id, &kept)?;
    }
    Ok(Report { id: id.clone(), took, statistics })
}

fn runs(container: &Container) -> Result<(), Error> {
    if matches!(container.phase, Phase::Running(_)) {
        return Ok(());
    }
    let text = format!("container {} is {}, cannot checkpoint", container.id(), container.phase.status());
    Err(Error::new(Kind::State, text))
}

/// Has the monitor write a checkpoint into an empty folder. Where the container was to end its end is recorded then, and the
/// record is there. Returns how long it took.
fn dump(
    ctx: &Context,
    container: &Container,
    work: &Path,
    images: &Path,
    wish: CheckpointWish,
) -> Result<Duration, Error> {
    allowed()?;
    runs(container)?;
    empty(work, images)?;
    let wish = CheckpointWish {
        images: images.to_owned(),
        work: work.to_owned(),
        path: ctx.config.search_path.clone(),
        keep_record: true,
        ..wish
    };
    let begun = Instant::now();
    client::checkpoint(&ctx.paths, container.id(), wish)?;
    journal::container(ctx, "checkpoint", &container.row, &[]);
    Ok(begun.elapsed())
}

/// The folder of the files of a checkpoint, and an empty one for its images.
fn empty(work: &Path, images: &Path) -> Result<(), Error> {
    let failed = |e| Error::with_source(Kind::Internal, "making room for the checkpoint", e);
    if images.exists() {
        tree::remove(images).map_err(failed)?;
    }
    crate::storage::paths::ensure_private(work).map_err(failed)?;
    crate::storage::paths::ensure_private(images).map_err(failed)
}

/// Removes files that may be there.
fn clean(folder: &Path, names: &[&str]) {
    for name in names {
        let path = folder.join(name);
        if let Err(e) = std::fs::remove_file(&path)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("removing {}: {e}", path.display());
        }
    }
}
