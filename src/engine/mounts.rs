//! `mount` and `unmount`: refused. A container's file system is mounted in its own namespace only, which is what makes a
//! crash leave no mounts behind; `cp` and `export` reach into it without a mount on the host.

use super::context::Context;
use super::error::{Error, Kind};
use super::select::{Done, Selection, targets};
use crate::model::id::ContainerId;

/// A container's file system mounted on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Where.
    pub path: String,
}

/// Refused for each container that exists; with nothing named, lists what is mounted: nothing.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn mount(ctx: &Context, which: &Selection, report: &mut dyn FnMut(Done<Mounted>)) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |_| true)? {
        let result = target.found.and_then(|c| {
            Err(Error::new(
                Kind::Unsupported,
                format!("mounting container {} on the host is not supported", c.row.name),
            )
            .hint("rcon cp and rcon export read it, running or not"))
        });
        report(Done { given: target.given, result });
    }
    Ok(())
}

/// Nothing is ever mounted, so there is nothing to take away: no error, as podman's for a container that is not mounted.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn unmount(
    ctx: &Context,
    which: &Selection,
    _force: bool,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |_| true)? {
        report(Done { given: target.given, result: target.found.map(|c| c.row.id) });
    }
    Ok(())
}
