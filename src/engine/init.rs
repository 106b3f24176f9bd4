//! `init`: prepares a container up to the point where its command would be executed.

use super::context::Context;
use super::error::{Error, Kind};
use super::select::{Done, Selection, targets};
use crate::model::id::ContainerId;

/// Refused for each container that exists: there is no such half-started state in rcon.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn init(
    ctx: &Context,
    which: &Selection,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |c| !c.alive())? {
        let result = target.found.and_then(|c| {
            Err(Error::new(
                Kind::Unsupported,
                format!("container {} cannot be initialised without being started", c.row.name),
            )
            .hint("a start takes milliseconds: rcon prepares a container when it starts it"))
        });
        report(Done { given: target.given, result });
    }
    Ok(())
}
