//! One request, one answer.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::super::proto::{
    BeginWish, CheckpointWish, ConnectWish, ExecInfo, Hello, Reply, Request, StopWish, Streams, TermSize,
    UpdateWish, VERSION, WaitFor,
};
use super::super::wire::{self, WireError};
use super::{Attached, ClientError};
use crate::model::container::{Exited, Health, HealthResult, Phase, Running};
use crate::model::id::ContainerId;
use crate::storage::Paths;
use crate::storage::volatile::monitor_alive;
use crate::sys::socket;

/// Attaches to the main process.
///
/// # Errors
/// It does not run, or the streams cannot be had.
pub fn attach(paths: &Paths, id: &ContainerId, streams: Streams) -> Result<Attached, ClientError> {
    let connection = open(paths, id, Request::Attach(streams), &[])?;
    match answer(paths, id, &connection)? {
        Reply::Attached { tty } => {
            Ok(Attached { socket: connection, paths: paths.clone(), id: id.clone(), exec: None, tty })
        }
        other => Err(unexpected(id, &other)),
    }
}

/// Starts a container that was initialized.
///
/// # Errors
/// As [`super::spawn`].
pub fn begin(
    paths: &Paths,
    id: &ContainerId,
    wish: BeginWish,
    tty: bool,
) -> Result<(Running, Option<Attached>), ClientError> {
    let connection = open(paths, id, Request::Begin(wish), &[])?;
    match answer(paths, id, &connection)? {
        Reply::Ready(running) => {
            let attached = wish.attach.map(|_| Attached {
                socket: connection,
                paths: paths.clone(),
                id: id.clone(),
                exec: None,
                tty,
            });
            Ok((*running, attached))
        }
        Reply::Failed(failure) => Err(ClientError::Refused(failure)),
        other => Err(unexpected(id, &other)),
    }
}

/// Sets the terminal size of the main process, or of an exec.
///
/// # Errors
/// It does not run or has no terminal.
pub fn resize(
    paths: &Paths,
    id: &ContainerId,
    exec: Option<&str>,
    size: TermSize,
) -> Result<(), ClientError> {
    done(paths, id, Request::Resize { exec: exec.map(str::to_owned), size })
}

/// Stops the container: signal, timeout, SIGKILL. Returns when it has ended and its end is recorded.
///
/// # Errors
/// It does not run, or the monitor was lost meanwhile.
pub fn stop(paths: &Paths, id: &ContainerId, wish: StopWish) -> Result<Exited, ClientError> {
    match ask(paths, id, Request::Stop(wish))? {
        Reply::Exited(exited) => Ok(exited),
        other => Err(unexpected(id, &other)),
    }
}

/// Sends a signal to the main process (`all`: to every process).
///
/// # Errors
/// It does not run.
pub fn kill(paths: &Paths, id: &ContainerId, signal: i32, all: bool) -> Result<(), ClientError> {
    done(paths, id, Request::Kill { signal, all, exec: None })
}

/// Sends a signal to an exec's process.
///
/// # Errors
/// The container does not run, or there is no such exec.
pub fn kill_exec(paths: &Paths, id: &ContainerId, exec: &str, signal: i32) -> Result<(), ClientError> {
    done(paths, id, Request::Kill { signal, all: false, exec: Some(exec.to_owned()) })
}

/// Freezes all processes.
///
/// # Errors
/// It does not run or is paused already.
pub fn pause(paths: &Paths, id: &ContainerId) -> Result<(), ClientError> {
    done(paths, id, Request::Pause)
}

/// Thaws.
///
/// # Errors
/// It does not run or is not paused.
pub fn unpause(paths: &Paths, id: &ContainerId) -> Result<(), ClientError> {
    done(paths, id, Request::Unpause)
}

/// Writes a checkpoint. Where the container does not run on, its end is recorded when this returns.
///
/// # Errors
/// It does not run, or cannot be checkpointed: it runs on then.
pub fn checkpoint(paths: &Paths, id: &ContainerId, wish: CheckpointWish) -> Result<(), ClientError> {
    match ask(paths, id, Request::Checkpoint(Box::new(wish)))? {
        Reply::Done | Reply::Exited(_) => Ok(()),
        other => Err(unexpected(id, &other)),
    }
}

/// Waits for a condition. Health conditions return an [`Exited`] of code 0 when they hold; `None` where the
/// monitor ended without an answer (it was killed): the caller reconciles and reads the record.
///
/// # Errors
/// It does not run.
pub fn wait(paths: &Paths, id: &ContainerId, until: WaitFor) -> Result<Option<Exited>, ClientError> {
    match ask(paths, id, Request::Wait(until)) {
        Ok(Reply::Exited(exited)) => Ok(Some(exited)),
        Ok(other) => Err(unexpected(id, &other)),
        Err(ClientError::Lost { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Changes limits or the restart policy of the running container.
///
/// # Errors
/// The kernel refuses a limit; nothing is changed then.
pub fn update(paths: &Paths, id: &ContainerId, wish: UpdateWish) -> Result<(), ClientError> {
    done(paths, id, Request::Update(Box::new(wish)))
}

/// The phase as the monitor knows it now.
///
/// # Errors
/// It does not run.
pub fn status(paths: &Paths, id: &ContainerId) -> Result<Phase, ClientError> {
    match ask(paths, id, Request::Status)? {
        Reply::Status(phase) => Ok(*phase),
        other => Err(unexpected(id, &other)),
    }
}

/// All exec sessions.
///
/// # Errors
/// It does not run.
pub fn execs(paths: &Paths, id: &ContainerId) -> Result<Vec<ExecInfo>, ClientError> {
    match ask(paths, id, Request::Execs)? {
        Reply::Execs(all) => Ok(all),
        other => Err(unexpected(id, &other)),
    }
}

/// One exec session.
///
/// # Errors
/// It does not run, or there is no such session.
pub fn exec_inspect(paths: &Paths, id: &ContainerId, exec: &str) -> Result<ExecInfo, ClientError> {
    match ask(paths, id, Request::ExecInspect(exec.to_owned()))? {
        Reply::Execs(mut all) if all.len() == 1 => Ok(all.remove(0)),
        other => Err(unexpected(id, &other)),
    }
}

/// Runs the health check now.
///
/// # Errors
/// It does not run or has no health check.
pub fn health_run(paths: &Paths, id: &ContainerId) -> Result<(HealthResult, Health), ClientError> {
    match ask(paths, id, Request::HealthRun)? {
        Reply::Health { result, health } => Ok((result, health)),
        other => Err(unexpected(id, &other)),
    }
}

/// Tells that the definition of one of its networks has changed.
///
/// # Errors
/// It does not run.
pub fn network_changed(paths: &Paths, id: &ContainerId) -> Result<(), ClientError> {
    done(paths, id, Request::NetworkChanged)
}

/// Tells the monitor that the container has a new name.
///
/// # Errors
/// It does not run.
pub fn renamed(paths: &Paths, id: &ContainerId, name: &str) -> Result<(), ClientError> {
    done(paths, id, Request::Renamed(name.to_owned()))
}

/// Attaches the running container to a further network.
///
/// # Errors
/// It does not run, or the address is taken, or the kernel refuses.
pub fn connect(paths: &Paths, id: &ContainerId, wish: ConnectWish) -> Result<(), ClientError> {
    done(paths, id, Request::Connect(Box::new(wish)))
}

/// Detaches the running container from a network.
///
/// # Errors
/// It does not run, or is not attached to it.
pub fn disconnect(paths: &Paths, id: &ContainerId, network: &str) -> Result<(), ClientError> {
    done(paths, id, Request::Disconnect(network.to_owned()))
}

/// A container that was told to end for its removal.
#[derive(Debug)]
pub struct Removal {
    paths: Paths,
    id: ContainerId,
    connection: OwnedFd,
}

/// Kills the container for removal: no restart. Does not wait, so that many end side by side; the caller removes the
/// record when [`Removal::wait`] has returned.
///
/// # Errors
/// It does not run.
pub fn remove(paths: &Paths, id: &ContainerId) -> Result<Removal, ClientError> {
    let connection = open(paths, id, Request::Remove, &[])?;
    Ok(Removal { paths: paths.clone(), id: id.clone(), connection })
}

impl Removal {
    /// Returns when all is torn down.
    ///
    /// # Errors
    /// The monitor is lost, or refuses.
    pub fn wait(self) -> Result<(), ClientError> {
        match answer(&self.paths, &self.id, &self.connection)? {
            Reply::Exited(_) | Reply::Done => Ok(()),
            other => Err(unexpected(&self.id, &other)),
        }
    }
}

fn done(paths: &Paths, id: &ContainerId, request: Request) -> Result<(), ClientError> {
    match ask(paths, id, request)? {
        Reply::Done => Ok(()),
        other => Err(unexpected(id, &other)),
    }
}

fn ask(paths: &Paths, id: &ContainerId, request: Request) -> Result<Reply, ClientError> {
    let connection = open(paths, id, request, &[])?;
    answer(paths, id, &connection)
}

/// Connects and sends the request.
pub(super) fn open(
    paths: &Paths,
    id: &ContainerId,
    request: Request,
    fds: &[BorrowedFd<'_>],
) -> Result<OwnedFd, ClientError> {
    let path = paths.control_socket(id);
    let connection = socket::connect(&path, socket::Kind::SeqPacket).map_err(|e| {
        // No socket, or one that a dead monitor left: nobody lives there.
        if e.is(nix::libc::ENOENT) || e.is(nix::libc::ECONNREFUSED) {
            ClientError::NotRunning { id: id.clone() }
        } else {
            ClientError::Io { what: "connect to", id: id.clone(), source: e.into() }
        }
    })?;
    match wire::send_document(&connection, &Hello { version: VERSION, request }, fds) {
        Ok(()) => Ok(connection),
        // The monitor ended between our connecting and sending; or it dropped us.
        Err(WireError::Socket(e)) if e.is(nix::libc::EPIPE) || e.is(nix::libc::ECONNRESET) => {
            if lives_on(paths, id) {
                Err(unheard(id))
            } else {
                Err(ClientError::NotRunning { id: id.clone() })
            }
        }
        Err(e) => Err(ClientError::Io { what: "write to", id: id.clone(), source: std::io::Error::other(e) }),
    }
}

/// Waits for the answer; a refusal becomes an error.
pub(super) fn answer(paths: &Paths, id: &ContainerId, connection: &OwnedFd) -> Result<Reply, ClientError> {
    match wire::receive(connection).and_then(|packet| packet.document()) {
        Ok(Reply::Error(failure)) => Err(ClientError::Refused(failure)),
        Ok(reply) => Ok(reply),
        Err(WireError::Document(e)) => Err(ClientError::Unexpected { id: id.clone(), got: e.to_string() }),
        Err(WireError::Kind(kind)) => {
            Err(ClientError::Unexpected { id: id.clone(), got: format!("a packet of kind {kind:#04x}") })
        }
        Err(WireError::Closed | WireError::Socket(_)) if lives_on(paths, id) => Err(unheard(id)),
        Err(WireError::Closed | WireError::Socket(_)) => Err(ClientError::lost(paths, id)),
    }
}

/// Whether the monitor is there still, though the connection is not. Its sockets close before its lock is let go,
/// so one that ends is given a moment to end.
fn lives_on(paths: &Paths, id: &ContainerId) -> bool {
    let patience = Instant::now() + Duration::from_secs(1);
    while monitor_alive(paths, id) {
        if Instant::now() >= patience {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// A connection that was dropped is not a container that ended: who removes records must know the difference.
fn unheard(id: &ContainerId) -> ClientError {
    let source = std::io::Error::other("it dropped the connection, but it runs: try again");
    ClientError::Io { what: "hear from", id: id.clone(), source }
}

pub(super) fn unexpected(id: &ContainerId, reply: &Reply) -> ClientError {
    ClientError::Unexpected { id: id.clone(), got: format!("{reply:?}") }
}
