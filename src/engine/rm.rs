//! `rm`: removes containers.

use std::io::Read as _;

use super::context::Context;
use super::error::{Error, Kind};
use super::journal;
use super::select::{Done, Selection, Target, targets};
use super::view::Container;
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::monitor::client::{self, ClientError, Removal};
use crate::monitor::proto::StopWish;
use crate::storage::container_rows::Summary;
use crate::storage::volatile::RunDir;
use crate::storage::{Error as StorageError, Store, Use};

/// Containers that one command ends side by side; each needs a connection.
const AT_ONCE: usize = 256;

/// How to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// `-f`: kill it first; what does not exist is no error.
    pub force: bool,
    /// `-v`: remove its anonymous volumes too.
    pub volumes: bool,
    /// `-t` with `-f`: seconds between the stop signal and SIGKILL.
    pub timeout: Option<i64>,
    /// `--depend`: remove what depends on it too.
    pub depend: bool,
    /// `--link`: the names are those of links, CONTAINER/ALIAS, and these go.
    pub link: bool,
}

/// Removes each container.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn rm(
    ctx: &Context,
    which: &Selection,
    options: &RemoveOptions,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    if options.link {
        return links(ctx, &which.names, report);
    }
    let store = ctx.store()?;
    let mut rest = targets(ctx, &store, which, |c| options.force || !c.alive())?;
    // podman looks all of them up before it removes the first.
    let missing = |t: &Target| matches!(&t.found, Err(e) if e.kind() == Kind::NotFound);
    if ctx.podman && rest.iter().any(missing) {
        rest.retain(missing);
        rest.truncate(1);
    }
    let going: Vec<ContainerId> =
        rest.iter().filter_map(|t| Some(t.found.as_ref().ok()?.id().clone())).collect();
    for target in &mut rest {
        if let Ok(c) = &target.found
            && let Err(needed) = refuse_needed(ctx, &store, c, options, &going)
        {
            target.found = Err(needed);
        }
    }
    while !rest.is_empty() {
        let later = rest.split_off(rest.len().min(AT_ONCE));
        let ending: Vec<Option<Removal>> =
            rest.iter().map(|t| begin(ctx, t.found.as_ref().ok()?, options)).collect();
        for (target, ending) in rest.into_iter().zip(ending) {
            let result = match target.found {
                Ok(c) => one(ctx, &store, &c, options, ending, report),
                Err(e) => Err(e),
            };
            report(Done { given: target.given, result });
        }
        rest = later;
    }
    Ok(())
}

/// Kills it without waiting, where it is to be killed at once: the containers of one command end side by side.
/// What cannot be told is told again, with its error, when its turn comes.
fn begin(ctx: &Context, container: &Container, options: &RemoveOptions) -> Option<Removal> {
    let at_once = options.force && options.timeout.unwrap_or(0) == 0 && container.alive();
    at_once.then(|| client::remove(&ctx.paths, container.id()).ok()).flatten()
}

/// Podman keeps a container whose network others use until they are removed, or go with it.
fn refuse_needed(
    ctx: &Context,
    store: &Store,
    container: &Container,
    options: &RemoveOptions,
    going: &[ContainerId],
) -> Result<(), Error> {
    if !ctx.podman || options.depend {
        return Ok(());
    }
    let users = store.containers_using(Use::Container(container.id()))?;
    let staying: Vec<String> =
        users.into_iter().filter(|(id, _)| !going.contains(id)).map(|(id, _)| id.to_string()).collect();
    if staying.is_empty() {
        return Ok(());
    }
    // Not in use as a running one is, for podman's exit codes.
    Err(Error::new(
        Kind::Invalid,
        format!(
            "container {} has dependent containers which must be removed before it: {}: container already exists",
            container.id(),
            staying.join(", ")
        ),
    ))
}

fn one(
    ctx: &Context,
    store: &Store,
    container: &Container,
    options: &RemoveOptions,
    ending: Option<Removal>,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<ContainerId, Error> {
    let id = container.id();
    if options.depend {
        for (other, name) in store.containers_using(Use::Container(id))? {
            let dependent = match Container::find(ctx, store, other.as_str()) {
                Ok(dependent) => dependent,
                Err(e) if e.kind() == Kind::NotFound => continue,
                Err(e) => return Err(e),
            };
            let result = one(ctx, store, &dependent, options, None, report);
            report(Done { given: name, result });
        }
    }
    if container.alive() {
        end(ctx, container, options, ending)?;
    }
    remove_record(ctx, store, &container.row, options.volumes || container.row.auto_remove)?;
    Ok(id.clone())
}

/// Ends a living container for its removal.
fn end(
    ctx: &Context,
    container: &Container,
    options: &RemoveOptions,
    ending: Option<Removal>,
) -> Result<(), Error> {
    let id = container.id();
    if !options.force && !matches!(container.phase, Phase::Initialized(_)) {
        let (state, advice) = match container.phase {
            Phase::Paused(_) => ("paused", "unpause and stop the container"),
            Phase::Restarting(_) => ("restarting", "stop the container"),
            _ => ("running", "stop the container"),
        };
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "cannot remove container \"/{}\": container is {state}: {advice} before removing or force remove",
                // podman names it by its id.
                if ctx.podman { container.row.id.as_str() } else { &container.row.name }
            ),
        ));
    }
    if let Some(timeout) = options.timeout.filter(|t| *t != 0) {
        let wish = StopWish { signal: None, timeout: Some(timeout), by_user: true };
        match client::stop(&ctx.paths, id, wish) {
            Ok(_) | Err(ClientError::NotRunning { .. } | ClientError::Lost { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let ended = match ending.map(Removal::wait) {
        // Not begun yet, or the connection was dropped, though the monitor lives: it is asked anew.
        None | Some(Err(ClientError::Io { .. })) => client::remove(&ctx.paths, id).and_then(Removal::wait),
        Some(ended) => ended,
    };
    match ended {
        Ok(()) | Err(ClientError::NotRunning { .. } | ClientError::Lost { .. }) => Ok(()),
        Err(e) => Err(Error::from(e).context(format!("cannot remove container \"/{}\"", container.row.name))),
    }
}

/// `rm --link`: takes back what `--link` said, docker's rules and words.
fn links(ctx: &Context, names: &[String], report: &mut dyn FnMut(Done<ContainerId>)) -> Result<(), Error> {
    let store = ctx.store()?;
    for given in names {
        report(Done { given: given.clone(), result: unlink(ctx, &store, given) });
    }
    Ok(())
}

fn unlink(ctx: &Context, store: &Store, given: &str) -> Result<ContainerId, Error> {
    let Some((parent, alias)) = given.trim_start_matches('/').rsplit_once('/') else {
        Container::find(ctx, store, given)?;
        let why = "Conflict, cannot remove the default link name of the container";
        return Err(Error::new(Kind::Conflict, why));
    };
    let container = Container::find(ctx, store, parent).map_err(|_| {
        Error::new(Kind::NotFound, format!("Cannot get parent /{parent} for link name {given}"))
    })?;
    let mut spec = container.spec(store)?;
    let called = |text: &String| text.split_once(':').map_or(text.as_str(), |(_, a)| a) == alias;
    let network = &mut spec.options.network;
    let before = network.links.len();
    network.links.retain(|text| !called(text));
    if network.links.len() == before {
        return Err(Error::new(Kind::NotFound, format!("No such container: {given}")));
    }
    spec.network.names.retain(|(name, _)| name != alias);
    spec.network.links.retain(|link| link.alias != alias);
    store.update_spec(&spec)?;
    forget_host(ctx, container.id(), alias);
    Ok(container.id().clone())
}

/// Takes the line of a link out of the hosts file of a container that runs, in place: it is mounted there. What a
/// monitor answers for it by its own list, and variables, are as they were until the container starts anew.
fn forget_host(ctx: &Context, id: &ContainerId, alias: &str) {
    let path = ctx.paths.run_container(id).join("hosts");
    // What the container wrote there may be anything.
    let Ok(bytes) = std::fs::File::open(&path).and_then(|f| {
        let mut bytes = Vec::new();
        f.take(1 << 20).read_to_end(&mut bytes).map(|_| bytes)
    }) else {
        return;
    };
    let text = String::from_utf8_lossy(&bytes);
    let of_link = |line: &&str| line.split_whitespace().nth(1) == Some(alias);
    let kept: Vec<&str> = text.lines().filter(|line| !of_link(line)).collect();
    if let Err(e) = std::fs::write(&path, kept.join("\n") + "\n") {
        tracing::warn!(container = %id, "taking a link out of {}: {e}", path.display());
    }
}

/// Removes the record of a container that does not run, and with `volumes` its anonymous volumes. The caller has ended
/// it; a monitor that still tears down is waited for by its lock.
pub(super) fn remove_record(ctx: &Context, store: &Store, row: &Summary, volumes: bool) -> Result<(), Error> {
    let id = &row.id;
    super::mounts::detach(&ctx.paths, id)?;
    let anonymous = if volumes { anonymous_volumes(store, id) } else { Vec::new() };
    match store.remove_container(id) {
        Ok(()) => journal::container(ctx, "destroy", row, &[]),
        // With --rm the monitor removes it; whoever comes second has nothing to do.
        Err(e) if e.is_not_found() => {}
        Err(e) => return Err(e.into()),
    }
    for name in anonymous {
        match store.remove_volume(&name) {
            Ok(()) => journal::volume(ctx, "destroy", &name),
            Err(StorageError::InUse { .. }) => {}
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e.into()),
        }
    }
    // A monitor that ended well has taken its run directory away, last of all.
    if ctx.paths.run_container(id).exists()
        && let Ok(run_dir) = RunDir::acquire(&ctx.paths, id)
    {
        let swept = crate::monitor::teardown::sweep(&ctx.paths, id);
        for trouble in &swept.troubles {
            tracing::warn!(container = %id, "sweeping: {trouble}");
        }
        run_dir.remove()?;
    }
    Ok(())
}

fn anonymous_volumes(store: &Store, id: &ContainerId) -> Vec<String> {
    // A damaged spec must not keep the container from being removed; its volumes are left to `volume prune`.
    let mounts = store.spec(id).map(|s| s.mounts).unwrap_or_default();
    mounts.into_iter().filter(|m| m.anonymous).filter_map(|m| m.name).collect()
}

/// Ends a container that waits for its start, and removes it.
pub(super) fn initialized(ctx: &Context, store: &Store, container: &Container) -> Result<(), Error> {
    let options =
        RemoveOptions { force: true, volumes: container.row.auto_remove, ..RemoveOptions::default() };
    one(ctx, store, container, &options, None, &mut |_| {}).map(drop)
}

/// `--replace`: the container of that name goes, running or not.
pub(super) fn replace(ctx: &Context, store: &Store, name: &str) -> Result<(), Error> {
    let container = match Container::find(ctx, store, name) {
        Ok(container) if container.row.name == name => container,
        Ok(_) => return Ok(()),
        Err(e) if e.kind() == Kind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let options = RemoveOptions { force: true, ..RemoveOptions::default() };
    one(ctx, store, &container, &options, None, &mut |_| {}).map(drop)
}
