//! docker's checkpoints: they have names, a container may have many, and `start --checkpoint` starts from one as often as one
//! likes. They are folders of criu's images, in the container's own or below one that the caller names
//! (`DIR/<id>/checkpoints/NAME`, as docker has it).

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::restore::INVENTORY;
use super::{allowed, dump};
use crate::engine::attach::{AttachOptions, Attached};
use crate::engine::context::Context;
use crate::engine::error::{Error, Kind};
use crate::engine::start::{self, How, Restoring};
use crate::engine::view::Container;
use crate::model::id::{ContainerId, check_name};
use crate::monitor::proto::{CheckpointWish, RestoreWish};
use crate::storage::{checkpoints, tree};

/// The folder of a container's checkpoints.
fn folder(ctx: &Context, id: &ContainerId, dir: Option<&Path>) -> PathBuf {
    match dir {
        Some(dir) => {
            std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()).join(id.as_str()).join("checkpoints")
        }
        None => ctx.paths.container(id).join("checkpoints"),
    }
}

/// `checkpoint create`.
///
/// # Errors
/// No such container, one that does not run or cannot be checkpointed, a name that is taken.
pub fn create(
    ctx: &Context,
    container: &str,
    name: &str,
    dir: Option<&Path>,
    leave_running: bool,
) -> Result<(), Error> {
    check_name("checkpoint name", name)?;
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, container)?;
    let images = folder(ctx, container.id(), dir).join(name);
    if images.exists() {
        let text = format!("checkpoint with name {name} already exists for container {}", container.row.name);
        return Err(Error::new(Kind::Conflict, text));
    }
    if container.row.auto_remove && !leave_running {
        let text = "cannot checkpoint containers that have been started with '--rm' without --leave-running";
        return Err(Error::new(Kind::Invalid, text));
    }
    let wish = CheckpointWish { leave_running, ..CheckpointWish::default() };
    let written = dump(ctx, &container, &ctx.paths.userdata(container.id()), &images, wish);
    if written.is_err() && images.exists() {
        tree::remove(&images)?;
    }
    written.map(drop)
}

/// `checkpoint ls`: names, sorted.
///
/// # Errors
/// No such container.
pub fn ls(ctx: &Context, container: &str, dir: Option<&Path>) -> Result<Vec<String>, Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, container)?;
    let folder = folder(ctx, container.id(), dir);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => {
            return Err(Error::with_source(Kind::Internal, format!("reading {}", folder.display()), e));
        }
    };
    let whole = entries.flatten().filter(|e| e.path().join(INVENTORY).exists());
    let mut names: Vec<String> = whole.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// `checkpoint rm`.
///
/// # Errors
/// No such container or checkpoint.
pub fn rm(ctx: &Context, container: &str, name: &str, dir: Option<&Path>) -> Result<(), Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, container)?;
    tree::remove(&found(ctx, &container, name, dir)?)?;
    Ok(())
}

/// The folder of a checkpoint that is there.
fn found(ctx: &Context, container: &Container, name: &str, dir: Option<&Path>) -> Result<PathBuf, Error> {
    check_name("checkpoint name", name)?;
    let images = folder(ctx, container.id(), dir).join(name);
    if images.join(INVENTORY).exists() {
        return Ok(images);
    }
    let text = format!("checkpoint {name} does not exist for container {}", container.row.name);
    Err(Error::new(Kind::NotFound, text))
}

/// `start --checkpoint`.
///
/// # Errors
/// No such container or checkpoint, one that runs, or what keeps it from running on.
pub fn start(
    ctx: &Context,
    container: &str,
    (name, dir): (&str, Option<&Path>),
    attach: Option<&AttachOptions>,
) -> Result<(ContainerId, Option<Attached>), Error> {
    allowed()?;
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, container)?;
    let id = container.id();
    if container.alive() {
        let text = format!("cannot start container {} from a checkpoint: it is running", container.row.name);
        return Err(Error::new(Kind::State, text));
    }
    let images = found(ctx, &container, name, dir)?;
    let mut kept = checkpoints::read(&ctx.paths, id)?;
    // As after a `restart`: where they are free.
    let ips = |a: &crate::model::container::AttachmentState| {
        let v4 = a.ip.map(|(ip, _)| IpAddr::V4(ip));
        let v6 = a.ip6.map(|(ip, _)| IpAddr::V6(ip));
        let network = a.network.clone();
        v4.into_iter().chain(v6).map(move |ip| (network.clone(), ip))
    };
    let addresses: Vec<(String, IpAddr)> = kept.network.iter().flat_map(ips).collect();
    let restoring = Restoring {
        wish: RestoreWish {
            images,
            work: ctx.paths.userdata(id),
            path: ctx.config.search_path.clone(),
            as_start: true,
            ..RestoreWish::default()
        },
        network: kept.network.clone(),
        addresses: false,
        macs: true,
    };
    let how = How { attach, addresses: &addresses, restore: Some(&restoring), ..How::default() };
    let attached = start::spawn(ctx, &store, &container, how)?;
    kept.written = None;
    kept.restored = Some(jiff::Timestamp::now());
    checkpoints::write(&ctx.paths, id, &kept)?;
    Ok((id.clone(), attached))
}
