//! Secrets: rows, and values in files that only the owner reads. Values never reach a log or a listing.

use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::db::Store;
use super::error::{Error, Kind, Result};
use super::file::{random_hex, write_atomic};
use super::paths::ensure_private;
use crate::model::id::check_name;

/// Most bytes of a value: docker's limit.
pub const MAX_VALUE: usize = 512_000;

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// 25 hex digits.
    pub id: String,
    /// Name, unique.
    pub name: String,
    /// Driver: `file` (the value is here), `pass` or `shell`.
    pub driver: String,
    /// Options of the driver.
    #[serde(default)]
    pub options: Vec<(String, String)>,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// When it was last replaced.
    pub updated: jiff::Timestamp,
}

/// A secret to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewSecret<'a> {
    /// Name.
    pub name: &'a str,
    /// Value.
    pub value: &'a [u8],
    /// Driver.
    pub driver: &'a str,
    /// Options of the driver.
    pub options: &'a [(String, String)],
    /// Labels.
    pub labels: &'a [(String, String)],
    /// One of that name is replaced.
    pub replace: bool,
}

impl Store {
    /// Makes a secret. A value that is not to be in the store is handed to `elsewhere`, before there is a row.
    ///
    /// # Errors
    /// [`super::Error::Exists`] unless `replace`; [`super::Error::Name`] for a bad name or a value that is empty or
    /// too long; what `elsewhere` says.
    pub fn create_secret<E: From<Error>>(
        &self,
        new: &NewSecret<'_>,
        elsewhere: impl FnOnce(&str) -> std::result::Result<(), E>,
    ) -> std::result::Result<Secret, E> {
        let NewSecret { name, value, driver, options, labels, replace } = *new;
        let taken = self.list_secrets()?.iter().any(|s| s.name == name);
        if taken && !replace {
            return Err(Error::Exists { kind: Kind::Secret, name: name.to_owned() }.into());
        }
        check(name, value)?;
        let now = jiff::Timestamp::now();
        let mut id = random_hex::<13>()?;
        id.truncate(25);
        let secret = Secret {
            id,
            name: name.to_owned(),
            driver: driver.to_owned(),
            options: options.to_vec(),
            labels: labels.to_vec(),
            created: now,
            updated: now,
        };
        if driver != "file" {
            elsewhere(&secret.id)?;
        }
        Ok(self.insert_secret(secret, (driver == "file").then_some(value), replace)?)
    }

    fn insert_secret(&self, secret: Secret, value: Option<&[u8]>, replace: bool) -> Result<Secret> {
        let name = &secret.name;
        let folder = self.paths.secrets();
        ensure_private(&folder)?;
        // The value first: a row always has its file, a file without a row is garbage.
        let file = folder.join(&secret.id);
        if let Some(value) = value {
            write_atomic(&file, value)?;
        }
        let json =
            serde_json::to_string(&secret).map_err(|source| Error::Damaged { path: file.clone(), source })?;
        let old = self.write("making a secret", |tx| {
            let old: Option<String> = tx
                .query_row("SELECT id FROM secrets WHERE name=?1", [name], |r| r.get(0))
                .optional()
                .map_err(|e| self.error("making a secret", e))?;
            if old.is_some() && !replace {
                return Err(Error::Exists { kind: Kind::Secret, name: name.clone() });
            }
            tx.execute("DELETE FROM secrets WHERE name=?1", [name])
                .and_then(|_| {
                    tx.execute(
                        "INSERT INTO secrets (id, name, secret) VALUES (?1, ?2, ?3)",
                        params![secret.id, secret.name, json],
                    )
                })
                .map_err(|e| self.error("making a secret", e))?;
            Ok(old)
        });
        let superfluous = match &old {
            Ok(Some(old)) => Some(folder.join(old)),
            Ok(None) => None,
            Err(_) => Some(file),
        };
        if let Some(path) = superfluous {
            // A value that no row leads to is garbage; the next sweep would take it too.
            let _ = std::fs::remove_file(path);
        }
        old.map(|_| secret)
    }

    /// Finds a secret by name, id or unique id prefix.
    ///
    /// # Errors
    /// [`super::Error::NotFound`], [`super::Error::Ambiguous`].
    pub fn find_secret(&self, name_or_id: &str) -> Result<Secret> {
        let all = self.list_secrets()?;
        if let Some(secret) = all.iter().find(|s| s.name == name_or_id || s.id == name_or_id) {
            return Ok(secret.clone());
        }
        let fits: Vec<_> =
            all.iter().filter(|s| !name_or_id.is_empty() && s.id.starts_with(name_or_id)).collect();
        match fits.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(Error::NotFound { kind: Kind::Secret, what: name_or_id.to_owned() }),
            _ => Err(Error::Ambiguous {
                kind: Kind::Secret,
                what: name_or_id.to_owned(),
                matches: fits.iter().take(10).map(|s| s.id.clone()).collect(),
            }),
        }
    }

    /// All secrets by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_secrets(&self) -> Result<Vec<Secret>> {
        let rows: Vec<(String, String)> = self.read("listing secrets", || {
            self.conn
                .prepare_cached("SELECT id, secret FROM secrets ORDER BY name")?
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect()
        })?;
        rows.into_iter()
            .map(|(id, json)| {
                serde_json::from_str(&json).map_err(|e| Error::DamagedRow {
                    kind: Kind::Secret,
                    key: id,
                    why: e.to_string(),
                })
            })
            .collect()
    }

    /// A secret's value.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn secret_value(&self, secret: &Secret) -> Result<Vec<u8>> {
        let path = self.paths.secrets().join(&secret.id);
        std::fs::read(&path).map_err(|e| Error::io("read", &path, e))
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// [`super::Error::NotFound`].
    pub fn remove_secret(&self, id: &str) -> Result<()> {
        let removed = self.write("removing a secret", |tx| {
            tx.execute("DELETE FROM secrets WHERE id=?1", [id])
                .map_err(|e| self.error("removing a secret", e))
        })?;
        if removed == 0 {
            return Err(Error::NotFound { kind: Kind::Secret, what: id.to_owned() });
        }
        let path = self.paths.secrets().join(id);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path, e)),
            _ => Ok(()),
        }
    }
}

fn check(name: &str, value: &[u8]) -> Result<()> {
    check_name("secret name", name)?;
    if value.is_empty() || value.len() > MAX_VALUE {
        let why = format!("its value has {} bytes, allowed are 1 to {MAX_VALUE}", value.len());
        return Err(crate::model::ParseError::new("secret", name, why).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::scratch;
    use super::*;

    fn make(store: &Store, name: &str, value: &[u8], replace: bool) -> Result<Secret> {
        let labels = [("a".to_owned(), "b".to_owned())];
        let new = NewSecret { name, value, driver: "file", options: &[], labels: &labels, replace };
        store.create_secret(&new, |_| Ok::<_, Error>(()))
    }

    #[test]
    fn made_found_replaced_removed() {
        let dir = scratch("secrets");
        let store = Store::open(&dir.paths()).expect("opens");
        let one = make(&store, "db", b"hunter2", false).expect("makes");
        assert_eq!(one.id.len(), 25);
        assert_eq!(store.find_secret(&one.id[..6]).expect("by prefix"), one);
        assert_eq!(store.secret_value(&one).expect("value"), b"hunter2");
        let taken = make(&store, "db", b"x", false);
        assert!(matches!(taken, Err(Error::Exists { .. })), "{taken:?}");
        let two = make(&store, "db", b"new", true).expect("replaces");
        assert_eq!(store.list_secrets().expect("lists"), std::slice::from_ref(&two));
        assert_eq!(
            std::fs::read_dir(dir.paths().secrets()).expect("folder").count(),
            1,
            "the old value is gone"
        );
        store.remove_secret(&two.id).expect("removes");
        assert!(store.find_secret("db").is_err_and(|e| e.is_not_found()));
        assert!(store.remove_secret(&two.id).is_err_and(|e| e.is_not_found()));
    }

    #[test]
    fn bad_names_and_values_are_refused() {
        let dir = scratch("badsecrets");
        let store = Store::open(&dir.paths()).expect("opens");
        assert!(make(&store, "a/b", b"x", false).is_err());
        assert!(make(&store, "a", b"", false).is_err());
        assert!(make(&store, "a", &vec![0; MAX_VALUE + 1], false).is_err());
    }
}
