//! Secrets: rows, and values in files that only the owner reads. Values never reach a log or a listing.

use serde::{Deserialize, Serialize};

use super::db::Store;
use super::error::Result;

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// 25 hex digits.
    pub id: String,
    /// Name, unique.
    pub name: String,
    /// Driver, `file`.
    pub driver: String,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// When it was last replaced.
    pub updated: jiff::Timestamp,
}

impl Store {
    /// Makes a secret.
    ///
    /// # Errors
    /// [`super::Error::Exists`] unless `replace`.
    pub fn create_secret(
        &self,
        name: &str,
        value: &[u8],
        labels: &[(String, String)],
        replace: bool,
    ) -> Result<Secret> {
        let _ = (name, value, labels, replace);
        todo!()
    }

    /// Finds a secret by name, id or unique id prefix.
    ///
    /// # Errors
    /// [`super::Error::NotFound`], [`super::Error::Ambiguous`].
    pub fn find_secret(&self, name_or_id: &str) -> Result<Secret> {
        let _ = name_or_id;
        todo!()
    }

    /// All secrets by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_secrets(&self) -> Result<Vec<Secret>> {
        todo!()
    }

    /// A secret's value.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn secret_value(&self, secret: &Secret) -> Result<Vec<u8>> {
        let _ = secret;
        todo!()
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// [`super::Error::NotFound`].
    pub fn remove_secret(&self, id: &str) -> Result<()> {
        let _ = id;
        todo!()
    }
}
