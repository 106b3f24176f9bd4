//! `restart`: stop, then start.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection, targets};
use super::start;
use super::stop::{KILLED, StopOptions, Stopped, asked, resorted_to_kill};
use super::view::Container;
use crate::model::container::Phase;
use crate::monitor::client::{self, ClientError};
use crate::monitor::proto::StopWish;
use crate::storage::Store;

/// Restarts each container; `running_only` (`--running`) leaves the others alone.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn restart(
    ctx: &Context,
    which: &Selection,
    options: &StopOptions,
    running_only: bool,
    report: &mut dyn FnMut(Done<Stopped>),
) -> Result<(), Error> {
    let wish = options.wish(false)?;
    let store = ctx.store()?;
    let which = if running_only && which.names.is_empty() {
        Selection { all: true, ..which.clone() }
    } else {
        which.clone()
    };
    for target in targets(ctx, &store, &which, |c| !running_only || c.alive())? {
        let result = target.found.and_then(|c| one(ctx, &store, &c, wish));
        report(Done { given: target.given, result });
    }
    Ok(())
}

fn one(ctx: &Context, store: &Store, container: &Container, wish: StopWish) -> Result<Stopped, Error> {
    let id = container.id().clone();
    let mut killed = None;
    if container.alive() {
        if matches!(container.phase, Phase::Paused(_)) {
            client::unpause(&ctx.paths, &id)?;
        }
        let begun = std::time::Instant::now();
        match client::stop(&ctx.paths, &id, wish) {
            Ok(exited) if exited.code == KILLED => {
                killed = asked(store, container, &wish)
                    .and_then(|asked| resorted_to_kill(container, asked, begun.elapsed()));
            }
            Ok(_) | Err(ClientError::NotRunning { .. } | ClientError::Lost { .. }) => {}
            Err(e) => {
                return Err(
                    Error::from(e).context(format!("cannot restart container {}", container.row.name))
                );
            }
        }
    }
    let stopped = Container::find(ctx, store, id.as_str())?;
    start::one(ctx, store, &stopped, None)?;
    super::journal::container(ctx, "restart", &container.row, &[]);
    Ok(Stopped { id, killed })
}
