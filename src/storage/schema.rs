//! The tables, as an append-only list of migrations counted by `PRAGMA user_version`.

use super::db::Store;
use super::error::{Error, Result};

/// Bytes of a page. A `run --rm` changes some pages in three transactions, and every changed page is read again by the
/// next process that opens the database first: smaller than SQLite's 4,096 for that reason. `containers` and
/// `container_uses` have no further indexes for the same reason; what they would serve (removing an image, a
/// volume) may look at every row.
const PAGE: u32 = 2048;

/// Each entry brings a database from its index to the next version. Never edit one that was released.
const MIGRATIONS: &[&str] = &[V1];

const V1: &str = "
CREATE TABLE documents (
    digest     TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    bytes      BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE layers (
    chain   TEXT PRIMARY KEY,
    diff_id TEXT NOT NULL,
    parent  TEXT REFERENCES layers(chain),
    size    INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    tar_size INTEGER NOT NULL,
    disk    INTEGER,
    created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX layers_parent ON layers(parent);
CREATE INDEX layers_diff ON layers(diff_id);

CREATE TABLE blobs (
    digest     TEXT NOT NULL,
    diff_id    TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size       INTEGER NOT NULL,
    source     TEXT NOT NULL,
    PRIMARY KEY (digest, source)
) WITHOUT ROWID;
CREATE INDEX blobs_diff ON blobs(diff_id);

CREATE TABLE images (
    id        TEXT PRIMARY KEY,
    manifest  TEXT NOT NULL,
    top       TEXT REFERENCES layers(chain),
    created   INTEGER,
    size      INTEGER NOT NULL,
    stored    INTEGER NOT NULL,
    image     TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX images_top ON images(top);

CREATE TABLE image_documents (
    image  TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    digest TEXT NOT NULL REFERENCES documents(digest),
    PRIMARY KEY (image, digest)
) WITHOUT ROWID;
CREATE INDEX image_documents_digest ON image_documents(digest);

CREATE TABLE image_names (
    name  TEXT PRIMARY KEY,
    image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX image_names_image ON image_names(image);

CREATE TABLE image_digests (
    name  TEXT PRIMARY KEY,
    image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX image_digests_image ON image_digests(image);

CREATE TABLE containers (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    top     TEXT REFERENCES layers(chain),
    desired INTEGER NOT NULL DEFAULT 0,
    stored  TEXT NOT NULL,
    summary TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE container_uses (
    container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    kind      TEXT NOT NULL,
    key       TEXT NOT NULL,
    PRIMARY KEY (container, kind, key)
) WITHOUT ROWID;

CREATE TABLE volumes (
    name    TEXT PRIMARY KEY,
    volume  TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE networks (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    network TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE secrets (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    secret  TEXT NOT NULL
) WITHOUT ROWID;
";

/// Brings the database to the newest version, refusing one from the future. `true` when it was made now.
pub(super) fn migrate(store: &Store) -> Result<bool> {
    let newest = MIGRATIONS.len() as i64;
    let found = version(store)?;
    if found == newest {
        return Ok(false);
    }
    if found > newest {
        return Err(Error::NewerSchema { path: store.paths.database(), found, known: newest });
    }
    if found == 0 {
        super::paths::ensure_private(&store.paths.trash())?;
        super::reserve::renew(&store.paths);
        // Once per database: the mode is a property of the file.
        store.read("setting its journal mode", || {
            store.conn.execute_batch(&format!("PRAGMA page_size={PAGE}"))?;
            store.conn.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))
        })?;
    }
    store.write("migrating its tables", |tx| {
        // Another process may have done it while we waited for the lock.
        let at: i64 = tx
            .query_row("PRAGMA user_version", [], |r| r.get(0))
            .map_err(|e| store.error("reading its version", e))?;
        let done = usize::try_from(at).unwrap_or(MIGRATIONS.len());
        for step in MIGRATIONS.iter().skip(done) {
            tx.execute_batch(step).map_err(|e| store.error("migrating its tables", e))?;
        }
        tx.execute_batch(&format!("PRAGMA user_version={newest}"))
            .map_err(|e| store.error("writing its version", e))
    })?;
    Ok(found == 0)
}

fn version(store: &Store) -> Result<i64> {
    store.read("reading its version", || store.conn.query_row("PRAGMA user_version", [], |r| r.get(0)))
}
