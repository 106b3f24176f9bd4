//! Additional image stores (`--storage-opt overlay.imagestore=DIR`): the images of another root are used from where they
//! are. Their rows are copied and their layers' directories are links into the other root; nothing there is written.
//!
//! It is looked at again when its database has changed. An image that was removed here stays away until then; who
//! removes one there has to know that nobody uses it, as with any read-only store.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Transaction;

use super::db::Store;
use super::error::{Error, Result};
use super::layers::parse_digest;
use super::paths::{Paths, ensure_private};
use crate::model::digest::ChainId;
use crate::sys::atomic::{self, Durability};

/// The tables of images, those before that others refer to.
const TABLES: &[&str] =
    &["layers", "blobs", "documents", "images", "image_documents", "image_names", "image_digests"];

impl Store {
    /// Takes up the images of the store below `lender` that are not here.
    ///
    /// # Errors
    /// There is no store, or one of another release; what SQLite or the kernel says.
    pub fn borrow_images(&self, lender: &Path) -> Result<()> {
        let theirs = Paths::new(lender, lender);
        let Some(state) = state_of(&theirs) else {
            // An empty directory has no images; a store may be made there later.
            return Ok(());
        };
        let mut known = self.lenders();
        let key = lender.display().to_string();
        if known.get(&key) == Some(&state) {
            return Ok(());
        }
        self.attach(&theirs)?;
        let taken = self.write("taking up the images of another store", |tx| self.take(tx, &theirs));
        self.read("closing the other store", || self.conn.execute_batch("DETACH DATABASE lent"))?;
        taken?;
        known.insert(key, state);
        let path = self.lenders_file();
        let text = serde_json::to_vec(&known).unwrap_or_default();
        atomic::write(&path, &text, 0o600, Durability::None)
            .map_err(|e| Error::io("write", path, std::io::Error::other(e)))
    }

    fn attach(&self, theirs: &Paths) -> Result<()> {
        let file = theirs.database().display().to_string();
        self.read("opening another store", || self.conn.execute("ATTACH DATABASE ?1 AS lent", [&file]))?;
        let version = |schema: &str| {
            self.read("reading its version", || {
                self.conn.query_row(&format!("PRAGMA {schema}.user_version"), [], |r| r.get::<_, i64>(0))
            })
        };
        let (found, known) = (version("lent")?, version("main")?);
        if found == known {
            return Ok(());
        }
        self.read("closing the other store", || self.conn.execute_batch("DETACH DATABASE lent"))?;
        Err(Error::NewerSchema { path: theirs.database(), found, known })
    }

    fn take(&self, tx: &Transaction<'_>, theirs: &Paths) -> Result<()> {
        let doing = "taking up the images of another store";
        let chains: Vec<String> = tx
            .prepare("SELECT chain FROM lent.layers WHERE chain NOT IN (SELECT chain FROM main.layers)")
            .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
            .map_err(|e| self.error(doing, e))?;
        ensure_private(&self.paths.layers())?;
        for chain in &chains {
            self.link(theirs, &parse_digest(chain)?)?;
        }
        for table in TABLES {
            let columns: Vec<String> = tx
                .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
                .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
                .map_err(|e| self.error(doing, e))?;
            let columns = columns.join(", ");
            // Names that mean another image here keep doing so.
            let sql =
                format!("INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM lent.{table}");
            tx.execute(&sql, []).map_err(|e| self.error(doing, e))?;
        }
        Ok(())
    }

    /// Puts a link where the layer would be. What is there already has no row, as that of a maker who died has none.
    fn link(&self, theirs: &Paths, chain: &ChainId) -> Result<()> {
        let (from, to) = (theirs.layer(chain), self.paths.layer(chain));
        let from = std::fs::canonicalize(&from).map_err(|e| Error::io("find", from, e))?;
        if to.symlink_metadata().is_ok() {
            super::gc::discard(&self.paths, &to);
        }
        match std::os::unix::fs::symlink(from, &to) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io("link", to, e)),
            _ => Ok(()),
        }
    }

    fn lenders_file(&self) -> PathBuf {
        self.paths.root.join("lenders.json")
    }

    /// How the other stores were when their images were taken up. A file that cannot be read only costs a second look.
    fn lenders(&self) -> BTreeMap<String, String> {
        let text = std::fs::read(self.lenders_file()).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

/// Whether a layer is one of another store.
#[must_use]
pub fn is_lent(paths: &Paths, chain: &ChainId) -> bool {
    paths.layer(chain).symlink_metadata().is_ok_and(|m| m.is_symlink())
}

/// What changes with each transaction: time and size of the database and of its log. `None` where there is no store.
fn state_of(theirs: &Paths) -> Option<String> {
    let file = theirs.database();
    let mut log = file.clone().into_os_string();
    log.push("-wal");
    let one =
        |path: &Path| path.metadata().ok().map(|m| format!("{}.{}:{}", m.mtime(), m.mtime_nsec(), m.len()));
    let log = one(Path::new(&log)).unwrap_or_default();
    one(&file).map(|file| format!("{file} {log}"))
}
