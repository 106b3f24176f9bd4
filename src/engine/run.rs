//! `run`: create and start in one, attached or detached.

use std::path::Path;

use super::attach::{AttachOptions, Attached};
use super::context::Context;
use super::create::{self, SideFiles};
use super::error::{Error, Kind};
use super::launch::{self, Launch};
use super::progress::Progress;
use crate::model::create::CreateOptions;
use crate::model::id::ContainerId;
use crate::storage::containers::Stored;

/// What `run` has to know beside the container itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// `None`: detached (`-d`).
    pub attach: Option<AttachOptions>,
    /// Files to write.
    pub files: SideFiles,
}

/// A container that was started.
#[derive(Debug)]
pub enum RunHandle {
    /// It runs on its own.
    Detached {
        /// Its id.
        id: ContainerId,
        /// Things worth saying that are no errors.
        warnings: Vec<String>,
    },
    /// Its streams wait to be relayed.
    Attached(Attached),
}

/// Creates a container and starts it.
///
/// # Errors
/// As `create`, and what keeps it from starting: 125 (engine), 126 (not executable), 127 (not found).
pub fn run(
    ctx: &Context,
    options: &CreateOptions,
    run: &RunOptions,
    progress: &dyn Progress,
) -> Result<RunHandle, Error> {
    let store = ctx.store()?;
    let made = create::make(ctx, &store, options, &run.files, progress, true)?;
    let row = create::summary_of(&made.resolved, Stored::Created);
    let spec = &made.resolved.spec;
    let Some(run_dir) = made.run_dir else {
        return Err(Error::new(Kind::Internal, "the run lock was not taken"));
    };
    let what = Launch { spec, row: &row, networks: &made.networks, attach: run.attach.as_ref() };
    super::start::requirements(ctx, &store, spec)?;
    let (running, attached) = launch::launch(ctx, &store, run_dir, &what)?;
    if let Some(path) = &run.files.pidfile {
        pidfile(path, running.init.pid)?;
    }
    if let Some(path) = &run.files.monitor_pidfile {
        pidfile(path, running.monitor.pid)?;
    }
    let warnings = made.resolved.warnings.clone();
    Ok(match attached {
        Some(mut attached) => {
            attached.warnings = warnings;
            RunHandle::Attached(attached)
        }
        None => RunHandle::Detached { id: spec.id.clone(), warnings },
    })
}

fn pidfile(path: &Path, pid: i32) -> Result<(), Error> {
    std::fs::write(path, format!("{pid}"))
        .map_err(|e| Error::with_source(Kind::Invalid, format!("writing the pid file {}", path.display()), e))
}
