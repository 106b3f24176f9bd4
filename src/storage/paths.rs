//! The two roots, durable and volatile, and every path below them. Directories are made here, private, when needed.

use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use crate::model::container::{ContainerSpec, RootSpec};
use crate::model::digest::{ChainId, Digest};
use crate::model::id::ContainerId;

/// Where a store lives: `root` outlives a reboot, `run` (tmpfs) does not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Paths {
    /// Durable root, `/var/lib/rcon`.
    pub root: PathBuf,
    /// Volatile root, `/run/rcon`.
    pub run: PathBuf,
}

impl Paths {
    /// Paths below these two roots; nothing is made yet.
    pub fn new(root: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), run: run.into() }
    }

    /// The database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("rcon.db")
    }

    /// All containers' durable directories.
    #[must_use]
    pub fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// A container's durable directory: spec, upper, work, log.
    #[must_use]
    pub fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    /// A container's resolved spec.
    #[must_use]
    pub fn spec(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("spec.json")
    }

    /// A container's writable overlay layer.
    #[must_use]
    pub fn upper(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("upper")
    }

    /// A container's overlay work directory.
    #[must_use]
    pub fn work(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("work")
    }

    /// A container's current log file; older ones have `.1`, `.2` … appended.
    #[must_use]
    pub fn log(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("ctr.log")
    }

    /// A container's log file as its options have it: `path` of k8s-file, else [`Self::log`].
    #[must_use]
    pub fn log_of(&self, spec: &ContainerSpec) -> PathBuf {
        let named = spec.lifecycle.log.options.iter().find(|(key, _)| key == "path");
        named.map_or_else(|| self.log(&spec.id), |(_, path)| PathBuf::from(path))
    }

    /// Files of its checkpoint: criu's logs and statistics, what goes into an archive.
    #[must_use]
    pub fn userdata(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("userdata")
    }

    /// criu's images of its last checkpoint.
    #[must_use]
    pub fn checkpoint(&self, id: &ContainerId) -> PathBuf {
        self.userdata(id).join("checkpoint")
    }

    /// criu's images of the memory that was written ahead.
    #[must_use]
    pub fn pre_checkpoint(&self, id: &ContainerId) -> PathBuf {
        self.userdata(id).join("pre-checkpoint")
    }

    /// Where an image is mounted on the host; on the volatile side, as a reboot takes mounts away.
    #[must_use]
    pub fn image_mount(&self, id: &Digest) -> PathBuf {
        self.run.join("images").join(id.hex())
    }

    /// All containers' volatile directories.
    #[must_use]
    pub fn run_containers(&self) -> PathBuf {
        self.run.join("containers")
    }

    /// A container's volatile directory.
    #[must_use]
    pub fn run_container(&self, id: &ContainerId) -> PathBuf {
        self.run_containers().join(id.as_str())
    }

    /// The lock that a container's monitor holds for its whole life.
    #[must_use]
    pub fn run_lock(&self, id: &ContainerId) -> PathBuf {
        self.run_container(id).join("lock")
    }

    /// The phase of a live container as its monitor last wrote it.
    #[must_use]
    pub fn run_state(&self, id: &ContainerId) -> PathBuf {
        self.run_container(id).join("state.json")
    }

    /// The monitor's control socket.
    #[must_use]
    pub fn control_socket(&self, id: &ContainerId) -> PathBuf {
        self.run_container(id).join("ctl.sock")
    }

    /// The monitor's own log.
    #[must_use]
    pub fn monitor_log(&self, id: &ContainerId) -> PathBuf {
        self.run_container(id).join("monitor.log")
    }

    /// All layers.
    #[must_use]
    pub fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// A layer's directory: `diff`, `layer.json`, `tar.recipe`.
    #[must_use]
    pub fn layer(&self, chain: &ChainId) -> PathBuf {
        self.layers().join(chain.hex())
    }

    /// A layer's file tree, as overlay wants it.
    #[must_use]
    pub fn layer_diff(&self, chain: &ChainId) -> PathBuf {
        self.layer(chain).join("diff")
    }

    /// What a container's root is an overlay of, top first: the layers of its image, or the directory that is only read.
    #[must_use]
    pub fn lowers(&self, root: &RootSpec) -> Vec<PathBuf> {
        match root.directory.as_ref().filter(|_| root.overlay) {
            Some(directory) => vec![PathBuf::from(directory)],
            None => root.layers.iter().rev().map(|l| self.layer_diff(l)).collect(),
        }
    }

    /// All volumes.
    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// A volume's directory.
    #[must_use]
    pub fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }

    /// A volume's content.
    #[must_use]
    pub fn volume_data(&self, name: &str) -> PathBuf {
        self.volume(name).join("_data")
    }

    /// Space kept for deleting things on a full disk.
    #[must_use]
    pub fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    /// Half-made things, each under a lock that dies with its maker.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Things already removed, waiting for their deletion.
    #[must_use]
    pub fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// Lock files of the durable store (layers being pulled).
    #[must_use]
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// Where a container's file system is mounted on the host, if someone asked for it.
    #[must_use]
    pub fn merged(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("merged")
    }

    /// A container's own copy of a secret.
    #[must_use]
    pub fn container_secret(&self, id: &ContainerId, secret: &str) -> PathBuf {
        self.container(id).join("secrets").join(secret)
    }

    /// Secret values.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// Address leases of one network.
    #[must_use]
    pub fn leases(&self, network: &str) -> PathBuf {
        self.run.join("leases").join("net").join(network)
    }

    /// Port leases.
    #[must_use]
    pub fn port_leases(&self) -> PathBuf {
        self.run.join("leases").join("ports")
    }

    /// The event journal.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.run.join("events.log")
    }
}

/// Makes `path` and its missing parents, mode 0700 (rule R13: nothing below the roots is for other users).
///
/// # Errors
/// What the kernel says, with the directory that could not be made.
pub fn ensure_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let Some(parent) = path.parent() else { return Err(Error::io("create directory", path, e)) };
            ensure_private(parent)?;
            match std::fs::DirBuilder::new().mode(0o700).create(path) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                    Err(Error::io("create directory", path, e))
                }
                _ => Ok(()),
            }
        }
        Err(e) => Err(Error::io("create directory", path, e)),
    }
}
