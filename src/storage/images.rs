//! Images: documents by digest, names, and the transaction that makes a pulled image visible.
//!
//! Parsing manifests and configs is `image`'s matter: it hands in the [`Image`] it made of them, and the bytes.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::container_rows::is_hex_prefix;
use super::containers::nanoseconds;
use super::db::Store;
use super::error::{Error, Kind, Result};
use super::layers::{is_foreign_key, parse_digest, signed, unsigned};
use super::uses::Use;
use crate::model::digest::Digest;
use crate::model::image::Image;

/// A manifest, index or config, exactly as received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Digest of `bytes`; the caller has verified it.
    pub digest: Digest,
    /// Media type.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What a removal took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that went.
    pub untagged: Vec<String>,
    /// Layers that went, by chain id, top first.
    pub layers: Vec<Digest>,
    /// Bytes given back.
    pub bytes: u64,
}

impl Store {
    /// Stores or refreshes an image: its documents, its row and its names, in one transaction. The names in
    /// `image.names` move here from images that had them; names and digests the image has already stay.
    /// Layers must exist: publish them before, or use [`super::layers::Pull::publish`], which does both.
    ///
    /// # Errors
    /// [`Error::GoneMeanwhile`] for a missing layer.
    pub fn put_image(&self, image: &Image, documents: &[Document]) -> Result<()> {
        self.write("recording an image", |tx| insert(self, tx, image, documents))
    }

    /// Finds an image by full name (`docker.io/library/nginx:latest`, `…@sha256:…`), full id with or without
    /// `sha256:`, or unique id prefix of at least 3 digits. Short names are expanded by the caller.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub fn find_image(&self, name_or_id: &str) -> Result<Image> {
        if let Some(image) = self.image_by_name(name_or_id)? {
            return Ok(image);
        }
        let hex = name_or_id.strip_prefix("sha256:").unwrap_or(name_or_id);
        if hex.len() < 3 || !is_hex_prefix(hex) {
            return Err(not_found(name_or_id));
        }
        let ids: Vec<String> = self.read("looking for an image", || {
            let sql = "SELECT id FROM images WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 11";
            self.conn.prepare_cached(sql)?.query_map([format!("sha256:{hex}")], |r| r.get(0))?.collect()
        })?;
        match ids.as_slice() {
            [] => Err(not_found(name_or_id)),
            [id] => self.image(&parse_digest(id)?),
            many => Err(Error::Ambiguous {
                kind: Kind::Image,
                what: name_or_id.to_owned(),
                matches: many.iter().take(10).map(|id| id.chars().skip(7).take(12).collect()).collect(),
            }),
        }
    }

    /// The image with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn image(&self, id: &Digest) -> Result<Image> {
        let found = self.read("looking for an image", || {
            let sql = "SELECT image FROM images WHERE id = ?1";
            let json: Option<String> =
                self.conn.prepare_cached(sql)?.query_row([id.as_str()], |r| r.get(0)).optional()?;
            let Some(json) = json else { return Ok(None) };
            let names = |sql: &str| -> rusqlite::Result<Vec<String>> {
                self.conn.prepare_cached(sql)?.query_map([id.as_str()], |r| r.get(0))?.collect()
            };
            let tags = names("SELECT name FROM image_names WHERE image = ?1 ORDER BY name")?;
            let digests = names("SELECT name FROM image_digests WHERE image = ?1 ORDER BY name")?;
            Ok(Some((json, tags, digests)))
        })?;
        let (json, names, digests) = found.ok_or_else(|| not_found(id.as_str()))?;
        parse(id.as_str(), &json, names, digests)
    }

    /// The image with exactly this full name or name@digest, if any.
    ///
    /// # Errors
    /// What the database says.
    pub fn image_by_name(&self, name: &str) -> Result<Option<Image>> {
        let id: Option<String> = self.read("looking for an image", || {
            let sql = "SELECT image FROM image_names WHERE name = ?1
                       UNION ALL SELECT image FROM image_digests WHERE name = ?1 LIMIT 1";
            self.conn.prepare_cached(sql)?.query_row([name], |r| r.get(0)).optional()
        })?;
        match id {
            Some(id) => self.image(&parse_digest(&id)?).map(Some),
            None => Ok(None),
        }
    }

    /// All images, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_images(&self) -> Result<Vec<Image>> {
        let (rows, mut names, mut digests) = self.read("listing images", || {
            let sql = "SELECT id, image FROM images ORDER BY created DESC, id";
            let rows: Vec<(String, String)> = self
                .conn
                .prepare_cached(sql)?
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let names = self.names_by_image("SELECT image, name FROM image_names ORDER BY name")?;
            let digests = self.names_by_image("SELECT image, name FROM image_digests ORDER BY name")?;
            Ok((rows, names, digests))
        })?;
        rows.iter()
            .map(|(id, json)| {
                parse(id, json, names.remove(id).unwrap_or_default(), digests.remove(id).unwrap_or_default())
            })
            .collect()
    }

    fn names_by_image(&self, sql: &str) -> rusqlite::Result<HashMap<String, Vec<String>>> {
        let mut map: HashMap<String, Vec<String>> = HashMap::new();
        let mut query = self.conn.prepare_cached(sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            map.entry(row.get(0)?).or_default().push(row.get(1)?);
        }
        Ok(map)
    }

    /// A stored document.
    ///
    /// # Errors
    /// What the database says.
    pub fn document(&self, digest: &Digest) -> Result<Option<Document>> {
        self.read("reading a document", || {
            let sql = "SELECT media_type, bytes FROM documents WHERE digest = ?1";
            let row =
                self.conn.prepare_cached(sql)?.query_row([digest.as_str()], |r| Ok((r.get(0)?, r.get(1)?)));
            row.optional()
        })
        .map(|found| found.map(|(media_type, bytes)| Document { digest: digest.clone(), media_type, bytes }))
    }

    /// Gives the image a further name, taking it from another image if need be; returns that one's id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn tag_image(&self, id: &Digest, name: &str) -> Result<Option<Digest>> {
        let former = self.write("tagging an image", |tx| {
            self.must_exist(tx, id)?;
            let former: Option<String> = tx
                .prepare_cached("SELECT image FROM image_names WHERE name = ?1")
                .and_then(|mut q| q.query_row([name], |r| r.get(0)).optional())
                .map_err(|e| self.error("tagging an image", e))?;
            insert_name(self, tx, "image_names", name, id)?;
            Ok(former)
        })?;
        let former = former.map(|f| parse_digest(&f)).transpose()?;
        Ok(former.filter(|f| f != id))
    }

    /// Records that the image is known to a registry as `repo@sha256:…` (after a push).
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn add_image_digest(&self, id: &Digest, name: &str) -> Result<()> {
        self.write("recording a digest", |tx| {
            self.must_exist(tx, id)?;
            insert_name(self, tx, "image_digests", name, id)
        })
    }

    fn must_exist(&self, tx: &Transaction<'_>, id: &Digest) -> Result<()> {
        let found = tx
            .prepare_cached("SELECT 1 FROM images WHERE id = ?1")
            .and_then(|mut q| q.query_row([id.as_str()], |_| Ok(())).optional())
            .map_err(|e| self.error("looking for an image", e))?;
        found.ok_or_else(|| not_found(id.as_str()))
    }

    /// Takes a name away (and the `repo@digest` names of a repository that has no other name left). The
    /// image stays, maybe dangling.
    ///
    /// # Errors
    /// [`Error::NotFound`] if no image has it.
    pub fn untag_image(&self, name: &str) -> Result<Digest> {
        let id = self.write("untagging an image", |tx| {
            let untag = || -> rusqlite::Result<Option<String>> {
                let sql = "DELETE FROM image_names WHERE name = ?1 RETURNING image";
                let id: Option<String> = tx.prepare_cached(sql)?.query_row([name], |r| r.get(0)).optional()?;
                let by_digest = "DELETE FROM image_digests WHERE name = ?1 RETURNING image";
                let Some(id) = id else {
                    return tx.prepare_cached(by_digest)?.query_row([name], |r| r.get(0)).optional();
                };
                let repository = repository_of(name);
                let left: Vec<String> = tx
                    .prepare_cached("SELECT name FROM image_names WHERE image = ?1")?
                    .query_map([&id], |r| r.get(0))?
                    .collect::<rusqlite::Result<_>>()?;
                if !left.iter().any(|n| repository_of(n) == repository) {
                    let sql = "DELETE FROM image_digests WHERE image = ?1 AND name >= ?2 || '@' AND name < ?2 || 'A'";
                    tx.prepare_cached(sql)?.execute(params![id, repository])?;
                }
                Ok(Some(id))
            };
            untag().map_err(|e| self.error("untagging an image", e))
        })?;
        parse_digest(&id.ok_or_else(|| not_found(name))?)
    }

    /// Removes the image with all its names, and the layers that nothing needs any more.
    ///
    /// # Errors
    /// [`Error::InUse`] when containers use it.
    pub fn remove_image(&self, id: &Digest) -> Result<Removed> {
        let untagged = self.image(id)?.names;
        let collected = self.write("removing an image", |tx| {
            self.refuse_if_used(tx, Kind::Image, id.short(), Use::Image(id))?;
            let delete = || -> rusqlite::Result<Option<Option<String>>> {
                let sql = "DELETE FROM images WHERE id = ?1 RETURNING top";
                let top = tx.prepare_cached(sql)?.query_row([id.as_str()], |r| r.get(0)).optional()?;
                delete_unused_documents(tx)?;
                Ok(top)
            };
            let top = delete().map_err(|e| self.error("removing an image", e))?;
            self.collect_layers(tx, top.ok_or_else(|| not_found(id.as_str()))?)
        })?;
        let (layers, bytes) = collected.discard(&self.paths);
        Ok(Removed { untagged, layers, bytes })
    }

    /// Images built upon this one: those whose layers begin with all of its layers (and which have more).
    ///
    /// # Errors
    /// What the database says.
    pub fn image_children(&self, id: &Digest) -> Result<Vec<Digest>> {
        let parent = self.image(id)?;
        let Some(top) = parent.layers.last() else { return Ok(Vec::new()) };
        let images = self.list_images()?;
        let is_child = |i: &&Image| i.layers.len() > parent.layers.len() && i.layers.contains(top);
        Ok(images.iter().filter(is_child).map(|i| i.id.clone()).collect())
    }
}

/// Documents of no image. One statement over a small table: there are two or three per image.
fn delete_unused_documents(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let sql = "DELETE FROM documents WHERE digest NOT IN (SELECT digest FROM image_documents)";
    tx.prepare_cached(sql)?.execute([]).map(drop)
}

/// Writes everything about an image, inside the caller's transaction.
pub(super) fn insert(
    store: &Store,
    tx: &Transaction<'_>,
    image: &Image,
    documents: &[Document],
) -> Result<()> {
    let doing = "recording an image";
    let mut bare = image.clone();
    bare.names.clear();
    bare.digests.clear();
    bare.size = layers_size(store, tx, image)?;
    let json = store.json(image.id.as_str(), &bare)?;
    let now = nanoseconds(jiff::Timestamp::now());
    let top = image.layers.last().map(Digest::as_str);
    let sql = "INSERT INTO images (id, manifest, top, created, size, stored, image) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
               ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, image = excluded.image, size = excluded.size";
    let created = image.created.map(nanoseconds);
    let values =
        params![image.id.as_str(), image.manifest.as_str(), top, created, signed(bare.size), now, json];
    match tx.prepare_cached(sql).and_then(|mut q| q.execute(values)) {
        Ok(_) => {}
        Err(e) if is_foreign_key(&e) => {
            return Err(Error::GoneMeanwhile { kind: Kind::Layer, what: top.unwrap_or_default().to_owned() });
        }
        Err(e) => return Err(store.error(doing, e)),
    }
    let write = || -> rusqlite::Result<()> {
        for document in documents {
            let digest = document.digest.as_str();
            tx.prepare_cached(
                // The same digest is the same document, unless the one that is there was damaged.
                "INSERT INTO documents (digest, media_type, bytes) VALUES (?1, ?2, ?3)
                 ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes",
            )?
            .execute(params![digest, document.media_type, document.bytes])?;
            tx.prepare_cached("INSERT OR IGNORE INTO image_documents (image, digest) VALUES (?1, ?2)")?
                .execute(params![image.id.as_str(), digest])?;
        }
        Ok(())
    };
    write().map_err(|e| store.error(doing, e))?;
    for name in &image.names {
        insert_name(store, tx, "image_names", name, &image.id)?;
    }
    for name in &image.digests {
        insert_name(store, tx, "image_digests", name, &image.id)?;
    }
    Ok(())
}

fn insert_name(store: &Store, tx: &Transaction<'_>, table: &str, name: &str, id: &Digest) -> Result<()> {
    let sql = format!(
        "INSERT INTO {table} (name, image) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET image = excluded.image"
    );
    tx.prepare_cached(&sql)
        .and_then(|mut q| q.execute(params![name, id.as_str()]))
        .map(drop)
        .map_err(|e| store.error("naming an image", e))
}

/// Sum of the unpacked layers; a missing one is found by the foreign key.
fn layers_size(store: &Store, tx: &Transaction<'_>, image: &Image) -> Result<u64> {
    let mut sum = 0;
    for chain in &image.layers {
        let size: Option<i64> = tx
            .prepare_cached("SELECT size FROM layers WHERE chain = ?1")
            .and_then(|mut q| q.query_row([chain.as_str()], |r| r.get(0)).optional())
            .map_err(|e| store.error("measuring an image", e))?;
        sum += unsigned(size.unwrap_or(0));
    }
    Ok(sum)
}

fn parse(id: &str, json: &str, names: Vec<String>, digests: Vec<String>) -> Result<Image> {
    let mut image: Image = serde_json::from_str(json).map_err(|e| Error::DamagedRow {
        kind: Kind::Image,
        key: id.to_owned(),
        why: e.to_string(),
    })?;
    image.names = names;
    image.digests = digests;
    Ok(image)
}

/// `host:5000/a/b` of `host:5000/a/b:tag` or `host:5000/a/b@sha256:…`.
fn repository_of(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    match name.rfind(':') {
        Some(colon) if !name[colon..].contains('/') => &name[..colon],
        _ => name,
    }
}

fn not_found(what: &str) -> Error {
    Error::NotFound { kind: Kind::Image, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        assert_eq!(repository_of("h:5000/a/b:t"), "h:5000/a/b");
        assert_eq!(repository_of("h:5000/a/b"), "h:5000/a/b");
        assert_eq!(repository_of("docker.io/library/x@sha256:00"), "docker.io/library/x");
    }
}
