//! Reading images out of an archive: docker's form (`manifest.json`) or an OCI layout (`index.json`).

use std::fs::File;
use std::io::Read;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::config::{self, Config};
use super::super::manifest::{
    self, Descriptor, Index, Manifest, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Parsed,
};
use super::super::progress::{LayerState, Progress, Stoppable};
use super::super::pull::layer::{self, Expected};
use super::super::pull::{sweep, total_size};
use super::super::registry::remote::digest_of;
use super::spool::Archive;
use super::{Error, NAME, REF_NAME, io as failed};
use crate::model::digest::Digest;
use crate::model::image::{Image, Platform};
use crate::model::reference::{ImageName, ImageRef};
use crate::storage::Store;
use crate::storage::images::Document;
use crate::storage::layers::{Pull, StagedLayer, Wanted, chain_ids, wanted};
use crate::storage::unpack::Limits;

/// Layers at once.
const JOBS: usize = 3;

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// The names that it got.
    pub names: Vec<ImageRef>,
}

/// One image of the archive, its documents checked.
struct Found {
    names: Vec<ImageRef>,
    config: Config,
    config_document: Document,
    manifest_document: Document,
    /// File and, where it is known, digest of each layer.
    layers: Vec<(String, Option<Digest>)>,
}

/// Loads all images of an archive.
///
/// # Errors
/// What is wrong with the archive, or keeps the store from taking it.
pub fn load(
    store: &Store,
    input: File,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>, Error> {
    let archive = Archive::open(input, store.paths(), progress)?;
    let found = if archive.has("manifest.json") {
        docker(&archive)?
    } else if archive.has("index.json") {
        layout(&archive, platform)?
    } else {
        let why = "it has neither manifest.json nor index.json, so it holds no image".into();
        return Err(Error::Invalid { what: "the archive".into(), why });
    };
    if found.is_empty() {
        return Err(Error::Invalid { what: "the archive".into(), why: "it lists no image".into() });
    }
    sweep(store, progress);
    found.into_iter().map(|f| put(store, &archive, f, progress)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

fn docker(archive: &Archive) -> Result<Vec<Found>, Error> {
    let list: Vec<DockerEntry> = serde_json::from_slice(&archive.document("manifest.json")?)
        .map_err(|e| Error::Invalid { what: "manifest.json of the archive".into(), why: e.to_string() })?;
    list.into_iter().map(|e| docker_image(archive, e)).collect()
}

fn docker_image(archive: &Archive, entry: DockerEntry) -> Result<Found, Error> {
    let bytes = archive.document(&entry.config)?;
    let config = config::parse(&bytes, &entry.config)?;
    let names = entry.repo_tags.unwrap_or_default().iter().map(|t| tagged(t)).collect::<Result<_, _>>()?;
    let digest = Digest::sha256(Sha256::digest(&bytes).into());
    let config_document = Document { digest, media_type: OCI_CONFIG.to_owned(), bytes };
    let (layers, ids) = (entry.layers.len(), config.diff_ids.len());
    if layers != ids {
        let why = format!("manifest.json lists {layers} layers, its config {ids}");
        return Err(Error::Invalid { what: entry.config, why });
    }
    let list: Vec<_> =
        config.diff_ids.iter().map(|d| json!({ "mediaType": OCI_LAYER, "digest": d, "size": 0 })).collect();
    // The archive has no manifest of its own; the sizes are filled in when the image is pushed or saved.
    let text = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": config_document.digest, "size": config_document.bytes.len() },
        "layers": list,
    });
    let bytes = text.to_string().into_bytes();
    let digest = Digest::sha256(Sha256::digest(&bytes).into());
    let manifest_document = Document { digest, media_type: OCI_MANIFEST.to_owned(), bytes };
    let layers = entry.layers.into_iter().map(|file| (file, None)).collect();
    Ok(Found { names, config, config_document, manifest_document, layers })
}

/// A name in an archive is docker's: a short one is docker.io's.
fn tagged(text: &str) -> Result<ImageRef, Error> {
    Ok(text.parse::<ImageRef>()?)
}

fn layout(archive: &Archive, platform: Option<&Platform>) -> Result<Vec<Found>, Error> {
    let what = "index.json of the archive";
    let Parsed::Index(index) = manifest::parse(&archive.document("index.json")?, None, what)? else {
        return Err(Error::Invalid { what: what.into(), why: "it is no index".into() });
    };
    let mut all: Vec<Found> = Vec::new();
    for entry in &index.manifests {
        let found = layout_image(archive, entry, platform)?;
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
    let names = name_of(entry).into_iter().collect();
    let (bytes, manifest) = follow(archive, entry, platform, 0)?;
    let what = format!("manifest {} of the archive", entry.digest);
    manifest.check_image(&what)?;
    let config_bytes = blob(archive, &manifest.config)?;
    let config = config::parse(&config_bytes, &what)?;
    let (layers, ids) = (manifest.layers.len(), config.diff_ids.len());
    if layers != ids {
        let why = format!("it has {layers} layers, its config {ids}");
        return Err(Error::Invalid { what, why });
    }
    let digest = Digest::sha256(Sha256::digest(&bytes).into());
    Ok(Found {
        names,
        config,
        config_document: Document {
            digest: manifest.config.digest.clone(),
            media_type: OCI_CONFIG.to_owned(),
            bytes: config_bytes,
        },
        manifest_document: Document { digest, media_type: manifest.media_type.to_owned(), bytes },
        layers: manifest.layers.into_iter().map(|l| (path(&l.digest), Some(l.digest))).collect(),
    })
}

/// Through indexes to the manifest of the platform.
fn follow(
    archive: &Archive,
    entry: &Descriptor,
    platform: Option<&Platform>,
    depth: usize,
) -> Result<(Vec<u8>, Manifest), Error> {
    let what = format!("manifest {} of the archive", entry.digest);
    let bytes = blob(archive, entry)?;
    let media_type = Some(entry.media_type.as_str()).filter(|t| !t.is_empty());
    match manifest::parse(&bytes, media_type, &what)? {
        Parsed::Manifest(m) => Ok((bytes, m)),
        Parsed::Index(_) if depth >= 3 => Err(Error::Invalid { what, why: "indexes within indexes".into() }),
        Parsed::Index(index) => {
            let index: Index = index;
            follow(archive, index.choose(platform, &what)?, platform, depth + 1)
        }
    }
}

/// A blob of a layout, its digest and size checked.
fn blob(archive: &Archive, d: &Descriptor) -> Result<Vec<u8>, Error> {
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

/// The name of an entry: containerd's annotation, or OCI's where that is more than a tag.
fn name_of(entry: &Descriptor) -> Option<ImageRef> {
    if let Some(name) = entry.annotations.get(NAME).and_then(|n| n.parse().ok()) {
        return Some(name);
    }
    let text = entry.annotations.get(REF_NAME)?;
    let named = text.contains(['/', ':']);
    match text.parse::<ImageName>() {
        Ok(name) if named => Some(name.in_registry(crate::model::reference::DEFAULT_REGISTRY)),
        _ => None,
    }
}

fn put(store: &Store, archive: &Archive, found: Found, progress: &dyn Progress) -> Result<Loaded, Error> {
    let mut image = image_of(&found);
    let layers = wanted(&image.diff_ids);
    let pull = store.begin_pull(layers.clone(), &mut |_, _| !progress.cancelled())?;
    let missing: Vec<(&Wanted, &(String, Option<Digest>))> =
        layers.iter().zip(&found.layers).filter(|(w, _)| pull.missing().contains(w)).collect();
    let staged = unpack_all(store, archive, &pull, missing, progress)?;
    image.size = total_size(store, &layers, &staged)?;
    let documents = [found.manifest_document, found.config_document];
    pull.publish(store, staged, Some((&image, &documents)), &[])?;
    Ok(Loaded { image: store.image(&image.id)?, names: found.names })
}

fn image_of(found: &Found) -> Image {
    let c = &found.config;
    Image {
        id: found.config_document.digest.clone(),
        manifest: found.manifest_document.digest.clone(),
        index: None,
        names: found.names.iter().filter(|n| n.tag.is_some()).map(ToString::to_string).collect(),
        digests: Vec::new(),
        created: c.created,
        os: if c.os.is_empty() { "linux".into() } else { c.os.clone() },
        architecture: c.architecture.clone(),
        variant: c.variant.clone(),
        author: c.author.clone(),
        comment: c.comment.clone(),
        config: c.config.clone(),
        diff_ids: c.diff_ids.clone(),
        layers: chain_ids(&c.diff_ids),
        size: 0,
    }
}

/// Unpacks layers, a few at once; the first failure stops the rest.
fn unpack_all(
    store: &Store,
    archive: &Archive,
    pull: &Pull,
    missing: Vec<(&Wanted, &(String, Option<Digest>))>,
    progress: &dyn Progress,
) -> Result<Vec<StagedLayer>, Error> {
    let root = &store.paths().root;
    let todo = Mutex::new(missing.into_iter());
    let (staged, failure) = (Mutex::new(Vec::new()), Mutex::new(None));
    std::thread::scope(|threads| {
        for _ in 0..JOBS {
            threads.spawn(|| {
                let next = || todo.lock().ok()?.next();
                while let Some((wanted, (file, digest))) = next() {
                    if failure.lock().is_ok_and(|f| f.is_some()) {
                        return;
                    }
                    let expected = Expected {
                        name: file.clone(),
                        blob: digest.clone().filter(|d| *d != wanted.diff_id),
                        diff_id: Some(wanted.diff_id.clone()),
                        root: root.clone(),
                    };
                    progress.layer(&wanted.diff_id, LayerState::Pending);
                    let opened = archive.reader(file).map(|from| Stoppable::new(from, progress));
                    match opened.and_then(|from| unpack(from, pull, wanted, expected)) {
                        Ok(layer) => {
                            progress.layer(&wanted.diff_id, LayerState::Complete);
                            staged.lock().expect("nobody panics holding it").push(layer);
                        }
                        Err(e) => {
                            failure.lock().expect("nobody panics holding it").get_or_insert(e);
                        }
                    }
                }
            });
        }
    });
    match failure.into_inner().expect("nobody panicked holding it") {
        Some(e) => Err(e),
        None => Ok(staged.into_inner().expect("nobody panicked holding it")),
    }
}

fn unpack(from: impl Read, pull: &Pull, wanted: &Wanted, expected: Expected) -> Result<StagedLayer, Error> {
    let what = format!("reading {} of the archive", expected.name);
    let writer = pull.writer(wanted, &Limits::default())?;
    std::thread::scope(|threads| {
        let (input, running) = layer::start(threads, expected, writer);
        let fed = input.feed(from);
        // Without an end the pipeline knows that it was cut.
        drop(input);
        let done = running.wait();
        fed.map_err(failed(what))?;
        Ok(done?.0)
    })
}
