//! One request, one answer.

use crate::model::container::{Exited, Health, HealthResult, Phase};
use crate::model::id::ContainerId;

use super::super::proto::{ExecInfo, StopWish, Streams, TermSize, UpdateWish, WaitFor};
use super::{Attached, ClientError};
use crate::storage::Paths;

/// Attaches to the main process.
///
/// # Errors
/// It does not run, or the streams cannot be had.
pub fn attach(paths: &Paths, id: &ContainerId, streams: Streams) -> Result<Attached, ClientError> {
    let _ = (paths, id, streams);
    todo!()
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
    let _ = (paths, id, exec, size);
    todo!()
}

/// Stops the container: signal, timeout, SIGKILL. Returns when it has ended and its end is recorded.
///
/// # Errors
/// It does not run, or the monitor was lost meanwhile.
pub fn stop(paths: &Paths, id: &ContainerId, wish: StopWish) -> Result<Exited, ClientError> {
    let _ = (paths, id, wish);
    todo!()
}

/// Sends a signal to the main process (`all`: to every process).
///
/// # Errors
/// It does not run.
pub fn kill(paths: &Paths, id: &ContainerId, signal: i32, all: bool) -> Result<(), ClientError> {
    let _ = (paths, id, signal, all);
    todo!()
}

/// Freezes all processes.
///
/// # Errors
/// It does not run or is paused already.
pub fn pause(paths: &Paths, id: &ContainerId) -> Result<(), ClientError> {
    let _ = (paths, id);
    todo!()
}

/// Thaws.
///
/// # Errors
/// It does not run or is not paused.
pub fn unpause(paths: &Paths, id: &ContainerId) -> Result<(), ClientError> {
    let _ = (paths, id);
    todo!()
}

/// Waits for a condition. Health conditions return an [`Exited`] of code 0 when they hold; `None` where the
/// monitor ended without an answer (it was killed): the caller reconciles and reads the record.
///
/// # Errors
/// It does not run.
pub fn wait(paths: &Paths, id: &ContainerId, until: WaitFor) -> Result<Option<Exited>, ClientError> {
    let _ = (paths, id, until);
    todo!()
}

/// Changes limits or the restart policy of the running container.
///
/// # Errors
/// The kernel refuses a limit; nothing is changed then.
pub fn update(paths: &Paths, id: &ContainerId, wish: UpdateWish) -> Result<(), ClientError> {
    let _ = (paths, id, wish);
    todo!()
}

/// The phase as the monitor knows it now.
///
/// # Errors
/// It does not run.
pub fn status(paths: &Paths, id: &ContainerId) -> Result<Phase, ClientError> {
    let _ = (paths, id);
    todo!()
}

/// All exec sessions.
///
/// # Errors
/// It does not run.
pub fn execs(paths: &Paths, id: &ContainerId) -> Result<Vec<ExecInfo>, ClientError> {
    let _ = (paths, id);
    todo!()
}

/// One exec session.
///
/// # Errors
/// It does not run, or there is no such session.
pub fn exec_inspect(paths: &Paths, id: &ContainerId, exec: &str) -> Result<ExecInfo, ClientError> {
    let _ = (paths, id, exec);
    todo!()
}

/// Runs the health check now.
///
/// # Errors
/// It does not run or has no health check.
pub fn health_run(paths: &Paths, id: &ContainerId) -> Result<(HealthResult, Health), ClientError> {
    let _ = (paths, id);
    todo!()
}

/// Tells the monitor that the container has a new name.
///
/// # Errors
/// It does not run.
pub fn renamed(paths: &Paths, id: &ContainerId, name: &str) -> Result<(), ClientError> {
    let _ = (paths, id, name);
    todo!()
}

/// Kills the container for removal: no restart; returns when all is torn down. The caller removes the record
/// (unless `--rm` did).
///
/// # Errors
/// It does not run.
pub fn remove(paths: &Paths, id: &ContainerId) -> Result<(), ClientError> {
    let _ = (paths, id);
    todo!()
}
