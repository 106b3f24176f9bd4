//! Namespace modes: `--pid`, `--ipc`, `--uts`, `--cgroupns`, `--userns`.

use serde::{Deserialize, Serialize};

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
    /// `auto[:…]`, `keep-id[:…]`, `nomap`: as typed, refused until they are supported.
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
