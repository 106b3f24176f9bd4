//! Layers: unpacked trees by chain id, and what is known of their compressed blobs. Making new ones is in
//! [`super::pull`].

use std::os::fd::AsFd as _;

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use sha2::{Digest as _, Sha256};

use super::db::Store;
use super::error::{Error, Kind, Result};
use super::lock::FileLock;
use super::paths::Paths;
use super::recipe::{self, RebuildError};
use super::{gc, tree};
use crate::model::digest::{ChainId, DiffId, Digest};

pub use super::pull::{LayerWriter, OnWait, Pull, StagedLayer};

/// A stored layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Key.
    pub chain: ChainId,
    /// Digest of its uncompressed tar.
    pub diff_id: DiffId,
    /// The chain below it.
    pub parent: Option<ChainId>,
    /// Bytes of file content.
    pub size: u64,
    /// Entries in its tar.
    pub entries: u64,
    /// Length of its uncompressed tar.
    pub tar_size: u64,
}

/// One layer wanted by a pull: its key and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Key.
    pub chain: ChainId,
    /// Digest of its uncompressed tar.
    pub diff_id: DiffId,
    /// The chain below it.
    pub parent: Option<ChainId>,
}

/// What a registry calls a layer: a compressed blob seen somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// The layer in it.
    pub diff_id: DiffId,
    /// Media type of the blob.
    pub media_type: String,
    /// Compressed length.
    pub size: u64,
    /// `registry/repository` where it is, for cross-repository mounts.
    pub source: String,
}

/// The layer keys of a stack of diffIDs, lowest first (OCI image spec, "Layer ChainID").
#[must_use]
pub fn chain_ids(diff_ids: &[DiffId]) -> Vec<ChainId> {
    let mut chains: Vec<ChainId> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let chain = chain_after(chains.last(), diff_id);
        chains.push(chain);
    }
    chains
}

/// The key of a layer upon `below`.
#[must_use]
pub fn chain_after(below: Option<&ChainId>, diff_id: &DiffId) -> ChainId {
    match below {
        None => diff_id.clone(),
        Some(below) => Digest::sha256(Sha256::digest(format!("{below} {diff_id}")).into()),
    }
}

/// What a pull needs, lowest first.
#[must_use]
pub fn wanted(diff_ids: &[DiffId]) -> Vec<Wanted> {
    let chains = chain_ids(diff_ids);
    let parents = std::iter::once(None).chain(chains.iter().cloned().map(Some));
    let parts = chains.iter().zip(diff_ids).zip(parents);
    parts
        .map(|((chain, diff_id), parent)| Wanted { chain: chain.clone(), diff_id: diff_id.clone(), parent })
        .collect()
}

const COLUMNS: &str = "chain, diff_id, parent, size, entries, tar_size";

impl Store {
    /// A layer's row.
    ///
    /// # Errors
    /// What the database says.
    pub fn layer(&self, chain: &ChainId) -> Result<Option<Layer>> {
        let sql = format!("SELECT {COLUMNS} FROM layers WHERE chain = ?1");
        let found = self.read("looking for a layer", || {
            self.conn.prepare_cached(&sql)?.query_row([chain.as_str()], layer_row).optional()
        })?;
        found.transpose()
    }

    /// All layers.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_layers(&self) -> Result<Vec<Layer>> {
        let sql = format!("SELECT {COLUMNS} FROM layers");
        let rows = self.read("listing layers", || {
            self.conn.prepare_cached(&sql)?.query_map([], layer_row)?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter().collect()
    }

    /// Remembers where compressed forms of layers are.
    ///
    /// # Errors
    /// What the database says.
    pub fn add_blobs(&self, blobs: &[Blob]) -> Result<()> {
        self.write("recording blobs", |tx| insert_blobs(self, tx, blobs))
    }

    /// Compressed forms of a layer, for push without compression or upload.
    ///
    /// # Errors
    /// What the database says.
    pub fn blobs_of(&self, diff_id: &DiffId) -> Result<Vec<Blob>> {
        let rows = self.read("looking for blobs", || {
            let sql = "SELECT digest, diff_id, media_type, size, source FROM blobs WHERE diff_id = ?1";
            self.conn
                .prepare_cached(sql)?
                .query_map([diff_id.as_str()], blob_row)?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter().collect()
    }

    /// The layer that a compressed blob holds, if it was ever seen.
    ///
    /// # Errors
    /// What the database says.
    pub fn diff_of_blob(&self, blob: &Digest) -> Result<Option<DiffId>> {
        let found: Option<String> = self.read("looking for a blob", || {
            let sql = "SELECT diff_id FROM blobs WHERE digest = ?1 LIMIT 1";
            self.conn.prepare_cached(sql)?.query_row([blob.as_str()], |r| r.get(0)).optional()
        })?;
        found.map(|d| parse_digest(&d)).transpose()
    }

    /// Writes the layer's uncompressed tar to `out`, byte for byte as it was unpacked. The caller hashes it
    /// and compares with the diffID.
    ///
    /// # Errors
    /// [`Error::NoRecipe`] when it cannot be made again (a file of it was changed).
    pub fn layer_tar(&self, chain: &ChainId, out: &mut dyn std::io::Write) -> Result<u64> {
        layer_tar(&self.paths, chain, out)
    }

    /// Deletes from `top` downwards the layers that nothing needs, inside the transaction that made them
    /// unneeded. Their directories go when the returned value is discarded after the commit.
    pub(super) fn collect_layers(&self, tx: &Transaction<'_>, top: Option<String>) -> Result<Collected> {
        let mut collected = Collected { layers: Vec::new() };
        let mut next = top;
        while let Some(chain) = next {
            let chain = parse_digest(&chain)?;
            if self.is_needed(tx, &chain)? {
                break;
            }
            // Someone pulls an image with this layer right now.
            let Some(lock) = FileLock::try_acquire(&lock_path(&self.paths, &chain))? else { break };
            next = self.delete_layer(tx, &chain)?;
            collected.layers.push((chain, lock));
        }
        Ok(collected)
    }

    fn is_needed(&self, tx: &Transaction<'_>, chain: &ChainId) -> Result<bool> {
        tx.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM images WHERE top = ?1)
                 OR EXISTS (SELECT 1 FROM containers WHERE top = ?1)
                 OR EXISTS (SELECT 1 FROM layers WHERE parent = ?1)
                 OR EXISTS (SELECT 1 FROM container_uses WHERE kind = 'layer' AND key = ?1)",
        )
        .and_then(|mut q| q.query_row([chain.as_str()], |r| r.get(0)))
        .map_err(|e| self.error("looking for users of a layer", e))
    }

    /// Deletes the row; returns the parent.
    fn delete_layer(&self, tx: &Transaction<'_>, chain: &ChainId) -> Result<Option<String>> {
        let delete = || -> rusqlite::Result<Option<String>> {
            let sql = "DELETE FROM layers WHERE chain = ?1 RETURNING parent, diff_id";
            let row = tx
                .prepare_cached(sql)?
                .query_row([chain.as_str()], |r| Ok((r.get::<_, Option<String>>(0)?, r.get::<_, String>(1)?)))
                .optional()?;
            let Some((parent, diff_id)) = row else { return Ok(None) };
            let unused = "DELETE FROM blobs WHERE diff_id = ?1 AND NOT EXISTS (SELECT 1 FROM layers WHERE diff_id = ?1)";
            tx.prepare_cached(unused)?.execute([&diff_id])?;
            Ok(parent)
        };
        delete().map_err(|e| self.error("deleting a layer", e))
    }
}

/// [`Store::layer_tar`] without a database, for threads.
///
/// # Errors
/// As [`Store::layer_tar`].
pub fn layer_tar(paths: &Paths, chain: &ChainId, out: &mut dyn std::io::Write) -> Result<u64> {
    let dir = paths.layer(chain);
    let diff = tree::open_dir(rustix::fs::CWD, paths.layer_diff(chain))
        .map_err(|e| Error::io("open", paths.layer_diff(chain), e))?;
    recipe::rebuild(&dir.join("tar.recipe"), diff.as_fd(), out).map_err(|e| match e {
        RebuildError::Write(source) => Error::io("write the archive of", dir, source),
        other => Error::NoRecipe { chain: chain.clone(), why: other.to_string() },
    })
}

/// Layers whose rows are gone, with their locks: directories go after the commit.
pub(super) struct Collected {
    layers: Vec<(ChainId, FileLock)>,
}

impl Collected {
    /// Deletes the directories; returns chains and bytes given back.
    pub(super) fn discard(self, paths: &Paths) -> (Vec<ChainId>, u64) {
        let mut bytes = 0;
        let mut chains = Vec::new();
        for (chain, lock) in self.layers {
            bytes += gc::discard(paths, &paths.layer(&chain));
            lock.remove();
            chains.push(chain);
        }
        (chains, bytes)
    }
}

/// The lock that who makes or deletes a layer has.
pub(super) fn lock_path(paths: &Paths, chain: &ChainId) -> std::path::PathBuf {
    paths.locks().join(format!("layer-{}", chain.hex()))
}

pub(super) fn insert_layer(store: &Store, tx: &Transaction<'_>, layer: &Layer) -> Result<()> {
    let sql = "INSERT INTO layers (chain, diff_id, parent, size, entries, tar_size, created)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
               ON CONFLICT (chain) DO UPDATE
               SET size = excluded.size, entries = excluded.entries, tar_size = excluded.tar_size";
    let now = super::containers::nanoseconds(jiff::Timestamp::now());
    let parent = layer.parent.as_ref().map(Digest::as_str);
    let values = params![
        layer.chain.as_str(),
        layer.diff_id.as_str(),
        parent,
        signed(layer.size),
        signed(layer.entries),
        signed(layer.tar_size),
        now
    ];
    match tx.prepare_cached(sql).and_then(|mut q| q.execute(values)) {
        Ok(_) => Ok(()),
        Err(e) if is_foreign_key(&e) => {
            Err(Error::GoneMeanwhile { kind: Kind::Layer, what: parent.unwrap_or_default().to_owned() })
        }
        Err(e) => Err(store.error("recording a layer", e)),
    }
}

pub(super) fn insert_blobs(store: &Store, tx: &Transaction<'_>, blobs: &[Blob]) -> Result<()> {
    for blob in blobs {
        let sql = "INSERT INTO blobs (digest, diff_id, media_type, size, source) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (digest, source) DO UPDATE
                   SET diff_id = excluded.diff_id, media_type = excluded.media_type, size = excluded.size";
        let (digest, diff_id) = (blob.digest.as_str(), blob.diff_id.as_str());
        tx.prepare_cached(sql)
            .and_then(|mut q| {
                q.execute(params![digest, diff_id, blob.media_type, signed(blob.size), blob.source])
            })
            .map_err(|e| store.error("recording blobs", e))?;
    }
    Ok(())
}

/// Whether a foreign key was violated.
pub(super) fn is_foreign_key(e: &rusqlite::Error) -> bool {
    matches!(e, rusqlite::Error::SqliteFailure(code, _) if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

/// Sizes as SQLite keeps them; none comes near the limit.
pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

pub(super) fn parse_digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|e: crate::model::ParseError| Error::DamagedRow {
        kind: Kind::Layer,
        key: text.to_owned(),
        why: e.to_string(),
    })
}

fn layer_row(row: &Row<'_>) -> rusqlite::Result<Result<Layer>> {
    let text = |n| row.get::<_, String>(n);
    let (chain, diff_id, parent) = (text(0)?, text(1)?, row.get::<_, Option<String>>(2)?);
    let (size, entries, tar_size) = (row.get(3)?, row.get(4)?, row.get(5)?);
    let parse = || {
        Ok(Layer {
            chain: parse_digest(&chain)?,
            diff_id: parse_digest(&diff_id)?,
            parent: parent.as_deref().map(parse_digest).transpose()?,
            size: unsigned(size),
            entries: unsigned(entries),
            tar_size: unsigned(tar_size),
        })
    };
    Ok(parse())
}

fn blob_row(row: &Row<'_>) -> rusqlite::Result<Result<Blob>> {
    let (digest, diff_id): (String, String) = (row.get(0)?, row.get(1)?);
    let (media_type, size, source): (String, i64, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
    let parse = || {
        Ok(Blob {
            digest: parse_digest(&digest)?,
            diff_id: parse_digest(&diff_id)?,
            media_type,
            size: unsigned(size),
            source,
        })
    };
    Ok(parse())
}
