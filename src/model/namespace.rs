//! Namespace modes: `--pid`, `--ipc`, `--uts`, `--cgroupns`, `--userns`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ParseError;

/// One namespace mode as typed or resolved. In a [`super::container::ContainerSpec`] the text of
/// `Container` is the full id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NsMode {
    /// A namespace of its own.
    Private,
    /// The host's.
    Host,
    /// That of another container.
    Container(String),
    /// The namespace at a path (`ns:PATH`).
    Path(String),
    /// `--ipc shareable`: private, but others may join.
    Shareable,
    /// `--ipc none`: private, without /dev/shm.
    None,
}

/// `--userns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserNsMode {
    /// No user namespace of its own (rootful default).
    Host,
    /// A given mapping: `--uidmap`, `--gidmap`.
    Mapped(IdMaps),
    /// `auto[:…]`, `keep-id[:…]`, `nomap`, `private`: as typed; a mapping by the time that the container is made.
    Other(String),
    /// That of another container.
    Container(String),
    /// The namespace at a path.
    Path(String),
}

/// uid and gid mappings of a user namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdMaps {
    /// uid ranges.
    pub uids: Vec<IdMap>,
    /// gid ranges.
    pub gids: Vec<IdMap>,
}

/// One range of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// Number of ids.
    pub count: u32,
}

impl IdMaps {
    /// What a user id inside is outside; `None` where it is not mapped.
    #[must_use]
    pub fn uid(&self, inside: u32) -> Option<u32> {
        outside(&self.uids, inside)
    }

    /// What a group id inside is outside.
    #[must_use]
    pub fn gid(&self, inside: u32) -> Option<u32> {
        outside(&self.gids, inside)
    }
}

impl IdMaps {
    /// What ids outside are inside; those that nothing is mapped to stay as they are.
    #[must_use]
    pub fn inside(&self, uid: u32, gid: u32) -> (u32, u32) {
        let back = |ranges: &[IdMap], id: u32| {
            let range = ranges.iter().find(|r| r.outside <= id && id - r.outside < r.count);
            range.map_or(id, |r| r.inside + (id - r.outside))
        };
        (back(&self.uids, uid), back(&self.gids, gid))
    }
}

fn outside(ranges: &[IdMap], id: u32) -> Option<u32> {
    let range = ranges.iter().find(|r| r.inside <= id && id - r.inside < r.count)?;
    range.outside.checked_add(id - range.inside)
}

/// One `--uidmap` or `--gidmap` with the flags before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMapRequest {
    /// The range.
    pub map: IdMap,
    /// It is for user ids; of both where neither flag was given.
    pub uids: bool,
    /// It is for group ids.
    pub gids: bool,
}

impl FromStr for IdMapRequest {
    type Err = ParseError;

    /// `[u][g]INSIDE:[@]OUTSIDE[:COUNT]`, podman's. For root an outside id is one of the host with or without `@`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: &str| ParseError::new("id mapping", text, why);
        let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        let (flags, rest) = text.split_at(digits);
        if flags.contains('+') {
            return Err(bad("adding to the default mapping (+) is for rootless containers; give all ranges"));
        }
        if flags.chars().any(|c| c != 'u' && c != 'g') {
            return Err(bad("want [u][g]INSIDE:OUTSIDE[:COUNT]"));
        }
        let neither = flags.is_empty();
        let map = rest.replacen(":@", ":", 1).parse::<IdMap>().map_err(|e| bad(&e.why))?;
        Ok(Self { map, uids: neither || flags.contains('u'), gids: neither || flags.contains('g') })
    }
}

/// What the caller said about namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceOptions {
    /// `--pid`.
    pub pid: Option<NsMode>,
    /// `--ipc`.
    pub ipc: Option<NsMode>,
    /// `--uts`.
    pub uts: Option<NsMode>,
    /// `--cgroupns`.
    pub cgroup: Option<NsMode>,
    /// `--userns`, `--uidmap`, `--gidmap`.
    pub user: Option<UserNsMode>,
    /// `--subuidname`: whose ranges of /etc/subuid are mapped.
    pub subuid_name: Option<String>,
    /// `--subgidname`: the same of /etc/subgid.
    pub subgid_name: Option<String>,
}

/// Namespaces as they will be (network is in [`super::network::NetworkSpec`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceSpec {
    /// Process ids.
    pub pid: NsMode,
    /// SysV IPC and message queues, with /dev/shm.
    pub ipc: NsMode,
    /// Host name.
    pub uts: NsMode,
    /// cgroup view.
    pub cgroup: NsMode,
    /// User ids.
    pub user: UserNsMode,
}

/// Which namespace a mode is for; not every mode makes sense for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NsKind {
    /// `--pid`.
    Pid,
    /// `--ipc`.
    Ipc,
    /// `--uts`.
    Uts,
    /// `--cgroupns`.
    Cgroup,
}

impl NsKind {
    fn what(self) -> &'static str {
        match self {
            Self::Pid => "PID mode",
            Self::Ipc => "IPC mode",
            Self::Uts => "UTS mode",
            Self::Cgroup => "cgroup namespace mode",
        }
    }
}

impl NsMode {
    /// `private`, `host`, `container:NAME`, `ns:PATH`; for `--ipc` also `shareable` and `none`. An empty text is
    /// not said.
    ///
    /// # Errors
    /// A mode that does not exist for that namespace.
    pub fn parse(kind: NsKind, text: &str) -> Result<Option<Self>, ParseError> {
        let bad = |why: &str| Err(ParseError::new(kind.what(), text, why));
        let mode = match text {
            "" => return Ok(None),
            "private" => Self::Private,
            "host" => Self::Host,
            "shareable" if kind == NsKind::Ipc => Self::Shareable,
            "none" if kind == NsKind::Ipc => Self::None,
            _ => match text.split_once(':') {
                Some(("container" | "ns", "")) => return bad("a name or path is missing after the colon"),
                Some(("container", name)) => Self::Container(name.to_owned()),
                Some(("ns", path)) => Self::Path(path.to_owned()),
                _ if kind == NsKind::Ipc => {
                    return bad("want private, shareable, none, host, container:NAME or ns:PATH");
                }
                _ => return bad("want private, host, container:NAME or ns:PATH"),
            },
        };
        Ok(Some(mode))
    }
}

impl fmt::Display for NsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => f.write_str("private"),
            Self::Host => f.write_str("host"),
            Self::Container(name) => write!(f, "container:{name}"),
            Self::Path(path) => write!(f, "ns:{path}"),
            Self::Shareable => f.write_str("shareable"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for UserNsMode {
    type Err = ParseError;

    /// `host`, `container:NAME`, `ns:PATH`; `auto`, `keep-id`, `nomap` and `private` are kept as typed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (head, tail) = text.split_once(':').unwrap_or((text, ""));
        match (head, tail) {
            ("host" | "", "") => Ok(Self::Host),
            ("container", name) if !name.is_empty() => Ok(Self::Container(name.to_owned())),
            ("ns", path) if !path.is_empty() => Ok(Self::Path(path.to_owned())),
            ("auto" | "keep-id", _) | ("nomap" | "private", "") => Ok(Self::Other(text.to_owned())),
            _ => Err(ParseError::new(
                "USER mode",
                text,
                "want host, auto, keep-id, nomap, container:NAME or ns:PATH",
            )),
        }
    }
}

impl FromStr for IdMap {
    type Err = ParseError;

    /// `INSIDE:OUTSIDE[:COUNT]`, count 1 by default.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseError::new("id mapping", text, "want INSIDE:OUTSIDE[:COUNT], all of them numbers");
        let parts: Vec<u32> =
            text.split(':').map(|p| p.parse().map_err(|_| bad())).collect::<Result<_, _>>()?;
        let map = match parts[..] {
            [inside, outside] => Self { inside, outside, count: 1 },
            [inside, outside, count] => Self { inside, outside, count },
            _ => return Err(bad()),
        };
        let fits = |start: u32| start.checked_add(map.count).is_some();
        if map.count == 0 || !fits(map.inside) || !fits(map.outside) {
            return Err(ParseError::new("id mapping", text, "the range is empty or too long"));
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(NsMode::parse(NsKind::Pid, "host"), Ok(Some(NsMode::Host)));
        assert_eq!(NsMode::parse(NsKind::Pid, ""), Ok(None));
        assert_eq!(NsMode::parse(NsKind::Uts, "container:c1"), Ok(Some(NsMode::Container("c1".to_owned()))));
        assert_eq!(NsMode::parse(NsKind::Ipc, "shareable"), Ok(Some(NsMode::Shareable)));
        assert!(NsMode::parse(NsKind::Pid, "shareable").is_err());
        assert!(NsMode::parse(NsKind::Pid, "container:").is_err());
        assert!(NsMode::parse(NsKind::Cgroup, "foo").is_err());
        assert_eq!("keep-id:uid=5".parse(), Ok(UserNsMode::Other("keep-id:uid=5".to_owned())));
        assert!("foo".parse::<UserNsMode>().is_err());
    }

    #[test]
    fn id_maps() {
        let request = |text: &str| text.parse::<IdMapRequest>().map(|r| (r.map.outside, r.uids, r.gids));
        assert_eq!(request("u0:@5:2"), Ok((5, true, false)));
        assert_eq!(request("0:5:2"), Ok((5, true, true)));
        assert!(request("+0:5:2").is_err() && request("x0:5").is_err());
        let maps = IdMaps { uids: vec![IdMap { inside: 10, outside: 1000, count: 5 }], gids: Vec::new() };
        assert_eq!((maps.uid(14), maps.uid(15), maps.gid(0)), (Some(1004), None, None));
        assert_eq!("0:1000:10".parse(), Ok(IdMap { inside: 0, outside: 1000, count: 10 }));
        for text in ["", "0", "0:1:0", "a:b:c", "0:1:2:3", "4294967295:0:5"] {
            assert!(text.parse::<IdMap>().is_err(), "{text}");
        }
    }
}
