//! Starting a monitor.

use std::os::fd::OwnedFd;

use crate::model::container::{ContainerSpec, Running};
use crate::model::network::Network;

use super::super::proto::{Streams, TermSize};
use super::{Attached, ClientError};
use crate::storage::Paths;
use crate::storage::volatile::RunDir;

/// What is to be started. The container's row exists and says "running" already.
#[derive(Debug)]
pub struct SpawnRequest<'a> {
    /// Roots.
    pub paths: &'a Paths,
    /// The container's run directory with its lock, which the monitor takes over.
    pub run_dir: RunDir,
    /// The container.
    pub spec: &'a ContainerSpec,
    /// Definitions of all networks that `spec.network.attachments` names.
    pub networks: &'a [Network],
    /// Streams that the caller wants to relay; `None` is detached.
    pub attach: Option<Streams>,
    /// First size of the terminal, if the container has one and the caller too.
    pub size: Option<TermSize>,
    /// Starts by the restart policy so far; 0 for a start by a user.
    pub restarts: u32,
    /// Further lines of /etc/hosts (links): name, address.
    pub extra_hosts: &'a [(String, String)],
    /// stdin, stdout, stderr handed to the process itself (log driver `passthrough`).
    pub passthrough: Option<[OwnedFd; 3]>,
    /// Descriptors that become 3, 4, … in the container (`--preserve-fds`).
    pub preserved: Vec<OwnedFd>,
    /// `NOTIFY_SOCKET` of the caller.
    pub notify_socket: Option<String>,
}

/// A container that runs.
#[derive(Debug)]
pub struct Started {
    /// Its details.
    pub running: Running,
    /// The streams, if asked for.
    pub attached: Option<Attached>,
}

/// Starts the monitor and waits until the container's process runs.
///
/// # Errors
/// [`ClientError::Refused`] carries the failed step, the reasons and the exit code; nothing is left then.
pub fn spawn(request: SpawnRequest<'_>) -> Result<Started, ClientError> {
    let _ = request;
    todo!()
}
