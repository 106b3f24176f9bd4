//! `system reset`: removes everything that rcon has: containers, networks, volumes, images, secrets, and the store
//! itself. What other tools have elsewhere is not touched.

use super::super::context::Context;
use super::super::error::{Error, Kind};
use super::super::rm::{self, RemoveOptions};
use super::super::select::Selection;
use crate::net;
use crate::storage::tree;

/// Resets. What cannot be removed is reported and the rest goes on, so that a second call finds less to do.
///
/// # Errors
/// The first trouble, after all has been tried.
pub fn reset(ctx: &Context) -> Result<(), Error> {
    let mut first = None;
    let mut note = |outcome: Result<(), Error>| {
        if let Err(e) = outcome {
            first.get_or_insert(e);
        }
    };
    {
        let store = ctx.store()?;
        let all = Selection { all: true, ..Selection::default() };
        let options =
            RemoveOptions { force: true, volumes: true, timeout: Some(0), ..RemoveOptions::default() };
        let ended = rm::rm(ctx, &all, &options, &mut |done| note(done.result.map(drop)));
        note(ended);
        for network in store.list_networks()? {
            note(net::remove_network(&network).map_err(Error::from));
        }
    }
    // Everything is gone that runs or is mounted: what is left are files.
    for dir in [&ctx.paths.root, &ctx.paths.run] {
        note(empty(dir));
    }
    first.map_or(Ok(()), Err)
}

/// Removes what is in a directory; the directory itself may be a mount point.
fn empty(dir: &std::path::Path) -> Result<(), Error> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::with_source(Kind::Internal, format!("reading {}", dir.display()), e)),
    };
    for entry in entries.flatten() {
        tree::remove(&entry.path()).map_err(Error::from)?;
    }
    Ok(())
}
