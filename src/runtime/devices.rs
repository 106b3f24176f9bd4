//! Device nodes of a container: docker's default set, what `--device` and `--privileged` add (looked up
//! on the host), and the syntax of `--device-cgroup-rule`.
//!
//! Not here: making the nodes (`runtime::steps`), allowing them ([`super::cgroup`]), CDI.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::model::security::DeviceRequest;

/// A device could not be given to a container.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node cannot be examined.
    #[error("device {path} cannot be used")]
    Stat {
        /// Host path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The path is neither a device nor a directory with devices.
    #[error("{path} is not a device node")]
    NotDevice {
        /// Host path.
        path: PathBuf,
    },
    /// A directory without any device below it.
    #[error("{path:?}: not a device node, and there is none below it")]
    Empty {
        /// Host path.
        path: PathBuf,
    },
    /// A rule of the device cgroup does not follow the grammar.
    #[error("invalid device rule {rule:?}: {why}")]
    Rule {
        /// As typed.
        rule: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// Kind of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// Named pipe.
    Fifo,
}

/// A device node as it shall be in a container, with the access that the device cgroup allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Path in the container.
    pub path: String,
    /// Kind.
    pub kind: Kind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits of the node.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Allowed access, of `r`, `w`, `m`.
    pub access: String,
}

/// One rule of the device cgroup. `None` is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Allow, or deny.
    pub allow: bool,
    /// Kind; `None` is all devices.
    pub kind: Option<Kind>,
    /// Major number.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
    /// Access, of `r`, `w`, `m`.
    pub access: String,
}

/// The nodes that every container has: path, major, minor. Mode 0666, root's.
pub const DEFAULT_NODES: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// What docker allows every container in the device cgroup: any node may be made, the default nodes,
/// the console, ptmx and the pseudo terminals may be used. `None` is any number.
pub const DEFAULT_RULES: &[(Option<Kind>, Option<u32>, Option<u32>, &str)] = &[
    (Some(Kind::Char), None, None, "m"),
    (Some(Kind::Block), None, None, "m"),
    (Some(Kind::Char), Some(1), Some(3), "rwm"),
    (Some(Kind::Char), Some(1), Some(5), "rwm"),
    (Some(Kind::Char), Some(1), Some(7), "rwm"),
    (Some(Kind::Char), Some(1), Some(8), "rwm"),
    (Some(Kind::Char), Some(1), Some(9), "rwm"),
    (Some(Kind::Char), Some(5), Some(0), "rwm"),
    (Some(Kind::Char), Some(5), Some(1), "rwm"),
    (Some(Kind::Char), Some(5), Some(2), "rwm"),
    (Some(Kind::Char), Some(136), None, "rwm"),
];

/// Looks `--device` up on the host: one node, or every node below a directory.
///
/// # Errors
/// [`Error::Stat`], [`Error::NotDevice`], [`Error::Empty`].
pub fn lookup(request: &DeviceRequest) -> Result<Vec<Node>, Error> {
    let host = Path::new(&request.host);
    let meta = fs::metadata(host).map_err(|source| Error::Stat { path: host.to_owned(), source })?;
    if !meta.is_dir() {
        return node(&meta, &request.container, &request.permissions)
            .map(|n| vec![n])
            .ok_or_else(|| Error::NotDevice { path: host.to_owned() });
    }
    let mut found = Vec::new();
    walk(host, &mut |path, meta| {
        if let Ok(rest) = path.strip_prefix(host) {
            let inside = Path::new(&request.container).join(rest);
            found.extend(node(meta, &inside.to_string_lossy(), &request.permissions));
        }
    })?;
    if found.is_empty() {
        return Err(Error::Empty { path: host.to_owned() });
    }
    Ok(found)
}

/// All devices of the host, for a privileged container: everything in /dev but what a container has
/// for itself (pts, shm, mqueue, console, ptmx) and what is a symbolic link.
///
/// # Errors
/// [`Error::Stat`] if /dev cannot be read.
pub fn host_devices() -> Result<Vec<Node>, Error> {
    let mut found = Vec::new();
    walk(Path::new("/dev"), &mut |path, meta| {
        found.extend(node(meta, &path.to_string_lossy(), "rwm"));
    })?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Numbers of a block device, for the limits of block I/O.
///
/// # Errors
/// [`Error::Stat`], [`Error::NotDevice`].
pub fn block_numbers(path: &str) -> Result<(u32, u32), Error> {
    let meta = fs::metadata(path).map_err(|source| Error::Stat { path: path.into(), source })?;
    if !meta.file_type().is_block_device() {
        return Err(Error::NotDevice { path: path.into() });
    }
    Ok(numbers(meta.rdev()))
}

/// Parses `--device-cgroup-rule`: `c 1:3 rwm`, `b *:* r`, `a *:* rwm`.
///
/// # Errors
/// [`Error::Rule`].
pub fn parse_rule(text: &str) -> Result<Rule, Error> {
    let bad = |why| Error::Rule { rule: text.to_owned(), why };
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(numbers), Some(access), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("want type, major:minor and access, as in `c 1:3 rwm`"));
    };
    let kind = match kind {
        "a" => None,
        "b" => Some(Kind::Block),
        "c" => Some(Kind::Char),
        _ => return Err(bad("the type is one of a, b, c")),
    };
    let (major, minor) = numbers.split_once(':').unwrap_or((numbers, "*"));
    let number = |s: &str| match s {
        "*" => Ok(None),
        s => s.parse().map(Some).map_err(|_| bad("major and minor are numbers or *")),
    };
    let (major, minor) = (number(major)?, number(minor)?);
    if !valid_access(access) {
        return Err(bad("the access is made of r, w, m, each once"));
    }
    Ok(Rule { allow: true, kind, major, minor, access: access.to_owned() })
}

/// Whether a text is made of `r`, `w`, `m`, each at most once, at least one.
#[must_use]
pub fn valid_access(access: &str) -> bool {
    !access.is_empty()
        && access.bytes().all(|b| b"rwm".contains(&b))
        && b"rwm".iter().all(|l| access.bytes().filter(|b| b == l).count() <= 1)
}

/// Names directly below /dev that a container has its own of.
const OWN: &[&str] = &["pts", "shm", "mqueue", "console", "ptmx", "fd", ".lxc", ".lxd-mounts", ".udev"];

/// Calls `visit` for each node below a directory, without following symbolic links.
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) -> Result<(), Error> {
    let failed = |source| Error::Stat { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if dir == Path::new("/dev") && OWN.iter().any(|own| name == *own) {
            continue;
        }
        // A node that vanishes meanwhile (hot unplug) is not there for the container either.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            walk(&entry.path(), visit)?;
        } else {
            visit(&entry.path(), &meta);
        }
    }
    Ok(())
}

fn node(meta: &fs::Metadata, inside: &str, access: &str) -> Option<Node> {
    let kind = if meta.file_type().is_char_device() {
        Kind::Char
    } else if meta.file_type().is_block_device() {
        Kind::Block
    } else {
        return None;
    };
    let (major, minor) = numbers(meta.rdev());
    Some(Node {
        path: inside.to_owned(),
        kind,
        major,
        minor,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        access: access.to_owned(),
    })
}

fn numbers(rdev: u64) -> (u32, u32) {
    (rustix::fs::major(rdev), rustix::fs::minor(rdev))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let r = parse_rule("c 1:3 rw").unwrap();
        assert_eq!((r.kind, r.major, r.minor, &*r.access), (Some(Kind::Char), Some(1), Some(3), "rw"));
        assert_eq!(parse_rule("a *:* rwm").unwrap().kind, None);
        assert_eq!(parse_rule("b 8:* m").unwrap().minor, None);
        assert_eq!(parse_rule("b 8 m").unwrap().minor, None);
        for bad in ["", "c", "c 1:3", "x 1:3 r", "c one r", "c 1:x r", "c 1:3 rr", "c 1:3 rx", "c 1:3 r w"] {
            assert!(parse_rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn null_is_found() {
        let ask =
            |p: &str| DeviceRequest { host: p.into(), container: "/dev/x".into(), permissions: "r".into() };
        let found = lookup(&ask("/dev/null")).unwrap();
        assert_eq!((found[0].major, found[0].minor, found[0].kind), (1, 3, Kind::Char));
        assert_eq!((&*found[0].path, &*found[0].access), ("/dev/x", "r"));
        assert!(matches!(lookup(&ask("/etc/passwd")), Err(Error::NotDevice { .. })));
        assert!(matches!(lookup(&ask("/dev/absent")), Err(Error::Stat { .. })));
        assert!(matches!(lookup(&ask("/etc")), Err(Error::Empty { .. })));
        assert!(host_devices().unwrap().iter().any(|n| n.path == "/dev/null"));
        assert!(!host_devices().unwrap().iter().any(|n| n.path.starts_with("/dev/pts/")));
    }
}
