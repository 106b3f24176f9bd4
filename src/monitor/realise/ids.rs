//! The user namespace of a container as far as files are concerned: which host ids its users have, and idmapped
//! mounts, through which its root file system and volumes keep the ids of the image on disk.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::facts;
use crate::model::container::ContainerSpec;
use crate::model::namespace::{IdMap, IdMaps, UserNsMode};
use crate::monitor::proto::{Failure, FailureKind};
use crate::storage::Paths;
use crate::storage::overlay::Shift;
use crate::sys::idmap::{self, Range};
use crate::sys::mount::{self, Attributes};
use crate::sys::{self, ns};

/// A user namespace and its maps.
#[derive(Debug)]
pub(in crate::monitor) struct Ids {
    userns: OwnedFd,
    maps: IdMaps,
}

impl Ids {
    /// The one that a container is to live in; none where it is the host's.
    pub(super) fn open(spec: &ContainerSpec, paths: &Paths) -> Result<Option<Self>, Failure> {
        let step = "preparing the user namespace";
        let failed = |e: sys::Error| Failure::internal(step, &e);
        let userns = match &spec.namespaces.user {
            UserNsMode::Host | UserNsMode::Other(_) => return Ok(None),
            UserNsMode::Mapped(maps) => {
                let userns = idmap::namespace(&ranges(&maps.uids), &ranges(&maps.gids)).map_err(failed)?;
                return Ok(Some(Self { userns, maps: maps.clone() }));
            }
            UserNsMode::Container(text) => {
                let id = text.parse().map_err(|e| Failure::of(FailureKind::Invalid, step, &e))?;
                ns::open_of(facts::running(&id, paths)?.pid, ns::Kind::User).map_err(failed)?
            }
            UserNsMode::Path(path) => ns::open_path(Path::new(path), ns::Kind::User)
                .map_err(|e| Failure::of(FailureKind::NotFound, format!("opening {path}"), &e))?,
        };
        // Of the host's own there is nothing to map.
        let Some((uids, gids)) = idmap::maps_of(&userns).map_err(failed)? else { return Ok(None) };
        Ok(Some(Self { userns, maps: IdMaps { uids: back(&uids), gids: back(&gids) } }))
    }

    /// A detached clone of the mount at a host path, its ids shifted.
    pub(super) fn clone_of(&self, path: &Path, recursive: bool) -> sys::error::Result<OwnedFd> {
        let tree = mount::open_tree_path(path, recursive)?;
        self.shift(&tree)?;
        Ok(tree)
    }

    /// Shifts the ids of a detached mount.
    pub(super) fn shift(&self, tree: &OwnedFd) -> sys::error::Result<()> {
        let change = Attributes { userns: Some(self.userns.as_fd()), ..Attributes::default() };
        mount::set_attributes(tree, &change, false)
    }

    /// For overlay mounts, which are made elsewhere.
    pub(super) fn as_shift(&self) -> Shift<'_> {
        let first = |id: Option<u32>, maps: &[IdMap]| id.or(maps.first().map(|m| m.outside)).unwrap_or(0);
        let owner = (first(self.maps.uid(0), &self.maps.uids), first(self.maps.gid(0), &self.maps.gids));
        Shift { userns: self.userns.as_fd(), owner }
    }
}

/// Host ids of a user of the container; one that is not mapped stays as it is, and so belongs to nobody there.
pub(in crate::monitor) fn on_host(ids: Option<&Ids>, uid: u32, gid: u32) -> (u32, u32) {
    match ids {
        None => (uid, gid),
        Some(ids) => (ids.maps.uid(uid).unwrap_or(uid), ids.maps.gid(gid).unwrap_or(gid)),
    }
}

fn ranges(maps: &[IdMap]) -> Vec<Range> {
    maps.iter().map(|m| Range { inside: m.inside, outside: m.outside, count: m.count }).collect()
}

fn back(ranges: &[Range]) -> Vec<IdMap> {
    ranges.iter().map(|r| IdMap { inside: r.inside, outside: r.outside, count: r.count }).collect()
}
