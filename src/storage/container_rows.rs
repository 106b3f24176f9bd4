//! Containers as listings show them: what a row holds, and how rows are found and read. The row carries what `ps` shows, so
//! that a listing reads no files. Making and changing containers is [`super::containers`]'s.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::containers::{Desired, Stored};
use super::db::Store;
use super::error::{Error, Kind, Result};
use crate::model::container::ContainerSpec;
use crate::model::digest::Digest;
use crate::model::id::ContainerId;
use crate::model::lifecycle::RestartPolicy;
use crate::model::network::{ExposedPort, NetworkModeSpec, NetworkSpec, PortMapping};

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
pub(super) struct Listing {
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
    pub(super) fn of(spec: &ContainerSpec) -> Self {
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

pub(super) fn not_found(what: &str) -> Error {
    Error::NotFound { kind: Kind::Container, what: what.to_owned() }
}
