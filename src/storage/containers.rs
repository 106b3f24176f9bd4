//! Container records: name, durable phase, the columns of a listing, what each container uses.
//!
//! The resolved spec is a file beside (`spec.json`); the row carries what `ps` shows, so that a listing
//! reads no files. What a *running* container is doing is `volatile`'s matter.

use serde::{Deserialize, Serialize};

use std::os::fd::OwnedFd;

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::db::Store;
use super::error::{Error, Kind, Result};
use super::paths::ensure_private;
use super::{file, gc, lock, tree, uses};
use crate::model::container::{ContainerSpec, Exited};
use crate::model::digest::Digest;
use crate::model::id::{ContainerId, check_name};
use crate::model::lifecycle::RestartPolicy;
use crate::model::network::{ExposedPort, NetworkModeSpec, NetworkSpec, PortMapping};

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

/// The part of a [`Summary`] that is one JSON column; the rest are columns of their own because they change or
/// are searched.
#[derive(Serialize, Deserialize)]
struct Listing {
    image_name: String,
    image_id: Option<Digest>,
    command: Vec<String>,
    labels: Vec<(String, String)>,
    ports: Vec<PortMapping>,
    exposed: Vec<ExposedPort>,
    networks: Vec<String>,
    mounts: Vec<(String, String)>,
    restart: RestartPolicy,
    auto_remove: bool,
    has_health: bool,
}

impl Listing {
    fn of(spec: &ContainerSpec) -> Self {
        let mount_name =
            |m: &crate::model::mount::MountSpec| m.name.clone().unwrap_or_else(|| m.source.clone());
        Self {
            image_name: spec.root.directory.clone().unwrap_or_else(|| spec.root.image_name.clone()),
            image_id: spec.root.image_id.clone(),
            command: spec.process.argv.clone(),
            labels: spec.labels.clone(),
            ports: spec.network.ports.clone(),
            exposed: spec.network.exposed.clone(),
            networks: listed_networks(&spec.network),
            mounts: spec.mounts.iter().map(|m| (mount_name(m), m.target.clone())).collect(),
            restart: spec.lifecycle.restart,
            auto_remove: spec.lifecycle.auto_remove,
            has_health: spec.lifecycle.health.is_some(),
        }
    }
}

/// Names of networks, or the mode that stands for one in listings and filters.
fn listed_networks(network: &NetworkSpec) -> Vec<String> {
    match network.mode {
        NetworkModeSpec::Host => vec!["host".to_owned()],
        NetworkModeSpec::None => vec!["none".to_owned()],
        _ => network.attachments.iter().map(|a| a.network.clone()).collect(),
    }
}

/// Columns of every query for a [`Summary`], in the order that [`Store::summary`] reads.
const COLUMNS: &str = "id, name, created, desired, stored, summary";

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
            match spec.root.layers.last() {
                Some(top) => {
                    super::overlay::make_upper(&dir, &self.paths.layer_diff(top))?;
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

    /// Finds a container by full id, name or unique id prefix (docker's order).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub fn find_container(&self, name_or_id: &str) -> Result<Summary> {
        let what = name_or_id.strip_prefix('/').unwrap_or(name_or_id);
        let sql = "SELECT id, name, created, desired, stored, summary FROM containers
                   WHERE name = ?1 OR id = ?1 ORDER BY id = ?1 DESC LIMIT 1";
        if let Some(found) = self.summaries(sql, &[&what])?.pop() {
            return Ok(found);
        }
        if !is_hex_prefix(what) {
            return Err(not_found(name_or_id));
        }
        let sql = "SELECT id, name, created, desired, stored, summary FROM containers
                   WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 11";
        let mut found = self.summaries(sql, &[&what])?;
        match found.len() {
            0 => Err(not_found(name_or_id)),
            1 => Ok(found.remove(0)),
            _ => Err(Error::Ambiguous {
                kind: Kind::Container,
                what: what.to_owned(),
                matches: found.iter().take(10).map(|c| format!("{} ({})", c.id.short(), c.name)).collect(),
            }),
        }
    }

    /// The container of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn container(&self, id: &ContainerId) -> Result<Summary> {
        let sql = "SELECT id, name, created, desired, stored, summary FROM containers WHERE id = ?1";
        self.summaries(sql, &[&id.as_str()])?.pop().ok_or_else(|| not_found(id.as_str()))
    }

    /// All containers, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_containers(&self) -> Result<Vec<Summary>> {
        self.each_container()?.collect()
    }

    /// [`Store::list_containers`], of many: a row is taken apart when its turn comes.
    ///
    /// # Errors
    /// As there; of one row, in its place.
    pub fn each_container(&self) -> Result<impl Iterator<Item = Result<Summary>> + use<>> {
        let sql = format!("SELECT {COLUMNS} FROM containers ORDER BY created DESC, id");
        let rows = self.read("listing containers", || {
            let mut query = self.conn.prepare_cached(&sql)?;
            let raw = |row: &Row<'_>| {
                let text: (String, String, String, String) =
                    (row.get(0)?, row.get(1)?, row.get(4)?, row.get(5)?);
                Ok((text, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
            };
            query.query_map([], raw)?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(rows.into_iter().map(|((id, name, stored, summary), created, desired)| {
            parse_summary(&id, name, created, desired, (&stored, &summary))
        }))
    }

    fn summaries(&self, sql: &str, args: &[&dyn rusqlite::ToSql]) -> Result<Vec<Summary>> {
        let rows = self.read("listing containers", || {
            let mut query = self.conn.prepare_cached(sql)?;
            let mut rows = query.query(args)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(summary(row)?);
            }
            Ok(found)
        })?;
        rows.into_iter().collect()
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

/// A row as a summary; the inner error is a damaged row.
fn summary(row: &Row<'_>) -> rusqlite::Result<Result<Summary>> {
    let id: String = row.get(0)?;
    let name: String = row.get(1)?;
    let created: i64 = row.get(2)?;
    let desired: i64 = row.get(3)?;
    let (stored, listing) = (row.get_ref(4)?.as_str()?, row.get_ref(5)?.as_str()?);
    Ok(parse_summary(&id, name, created, desired, (stored, listing)))
}

fn parse_summary(id: &str, name: String, created: i64, desired: i64, json: (&str, &str)) -> Result<Summary> {
    let damaged = |why: String| Error::DamagedRow { kind: Kind::Container, key: id.to_owned(), why };
    let stored: Stored = serde_json::from_str(json.0).map_err(|e| damaged(e.to_string()))?;
    let listing: Listing = serde_json::from_str(json.1).map_err(|e| damaged(e.to_string()))?;
    Ok(Summary {
        id: parse_id(id)?,
        name,
        image_name: listing.image_name,
        image_id: listing.image_id,
        command: listing.command,
        created: jiff::Timestamp::from_nanosecond(i128::from(created)).map_err(|e| damaged(e.to_string()))?,
        labels: listing.labels,
        stored,
        desired: if desired == 0 { Desired::Stopped } else { Desired::Running },
        ports: listing.ports,
        exposed: listing.exposed,
        networks: listing.networks,
        mounts: listing.mounts,
        restart: listing.restart,
        auto_remove: listing.auto_remove,
        has_health: listing.has_health,
    })
}

pub(super) fn parse_id(id: &str) -> Result<ContainerId> {
    id.parse().map_err(|e: crate::model::ParseError| Error::DamagedRow {
        kind: Kind::Container,
        key: id.to_owned(),
        why: e.to_string(),
    })
}

/// Whether the text can begin an id.
pub(super) fn is_hex_prefix(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Time as the database keeps it; years beyond 2262 are not expected of a clock.
pub(super) fn nanoseconds(time: jiff::Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

fn check_container_name(name: &str) -> Result<()> {
    check_name("container name", name).map_err(Error::Name)
}

fn not_found(what: &str) -> Error {
    Error::NotFound { kind: Kind::Container, what: what.to_owned() }
}
