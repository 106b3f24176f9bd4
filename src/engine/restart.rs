//! `restart`: stop, then start.

use std::net::IpAddr;

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection, targets};
use super::start;
use super::stop::{KILLED, StopOptions, Stopped, asked, resorted_to_kill};
use super::view::Container;
use crate::model::container::{AttachmentState, Phase};
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

fn addresses(of: &AttachmentState) -> impl Iterator<Item = (String, IpAddr)> + '_ {
    let v4 = of.ip.map(|(ip, _)| IpAddr::V4(ip));
    let all = v4.into_iter().chain(of.ip6.map(|(ip, _)| IpAddr::V6(ip)));
    all.map(|ip| (of.network.clone(), ip))
}

fn one(ctx: &Context, store: &Store, container: &Container, wish: StopWish) -> Result<Stopped, Error> {
    let id = container.id().clone();
    let mut killed = None;
    // Others have them in their /etc/hosts (links), in caches and in rules: they are its own for longer than a moment.
    let addresses: Vec<(String, IpAddr)> =
        container.phase.running().map(|r| r.network.iter().flat_map(addresses).collect()).unwrap_or_default();
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
    if container.alive() {
        super::journal::dockers_container(ctx, "stop", &container.row, &[]);
    }
    let stopped = Container::find(ctx, store, id.as_str())?;
    start::again(ctx, store, &stopped, &addresses)?;
    super::journal::container(ctx, "restart", &container.row, &[]);
    Ok(Stopped { id, killed })
}
