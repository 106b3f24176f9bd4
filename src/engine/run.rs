//! `run`: create and start in one, attached or detached.

use super::attach::{AttachOptions, Attached, Recorder};
use super::context::Context;
use super::create::{self, SideFiles};
use super::error::{Error, Kind};
use super::launch::{self, Launch};
use super::progress::Progress;
use crate::model::create::CreateOptions;
use crate::model::id::ContainerId;
use crate::model::namespace::UserNsMode;
use crate::model::network::NetworkMode;
use crate::monitor::client::Ahead;
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
    Attached(Box<Attached>),
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
    let id = super::random::id();
    // Where it cannot be started now, it is tried again, and the error told, when its turn comes.
    let mut ahead = Ahead::start(&ctx.paths, &id, owns_network(options)).ok();
    let done = with(ctx, options, run, progress, (id, &mut ahead));
    if let Some(unused) = ahead {
        unused.dismiss();
    }
    done
}

/// Podman's exit code of a container that was made and could not be started goes by the words of the error: 127 where
/// something is not there, 126 for anything else.
fn as_podman(e: Error) -> Error {
    let told = e.exit_code().is_some_and(|code| code != 125);
    let text = e.chain().to_lowercase();
    let missing = ["not found", "no such file"].iter().any(|words| text.contains(words));
    if told { e } else { e.exit(if missing { 127 } else { 126 }) }
}

/// Whether the container is going to have a network namespace of its own, as far as the options tell.
fn owns_network(options: &CreateOptions) -> bool {
    let other = matches!(
        options.network.mode,
        Some(NetworkMode::Host | NetworkMode::Container(_) | NetworkMode::Path(_))
    );
    !other && matches!(options.namespaces.user, None | Some(UserNsMode::Host))
}

fn with(
    ctx: &Context,
    options: &CreateOptions,
    run: &RunOptions,
    progress: &dyn Progress,
    (id, ahead): (ContainerId, &mut Option<Ahead>),
) -> Result<RunHandle, Error> {
    let store = ctx.store()?;
    let start = create::Purpose::Run(id);
    let made = create::make(ctx, &store, options, &run.files, progress, start)?;
    let row = create::summary_of(&made.resolved, Stored::Created);
    let spec = &made.resolved.spec;
    let Some(run_dir) = made.run_dir else {
        return Err(Error::new(Kind::Internal, "the run lock was not taken"));
    };
    super::start::requirements(ctx, &store, spec)?;
    if run.attach.is_some() {
        super::journal::container(ctx, "attach", &row, &[]);
    }
    let what = Launch {
        spec,
        row: &row,
        networks: &made.networks,
        attach: run.attach.as_ref(),
        addresses: &[],
        ahead: ahead.take(),
        recorder: true,
        wait: false,
        restore: None,
        fresh: true,
    };
    let launched = launch::launch(ctx, &store, run_dir, what);
    let (_, attached) = if ctx.podman { launched.map_err(as_podman)? } else { launched? };
    let warnings = made.resolved.warnings.clone();
    Ok(match attached {
        Some(mut attached) => {
            attached.warnings = warnings;
            let image = spec.root.image_id.clone().filter(|_| spec.lifecycle.remove_image);
            let anonymous =
                spec.mounts.iter().filter(|m| m.anonymous).filter_map(|m| m.name.clone()).collect();
            attached.recorder = Some(Recorder { store, anonymous, image });
            RunHandle::Attached(Box::new(attached))
        }
        None => RunHandle::Detached { id: spec.id.clone(), warnings },
    })
}
