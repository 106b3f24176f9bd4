//! `init`: prepares a container up to the point where its command would be executed.

use super::context::Context;
use super::error::{Error, Kind};
use super::select::{Done, Selection, targets};
use super::start;
use super::view::Container;
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::storage::Store;

/// Initializes each container: file system, namespaces, network and process are there, and the process waits for the
/// start. One that is initialized already is no error.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn init(
    ctx: &Context,
    which: &Selection,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |c| {
        matches!(c.phase, Phase::Created) || ctx.podman && matches!(c.phase, Phase::Running(_))
    })? {
        // podman names those that run already, too.
        let result = target.found.and_then(|c| match c.phase {
            Phase::Running(_) if ctx.podman && which.all => Ok(c.row.id),
            _ => one(ctx, &store, &c),
        });
        report(Done { given: target.given, result });
    }
    Ok(())
}

fn one(ctx: &Context, store: &Store, container: &Container) -> Result<ContainerId, Error> {
    match &container.phase {
        Phase::Initialized(_) => {}
        Phase::Created | Phase::Failed { .. } | Phase::Exited(_) => {
            start::spawn(ctx, store, container, start::How { wait: true, ..start::How::default() })?;
            super::journal::container(ctx, "init", &container.row, &[]);
        }
        other @ (Phase::Running(_) | Phase::Paused(_) | Phase::Restarting(_) | Phase::Removing) => {
            let text =
                format!("container {} is {} and cannot be initialized", container.id(), other.status());
            return Err(Error::new(Kind::State, text));
        }
    }
    Ok(container.id().clone())
}
