//! `container restore`: a container runs again from its checkpoint.

use std::time::Instant;

use super::import::ImportOptions;
use super::{Report, allowed, clean, image};
use crate::engine::context::Context;
use crate::engine::error::{Error, Kind};
use crate::engine::lookup;
use crate::engine::progress::Progress;
use crate::engine::select::{Done, Selection, targets};
use crate::engine::start::{self, How, Restoring};
use crate::engine::view::Container;
use crate::model::container::Phase;
use crate::monitor::proto::RestoreWish;
use crate::runtime::criu::stats;
use crate::storage::{Store, checkpoints, tree};

/// How to restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// `--keep`: the checkpoint and criu's log and statistics stay.
    pub keep: bool,
    /// `--tcp-established`.
    pub tcp_established: bool,
    /// `--tcp-close`.
    pub tcp_close: bool,
    /// `--file-locks`.
    pub file_locks: bool,
    /// `--ignore-static-ip`: any free address does.
    pub ignore_static_ip: bool,
    /// `--ignore-static-mac`: it gets a new one.
    pub ignore_static_mac: bool,
}

/// Restores each container; a name that no container has may be that of an image of a checkpoint.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn restore(
    ctx: &Context,
    which: &Selection,
    (import, options): (&ImportOptions, &RestoreOptions),
    progress: &dyn Progress,
    report: &mut dyn FnMut(Done<Report>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    if import.name.is_some() && which.names.len() > 1 {
        return Err(Error::new(Kind::Invalid, "--name can only be used with one checkpoint image"));
    }
    let fits = |c: &Container| {
        matches!(c.phase, Phase::Exited(_))
            && checkpoints::read(&ctx.paths, c.id()).is_ok_and(|kept| kept.written.is_some())
            && ctx.paths.checkpoint(c.id()).join(INVENTORY).exists()
    };
    for target in targets(ctx, &store, which, fits)? {
        let mut given = target.given;
        let result = match target.found {
            Ok(c) => match import.given() {
                None => one(ctx, &store, &c, options),
                Some(flag) => Err(Error::new(
                    Kind::Invalid,
                    format!("--{flag} can only be used with image or --import"),
                )),
            },
            Err(e) if e.kind() == Kind::NotFound && lookup::image(ctx, &store, &given).is_ok() => {
                let made = image::restore(ctx, &store, &given, (import, options), progress);
                if let Ok(report) = &made {
                    given = report.id.to_string();
                }
                made
            }
            Err(e) => Err(e),
        };
        report(Done { given, result });
    }
    Ok(())
}

/// File of criu without which there is no checkpoint.
pub(super) const INVENTORY: &str = "inventory.img";

pub(super) fn one(
    ctx: &Context,
    store: &Store,
    container: &Container,
    options: &RestoreOptions,
) -> Result<Report, Error> {
    allowed()?;
    let (id, paths) = (container.id(), &ctx.paths);
    if container.alive() {
        return Err(Error::new(Kind::State, format!("container {id} is running or paused, cannot restore")));
    }
    let (work, images) = (paths.userdata(id), paths.checkpoint(id));
    if !images.join(INVENTORY).exists() {
        let text = "a complete checkpoint for this container cannot be found, cannot restore";
        return Err(Error::new(Kind::NotFound, text).hint("make one: container checkpoint"));
    }
    let mut kept = checkpoints::read(paths, id)?;
    let restoring = Restoring {
        wish: RestoreWish {
            images: images.clone(),
            work: work.clone(),
            path: ctx.config.search_path.clone(),
            tcp_established: options.tcp_established,
            tcp_close: options.tcp_close,
            file_locks: options.file_locks,
            as_start: false,
        },
        network: kept.network.clone(),
        addresses: !options.ignore_static_ip,
        macs: !options.ignore_static_mac,
    };
    let begun = Instant::now();
    start::spawn(ctx, store, container, How { restore: Some(&restoring), ..How::default() })?;
    let took = begun.elapsed();
    let statistics = stats::read(&work.join(stats::RESTORE));
    kept.written = None;
    kept.restored = Some(jiff::Timestamp::now());
    kept.restore_log = Some(work.join("restore.log"));
    kept.images = Some(images.clone());
    if !options.keep {
        for folder in [images, paths.pre_checkpoint(id)] {
            if folder.exists()
                && let Err(e) = tree::remove(&folder)
            {
                tracing::warn!("removing {}: {e}", folder.display());
            }
        }
        clean(&work, &["restore.log", "dump.log", stats::DUMP, stats::RESTORE]);
        (kept.images, kept.dump_log, kept.restore_log) = (None, None, None);
    }
    checkpoints::write(paths, id, &kept)?;
    Ok(Report { id: id.clone(), took, statistics })
}
