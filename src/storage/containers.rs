//! Container records: name, durable phase, the columns of a listing, what each container uses.
//!
//! The resolved spec is a file beside (`spec.json`); the row carries what `ps` shows, so that a listing
//! reads no files. What a *running* container is doing is `volatile`'s matter.

use serde::{Deserialize, Serialize};

use super::db::Store;
use super::error::{Error, Kind, Result};
use crate::model::container::{ContainerSpec, Exited, Phase};
use crate::model::digest::Digest;
use crate::model::id::ContainerId;
use crate::model::lifecycle::RestartPolicy;
use crate::model::network::{ExposedPort, PortMapping};

/// The durable phase of a container. Details of a running one are volatile; see [`Store::phase`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Stored {
    /// Made, never started.
    Created,
    /// A start that did not succeed.
    Failed {
        /// 125, 126 or 127.
        code: i32,
        /// Why.
        error: String,
        /// When.
        at: jiff::Timestamp,
    },
    /// Started (or being started) in this boot of the host; its monitor knows the rest.
    Started {
        /// Boot id of the host then.
        boot: String,
        /// When the start began.
        at: jiff::Timestamp,
    },
    /// Its process ended.
    Exited(Exited),
    /// Being removed.
    Removing,
}

impl Stored {
    /// [`Stored::Started`] in this boot, now.
    ///
    /// # Errors
    /// The boot id cannot be read.
    pub fn started_now() -> Result<Self> {
        Ok(Self::Started { boot: super::volatile::boot_id()?, at: jiff::Timestamp::now() })
    }
}

/// What the user wants of a container, kept apart from what it does (for boot and restart).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Desired {
    /// Not to run.
    #[default]
    Stopped,
    /// To run: started and not stopped by the user.
    Running,
}

/// A container as listings show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Id.
    pub id: ContainerId,
    /// Name.
    pub name: String,
    /// Image as typed, or the root directory.
    pub image_name: String,
    /// Image id.
    pub image_id: Option<Digest>,
    /// argv.
    pub command: Vec<String>,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Durable phase.
    pub stored: Stored,
    /// What the user wants.
    pub desired: Desired,
    /// Published ports as asked for (0: picked at start, see run state).
    pub ports: Vec<PortMapping>,
    /// Exposed ports.
    pub exposed: Vec<ExposedPort>,
    /// Networks by name.
    pub networks: Vec<String>,
    /// Mounts: volume name or host path, and target.
    pub mounts: Vec<(String, String)>,
    /// Restart policy.
    pub restart: RestartPolicy,
    /// `--rm`.
    pub auto_remove: bool,
    /// Whether there is a health check.
    pub has_health: bool,
}

/// What a container uses, for "in use by".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use<'a> {
    /// An image, as root or mount.
    Image(&'a Digest),
    /// A volume by name.
    Volume(&'a str),
    /// A network by name.
    Network(&'a str),
    /// A secret by id.
    Secret(&'a str),
    /// Another container: its network namespace, `--requires`.
    Container(&'a ContainerId),
}

impl Store {
    /// Makes the container: its directory with `spec.json`, and its row, in one transaction.
    ///
    /// # Errors
    /// [`Error::NameTaken`]; [`Error::GoneMeanwhile`] when image, volume or network went away.
    pub fn insert_container(&self, spec: &ContainerSpec, initial: &Stored) -> Result<()> {
        let _ = (spec, initial);
        todo!()
    }

    /// Finds a container by name, full id or unique id prefix (docker's order).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub fn find_container(&self, name_or_id: &str) -> Result<Summary> {
        Err(Error::NotFound { kind: Kind::Container, what: name_or_id.to_owned() })
    }

    /// The container of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn container(&self, id: &ContainerId) -> Result<Summary> {
        let _ = id;
        todo!()
    }

    /// All containers, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_containers(&self) -> Result<Vec<Summary>> {
        todo!()
    }

    /// The resolved spec.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`] name the file.
    pub fn spec(&self, id: &ContainerId) -> Result<ContainerSpec> {
        let _ = id;
        todo!()
    }

    /// Writes the durable phase.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_stored(&self, id: &ContainerId, stored: &Stored) -> Result<()> {
        let _ = (id, stored);
        todo!()
    }

    /// Writes durable phase and wish in one transaction (start, stop).
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_stored_and_desired(&self, id: &ContainerId, stored: &Stored, desired: Desired) -> Result<()> {
        let _ = (id, stored, desired);
        todo!()
    }

    /// Writes what the user wants.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_desired(&self, id: &ContainerId, desired: Desired) -> Result<()> {
        let _ = (id, desired);
        todo!()
    }

    /// Gives the container another name, in the row and in its spec.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NameTaken`].
    pub fn rename_container(&self, id: &ContainerId, name: &str) -> Result<()> {
        let _ = (id, name);
        todo!()
    }

    /// Replaces the spec (`update`): the file atomically, and the row's listing columns.
    ///
    /// # Errors
    /// [`Error::NotFound`], or what the kernel says.
    pub fn update_spec(&self, spec: &ContainerSpec) -> Result<()> {
        let _ = spec;
        todo!()
    }

    /// Removes the container: row first (name and image are free at once), then its directories are moved to
    /// the trash and deleted. Works on a full disk.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what could not be deleted stays in the trash for the next sweep and is no error.
    pub fn remove_container(&self, id: &ContainerId) -> Result<()> {
        let _ = id;
        todo!()
    }

    /// Containers that use something: id and name.
    ///
    /// # Errors
    /// What the database says.
    pub fn containers_using(&self, what: Use<'_>) -> Result<Vec<(ContainerId, String)>> {
        let _ = what;
        todo!()
    }

    /// The true phase: the durable one, or for a started container what its monitor last said. A started
    /// container whose monitor is gone shows as exited (137, "monitor lost" or "host restarted").
    ///
    /// # Errors
    /// What the kernel says, or a damaged state file.
    pub fn phase(&self, container: &Summary) -> Result<Phase> {
        let _ = container;
        todo!()
    }
}
