//! Repair: a damaged layer is set aside so that the next pull makes it anew; a damaged database is salvaged into a fresh
//! one, and what its lost rows spoke of is taken up again from the files.
//!
//! Nothing is deleted here: the old database stays beside the new one, a layer that was set aside comes back when
//! nothing better was found.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};
use sha2::{Digest as _, Sha256};

use super::db::Store;
use super::error::{Error, Result};
use super::layers::{self, Layer, chain_after};
use super::lock::FileLock;
use super::paths::Paths;
use super::pull::Staging;
use super::{file, tree, volatile};
use crate::model::container::ContainerSpec;
use crate::model::digest::{ChainId, Digest};

/// Tables in an order in which nothing refers to a later one.
const TABLES: [&str; 12] = [
    "documents",
    "layers",
    "blobs",
    "images",
    "image_documents",
    "image_names",
    "image_digests",
    "containers",
    "container_uses",
    "volumes",
    "networks",
    "secrets",
];

/// What came out of a damaged database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Where the damaged one is now.
    pub kept: PathBuf,
    /// Rows that could be read.
    pub rows: u64,
    /// Tables of which not all, or nothing, could be read.
    pub damaged: Vec<String>,
    /// Containers taken up again from their directories.
    pub containers: Vec<String>,
    /// Volumes taken up again from their directories.
    pub volumes: Vec<String>,
}

/// Whether an error says that the database itself is broken.
#[must_use]
pub fn is_broken_database(e: &Error) -> bool {
    let Error::Database { source, .. } = e else { return false };
    matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// A layer's directory, moved out of the way.
#[derive(Debug)]
pub struct SetAside {
    staging: Staging,
    home: PathBuf,
}

impl SetAside {
    /// Puts it back, unless something new is there.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn back(self) -> Result<()> {
        if self.home.exists() {
            return Ok(());
        }
        let from = self.staging.path.join("layer");
        std::fs::rename(&from, &self.home).map_err(|e| Error::io("put back", &self.home, e))
    }
}

impl Store {
    /// Moves a layer's directory away, so that the next pull of an image with it makes it anew. `None` where there was
    /// nothing, or where a pull has it in its hands. Dropped, it is deleted.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_aside_layer(&self, chain: &ChainId) -> Result<Option<SetAside>> {
        let Some(lock) = FileLock::try_acquire(&layers::lock_path(&self.paths, chain))? else {
            return Ok(None);
        };
        let home = self.paths.layer(chain);
        let staging = Staging::new(&self.paths, "aside")?;
        let moved = std::fs::rename(&home, staging.path.join("layer"));
        lock.remove();
        match moved {
            Ok(()) => Ok(Some(SetAside { staging, home })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("set aside", home, e)),
        }
    }

    /// What SQLite finds wrong with the database's pages; nothing if it is whole.
    ///
    /// # Errors
    /// It cannot be read at all.
    pub fn check_database(&self) -> Result<Option<String>> {
        let said: String =
            self.read("checking it", || self.conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))?;
        Ok((said != "ok").then_some(said))
    }

    /// Makes rows for the layers of a container that are there and have none.
    fn adopt_layers(&self, chains: &[ChainId]) -> Result<()> {
        let mut parent: Option<ChainId> = None;
        for chain in chains {
            if self.layer(chain)?.is_none() && self.paths.layer_diff(chain).is_dir() {
                let mut tar = Measure { hash: Sha256::new(), size: 0 };
                // A layer that cannot be made again has no known digest: a pull brings it.
                if self.layer_tar(chain, &mut tar).is_err() {
                    return Ok(());
                }
                let diff_id = Digest::sha256(tar.hash.finalize().into());
                if chain_after(parent.as_ref(), &diff_id) != *chain {
                    return Ok(());
                }
                let size = tree::disk_usage(&self.paths.layer_diff(chain)).unwrap_or(0);
                let layer = Layer {
                    chain: chain.clone(),
                    diff_id,
                    parent: parent.clone(),
                    size,
                    entries: 0,
                    tar_size: tar.size,
                };
                self.write("taking up a layer", |tx| layers::insert_layer(self, tx, &layer))?;
            }
            parent = Some(chain.clone());
        }
        Ok(())
    }

    /// Takes up again the containers whose directories are there and whose rows are lost.
    fn adopt_containers(&self) -> Result<Vec<String>> {
        let mut adopted = Vec::new();
        let Ok(entries) = std::fs::read_dir(self.paths.containers()) else { return Ok(adopted) };
        for entry in entries.flatten() {
            let path = entry.path().join("spec.json");
            let Ok(Some(spec)) = file::read_json::<ContainerSpec>(&path) else { continue };
            let known = self.container(&spec.id).is_ok();
            self.adopt_layers(&spec.root.layers)?;
            if !known && entry.file_name().to_str() == Some(spec.id.as_str()) {
                let running = volatile::monitor_alive(&self.paths, &spec.id);
                self.adopt_container(&spec, running)?;
                adopted.push(spec.name.clone());
            }
        }
        adopted.sort_unstable();
        Ok(adopted)
    }
}

/// Makes a fresh database of a broken one: what can be read is copied; containers, their layers and volumes whose rows
/// are lost are taken up from their directories. The broken one is kept.
///
/// # Errors
/// The kernel refuses to move it, or the fresh one cannot be made.
pub fn salvage(paths: &Paths) -> Result<Salvaged> {
    let broken = paths.database();
    let stamp = jiff::Timestamp::now().as_second();
    let kept = beside(&broken, &format!(".damaged-{stamp}"));
    std::fs::rename(&broken, &kept).map_err(|e| Error::io("set aside", &broken, e))?;
    for suffix in ["-wal", "-shm"] {
        let from = beside(&broken, suffix);
        // A log that is not there, or an index of it, which SQLite makes anew.
        let _gone = std::fs::rename(&from, beside(&kept, suffix));
    }
    let (store, _) = Store::open_bare(paths)?;
    let mut done = Salvaged { kept: kept.clone(), ..Salvaged::default() };
    loose(&store, true)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let old = Connection::open_with_flags(&kept, flags).ok();
    for table in TABLES {
        match old.as_ref().map(|old| copy(old, &store, table)) {
            Some((rows, true)) => done.rows += rows,
            Some((rows, false)) => {
                done.rows += rows;
                done.damaged.push(table.to_owned());
            }
            None => done.damaged.push(table.to_owned()),
        }
    }
    (done.containers, done.volumes) = adopt(&store)?;
    store.sync_files()?;
    Ok(done)
}

/// Takes up again the containers and volumes whose files are there and whose rows are lost; gives their names.
pub(super) fn adopt(store: &Store) -> Result<(Vec<String>, Vec<String>)> {
    loose(store, true)?;
    let containers = store.adopt_containers()?;
    let volumes = store.adopt_volumes()?;
    loose(store, false)?;
    Ok((containers, volumes))
}

/// Whether rows may refer to what is lost: they are better than none.
fn loose(store: &Store, on: bool) -> Result<()> {
    let set = store.conn.execute_batch(&format!("PRAGMA foreign_keys={}", if on { "OFF" } else { "ON" }));
    set.map_err(|e| store.error("copying what can be read", e))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies a table from its beginning, and where a page in it is broken, from its end, too. Says how many rows that gave
/// and whether all of it could be read.
fn copy(old: &Connection, new: &Store, table: &str) -> (u64, bool) {
    let columns: Vec<String> = new
        .conn
        .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
        .and_then(|mut q| q.query_map([], |row| row.get(0))?.collect())
        .unwrap_or_default();
    let Some(first) = columns.first() else { return (0, false) };
    let list = columns.join(", ");
    let places = vec!["?"; columns.len()].join(", ");
    let insert = format!("INSERT OR IGNORE INTO {table} ({list}) VALUES ({places})");
    let pass = |order: &str| -> (u64, bool) {
        let mut rows = 0;
        let done = old.prepare(&format!("SELECT {list} FROM {table} ORDER BY {first} {order}")).and_then(
            |mut query| {
                let mut found = query.query([])?;
                while let Some(row) = found.next()? {
                    let values = (0..columns.len()).map(|i| row.get::<_, Value>(i));
                    let values = values.collect::<rusqlite::Result<Vec<_>>>()?;
                    rows += new.conn.execute(&insert, params_from_iter(values))? as u64;
                }
                Ok(())
            },
        );
        (rows, done.is_ok())
    };
    match pass("ASC") {
        (rows, true) => (rows, true),
        (rows, false) => (rows + pass("DESC").0, false),
    }
}

/// Hashes and counts.
struct Measure {
    hash: Sha256,
    size: u64,
}

impl std::io::Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
