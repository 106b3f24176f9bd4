//! Where the cgroup hierarchies of this machine are: found by looking at the usual places, and where
//! those are not used by reading the mount table.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Error, Layout};
use crate::sys::cgroup as sys;
use crate::sys::mountinfo;

/// Controllers of v1 by the name of their directory; `systemd` is the named hierarchy.
const V1: &[&str] = &[
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
    "misc",
    "systemd",
];

const ROOT: &str = "/sys/fs/cgroup";

/// One mounted v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Controllers on it.
    pub(super) controllers: Vec<&'static str>,
    /// Where it is mounted.
    pub(super) mount: PathBuf,
}

/// All hierarchies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    /// v2, where mounted: the only one on a unified machine.
    pub(super) v2: Option<PathBuf>,
    /// v1.
    pub(super) v1: Vec<Hierarchy>,
}

impl Hierarchies {
    pub(super) fn layout(&self) -> Layout {
        match (self.v1.is_empty(), &self.v2) {
            (true, None) => Layout::None,
            (true, Some(_)) => Layout::Unified,
            (false, Some(_)) => Layout::Hybrid,
            (false, None) => Layout::Legacy,
        }
    }

    /// Looks at the machine.
    pub(super) fn detect() -> Result<Self, Error> {
        let root = Path::new(ROOT);
        if is_v2(root)? {
            return Ok(Self { v2: Some(root.to_owned()), v1: Vec::new() });
        }
        let found = usual_places(root)?;
        if found.layout() != Layout::None {
            return Ok(found);
        }
        let path = "/proc/self/mountinfo";
        let table = std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let found = from_mount_table(&String::from_utf8_lossy(&table));
        if found.layout() == Layout::None { Err(Error::NotMounted) } else { Ok(found) }
    }
}

/// `/sys/fs/cgroup/<controller>`: a mount of its own, or a link to the one it shares with others.
///
/// A hierarchy that cannot be looked at is an error: a container that joined all but that one would have less than
/// its limits, and what is left of it there nobody would remove.
fn usual_places(root: &Path) -> Result<Hierarchies, Error> {
    let mut out = Hierarchies::default();
    let Some(base) = device(root)? else { return Ok(out) };
    let unified = root.join("unified");
    if is_v2(&unified)? {
        out.v2 = Some(unified);
    }
    let mut devices: Vec<u64> = Vec::new();
    for name in V1 {
        let mount = root.join(name);
        let Some(dev) = device(&mount)? else { continue };
        if dev == base {
            continue;
        }
        match devices.iter().position(|d| *d == dev) {
            Some(i) => out.v1[i].controllers.push(name),
            None => {
                devices.push(dev);
                out.v1.push(Hierarchy { controllers: vec![name], mount });
            }
        }
    }
    Ok(out)
}

/// What is not there is no cgroup2.
fn is_v2(path: &Path) -> Result<bool, Error> {
    match sys::is_v2(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map_err(|source| Error::Read { path: path.to_owned(), source }),
    }
}

fn device(path: &Path) -> Result<Option<u64>, Error> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some(meta.dev())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// The same from /proc/self/mountinfo, for machines that mount them elsewhere.
fn from_mount_table(table: &str) -> Hierarchies {
    let mut out = Hierarchies::default();
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(mount) = left.split(' ').nth(4).map(mountinfo::unescape) else { continue };
        let mut words = right.split(' ');
        let (kind, options) = (words.next(), words.nth(1).unwrap_or_default());
        match kind {
            Some("cgroup2") if out.v2.is_none() => out.v2 = Some(mount),
            Some("cgroup") => {
                let has = |name: &str| {
                    options.split(',').any(|o| o == name || o.strip_prefix("name=") == Some(name))
                };
                let controllers: Vec<_> = V1.iter().copied().filter(|n| has(n)).collect();
                let known = out.v1.iter().any(|h| h.controllers == controllers);
                if !controllers.is_empty() && !known {
                    out.v1.push(Hierarchy { controllers, mount });
                }
            }
            _ => {}
        }
    }
    out
}

/// Makes a directory and those above it, down from the mount. Says whether the last one is new.
pub(super) fn make_below(
    mount: &Path,
    relative: &str,
    made_parent: &mut dyn FnMut(&Path) -> Result<(), Error>,
) -> Result<bool, Error> {
    let path = mount.join(relative);
    let failed = |path: &Path, source| Error::Make { path: path.to_owned(), source };
    match sys::make_dir(&path) {
        Ok(()) => return Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(&path, e)),
    }
    let mut parent = mount.to_owned();
    let parts: Vec<&str> = relative.split('/').filter(|p| !p.is_empty()).collect();
    for part in &parts[..parts.len().saturating_sub(1)] {
        parent.push(part);
        match sys::make_dir(&parent) {
            Ok(()) => made_parent(&parent)?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failed(&parent, e)),
        }
    }
    match sys::make_dir(&path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(failed(&path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_tables() {
        let hybrid = "25 30 0:23 / /cg/unified rw - cgroup2 cgroup2 rw\n\
            26 30 0:24 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            27 30 0:25 / /cg/my\\040mem rw shared:5 - cgroup cgroup rw,memory\n\
            28 30 0:26 / /cg/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            29 30 0:24 / /other/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
            40 30 0:33 / /proc rw - proc proc rw\n";
        let found = from_mount_table(hybrid);
        assert_eq!(found.layout(), Layout::Hybrid);
        assert_eq!(found.v1.len(), 3);
        assert_eq!(found.v1[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(found.v1[1].mount, Path::new("/cg/my mem"));
        assert_eq!(found.v1[2].controllers, ["systemd"]);
        assert_eq!(from_mount_table("1 1 0:1 / / rw - ext4 x rw\n").layout(), Layout::None);
    }

    #[test]
    fn this_machine() {
        let found = Hierarchies::detect().unwrap();
        assert_ne!(found.layout(), Layout::None);
    }
}
