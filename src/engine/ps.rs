//! `ps`: the listing of containers, true at the moment it is made.

use std::net::IpAddr;

use super::context::Context;
use super::error::Error;
use crate::model::id::ContainerId;
use crate::model::network::{ExposedPort, PortMapping};

/// Which containers, and what about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// `-a`: not only running ones.
    pub all: bool,
    /// `--filter` as typed.
    pub filters: Vec<String>,
    /// `-n`: the last N created, whatever state.
    pub last: Option<usize>,
    /// `--latest`.
    pub latest: bool,
    /// `-s`: compute sizes.
    pub size: bool,
    /// `--namespace`: read the namespace inodes.
    pub namespaces: bool,
}

/// One container of a listing, with all that docker's and podman's formats can show.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerListing {
    /// Id.
    pub id: ContainerId,
    /// Name.
    pub name: String,
    /// Image as typed at create.
    pub image: String,
    /// Image id, `sha256:…`; empty with `--rootfs`.
    pub image_id: String,
    /// argv.
    pub command: Vec<String>,
    /// When it was created.
    pub created: jiff::Timestamp,
    /// When it last started.
    pub started: Option<jiff::Timestamp>,
    /// When it ended.
    pub exited_at: Option<jiff::Timestamp>,
    /// Exit code; 0 while it has none.
    pub exit_code: i32,
    /// `created`, `running`, `paused`, `restarting`, `exited`, `removing`, `dead`.
    pub state: &'static str,
    /// "Up 3 minutes (healthy)", "Exited (0) 5 seconds ago", …
    pub status: String,
    /// `starting`, `healthy`, `unhealthy`; `None` without a check.
    pub health: Option<String>,
    /// Published ports in force (or wished, while it does not run).
    pub ports: Vec<PortMapping>,
    /// Exposed ports.
    pub exposed: Vec<ExposedPort>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Mounts.
    pub mounts: Vec<ListedMount>,
    /// Networks with the address in force.
    pub networks: Vec<(String, Option<IpAddr>)>,
    /// Pid of init; 0 if it does not run.
    pub pid: i32,
    /// Restarts by the policy.
    pub restarts: u32,
    /// `--rm`.
    pub auto_remove: bool,
    /// Platform, `linux/amd64`.
    pub platform: String,
    /// Sizes, if asked for.
    pub size: Option<ListedSize>,
    /// Namespace inodes by name (`cgroup`, `ipc`, `mnt`, `net`, `pid`, `user`, `uts`), if asked for.
    pub namespaces: Vec<(&'static str, String)>,
}

/// A mount as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMount {
    /// Volume name or host path.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// It is a volume (docker's LocalVolumes counts these).
    pub volume: bool,
}

/// Sizes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedSize {
    /// Bytes in the writable layer.
    pub rw: u64,
    /// Bytes of image and writable layer.
    pub root_fs: u64,
}

/// Lists containers, newest first.
///
/// # Errors
/// An unknown filter, or a store that cannot be read.
pub fn ps(_ctx: &Context, _options: &ListOptions) -> Result<Vec<ContainerListing>, Error> {
    todo!()
}
