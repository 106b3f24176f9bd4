//! Container records: name, durable phase, what each container uses.
//!
//! The resolved spec is a file beside (`spec.json`); what a listing shows is [`super::container_rows`]'s. What a *running* container is doing is `volatile`'s matter.

use serde::{Deserialize, Serialize};

use std::os::fd::OwnedFd;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::container_rows::{Listing, not_found, parse_id};
use super::db::Store;
use super::error::{Error, Kind, Result};
use super::paths::ensure_private;
use super::{file, gc, lock, tree, uses};
use crate::model::container::{ContainerSpec, Exited};
use crate::model::digest::Digest;
use crate::model::id::{ContainerId, check_name};

/// Why a container ended whose monitor died on the boot that is still on.
pub const MONITOR_LOST: &str = "monitor lost";

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

impl Store {
    /// Makes the container: its directory with `spec.json` and `upper`, and its row, in one transaction.
    ///
    /// # Errors
    /// [`Error::NameTaken`]; [`Error::GoneMeanwhile`] when image, volume or network went away.
    pub fn insert_container(&self, spec: &ContainerSpec, initial: &Stored) -> Result<()> {
        check_container_name(&spec.name)?;
        let dir = self.paths.container(&spec.id);
        let _making = self.make_container_dir(spec)?;
        let listing = self.json(spec.id.as_str(), &Listing::of(spec))?;
        let stored = self.json(spec.id.as_str(), initial)?;
        let desired = i64::from(matches!(initial, Stored::Started { .. }));
        let doing = "making a container";
        let made = self.write(doing, |tx| {
            if let Some(id) = self.name_holder(tx, &spec.name)? {
                return Err(Error::NameTaken { name: spec.name.clone(), id });
            }
            uses::check_present(self, tx, spec)?;
            tx.prepare_cached(
                "INSERT INTO containers (id, name, created, top, desired, stored, summary)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .and_then(|mut q| {
                let created = nanoseconds(spec.created);
                let top = spec.root.layers.last().map(Digest::as_str);
                q.execute(params![spec.id.as_str(), spec.name, created, top, desired, stored, listing])
            })
            .map_err(|e| self.error(doing, e))?;
            uses::insert(self, tx, spec)
        });
        if made.is_err() {
            // Ours alone, nothing points to it. What cannot be deleted now is swept later.
            let _ = tree::remove(&dir);
        }
        made
    }

    /// Makes the row of a container whose directory is there: whether it runs is known, what it was before is not.
    pub(super) fn adopt_container(&self, spec: &ContainerSpec, running: bool) -> Result<()> {
        let initial = if running { Stored::started_now()? } else { Stored::Created };
        let listing = self.json(spec.id.as_str(), &Listing::of(spec))?;
        let stored = self.json(spec.id.as_str(), &initial)?;
        let doing = "taking up a container";
        self.write(doing, |tx| {
            let sql = "INSERT OR IGNORE INTO containers (id, name, created, top, desired, stored, summary)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let top = spec.root.layers.last().map(Digest::as_str);
            let row = params![
                spec.id.as_str(),
                spec.name,
                nanoseconds(spec.created),
                top,
                i64::from(running),
                stored,
                listing
            ];
            tx.execute(sql, row).map_err(|e| self.error(doing, e))?;
            uses::insert(self, tx, spec)
        })
    }

    /// The container's directory, locked against the sweeper (who would take it for an orphan) until its row is
    /// there.
    fn make_container_dir(&self, spec: &ContainerSpec) -> Result<OwnedFd> {
        let dir = self.paths.container(&spec.id);
        ensure_private(&dir)?;
        let fd = tree::open_dir(rustix::fs::CWD, &dir).map_err(|e| Error::io("open", &dir, e))?;
        if !lock::try_lock_dir(&fd) {
            return Err(Error::RunLocked { id: spec.id.clone() });
        }
        let path = self.paths.spec(&spec.id);
        let write = || {
            let bytes = file::to_json(&path, spec)?;
            std::io::Write::write_all(&mut file::create_new(&path)?, &bytes)
                .map_err(|e| Error::io("write", &path, e))?;
            match self.paths.lowers(&spec.root).first() {
                Some(top) => {
                    super::overlay::make_upper(&dir, top)?;
                    spec.root.quota.map_or(Ok(()), |quota| super::quota::set(&dir, &spec.id, quota))
                }
                None => Ok(()),
            }
        };
        write().inspect_err(|_| {
            let _ = tree::remove(&dir);
        })?;
        Ok(fd)
    }

    fn name_holder(&self, tx: &Transaction<'_>, name: &str) -> Result<Option<ContainerId>> {
        let found: Option<String> = tx
            .prepare_cached("SELECT id FROM containers WHERE name = ?1")
            .and_then(|mut q| q.query_row([name], |r| r.get(0)).optional())
            .map_err(|e| self.error("looking up a name", e))?;
        found.map(|id| parse_id(&id)).transpose()
    }

    /// The resolved spec.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`] name the file; [`Error::NotFound`] without a record.
    pub fn spec(&self, id: &ContainerId) -> Result<ContainerSpec> {
        let path = self.paths.spec(id);
        match file::read_json(&path)? {
            Some(spec) => Ok(spec),
            None => {
                self.container(id)?;
                Err(Error::io("open", path, std::io::Error::from(std::io::ErrorKind::NotFound)))
            }
        }
    }

    /// Writes the durable phase.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_stored(&self, id: &ContainerId, stored: &Stored) -> Result<()> {
        let stored = self.json(id.as_str(), stored)?;
        self.update_row(id, "UPDATE containers SET stored = ?2 WHERE id = ?1", &[&id.as_str(), &stored])
    }

    /// Writes durable phase and wish in one transaction (start, stop).
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_stored_and_desired(&self, id: &ContainerId, stored: &Stored, desired: Desired) -> Result<()> {
        let stored = self.json(id.as_str(), stored)?;
        let desired = i64::from(desired == Desired::Running);
        let sql = "UPDATE containers SET stored = ?2, desired = ?3 WHERE id = ?1";
        self.update_row(id, sql, &[&id.as_str(), &stored, &desired])
    }

    /// Writes what the user wants.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_desired(&self, id: &ContainerId, desired: Desired) -> Result<()> {
        let desired = i64::from(desired == Desired::Running);
        self.update_row(id, "UPDATE containers SET desired = ?2 WHERE id = ?1", &[&id.as_str(), &desired])
    }

    fn update_row(&self, id: &ContainerId, sql: &str, args: &[&dyn rusqlite::ToSql]) -> Result<()> {
        let doing = "updating a container";
        self.write(doing, |tx| {
            let changed =
                tx.prepare_cached(sql).and_then(|mut q| q.execute(args)).map_err(|e| self.error(doing, e))?;
            if changed == 0 { Err(not_found(id.as_str())) } else { Ok(()) }
        })
    }

    /// Gives the container another name, in the row and in its spec.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NameTaken`].
    pub fn rename_container(&self, id: &ContainerId, name: &str) -> Result<()> {
        check_container_name(name)?;
        let mut spec = self.spec(id)?;
        let doing = "renaming a container";
        self.write(doing, |tx| {
            if let Some(holder) = self.name_holder(tx, name)? {
                return Err(Error::NameTaken { name: name.to_owned(), id: holder });
            }
            let changed = tx
                .execute("UPDATE containers SET name = ?2 WHERE id = ?1", params![id.as_str(), name])
                .map_err(|e| self.error(doing, e))?;
            if changed == 0 { Err(not_found(id.as_str())) } else { Ok(()) }
        })?;
        // The row decides; the document follows.
        name.clone_into(&mut spec.name);
        file::write_json(&self.paths.spec(id), &spec)
    }

    /// Replaces the spec (`update`): the file atomically, and the row's listing columns.
    ///
    /// # Errors
    /// [`Error::NotFound`], or what the kernel says.
    pub fn update_spec(&self, spec: &ContainerSpec) -> Result<()> {
        let id = &spec.id;
        self.container(id)?;
        file::write_json(&self.paths.spec(id), spec)?;
        let listing = self.json(id.as_str(), &Listing::of(spec))?;
        let doing = "updating a container";
        self.write(doing, |tx| {
            let changed = tx
                .execute("UPDATE containers SET summary = ?2 WHERE id = ?1", params![id.as_str(), listing])
                .map_err(|e| self.error(doing, e))?;
            if changed == 0 {
                return Err(not_found(id.as_str()));
            }
            uses::insert(self, tx, spec)
        })
    }

    /// Removes the container: row first (name and image are free at once), then its directories are moved to
    /// the trash and deleted. Works on a full disk.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what could not be deleted stays in the trash for the next sweep and is no error.
    pub fn remove_container(&self, id: &ContainerId) -> Result<()> {
        let doing = "removing a container";
        self.write(doing, |tx| {
            let gone = tx
                .prepare_cached("DELETE FROM containers WHERE id = ?1")
                .and_then(|mut q| q.execute([id.as_str()]))
                .map_err(|e| self.error(doing, e))?;
            if gone == 0 { Err(not_found(id.as_str())) } else { Ok(()) }
        })?;
        gc::discard(&self.paths, &self.paths.container(id));
        let _ = tree::remove(&self.paths.run_container(id));
        Ok(())
    }

    pub(super) fn json(&self, key: &str, value: &impl Serialize) -> Result<String> {
        serde_json::to_string(value).map_err(|e| Error::DamagedRow {
            kind: Kind::Container,
            key: key.to_owned(),
            why: format!("cannot be written as JSON: {e}"),
        })
    }
}

/// Time as the database keeps it; years beyond 2262 are not expected of a clock.
pub(super) fn nanoseconds(time: jiff::Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

fn check_container_name(name: &str) -> Result<()> {
    check_name("container name", name).map_err(Error::Name)
}
