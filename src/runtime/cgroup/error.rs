//! What can go wrong with cgroups.

use std::io;
use std::path::PathBuf;

/// A cgroup operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cgroup file system.
    #[error("no cgroup file system is mounted at /sys/fs/cgroup")]
    NotMounted,
    /// The mount table cannot be read.
    #[error("reading {path} failed")]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something unexpected.
    #[error("{path} holds {text:?}")]
    Unexpected {
        /// File.
        path: PathBuf,
        /// What is in it.
        text: String,
    },
    /// The cgroup cannot be made.
    #[error("making cgroup {path} failed")]
    Make {
        /// Directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A setting was refused.
    #[error("writing {value:?} to {path} failed")]
    Write {
        /// File.
        path: PathBuf,
        /// What was to be written.
        value: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel or the delegation does not offer what a setting needs.
    #[error("{setting} needs the cgroup controller {controller}, which is not available here")]
    NoController {
        /// What was asked for.
        setting: &'static str,
        /// Controller.
        controller: &'static str,
    },
    /// The kernel does not have the file of a setting.
    #[error("{setting} cannot be set: this kernel has no {file}")]
    NoFile {
        /// What was asked for.
        setting: &'static str,
        /// File.
        file: String,
    },
    /// Controllers cannot be handed down because the parent has processes of its own.
    #[error("cgroup {path} has processes of its own, so that nothing below it can be limited")]
    Occupied {
        /// Directory.
        path: PathBuf,
    },
    /// A setting that this kind of cgroup does not have.
    #[error("{setting} cannot be set: {why}")]
    Unsupported {
        /// What was asked for.
        setting: String,
        /// Why not.
        why: &'static str,
    },
    /// A limit below what is in use, which was to be looked at first.
    #[error("rejecting {setting} {limit} < usage {usage}")]
    InUse {
        /// What was asked for.
        setting: &'static str,
        /// How much.
        limit: i64,
        /// What is in use.
        usage: u64,
    },
    /// A path that is no cgroup path.
    #[error("invalid cgroup path {path:?}: {why}")]
    Path {
        /// As given.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The cgroup does not exist (any more).
    #[error("cgroup {path} does not exist")]
    Gone {
        /// Path below the hierarchies.
        path: String,
    },
    /// A process cannot be moved into the cgroup.
    #[error("adding pid {pid} to cgroup {path} failed")]
    Attach {
        /// Process.
        pid: i32,
        /// Directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The directory cannot be removed although it has no processes.
    #[error("removing cgroup {path} failed")]
    Remove {
        /// Directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Processes are in the way.
    #[error("container's cgroup is not empty: {path} has processes {pids:?}")]
    Busy {
        /// Path below the hierarchies.
        path: String,
        /// Processes.
        pids: Vec<i32>,
    },
    /// The processes did not stop in time.
    #[error("cgroup {path} did not freeze within {seconds} s")]
    Freeze {
        /// Path below the hierarchies.
        path: String,
        /// How long it was waited.
        seconds: u64,
    },
    /// The device filter of v2 cannot be loaded.
    #[error("the device filter of cgroup {path} cannot be set")]
    Devices {
        /// Path below the hierarchies.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be given away.
    #[error("giving {path} to user {uid} failed")]
    Give {
        /// Directory or file.
        path: PathBuf,
        /// Whom to.
        uid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A unit of that name is there.
    #[error("systemd: {what}: {why}")]
    UnitExists {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        why: String,
    },
    /// systemd refused.
    #[error("systemd: {what}: {why}")]
    Systemd {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        why: String,
    },
    /// A process cannot be signalled.
    #[error("signalling process {pid} failed")]
    Signal {
        /// Process.
        pid: i32,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// What was refused where it is a matter of rights, such as a user without root has them.
    #[must_use]
    pub fn denied(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Make { source, .. }
            | Self::Write { source, .. }
            | Self::Attach { source, .. }
            | Self::Remove { source, .. } => Some(source.kind()).filter(|kind| {
                matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
            }),
            _ => None,
        }
    }
}
