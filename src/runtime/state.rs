//! The state of containers that the OCI command line made: `<root>/<id>/`, on tmpfs.
//!
//! ```text
//! state.json    what this file describes; written beside and renamed
//! config.json   the spec as it was at creation
//! start.sock    where a created container waits to be started; gone once it is
//! lock          held by whoever changes the container
//! ```
//! The truth about the process is its pid and start time, never a stored status.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

use super::cgroup::{Cgroup, Manager};
use super::rdt::Kept;
use super::{Error, bundle};
use crate::model::container::ProcessIdentity;
use crate::sys::atomic::{self, Durability};
use crate::sys::lock::FileLock;
use crate::sys::{fd, process};

/// Version of `state.json` that this program writes.
const VERSION: u32 = 1;

/// What is known of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Version of this document.
    pub version: u32,
    /// Id.
    pub id: String,
    /// Bundle directory.
    pub bundle: PathBuf,
    /// Root file system.
    pub rootfs: PathBuf,
    /// First process.
    pub init: ProcessIdentity,
    /// cgroup path for [`Manager::open`]; empty without one.
    pub cgroup: String,
    /// When it was created.
    pub created: jiff::Timestamp,
    /// User who created it.
    pub owner: u32,
    /// The systemd driver was asked for.
    #[serde(default)]
    pub systemd: bool,
    /// Its groups of resctrl.
    #[serde(default)]
    pub(super) rdt: Kept,
}

/// Status of a container, as the runtime spec has it, and `paused` as everybody has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It waits to be started.
    Created,
    /// Its program runs.
    Running,
    /// It is frozen.
    Paused,
    /// Its first process has ended.
    Stopped,
}

impl Status {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// All containers below a directory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A container's directory.
#[derive(Debug)]
pub struct Container {
    /// The directory.
    pub dir: PathBuf,
    /// Its state.
    pub state: State,
}

impl Store {
    /// Containers below this directory, which need not exist yet.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of an id.
    ///
    /// # Errors
    /// [`Error::Spec`] for an id that is none.
    pub fn dir(&self, id: &str) -> Result<PathBuf, Error> {
        check_id(id)?;
        Ok(self.root.join(id))
    }

    /// Makes the directory of a new container and locks it.
    ///
    /// # Errors
    /// [`Error::Spec`] where the id is taken.
    pub fn reserve(&self, id: &str) -> Result<(PathBuf, FileLock), Error> {
        let dir = self.dir(id)?;
        let make = |dir: &Path| rustix::fs::mkdir(dir, rustix::fs::Mode::from_raw_mode(0o711));
        let made = match make(&dir) {
            Err(rustix::io::Errno::NOENT) => {
                std::fs::create_dir_all(&self.root)
                    .map_err(|e| crate::sys::Error::from_io("mkdir", self.root.display().to_string(), &e))?;
                make(&dir)
            }
            other => other,
        };
        match made {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => {
                return Err(Error::refused("container with given ID already exists"));
            }
            Err(e) => {
                return Err(
                    crate::sys::Error::new("mkdir", dir.display().to_string(), e.raw_os_error()).into()
                );
            }
        }
        match FileLock::exclusive(&dir.join("lock")) {
            Ok(lock) => Ok((dir, lock)),
            Err(e) => {
                let _first_error_counts = std::fs::remove_dir_all(&dir);
                Err(e.into())
            }
        }
    }

    /// Opens a container.
    ///
    /// # Errors
    /// [`Error::NoContainer`] where there is none.
    pub fn open(&self, id: &str) -> Result<Container, Error> {
        let dir = self.dir(id)?;
        let text = match fd::read_file(&dir.join("state.json")) {
            Err(e) if e.is(libc::ENOENT) => return Err(Error::NoContainer(id.to_owned())),
            other => other?,
        };
        let state: State = serde_json::from_slice(&text)
            .map_err(|e| Error::spec(dir.join("state.json").display().to_string(), e.to_string()))?;
        if state.version > VERSION {
            return Err(Error::spec(
                "state.json",
                format!("version {} is newer than this program", state.version),
            ));
        }
        Ok(Container { dir, state })
    }

    /// Whether its directory can be read: one that was named must be there.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), Error> {
        let read = std::fs::read_dir(&self.root);
        let failed = |e| crate::sys::Error::from_io("open", self.root.display().to_string(), &e).into();
        read.map(drop).map_err(failed)
    }

    /// All ids, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return Vec::new() };
        let mut ids: Vec<String> = entries
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter(|id| self.root.join(id).join("state.json").exists())
            .collect();
        ids.sort();
        ids
    }
}

impl Container {
    /// Writes the state of a new container.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(dir: PathBuf, state: State) -> Result<Self, Error> {
        let text = serde_json::to_vec(&State { version: VERSION, ..state.clone() })
            .expect("state has string keys only");
        atomic::write(&dir.join("state.json"), &text, 0o600, Durability::None)?;
        Ok(Self { dir, state })
    }

    /// Locks it for a change.
    ///
    /// # Errors
    /// [`Error::NoContainer`] where it was deleted meanwhile.
    pub fn lock(&self) -> Result<FileLock, Error> {
        if !self.dir.exists() {
            return Err(Error::NoContainer(self.state.id.clone()));
        }
        Ok(FileLock::exclusive(&self.dir.join("lock"))?)
    }

    /// Socket on which it waits to be started.
    #[must_use]
    pub fn start_socket(&self) -> PathBuf {
        self.dir.join(START_SOCKET)
    }

    /// The spec that it was made of.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn spec(&self) -> Result<Spec, Error> {
        bundle::parse(&fd::read_file(&self.dir.join(CONFIG))?)
    }

    /// Its cgroup, if it has one that is still there.
    ///
    /// # Errors
    /// [`super::cgroup::Error`].
    pub fn cgroup(&self) -> Result<Option<Cgroup>, Error> {
        if self.state.cgroup.is_empty() {
            return Ok(None);
        }
        match Manager::detect()?.open(&self.state.cgroup) {
            Ok(cgroup) => Ok(Some(cgroup)),
            Err(super::cgroup::Error::Gone { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// What it does now.
    ///
    /// # Errors
    /// Where that cannot be found out: a guess would have it deleted while it runs.
    pub fn status(&self) -> Result<Status, Error> {
        match process::open_identity(&self.state.init).and_then(|init| init.is_running()) {
            Ok(true) => {}
            Ok(false) => return Ok(Status::Stopped),
            Err(e) if e.is(libc::ESRCH) => return Ok(Status::Stopped),
            Err(e) => return Err(e.into()),
        }
        // Before it is started, too: else nothing would resume it.
        if self.is_frozen()? {
            return Ok(Status::Paused);
        }
        let socket = self.start_socket();
        let waits = socket.try_exists();
        let waits =
            waits.map_err(|e| crate::sys::Error::from_io("stat", socket.display().to_string(), &e))?;
        Ok(if waits { Status::Created } else { Status::Running })
    }

    fn is_frozen(&self) -> Result<bool, Error> {
        let Some(cgroup) = self.cgroup()? else { return Ok(false) };
        match cgroup.is_frozen() {
            Err(super::cgroup::Error::NoController { .. } | super::cgroup::Error::Gone { .. }) => Ok(false),
            other => Ok(other?),
        }
    }

    /// Pid of the first process; 0 once it has ended.
    #[must_use]
    pub fn pid(&self, status: Status) -> i32 {
        if status == Status::Stopped { 0 } else { self.state.init.pid }
    }
}

/// Name of the start socket.
pub(crate) const START_SOCKET: &str = "start.sock";
/// Name of the kept spec.
pub(crate) const CONFIG: &str = "config.json";

/// Letters, digits, `_`, `+`, `-` and `.`, but not `.` or `..`.
fn check_id(id: &str) -> Result<(), Error> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_+-.".contains(&b);
    if id.is_empty() || id.len() > 255 || !id.bytes().all(good) || id == "." || id == ".." {
        return Err(Error::refused(format!("invalid id format: {id:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_file_names() {
        for (id, good) in
            [("a", true), ("A.b-c_d+1", true), ("", false), ("..", false), ("a/b", false), ("a b", false)]
        {
            assert_eq!(check_id(id).is_ok(), good, "{id:?}");
        }
    }
}
