//! `diff`: what a container changed against its image, or an image against the one below.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Error, Kind};
use super::lookup;
use super::view::Container;
use crate::model::container::ContainerSpec;
use crate::storage::diff::{Change as StoredChange, ChangeKind, changes};

/// Sort of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Changed (`C`).
    Modified,
    /// Added (`A`).
    Added,
    /// Deleted (`D`).
    Deleted,
}

/// The changes of a container, sorted by path.
///
/// # Errors
/// No such container, or one that runs from a directory.
pub fn diff(ctx: &Context, name: &str) -> Result<Vec<(Change, String)>, Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    let spec = container.spec(&store)?;
    if spec.root.is_lent() {
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "container {} runs from a directory: there is no image to compare with",
                container.row.name
            ),
        ));
    }
    let upper = ctx.paths.upper(&spec.id);
    let upper = match std::fs::File::open(&upper) {
        Ok(upper) => upper,
        // Never started: nothing was written.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => {
            return Err(Error::with_source(Kind::Internal, format!("opening {}", upper.display()), e));
        }
    };
    let lowers = ctx.paths.lowers(&spec.root);
    let hidden = made_by_the_runtime(&spec);
    let mut all = changes(upper.as_fd(), &lowers)?;
    let idle = untouched(&all, &hidden);
    all.retain(|c| !idle.contains(&c.path));
    let shown = all.into_iter().filter(|c| !hidden.contains(&c.path));
    Ok(shown.map(|c| (kind(c.kind), c.path.to_string_lossy().into_owned())).collect())
}

/// Directories that only show because a mount point was made in them: they did not change either.
pub(super) fn untouched(all: &[StoredChange], hidden: &[PathBuf]) -> Vec<PathBuf> {
    let (made, seen): (Vec<&PathBuf>, Vec<&PathBuf>) =
        all.iter().map(|c| &c.path).partition(|path| hidden.contains(path));
    let idle = |c: &&StoredChange| {
        let below = |p: &&&PathBuf| **p != &c.path && p.starts_with(&c.path);
        c.kind == ChangeKind::Modified
            && c.alike
            && made.iter().any(|p| below(&p))
            && !seen.iter().filter(below).any(|p| !all.iter().any(|o| &o.path == *p && o.alike))
    };
    all.iter().filter(idle).map(|c| c.path.clone()).collect()
}

fn kind(kind: ChangeKind) -> Change {
    match kind {
        ChangeKind::Added => Change::Added,
        ChangeKind::Modified => Change::Modified,
        ChangeKind::Deleted => Change::Deleted,
    }
}

/// The changes of an image against another that it is built on; against what is below its last layer if none is named.
///
/// # Errors
/// No such image, or two of which none is built on the other.
pub fn image(ctx: &Context, name: &str, base: Option<&str>) -> Result<Vec<(Change, String)>, Error> {
    let store = ctx.store()?;
    let layers = lookup::image(ctx, &store, name)?.layers;
    let below = match base {
        None => layers.len().saturating_sub(1),
        Some(base) => {
            let base_layers = lookup::image(ctx, &store, base)?.layers;
            if !layers.starts_with(&base_layers) {
                let text = format!("{name} is not built on {base}: there is nothing to compare");
                return Err(Error::new(Kind::Unsupported, text));
            }
            base_layers.len()
        }
    };
    let mut all: BTreeMap<PathBuf, Change> = BTreeMap::new();
    for (n, layer) in layers.iter().enumerate().skip(below) {
        let path = ctx.paths.layer_diff(layer);
        let upper = std::fs::File::open(&path)
            .map_err(|e| Error::with_source(Kind::Internal, format!("opening {}", path.display()), e))?;
        let lowers: Vec<PathBuf> = layers[..n].iter().rev().map(|l| ctx.paths.layer_diff(l)).collect();
        for change in changes(upper.as_fd(), &lowers)? {
            // What an earlier one of these layers did is part of the whole change.
            let whole = match (all.get(&change.path), kind(change.kind)) {
                (Some(Change::Added), Change::Deleted) => None,
                (Some(Change::Added), _) => Some(Change::Added),
                (Some(Change::Deleted), Change::Added) => Some(Change::Modified),
                (_, new) => Some(new),
            };
            match whole {
                Some(whole) => drop(all.insert(change.path, whole)),
                None => drop(all.remove(&change.path)),
            }
        }
    }
    Ok(all.into_iter().map(|(path, change)| (change, path.to_string_lossy().into_owned())).collect())
}

/// Mount points that the runtime makes in the writable layer; docker and podman do not show them either.
pub(super) fn made_by_the_runtime(spec: &ContainerSpec) -> Vec<PathBuf> {
    let fixed = [
        "/dev",
        "/proc",
        "/sys",
        "/dev/console",
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
        "/etc/hosts",
        "/etc/hostname",
        "/etc/resolv.conf",
        "/etc/mtab",
        "/run/.containerenv",
        "/.dockerenv",
    ];
    let fixed = fixed.iter().map(PathBuf::from);
    let mounts = spec.mounts.iter().map(|m| Path::new(&m.target).to_owned());
    // A secret's file, and the usual folder of secrets, which is made for them.
    let secrets: Vec<PathBuf> =
        spec.secrets.iter().filter_map(|s| s.target.as_ref().map(PathBuf::from)).collect();
    let usual = Path::new("/run/secrets");
    let folder = secrets.iter().any(|s| s.starts_with(usual)).then(|| usual.to_owned());
    fixed.chain(mounts).chain(secrets).chain(folder).collect()
}
