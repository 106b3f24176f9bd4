//! Volumes of the local driver: rows and `_data` directories. Mounting and filling them is in
//! [`super::volume_mount`].

use rusqlite::{OptionalExtension as _, params};

use super::db::Store;
use super::error::{Error, Kind, Result};
use super::paths::ensure_private;
use super::uses::Use;
use super::{file, gc};
use crate::model::id::check_name;
use crate::model::volume::Volume;

pub use super::volume_mount::{VolumeSource, copy_up, open};

/// A volume to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewVolume {
    /// Name; `None` makes an anonymous one of 64 hex digits.
    pub name: Option<String>,
    /// It is a container's own, though it was given a name beforehand.
    pub anonymous: bool,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Driver options: `type`, `device`, `o` as docker's local driver takes them.
    pub options: Vec<(String, String)>,
}

impl Store {
    /// Makes a volume.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::VolumeOptions`].
    pub fn create_volume(&self, new: &NewVolume) -> Result<Volume> {
        let (volume, made) = self.put_volume(new)?;
        if made { Ok(volume) } else { Err(Error::Exists { kind: Kind::Volume, name: volume.name }) }
    }

    /// The volume of that name, made if it is not there.
    ///
    /// # Errors
    /// As [`Store::create_volume`].
    pub fn ensure_volume(&self, new: &NewVolume) -> Result<Volume> {
        if let Some(name) = &new.name
            && let Some(found) = self.volume(name)?
        {
            return Ok(found);
        }
        self.put_volume(new).map(|(volume, _)| volume)
    }

    /// The volume, and whether it was made now. The directory comes first: a row never lacks it.
    fn put_volume(&self, new: &NewVolume) -> Result<(Volume, bool)> {
        let name = match &new.name {
            Some(name) => {
                check_name("volume name", name)?;
                name.clone()
            }
            None => file::random_hex::<32>()?,
        };
        super::volume_mount::check_options(&name, &new.options)?;
        let data = self.paths.volume_data(&name);
        ensure_private(&self.paths.volume(&name))?;
        make_data(&data)?;
        let volume = Volume {
            name: name.clone(),
            driver: "local".into(),
            mountpoint: data.to_string_lossy().into_owned(),
            created: jiff::Timestamp::now(),
            labels: new.labels.clone(),
            options: new.options.clone(),
            anonymous: new.anonymous || new.name.is_none(),
        };
        let json = self.json(&name, &volume)?;
        let doing = "making a volume";
        self.write(doing, |tx| {
            if let Some(found) = row(self, tx, &name)? {
                return Ok((found, false));
            }
            tx.prepare_cached("INSERT INTO volumes (name, volume) VALUES (?1, ?2)")
                .and_then(|mut q| q.execute(params![name, json]))
                .map_err(|e| self.error(doing, e))?;
            Ok((volume.clone(), true))
        })
    }

    /// Takes up again the volumes whose directories are there and whose rows are lost (a database that was made anew);
    /// gives their names.
    ///
    /// # Errors
    /// What the database or the kernel says.
    pub fn adopt_volumes(&self) -> Result<Vec<String>> {
        let dir = self.paths.volumes();
        let Ok(entries) = std::fs::read_dir(&dir) else { return Ok(Vec::new()) };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|e| self.paths.volume_data(&e.file_name().to_string_lossy()).is_dir())
            .filter_map(|e| e.file_name().into_string().ok())
            .filter(|name| check_name("volume name", name).is_ok())
            .collect();
        names.sort_unstable();
        let mut adopted = Vec::new();
        for name in names {
            if self.volume(&name)?.is_some() {
                continue;
            }
            self.put_volume(&NewVolume { name: Some(name.clone()), ..NewVolume::default() })?;
            adopted.push(name);
        }
        Ok(adopted)
    }

    /// The volume of exactly that name, if any.
    ///
    /// # Errors
    /// What the database says.
    pub fn volume(&self, name: &str) -> Result<Option<Volume>> {
        row(self, &self.conn, name)
    }

    /// The volume of that name; a unique prefix is enough for an anonymous one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub fn find_volume(&self, name: &str) -> Result<Volume> {
        if let Some(found) = self.volume(name)? {
            return Ok(found);
        }
        let mut fits = self.list_volumes()?;
        fits.retain(|v| v.anonymous && !name.is_empty() && v.name.starts_with(name));
        match fits.len() {
            0 => Err(not_found(name)),
            1 => Ok(fits.remove(0)),
            _ => Err(Error::Ambiguous {
                kind: Kind::Volume,
                what: name.to_owned(),
                matches: fits.into_iter().take(10).map(|v| v.name).collect(),
            }),
        }
    }

    /// All volumes by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_volumes(&self) -> Result<Vec<Volume>> {
        let rows: Vec<(String, String)> = self.read("listing volumes", || {
            let sql = "SELECT name, volume FROM volumes ORDER BY name";
            self.conn.prepare_cached(sql)?.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect()
        })?;
        rows.iter().map(|(name, json)| parse(name, json)).collect()
    }

    /// Removes a volume and its content.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::NotFound`].
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        let doing = "removing a volume";
        self.write(doing, |tx| {
            self.refuse_if_used(tx, Kind::Volume, name, Use::Volume(name))?;
            let gone = tx
                .execute("DELETE FROM volumes WHERE name = ?1", [name])
                .map_err(|e| self.error(doing, e))?;
            if gone == 0 { Err(not_found(name)) } else { Ok(()) }
        })?;
        gc::discard(&self.paths, &self.paths.volume(name));
        Ok(())
    }

    /// Removes the volumes that no container uses: anonymous ones, or all. Returns names and bytes given back.
    ///
    /// # Errors
    /// What the database says.
    pub fn prune_volumes(&self, all: bool, wanted: &dyn Fn(&Volume) -> bool) -> Result<(Vec<String>, u64)> {
        let (mut names, mut bytes) = (Vec::new(), 0);
        for volume in self.list_volumes()? {
            if !(all || volume.anonymous) || !wanted(&volume) {
                continue;
            }
            let size = super::tree::disk_usage(&self.paths.volume(&volume.name))?;
            match self.remove_volume(&volume.name) {
                Ok(()) => {
                    bytes += size;
                    names.push(volume.name);
                }
                Err(Error::InUse { .. } | Error::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok((names, bytes))
    }
}

/// The content's directory, for everyone in the container; the one above is private.
fn make_data(data: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::create_dir(data) {
        Ok(()) => std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o755))
            .map_err(|e| Error::io("change the mode of", data, e)),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(Error::io("create directory", data, e)),
    }
}

fn row(store: &Store, conn: &rusqlite::Connection, name: &str) -> Result<Option<Volume>> {
    let json: Option<String> = store.read("looking for a volume", || {
        let sql = "SELECT volume FROM volumes WHERE name = ?1";
        conn.prepare_cached(sql)?.query_row([name], |r| r.get(0)).optional()
    })?;
    json.map(|json| parse(name, &json)).transpose()
}

fn parse(name: &str, json: &str) -> Result<Volume> {
    serde_json::from_str(json).map_err(|e| Error::DamagedRow {
        kind: Kind::Volume,
        key: name.to_owned(),
        why: e.to_string(),
    })
}

fn not_found(what: &str) -> Error {
    Error::NotFound { kind: Kind::Volume, what: what.to_owned() }
}
