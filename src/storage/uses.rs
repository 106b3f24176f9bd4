//! What containers use: images, layers, volumes, networks, secrets, other containers. One table, so that "in use
//! by" is one query and cannot be forgotten for a new kind.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::container_rows::parse_id;
use super::db::Store;
use super::error::{Error, Kind, Result};
use crate::model::container::ContainerSpec;
use crate::model::digest::Digest;
use crate::model::id::ContainerId;
use crate::model::mount::MountKind;
use crate::model::namespace::NsMode;
use crate::model::network::NetworkModeSpec;

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

impl Use<'_> {
    fn row(&self) -> (&'static str, &str) {
        match self {
            Self::Image(id) => ("image", id.as_str()),
            Self::Volume(name) => ("volume", name),
            Self::Network(name) => ("network", name),
            Self::Secret(id) => ("secret", id),
            Self::Container(id) => ("container", id.as_str()),
        }
    }
}

impl Store {
    /// Containers that use something: id and name.
    ///
    /// # Errors
    /// What the database says.
    pub fn containers_using(&self, what: Use<'_>) -> Result<Vec<(ContainerId, String)>> {
        let found = self.read("looking for users", || users(&self.conn, what))?;
        found.into_iter().map(|(id, name)| Ok((parse_id(&id)?, name))).collect()
    }

    /// [`Error::InUse`] if a container uses it; to be called inside the transaction that removes the thing.
    pub(super) fn refuse_if_used(
        &self,
        tx: &Transaction<'_>,
        kind: Kind,
        label: &str,
        what: Use<'_>,
    ) -> Result<()> {
        let found = users(tx, what).map_err(|e| self.error("looking for users", e))?;
        if found.is_empty() {
            return Ok(());
        }
        let containers =
            found.into_iter().map(|(id, name)| Ok((parse_id(&id)?, name))).collect::<Result<Vec<_>>>()?;
        Err(Error::InUse { kind, what: label.to_owned(), containers })
    }
}

fn users(conn: &rusqlite::Connection, what: Use<'_>) -> rusqlite::Result<Vec<(String, String)>> {
    let (kind, key) = what.row();
    let mut query = conn.prepare_cached(
        "SELECT c.id, c.name FROM container_uses u JOIN containers c ON c.id = u.container
         WHERE u.kind = ?1 AND u.key = ?2 ORDER BY c.created",
    )?;
    query.query_map(params![kind, key], |r| Ok((r.get(0)?, r.get(1)?)))?.collect()
}

/// Everything that `spec` uses, as rows.
fn rows(spec: &ContainerSpec) -> Vec<(&'static str, &str)> {
    let mut rows = Vec::new();
    if let Some(image) = &spec.root.image_id {
        rows.push(("image", image.as_str()));
    }
    for mount in &spec.mounts {
        if mount.kind == MountKind::Volume {
            rows.extend(mount.name.as_deref().map(|name| ("volume", name)));
        }
        rows.extend(mount.layers.last().map(|top| ("layer", top.as_str())));
    }
    rows.extend(spec.network.attachments.iter().map(|a| ("network", a.network.as_str())));
    rows.extend(spec.secrets.iter().map(|s| ("secret", s.id.as_str())));
    rows.extend(spec.requires.iter().map(|id| ("container", id.as_str())));
    if let NetworkModeSpec::Container(id) = &spec.network.mode {
        rows.push(("container", id.as_str()));
    }
    let namespaces = [&spec.namespaces.pid, &spec.namespaces.ipc, &spec.namespaces.uts];
    for mode in namespaces {
        if let NsMode::Container(id) = mode {
            rows.push(("container", id));
        }
    }
    rows
}

/// Replaces the rows of what the container uses.
pub(super) fn insert(store: &Store, tx: &Transaction<'_>, spec: &ContainerSpec) -> Result<()> {
    let write = || -> rusqlite::Result<()> {
        let id = spec.id.as_str();
        tx.prepare_cached("DELETE FROM container_uses WHERE container = ?1")?.execute([id])?;
        let mut add = tx.prepare_cached(
            "INSERT OR IGNORE INTO container_uses (container, kind, key) VALUES (?1, ?2, ?3)",
        )?;
        for (kind, key) in rows(spec) {
            add.execute(params![id, kind, key])?;
        }
        // A mounted image counts as used too; the spec knows it by its top layer.
        let mut images = tx.prepare_cached(
            "INSERT OR IGNORE INTO container_uses (container, kind, key) SELECT ?1, 'image', id FROM images WHERE top = ?2",
        )?;
        for top in spec.mounts.iter().filter_map(|m| m.layers.last()) {
            images.execute(params![id, top.as_str()])?;
        }
        Ok(())
    };
    write().map_err(|e| store.error("recording what a container uses", e))
}

/// Checks inside the inserting transaction that what the spec was resolved against is still there.
pub(super) fn check_present(store: &Store, tx: &Transaction<'_>, spec: &ContainerSpec) -> Result<()> {
    let gone = |kind, what: &str| Err(Error::GoneMeanwhile { kind, what: what.to_owned() });
    let there = |sql: &str, key: &str| -> Result<bool> {
        tx.prepare_cached(sql)
            .and_then(|mut q| q.query_row([key], |_| Ok(())).optional())
            .map(|found| found.is_some())
            .map_err(|e| store.error("checking what a container needs", e))
    };
    let tops = spec.root.layers.last().into_iter().chain(spec.mounts.iter().filter_map(|m| m.layers.last()));
    for top in tops {
        if !there("SELECT 1 FROM layers WHERE chain = ?1", top.as_str())? {
            return gone(Kind::Layer, top.as_str());
        }
    }
    for name in spec.mounts.iter().filter(|m| m.kind == MountKind::Volume).filter_map(|m| m.name.as_deref()) {
        if !there("SELECT 1 FROM volumes WHERE name = ?1", name)? {
            return gone(Kind::Volume, name);
        }
    }
    for attachment in &spec.network.attachments {
        if !there("SELECT 1 FROM networks WHERE name = ?1", &attachment.network)? {
            return gone(Kind::Network, &attachment.network);
        }
    }
    Ok(())
}
