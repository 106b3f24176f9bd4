//! `diff`: what a container changed against its image.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Error, Kind};
use super::view::Container;
use crate::model::container::ContainerSpec;
use crate::storage::diff::{ChangeKind, changes};

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
    if spec.root.directory.is_some() {
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
    let lowers: Vec<PathBuf> = spec.root.layers.iter().rev().map(|l| ctx.paths.layer_diff(l)).collect();
    let hidden = made_by_the_runtime(&spec);
    let mut all = changes(upper.as_fd(), &lowers)?;
    // A directory that only shows because a mount point was made in it did not change either.
    let made: Vec<PathBuf> = all.iter().map(|c| c.path.clone()).filter(|p| hidden.contains(p)).collect();
    let seen: Vec<PathBuf> = all.iter().map(|c| c.path.clone()).filter(|p| !hidden.contains(p)).collect();
    all.retain(|c| {
        let below = |p: &&PathBuf| **p != c.path && p.starts_with(&c.path);
        c.kind != ChangeKind::Modified || !made.iter().any(|p| below(&p)) || seen.iter().any(|p| below(&p))
    });
    Ok(all
        .into_iter()
        .filter(|c| !hidden.contains(&c.path))
        .map(|c| {
            let kind = match c.kind {
                ChangeKind::Added => Change::Added,
                ChangeKind::Modified => Change::Modified,
                ChangeKind::Deleted => Change::Deleted,
            };
            (kind, c.path.to_string_lossy().into_owned())
        })
        .collect())
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
