//! The messages between the monitor and its clients: typed, versioned, one JSON document per packet.
//!
//! Every connection is a `SOCK_SEQPACKET` unix socket, so a packet is a message. Its first byte is the
//! [`Kind`]; streams carry raw bytes after it, [`Kind::Document`] a JSON text, and [`Kind::Attached`] a JSON
//! text in a sealed memfd that travels beside it (documents above [`INLINE`] bytes). A client opens with
//! [`Hello`]; the monitor answers each request with one [`Reply`]. Attach and tty exec connections then turn
//! into streams. What a monitor does not know it answers with [`Reply::Error`], naming its version.

use serde::{Deserialize, Serialize};

use crate::model::container::ContainerSpec;
use crate::model::container::{Exited, Health, HealthResult, Phase, Running};
use crate::model::id::ContainerId;
use crate::model::lifecycle::RestartPolicy;
use crate::model::network::{AttachmentSpec, Network};
use crate::model::resources::Resources;

use crate::storage::Paths;

mod criu;
pub use criu::{CheckpointWish, RestoreWish};

/// Version of the messages. Higher than the monitor's own: it answers with an error that names its own.
pub const VERSION: u32 = 1;

/// Largest document sent inside the packet itself.
pub const INLINE: usize = 64 * 1024;

/// Largest packet of stream data.
pub const CHUNK: usize = 16 * 1024;

/// First byte of each packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A JSON document in the packet.
    Document = b'J',
    /// A JSON document in the memfd that is the first descriptor passed.
    Attached = b'M',
    /// Bytes for the process's standard input; none means end of file.
    Stdin = b'0',
    /// Bytes of its standard output, or of its terminal.
    Stdout = b'1',
    /// Bytes of its standard error.
    Stderr = b'2',
}

impl Kind {
    /// The kind that a byte stands for.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'J' => Self::Document,
            b'M' => Self::Attached,
            b'0' => Self::Stdin,
            b'1' => Self::Stdout,
            b'2' => Self::Stderr,
            _ => return None,
        })
    }
}

/// Which streams a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Streams {
    /// The client sends standard input.
    pub stdin: bool,
    /// The client gets standard output (with a terminal: everything).
    pub stdout: bool,
    /// The client gets standard error.
    pub stderr: bool,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TermSize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}

/// A monitor's first message: where the container is going to be. Its starter may be killed before there is a container
/// to hand over; what it has made by then goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// Roots.
    pub paths: Paths,
    /// The id it is going to have.
    pub id: ContainerId,
}

/// All that a monitor needs to begin: its second message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handoff {
    /// [`VERSION`] of the sender.
    pub version: u32,
    /// Roots.
    pub paths: Paths,
    /// The container.
    pub spec: ContainerSpec,
    /// Definitions of the networks that the spec names.
    pub networks: Vec<Network>,
    /// Definitions of those volumes that have driver options.
    pub volumes: Vec<crate::model::volume::Volume>,
    /// Streams of the client that starts it; `None` when detached.
    pub attach: Option<Streams>,
    /// First size of the terminal.
    pub size: Option<TermSize>,
    /// Starts by the restart policy so far (at boot or after a lost monitor).
    pub restarts: u32,
    /// Further lines of /etc/hosts (links): name, address.
    pub extra_hosts: Vec<(String, String)>,
    /// Addresses that it had before a `restart`, by network: it gets them again where they are free.
    #[serde(default)]
    pub addresses: Vec<(String, std::net::IpAddr)>,
    /// The first three passed descriptors are the process's stdio (`passthrough`).
    pub passthrough: bool,
    /// How many of the passed descriptors, after those, go into the container as 3, 4, …
    pub preserved: u32,
    /// `NOTIFY_SOCKET` of the caller, for `--sdnotify`.
    pub notify_socket: Option<String>,
    /// With `--rm`: who starts it deletes the record when told [`Reply::Ending`], while the monitor takes the container
    /// apart. Where it is gone by then, or does not answer, the monitor deletes it.
    #[serde(default)]
    pub recorder: bool,
    /// Make all, and wait for [`Request::Begin`] before the command is executed.
    #[serde(default)]
    pub wait: bool,
    /// Its processes come from a checkpoint.
    #[serde(default)]
    pub restore: Option<RestoreWish>,
}

/// How an initialized container is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BeginWish {
    /// Streams of the client that starts it; `None` when detached.
    pub attach: Option<Streams>,
    /// First size of the terminal.
    pub size: Option<TermSize>,
}

/// What the recorder answers to [`Reply::Ending`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The record is deleted; else the monitor tries.
    pub done: bool,
}

/// First document of each client of the control socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`] of the client.
    pub version: u32,
    /// What it wants.
    pub request: Request,
}

/// What a client may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Turn this connection into streams of the main process; answered by [`Reply::Attached`].
    Attach(Streams),
    /// Start the container that was only initialized; answered as a handoff is.
    Begin(BeginWish),
    /// Start a process in the container.
    Exec(Box<ExecRequest>),
    /// Set the size of the main process's terminal, or of an exec's.
    Resize {
        /// The exec; `None` is the main process.
        exec: Option<String>,
        /// New size.
        size: TermSize,
    },
    /// Ask the main process to end, and kill it after the timeout; answered when it has ended.
    Stop(StopWish),
    /// Send a signal to the main process.
    Kill {
        /// Signal number.
        signal: i32,
        /// Send it to every process of the container.
        all: bool,
        /// The exec whose process is meant; `None` is the main process.
        exec: Option<String>,
    },
    /// Freeze.
    Pause,
    /// Thaw.
    Unpause,
    /// Write a checkpoint; answered by [`Reply::Done`] where the container runs on, else when its end is recorded.
    Checkpoint(Box<CheckpointWish>),
    /// Answered when the condition holds.
    Wait(WaitFor),
    /// Change limits and restart policy.
    Update(Box<UpdateWish>),
    /// The phase as it is now.
    Status,
    /// All exec sessions, ended ones of the last minutes included.
    Execs,
    /// One exec session.
    ExecInspect(String),
    /// Run the health check now.
    HealthRun,
    /// The container has a new name (for events and hosts).
    Renamed(String),
    /// Attach it to a further network.
    Connect(Box<ConnectWish>),
    /// Detach it from a network, by name.
    Disconnect(String),
    /// The definition of one of its networks has changed.
    NetworkChanged,
    /// End the container and its record because it is being removed: no restart, no waiting.
    Remove,
}

/// What to attach to, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectWish {
    /// Addresses and names asked for.
    pub attachment: AttachmentSpec,
    /// The network.
    pub network: Network,
    /// What the container calls others by, all of it (`--link`).
    #[serde(default)]
    pub names: Vec<(String, String)>,
}

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StopWish {
    /// Signal; `None` is the container's stop signal.
    pub signal: Option<i32>,
    /// Seconds until SIGKILL; `None` is the container's, -1 waits for ever.
    pub timeout: Option<i64>,
    /// The user wants it (for `unless-stopped`); false for the stop of a restart.
    pub by_user: bool,
}

/// What [`Request::Wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// The process is not running (docker's `not-running`), restarting included.
    NotRunning,
    /// The next end of the process.
    NextExit,
    /// The container ended for good and, with `--rm`, is removed.
    Removed,
    /// The health check reports healthy.
    Healthy,
    /// The health check reports unhealthy.
    Unhealthy,
}

/// What `update` changes in a running container; `None` leaves as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct UpdateWish {
    /// All limits as they are to be.
    pub resources: Option<Resources>,
    /// Restart policy.
    pub restart: Option<RestartPolicy>,
    /// The health check in the document has changed.
    #[serde(default)]
    pub health: bool,
}

/// A process to start in a running container.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExecRequest {
    /// argv.
    pub argv: Vec<String>,
    /// Whole environment, `NAME=value`.
    pub env: Vec<String>,
    /// `user[:group]` looked up in the container; `None` is the container's user.
    pub user: Option<String>,
    /// Further groups.
    pub group_add: Vec<String>,
    /// Working directory; `None` is the container's.
    pub cwd: Option<String>,
    /// With a terminal.
    pub tty: bool,
    /// First size of the terminal.
    pub size: Option<TermSize>,
    /// All capabilities, no seccomp.
    pub privileged: bool,
    /// Nobody waits for it: the session stays listed.
    pub detach: bool,
    /// Streams wanted. Without a terminal the client passes three descriptors for stdio instead.
    pub streams: Streams,
    /// The client passed stdin, stdout, stderr as descriptors.
    pub stdio_passed: bool,
    /// The numbers that the descriptors after those get in the process.
    #[serde(default)]
    pub preserved_at: Vec<u32>,
    /// Id chosen by the caller (64 hex digits); `None` lets the monitor choose.
    pub id: Option<String>,
}

/// One exec session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecInfo {
    /// 64 hex digits.
    pub id: String,
    /// argv.
    pub argv: Vec<String>,
    /// Its pid on the host while it runs.
    pub pid: Option<i32>,
    /// Exit code once it ended.
    pub exit_code: Option<i32>,
    /// With a terminal.
    pub tty: bool,
    /// User as asked for.
    pub user: Option<String>,
    /// When it started.
    pub started: jiff::Timestamp,
}

/// What the monitor answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To the handoff: the container runs.
    Ready(Box<Running>),
    /// To the handoff: it does not, and nothing is left of the attempt.
    Failed(Failure),
    /// To [`Request::Attach`]: streams follow.
    Attached {
        /// The process has a terminal.
        tty: bool,
    },
    /// To [`Request::Exec`]: it runs; with a terminal streams follow, then [`Reply::Exited`].
    ExecStarted {
        /// Its id.
        id: String,
        /// Its pid on the host.
        pid: i32,
    },
    /// The process of this connection ended: main process or exec.
    Exited(Exited),
    /// To the recorder: the process ended, the container is being taken apart, delete the record and answer
    /// [`Recorded`]; then comes [`Reply::Exited`].
    Ending(Exited),
    /// Done.
    Done,
    /// To [`Request::Status`].
    Status(Box<Phase>),
    /// To [`Request::Execs`] and [`Request::ExecInspect`].
    Execs(Vec<ExecInfo>),
    /// To [`Request::HealthRun`].
    Health {
        /// The run.
        result: HealthResult,
        /// Health after it.
        health: Health,
    },
    /// The connection is closed because the client read too slowly.
    TooSlow,
    /// Not done.
    Error(Failure),
}

/// Why something was not done, flattened for the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Exit code that belongs to it: 125, 126 or 127.
    pub code: i32,
    /// What the caller may match on.
    pub kind: FailureKind,
    /// The step that failed, as a user would name it: "mounting the root file system".
    pub step: String,
    /// The chain of reasons, outermost first.
    pub reasons: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Troubles met while undoing.
    pub undo: Vec<String>,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A thing named is not there (user, mount source, exec id).
    NotFound,
    /// The command is not there (127).
    CommandNotFound,
    /// The command cannot be executed (126).
    CommandNotExecutable,
    /// Something is taken: a port, an address.
    Conflict,
    /// The container is not in the state for it.
    State,
    /// The request makes no sense.
    Invalid,
    /// The kernel or our rights forbid it.
    Denied,
    /// This monitor does not know the request.
    Unsupported,
    /// Anything else.
    Internal,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.step)?;
        for reason in &self.reasons {
            write!(f, ": {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
