//! OCI layouts, and directories with one manifest and its blobs: their documents, checked.

use sha2::{Digest as _, Sha256};

use super::super::super::config;
use super::super::super::manifest::{self, Descriptor, Index, Manifest, OCI_CONFIG, Parsed};
use super::super::super::registry::remote::digest_of;
use super::super::spool::Archive;
use super::super::{Error, NAME, REF_NAME};
use super::{Found, FoundLayer, From};
use crate::model::digest::Digest;
use crate::model::image::Platform;
use crate::model::reference::{ImageName, ImageRef};
use crate::storage::images::Document;

/// The images of a layout; with a name to choose, those of that label.
pub(super) fn all(archive: &Archive, from: From<'_>) -> Result<Vec<Found>, Error> {
    let what = "index.json of the archive";
    let Parsed::Index(index) = manifest::parse(&archive.document("index.json")?, None, what)? else {
        return Err(Error::Invalid { what: what.into(), why: "it is no index".into() });
    };
    let mut all: Vec<Found> = Vec::new();
    let labelled = |e: &&Descriptor| {
        from.only.is_none_or(|name| {
            e.annotations.get(REF_NAME).is_some_and(|n| n == name)
                || matches!((name_of(e), super::tagged(name)), (Some(a), Ok(b)) if a.to_string() == b.to_string())
        })
    };
    for entry in index.manifests.iter().filter(labelled) {
        let found = layout_image(archive, entry, from.platform)?;
        let same = all.iter_mut().find(|f| f.config_document.digest == found.config_document.digest);
        match same {
            // One image, one entry for each of its names.
            Some(known) => known.names.extend(found.names),
            None => all.push(found),
        }
    }
    Ok(all)
}

fn layout_image(archive: &Archive, entry: &Descriptor, platform: Option<&Platform>) -> Result<Found, Error> {
    let (bytes, manifest) = follow(archive, entry, platform, 0, path)?;
    let names = name_of(entry).into_iter().collect();
    image(archive, (bytes, manifest), names, path)
}

/// The image of a directory that holds one: the manifest is given, its blobs are called by their bare digits.
pub(super) fn beside(archive: &Archive, bytes: Vec<u8>, platform: Option<&Platform>) -> Result<Found, Error> {
    let what = "manifest.json";
    let found = match manifest::parse(&bytes, None, what)? {
        Parsed::Manifest(m) => (bytes, m),
        Parsed::Index(index) => {
            let file = |d: &Digest| format!("{}.manifest.json", d.hex());
            follow(archive, index.choose(platform, what)?, platform, 1, file)?
        }
    };
    image(archive, found, Vec::new(), |d| d.hex().to_owned())
}

fn image(
    archive: &Archive,
    (bytes, manifest): (Vec<u8>, Manifest),
    names: Vec<ImageRef>,
    path: fn(&Digest) -> String,
) -> Result<Found, Error> {
    let digest = Digest::sha256(Sha256::digest(&bytes).into());
    let what = format!("manifest {digest} of the archive");
    manifest.check_image(&what)?;
    let config_bytes = blob(archive, &manifest.config, path)?;
    let config = config::parse(&config_bytes, &what)?;
    let (layers, ids) = (manifest.layers.len(), config.diff_ids.len());
    if layers != ids {
        let why = format!("it has {layers} layers, its config {ids}");
        return Err(Error::Invalid { what, why });
    }
    Ok(Found {
        names,
        config,
        config_document: Document {
            digest: manifest.config.digest.clone(),
            media_type: OCI_CONFIG.to_owned(),
            bytes: config_bytes,
        },
        manifest_document: Some(Document { digest, media_type: manifest.media_type.to_owned(), bytes }),
        layers: manifest
            .layers
            .into_iter()
            .map(|l| FoundLayer { file: path(&l.digest), blob: Some(l) })
            .collect(),
    })
}

/// Through indexes to the manifest of the platform.
fn follow(
    archive: &Archive,
    entry: &Descriptor,
    platform: Option<&Platform>,
    depth: usize,
    path: fn(&Digest) -> String,
) -> Result<(Vec<u8>, Manifest), Error> {
    let what = format!("manifest {} of the archive", entry.digest);
    let bytes = blob(archive, entry, path)?;
    let media_type = Some(entry.media_type.as_str()).filter(|t| !t.is_empty());
    match manifest::parse(&bytes, media_type, &what)? {
        Parsed::Manifest(m) => Ok((bytes, m)),
        Parsed::Index(_) if depth >= 3 => Err(Error::Invalid { what, why: "indexes within indexes".into() }),
        Parsed::Index(index) => {
            let index: Index = index;
            follow(archive, index.choose(platform, &what)?, platform, depth + 1, path)
        }
    }
}

/// A blob of a layout, its digest and size checked.
fn blob(archive: &Archive, d: &Descriptor, path: fn(&Digest) -> String) -> Result<Vec<u8>, Error> {
    let what = format!("blob {} of the archive", d.digest);
    let bytes = archive.document(&path(&d.digest))?;
    if bytes.len() as u64 != d.size {
        return Err(Error::SizeMismatch { what, expected: d.size, actual: bytes.len() as u64 });
    }
    let actual = digest_of(&d.digest, &bytes);
    if actual != d.digest {
        return Err(Error::DigestMismatch { what, expected: d.digest.clone(), actual });
    }
    Ok(bytes)
}

fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// The name of an entry: containerd's annotation, else OCI's; a short one is of this machine, as podman has it.
fn name_of(entry: &Descriptor) -> Option<ImageRef> {
    if let Some(name) = entry.annotations.get(NAME).and_then(|n| n.parse().ok()) {
        return Some(name);
    }
    let text = entry.annotations.get(REF_NAME)?;
    Some(text.parse::<ImageName>().ok()?.in_registry("localhost"))
}
