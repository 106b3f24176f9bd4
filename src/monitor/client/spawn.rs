//! Starting a monitor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::main::{ARGUMENT, NETWORK};
use super::super::proto::{Announce, Handoff, Reply, RestoreWish, Streams, TermSize, VERSION};
use super::super::wire;
use super::{Attached, ClientError};
use crate::model::container::{ContainerSpec, Running};
use crate::model::id::ContainerId;
use crate::model::network::Network;
use crate::model::volume::Volume;
use crate::storage::Paths;
use crate::storage::volatile::RunDir;
use crate::sys::process::Child;
use crate::sys::process::{SpawnArgs, Strings};
use crate::sys::{fd, process, self_exe, socket};

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
    /// Definitions of those volumes among the mounts that have driver options; others are plain directories.
    pub volumes: &'a [Volume],
    /// Streams that the caller wants to relay; `None` is detached.
    pub attach: Option<Streams>,
    /// First size of the terminal, if the container has one and the caller too.
    pub size: Option<TermSize>,
    /// Starts by the restart policy so far; 0 for a start by a user.
    pub restarts: u32,
    /// Further lines of /etc/hosts (links): name, address.
    pub extra_hosts: &'a [(String, String)],
    /// Addresses that it had before a `restart`, by network.
    pub addresses: &'a [(String, std::net::IpAddr)],
    /// stdin, stdout, stderr handed to the process itself (log driver `passthrough`).
    pub passthrough: Option<[OwnedFd; 3]>,
    /// Descriptors that become 3, 4, … in the container (`--preserve-fds`).
    pub preserved: Vec<OwnedFd>,
    /// `NOTIFY_SOCKET` of the caller.
    pub notify_socket: Option<String>,
    /// Make all and wait before the command is executed, until [`super::begin`].
    pub wait: bool,
    /// Make it of a checkpoint.
    pub restore: Option<RestoreWish>,
    /// The caller deletes the record at the end, when the relay says [`super::Ended::Ending`].
    pub recorder: bool,
    /// A monitor that was started ahead; `None` starts one now.
    pub ahead: Option<Ahead>,
}

/// A monitor that runs already and waits for its container: loading the program goes on while the caller still looks
/// things up. One that gets no container ends by itself.
#[derive(Debug)]
pub struct Ahead {
    socket: OwnedFd,
    process: Child,
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
    let id = request.spec.id.clone();
    let mut request = request;
    let ahead = match request.ahead.take() {
        Some(ahead) => ahead,
        None => Ahead::start(request.paths, &id, false)?,
    };
    let ours = ahead.hand_over(&request)?;
    let lost = || ClientError::lost(request.paths, &id);
    let reply: Reply = match wire::receive(&ours).and_then(|packet| packet.document()) {
        Ok(reply) => reply,
        Err(wire::WireError::Document(e)) => {
            return Err(ClientError::Unexpected { id, got: e.to_string() });
        }
        Err(_) => return Err(lost()),
    };
    // From here on the monitor holds the lock; our copy of it goes with the request.
    match reply {
        Reply::Ready(running) => Ok(Started {
            running: *running,
            attached: request.attach.map(|_| Attached {
                socket: ours,
                paths: request.paths.clone(),
                id,
                exec: None,
                tty: request.spec.process.tty,
            }),
        }),
        Reply::Failed(failure) => Err(ClientError::Refused(failure)),
        other => Err(ClientError::Unexpected { id, got: format!("{other:?}") }),
    }
}

impl Ahead {
    /// Starts a monitor for the container that is going to have this id; with `network` it makes a network namespace
    /// meanwhile, which is dropped again where the container needs none.
    ///
    /// # Errors
    /// Our own program cannot be executed.
    pub fn start(paths: &Paths, id: &ContainerId, network: bool) -> Result<Self, ClientError> {
        let (socket, theirs) = socket::pair(socket::Kind::SeqPacket).map_err(failed("socket pair"))?;
        let announce = Announce { paths: paths.clone(), id: id.clone() };
        wire::send_document(&socket, &announce, &[]).map_err(|e| ClientError::Spawn {
            what: "announcing the container",
            source: std::io::Error::other(e),
        })?;
        let program = self_exe::open().map_err(failed("opening our own program"))?;
        let argv =
            Strings::new(["rcon", ARGUMENT, id.as_str()].into_iter().chain(network.then_some(NETWORK)))
                .map_err(failed("arguments"))?;
        let env = Strings::new([""; 0]).map_err(failed("environment"))?;
        let null = fd::open_null(true).map_err(failed("opening /dev/null"))?;
        let process = process::spawn(&SpawnArgs {
            program: program.as_fd(),
            argv: &argv,
            env: &env,
            fds: &[null.as_fd(), null.as_fd(), null.as_fd(), theirs.as_fd()],
            new_session: true,
            cgroup: None,
        })
        .map_err(failed("executing our own program"))?;
        Ok(Self { socket, process })
    }

    /// Gives it its container; returns the connection, on which the answer comes.
    fn hand_over(self, request: &SpawnRequest<'_>) -> Result<OwnedFd, ClientError> {
        let handoff = Handoff {
            version: VERSION,
            paths: request.paths.clone(),
            spec: request.spec.clone(),
            networks: request.networks.to_vec(),
            volumes: request.volumes.to_vec(),
            attach: request.attach,
            size: request.size,
            restarts: request.restarts,
            extra_hosts: request.extra_hosts.to_vec(),
            addresses: request.addresses.to_vec(),
            passthrough: request.passthrough.is_some(),
            preserved: u32::try_from(request.preserved.len()).unwrap_or(u32::MAX),
            notify_socket: request.notify_socket.clone(),
            recorder: request.recorder,
            wait: request.wait,
            restore: request.restore.clone(),
        };
        let mut fds: Vec<BorrowedFd<'_>> = vec![request.run_dir.lock()];
        fds.extend(request.passthrough.iter().flatten().map(AsFd::as_fd));
        fds.extend(request.preserved.iter().map(AsFd::as_fd));
        wire::send_document(&self.socket, &handoff, &fds).map_err(|e| ClientError::Spawn {
            what: "handing the container over",
            source: std::io::Error::other(e),
        })?;
        Ok(self.socket)
    }

    /// Ends a monitor that is not needed after all, so that none is left when we end.
    pub fn dismiss(self) {
        drop(self.socket);
        // It reads the end of its channel and goes.
        let _gone = self.process.pidfd.wait();
    }
}

fn failed(what: &'static str) -> impl Fn(crate::sys::Error) -> ClientError {
    move |source| ClientError::Spawn { what, source: source.into() }
}
