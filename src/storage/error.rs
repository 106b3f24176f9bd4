//! The error of every function in `storage`.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::digest::ChainId;
use crate::model::id::ContainerId;

/// Result of a storage operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of thing a name was meant to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A layer.
    Layer,
    /// A volume.
    Volume,
    /// A network.
    Network,
    /// A secret.
    Secret,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Layer => "layer",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Secret => "secret",
        })
    }
}

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller broke it off.
    #[error("interrupted")]
    Interrupted,
    /// The writable layer cannot be limited.
    #[error("the file system of {path} has no quotas of projects in force", path = .path.display())]
    NoQuota {
        /// Directory of the container.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: crate::sys::Error,
    },
    /// SQLite refused a statement.
    #[error("the state database {path} failed while {doing}", path = .path.display())]
    Database {
        /// Database file.
        path: PathBuf,
        /// What was being done, `listing containers`.
        doing: &'static str,
        /// SQLite's error.
        #[source]
        source: rusqlite::Error,
    },
    /// Another process kept the write lock for the whole time that we waited.
    #[error("the state database {path} was kept locked by another process for {waited_ms} ms while {doing}", path = .path.display())]
    Busy {
        /// Database file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// How long we waited.
        waited_ms: u64,
    },
    /// The database was written by a newer release.
    #[error("the state database {path} has schema version {found}, this program knows up to {known}; use the newer rcon that wrote it", path = .path.display())]
    NewerSchema {
        /// Database file.
        path: PathBuf,
        /// Version found.
        found: i64,
        /// Newest version known.
        known: i64,
    },
    /// A file operation failed.
    #[error("cannot {call} {path}", path = .path.display())]
    Io {
        /// What was tried, in the words of the call: `open`, `rename`, `create directory`.
        call: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A stored document does not parse.
    #[error("{path} is damaged", path = .path.display())]
    Damaged {
        /// The document.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A row holds a value that this program would not write.
    #[error("the record of {kind} {key} is damaged: {why}")]
    DamagedRow {
        /// Kind of thing.
        kind: Kind,
        /// Its key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// A name breaks the rules of names.
    #[error(transparent)]
    Name(#[from] crate::model::ParseError),
    /// A container of that name exists.
    #[error("the container name {name:?} is in use by container {id}")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        id: ContainerId,
    },
    /// A volume, network or secret of that name exists.
    #[error("{kind} {name:?} already exists")]
    Exists {
        /// Kind of thing.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// Nothing has this name or id.
    #[error("no such {kind}: {what}")]
    NotFound {
        /// Kind of thing.
        kind: Kind,
        /// As asked for.
        what: String,
    },
    /// More than one thing has this id prefix.
    #[error("{kind} id prefix {what:?} fits {}: {}", .matches.len(), .matches.join(", "))]
    Ambiguous {
        /// Kind of thing.
        kind: Kind,
        /// As asked for.
        what: String,
        /// Ids (or names) that fit, at most ten.
        matches: Vec<String>,
    },
    /// Containers use the thing that should go.
    #[error("{kind} {what} is in use by container {}", .containers.iter().map(|(id, name)| format!("{name} ({})", id.short())).collect::<Vec<_>>().join(", "))]
    InUse {
        /// Kind of thing.
        kind: Kind,
        /// Its name or id.
        what: String,
        /// Who uses it: id and name.
        containers: Vec<(ContainerId, String)>,
    },
    /// Something the new container needs went away between lookup and insert.
    #[error("{kind} {what} was removed by another process meanwhile")]
    GoneMeanwhile {
        /// Kind of thing.
        kind: Kind,
        /// Its name or id.
        what: String,
    },
    /// The container's run lock is held: it runs, or another process is starting it.
    #[error("container {id} is running or being started by another process")]
    RunLocked {
        /// Which.
        id: ContainerId,
    },
    /// An address or port lease is held by a living container.
    #[error("{what} is already leased to container {holder}")]
    Leased {
        /// Address or port.
        what: String,
        /// Who has it.
        holder: ContainerId,
    },
    /// A layer archive breaks a rule of the format or of rcon's limits.
    #[error("layer {chain}: {source}", chain = .chain.short())]
    Layer {
        /// Which layer.
        chain: ChainId,
        /// What is wrong with its archive.
        #[source]
        source: super::unpack::UnpackError,
    },
    /// An archive could not be unpacked.
    #[error(transparent)]
    Unpack(#[from] super::unpack::UnpackError),
    /// A request that the local volume driver cannot fulfil.
    #[error("volume {name:?}: {why}")]
    VolumeOptions {
        /// Volume.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The exact tar of a layer cannot be made again.
    #[error("the original archive of layer {chain} cannot be rebuilt: {why}", chain = .chain.short())]
    NoRecipe {
        /// Which layer.
        chain: ChainId,
        /// Why.
        why: String,
    },
    /// An overlay cannot be mounted.
    #[error("cannot mount an overlay of {layers} layers")]
    Overlay {
        /// Number of lower layers.
        layers: usize,
        /// Which call failed, with its argument and what the kernel said in the mount's log.
        #[source]
        source: crate::sys::Error,
    },
    /// A system call failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// A log option or line is not understood.
    #[error("log {path}: {why}", path = .path.display())]
    Log {
        /// Log file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Error {
    /// Wraps the error of `call` on `path`.
    pub(crate) fn io(call: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Io { call, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// Whether this says that the thing asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
