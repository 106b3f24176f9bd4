//! Network definitions: rows of [`Network`]. What subnet to choose and what the kernel gets is `net`'s matter.

use super::db::Store;
use super::error::Result;
use crate::model::network::Network;

impl Store {
    /// Stores a network.
    ///
    /// # Errors
    /// [`super::Error::Exists`] when the name is taken.
    pub fn insert_network(&self, network: &Network) -> Result<()> {
        let _ = network;
        todo!()
    }

    /// Replaces a network's definition (`network update`).
    ///
    /// # Errors
    /// [`super::Error::NotFound`].
    pub fn update_network(&self, network: &Network) -> Result<()> {
        let _ = network;
        todo!()
    }

    /// Finds a network by name, full id or unique id prefix.
    ///
    /// # Errors
    /// [`super::Error::NotFound`], [`super::Error::Ambiguous`].
    pub fn find_network(&self, name_or_id: &str) -> Result<Network> {
        let _ = name_or_id;
        todo!()
    }

    /// All networks by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_networks(&self) -> Result<Vec<Network>> {
        todo!()
    }

    /// The network `name`, or what `make` returns when it does not exist; `make` sees all existing ones and runs
    /// inside the transaction, so two processes cannot choose the same subnet.
    ///
    /// # Errors
    /// What `make` or the database says.
    pub fn ensure_network<E>(
        &self,
        name: &str,
        make: impl FnMut(&[Network]) -> std::result::Result<Network, E>,
    ) -> std::result::Result<Network, E>
    where
        E: From<super::Error>,
    {
        let _ = (name, make);
        todo!()
    }

    /// Removes a network.
    ///
    /// # Errors
    /// [`super::Error::InUse`], [`super::Error::NotFound`].
    pub fn remove_network(&self, name: &str) -> Result<()> {
        let _ = name;
        todo!()
    }
}
