//! [`World`]: the questions that a resolution asks about what exists.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::engine::error::Error;
use crate::model::id::ContainerId;
use crate::model::image::Image;
use crate::model::mount::MountSpec;
use crate::model::network::{ExposedPort, Network, Protocol};
use crate::model::volume::Volume;

/// What stands at a host path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// Nothing.
    Missing,
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// Another container, as far as a new one may refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Its host name.
    pub hostname: String,
    /// It was told to share its IPC namespace with nobody (`--ipc=private`, `none`).
    pub private_ipc: bool,
    /// Its mounts, for `--volumes-from`.
    pub mounts: Vec<MountSpec>,
    /// Ports that it exposes, for `--link`.
    pub exposed: Vec<ExposedPort>,
    /// Its environment, for `--link`.
    pub env: Vec<String>,
    /// Names of its networks.
    pub networks: Vec<String>,
    /// It is in the host's network.
    pub host_network: bool,
    /// The container whose network it shares (`--network container:`).
    pub joined: Option<ContainerId>,
}

/// Answers from the store and the file system; tables in tests.
pub trait World {
    /// A container by name, id or unique prefix.
    ///
    /// # Errors
    /// "no such container".
    fn container(&self, name: &str) -> Result<Neighbour, Error>;
    /// A network by name, id or unique prefix; `bridge`, `podman` and `default` are the default one.
    ///
    /// # Errors
    /// "network … not found".
    fn network(&self, name: &str) -> Result<Network, Error>;
    /// A volume, if there is one of that name.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn volume(&self, name: &str) -> Result<Option<Volume>, Error>;
    /// Where the content of a (future) volume is.
    fn volume_path(&self, name: &str) -> PathBuf;
    /// An image in the store, for `--mount type=image`.
    ///
    /// # Errors
    /// "no such image".
    fn image(&self, name: &str) -> Result<Image, Error>;
    /// A secret by name, id or unique prefix: its id and its name.
    ///
    /// # Errors
    /// "no such secret".
    fn secret(&self, name: &str) -> Result<(String, String), Error>;
    /// Ranges (first, count) that a file like /etc/subuid gives to a user.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn sub_ids(&self, file: &str, user: &str) -> Result<Vec<(u32, u32)>, Error>;
    /// Ranges of host ids (first, count) that containers with automatic mappings have.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn mapped_ids(&self) -> Result<Vec<(u32, u32)>, Error>;
    /// The highest user or group id that an image knows by its /etc/passwd and /etc/group, `nobody` left out.
    fn highest_id(&self, layers: &[crate::model::digest::ChainId]) -> u32;
    /// The line of the host's /etc/passwd for a name or number.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn host_user(&self, name: &str) -> Result<Option<String>, Error>;
    /// A port of an address that nobody has now.
    fn free_port(&self, ip: IpAddr, protocol: Protocol) -> Option<u16>;
    /// What stands at a host path, symlinks followed.
    fn path(&self, path: &Path) -> PathKind;
    /// The host paths that match a glob, sorted.
    fn glob(&self, pattern: &str) -> Vec<PathBuf>;
    /// The caller's working directory.
    fn cwd(&self) -> PathBuf;
    /// 64 random hex digits: the name of an anonymous volume.
    fn random_name(&self) -> String;
    /// The host's host name.
    fn hostname(&self) -> String;
}
