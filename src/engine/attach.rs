//! `attach`: joins the streams of a running container; and [`Attached`], the live connection that `run`,
//! `start -a`, `exec` and `attach` have in common.

use std::os::fd::BorrowedFd;

use super::context::Context;
use super::error::{Error, Kind};
use super::view::Container;
use crate::model::digest::Digest;
use crate::model::id::ContainerId;
use crate::monitor::client::{self, Ended, ExecWait, Relay};
use crate::monitor::detach::DetachKeys;
use crate::monitor::finish;
use crate::monitor::proto;
use crate::storage::Store;

/// Which streams are wanted and how the terminal behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachOptions {
    /// Send the caller's stdin.
    pub stdin: bool,
    /// Receive stdout.
    pub stdout: bool,
    /// Receive stderr.
    pub stderr: bool,
    /// Keys that detach, `ctrl-p,ctrl-q` by default; `Some("")` for none.
    pub detach_keys: Option<String>,
    /// Hand signals on to the container (not with a terminal).
    pub sig_proxy: bool,
    /// Rows and columns of the caller's terminal, for the container's first moment.
    pub size: Option<(u16, u16)>,
}

impl Default for AttachOptions {
    fn default() -> Self {
        Self { stdin: false, stdout: true, stderr: true, detach_keys: None, sig_proxy: true, size: None }
    }
}

/// The caller's own streams.
#[derive(Debug, Clone, Copy)]
pub struct Streams<'a> {
    /// Where input comes from.
    pub stdin: BorrowedFd<'a>,
    /// Where the container's stdout goes.
    pub stdout: BorrowedFd<'a>,
    /// Where the container's stderr goes.
    pub stderr: BorrowedFd<'a>,
}

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayEnd {
    /// The process ended with this code (128 + n for a signal).
    Exited(i32),
    /// The user typed the detach keys; the process goes on.
    Detached,
}

/// A live connection to a container's or an exec's streams.
#[derive(Debug)]
pub struct Attached {
    /// The container.
    pub id: ContainerId,
    /// Things worth saying that are no errors.
    pub warnings: Vec<String>,
    connection: Connection,
    options: AttachOptions,
    pub(super) recorder: Option<Recorder>,
}

/// What `run --rm` deletes when its container has ended, while the monitor takes it apart.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) store: Store,
    pub(super) anonymous: Vec<String>,
    pub(super) image: Option<Digest>,
}

#[derive(Debug)]
enum Connection {
    Streams(client::Attached),
    Wait(ExecWait),
}

impl Attached {
    /// Streams of a main process, or of an exec with a terminal.
    pub(super) fn main(id: ContainerId, relay: client::Attached, options: Option<&AttachOptions>) -> Self {
        let options = options.cloned().unwrap_or_default();
        Self { id, warnings: Vec::new(), connection: Connection::Streams(relay), options, recorder: None }
    }

    /// An exec that has the caller's own descriptors: only its end is waited for.
    pub(super) fn wait(id: ContainerId, wait: ExecWait, options: &AttachOptions) -> Self {
        Self {
            id,
            warnings: Vec::new(),
            connection: Connection::Wait(wait),
            options: options.clone(),
            recorder: None,
        }
    }

    /// Relays until the process ends or the user detaches. Puts the terminal into raw mode and back, forwards
    /// its size and, if so wished, signals.
    ///
    /// # Errors
    /// The monitor is lost, or detach keys that do not parse.
    pub fn relay(self, streams: Streams<'_>) -> Result<RelayEnd, Error> {
        let options = self.options;
        match self.connection {
            Connection::Wait(wait) => Ok(RelayEnd::Exited(wait.wait(options.sig_proxy)?.code)),
            Connection::Streams(connection) => {
                let ended = connection.relay(Relay {
                    stdin: options.stdin.then_some(streams.stdin),
                    stdout: options.stdout.then_some(streams.stdout),
                    stderr: options.stderr.then_some(streams.stderr),
                    detach_keys: detach_keys(options.detach_keys.as_deref())?,
                    sig_proxy: options.sig_proxy,
                })?;
                match ended {
                    Ended::Exited(exited) => Ok(RelayEnd::Exited(exited.code)),
                    Ended::Ending(ending) => {
                        let troubles = self
                            .recorder
                            .map(|r| finish::delete(&r.store, &self.id, &r.anonymous, r.image.as_ref()));
                        // The monitor tries again what failed here, and notes why.
                        let done = troubles.is_some_and(|t| t.is_empty());
                        Ok(RelayEnd::Exited(ending.recorded(done).code))
                    }
                    Ended::Detached => Ok(RelayEnd::Detached),
                    Ended::TooSlow => Err(Error::new(
                        Kind::Unavailable,
                        "detached because the output was not read for too long; the container goes on",
                    )
                    .hint(format!("rcon logs {} has all of it", self.id.short()))),
                }
            }
        }
    }
}

/// Parses detach keys; `None` is `ctrl-p,ctrl-q`.
pub(super) fn detach_keys(text: Option<&str>) -> Result<DetachKeys, Error> {
    let keys = text.unwrap_or("ctrl-p,ctrl-q").parse::<DetachKeys>();
    // As docker, whatever is attached to.
    keys.map_err(|e| Error::from(e).exit(1))
}

/// Attaches to a running container.
///
/// # Errors
/// No such container, or it is not running.
pub fn attach(ctx: &Context, name: &str, options: &AttachOptions) -> Result<Attached, Error> {
    detach_keys(options.detach_keys.as_deref())?;
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    match &container.phase {
        crate::model::container::Phase::Running(_) => {}
        crate::model::container::Phase::Paused(_) => {
            return Err(Error::new(Kind::State, "You cannot attach to a paused container, unpause it first"));
        }
        crate::model::container::Phase::Restarting(_) => {
            return Err(Error::new(
                Kind::State,
                "You cannot attach to a restarting container, wait until it is running",
            ));
        }
        _ => {
            return Err(Error::new(Kind::State, "You cannot attach to a stopped container, start it first"));
        }
    }
    let spec = container.spec(&store)?;
    if spec.process.tty && spec.process.interactive && options.stdin && options.size.is_none() {
        return Err(Error::new(Kind::Invalid, "the input device is not a TTY")
            .hint("the container has a terminal: run attach in one, or with --no-stdin"));
    }
    if let Some((rows, cols)) = options.size.filter(|_| spec.process.tty) {
        // A size that is not the terminal's, so that the program draws its prompt anew when it gets that one.
        let other = proto::TermSize { rows: rows.saturating_add(1), cols: cols.saturating_add(1) };
        let _ended = client::resize(&ctx.paths, container.id(), None, other);
    }
    let streams = proto::Streams { stdin: options.stdin, stdout: options.stdout, stderr: options.stderr };
    let relay = client::attach(&ctx.paths, container.id(), streams)?;
    super::journal::container(ctx, "attach", &container.row, &[]);
    Ok(Attached::main(container.id().clone(), relay, Some(options)))
}
