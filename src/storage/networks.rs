//! Network definitions: rows of [`Network`]. What subnet to choose and what the kernel gets is `net`'s matter.

use rusqlite::{Transaction, params};

use super::container_rows::is_hex_prefix;
use super::db::Store;
use super::error::{Error, Kind, Result};
use super::uses::Use;
use crate::model::id::ContainerId;
use crate::model::network::Network;

impl Store {
    /// Stores a network.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name is taken.
    pub fn insert_network(&self, network: &Network) -> Result<()> {
        self.write("making a network", |tx| {
            if all(self, tx)?.iter().any(|n| n.name == network.name) {
                return Err(Error::Exists { kind: Kind::Network, name: network.name.clone() });
            }
            self.put_network(tx, network)
        })
    }

    fn put_network(&self, tx: &Transaction<'_>, network: &Network) -> Result<()> {
        let json = self.json(&network.id, network)?;
        tx.execute(
            "INSERT INTO networks (id, name, network) VALUES (?1, ?2, ?3)",
            params![network.id, network.name, json],
        )
        .map(drop)
        .map_err(|e| self.error("making a network", e))
    }

    /// Replaces a network's definition (`network update`).
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn update_network(&self, network: &Network) -> Result<()> {
        let json = self.json(&network.id, network)?;
        let doing = "updating a network";
        self.write(doing, |tx| {
            let sql = "UPDATE networks SET name = ?2, network = ?3 WHERE id = ?1";
            let changed =
                tx.execute(sql, params![network.id, network.name, json]).map_err(|e| self.error(doing, e))?;
            if changed == 0 { Err(not_found(&network.name)) } else { Ok(()) }
        })
    }

    /// Finds a network by name, full id or unique id prefix.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub fn find_network(&self, name_or_id: &str) -> Result<Network> {
        let networks = self.list_networks()?;
        let exact = |n: &&Network| n.name == name_or_id || n.id == name_or_id;
        if let Some(found) = networks.iter().find(exact) {
            return Ok(found.clone());
        }
        let mut fits = networks;
        fits.retain(|n| is_hex_prefix(name_or_id) && n.id.starts_with(name_or_id));
        match fits.len() {
            0 => Err(not_found(name_or_id)),
            1 => Ok(fits.remove(0)),
            _ => Err(Error::Ambiguous {
                kind: Kind::Network,
                what: name_or_id.to_owned(),
                matches: fits.into_iter().take(10).map(|n| n.name).collect(),
            }),
        }
    }

    /// All networks by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_networks(&self) -> Result<Vec<Network>> {
        all(self, &self.conn)
    }

    /// The network `name`, or what `make` returns when it does not exist; `make` sees all existing ones and runs
    /// inside the transaction, so two processes cannot choose the same subnet.
    ///
    /// # Errors
    /// What `make` or the database says.
    pub fn ensure_network<E>(
        &self,
        name: &str,
        mut make: impl FnMut(&[Network]) -> std::result::Result<Network, E>,
    ) -> std::result::Result<Network, E>
    where
        E: From<Error>,
    {
        let existing = self.list_networks()?;
        if let Some(found) = existing.into_iter().find(|n| n.name == name) {
            return Ok(found);
        }
        // The caller's own error travels beside: the transaction only knows ours.
        let mut refused = None;
        let made = self.write("making a network", |tx| {
            let existing = all(self, tx)?;
            if let Some(found) = existing.iter().find(|n| n.name == name) {
                return Ok(Some(found.clone()));
            }
            match make(&existing) {
                Ok(network) => self.put_network(tx, &network).map(|()| Some(network)),
                Err(e) => {
                    refused = Some(e);
                    Ok(None)
                }
            }
        })?;
        match (made, refused) {
            (_, Some(e)) => Err(e),
            (Some(network), None) => Ok(network),
            (None, None) => Err(not_found(name).into()),
        }
    }

    /// Removes a network.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::NotFound`].
    pub fn remove_network(&self, name: &str) -> Result<()> {
        self.remove_network_of(name, &[])
    }

    /// The same, where these containers (which do not run) do not count as users.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::NotFound`].
    pub fn remove_network_of(&self, name: &str, stopped: &[ContainerId]) -> Result<()> {
        let doing = "removing a network";
        self.write(doing, |tx| {
            match self.refuse_if_used(tx, Kind::Network, name, Use::Network(name)) {
                Err(Error::InUse { containers, .. })
                    if containers.iter().all(|(id, _)| stopped.contains(id)) => {}
                other => other?,
            }
            let gone = tx
                .execute("DELETE FROM networks WHERE name = ?1", [name])
                .map_err(|e| self.error(doing, e))?;
            if gone == 0 { Err(not_found(name)) } else { Ok(()) }
        })
    }
}

fn all(store: &Store, conn: &rusqlite::Connection) -> Result<Vec<Network>> {
    let rows = store.read("listing networks", || {
        let mut query = conn.prepare_cached("SELECT name, network FROM networks ORDER BY name")?;
        query
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(String, String)>>>()
    })?;
    rows.into_iter()
        .map(|(key, json)| {
            serde_json::from_str(&json).map_err(|e| Error::DamagedRow {
                kind: Kind::Network,
                key,
                why: e.to_string(),
            })
        })
        .collect()
}

fn not_found(what: &str) -> Error {
    Error::NotFound { kind: Kind::Network, what: what.to_owned() }
}
