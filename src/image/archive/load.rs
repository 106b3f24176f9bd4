//! Reading images out of an archive or a directory: docker's form (`manifest.json` with a list), one manifest with its
//! blobs beside it, or an OCI layout (`index.json`; these two are in [`layout`]).

mod layout;

use std::fs::File;
use std::io::Read;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::config::{self, Config};
use super::super::manifest::{Descriptor, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use super::super::progress::{LayerState, Progress, Stoppable};
use super::super::pull::layer::{self, Expected};
use super::super::pull::{sweep, total_size};
use super::spool::{Archive, NO_IMAGE};
use super::{Error, io as failed};
use crate::model::digest::Digest;
use crate::model::image::{Image, Platform};
use crate::model::reference::ImageRef;
use crate::storage::Store;
use crate::storage::images::Document;
use crate::storage::layers::{Blob, Pull, StagedLayer, Wanted, chain_ids, wanted};
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

/// What to take of an archive.
#[derive(Debug, Clone, Copy, Default)]
pub struct From<'a> {
    /// Platform, where there are several.
    pub platform: Option<&'a Platform>,
    /// Only the image of this name.
    pub only: Option<&'a str>,
    /// Name of an image that the archive has no name for.
    pub nameless: Option<&'a ImageRef>,
    /// Several images are an error.
    pub single: bool,
}

/// One image of the archive, its documents checked.
struct Found {
    names: Vec<ImageRef>,
    config: Config,
    config_document: Document,
    /// docker's archives have none: it is made when the layers are known.
    manifest_document: Option<Document>,
    layers: Vec<FoundLayer>,
}

struct FoundLayer {
    file: String,
    /// Where the archive has a manifest: what that says.
    blob: Option<Descriptor>,
}

/// Loads images of an archive.
///
/// # Errors
/// What is wrong with the archive, or keeps the store from taking it.
pub fn load(
    store: &Store,
    input: File,
    from: From<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>, Error> {
    load_from(store, &Archive::open(input, store.paths(), progress)?, from, progress)
}

/// Loads images of a directory: an OCI layout, or one image with its blobs beside its manifest.
///
/// # Errors
/// As [`load`].
pub fn load_directory(
    store: &Store,
    path: &std::path::Path,
    from: From<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>, Error> {
    load_from(store, &Archive::directory(path)?, from, progress)
}

fn load_from(
    store: &Store,
    archive: &Archive,
    from: From<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>, Error> {
    progress.opened();
    let mut found = if archive.has("manifest.json") {
        let bytes = archive.document("manifest.json")?;
        match bytes.trim_ascii_start().first() {
            Some(b'[') => docker(archive, &bytes, from.only)?,
            _ => vec![layout::beside(archive, bytes, from.platform)?],
        }
    } else if archive.has("index.json") {
        layout::all(archive, from)?
    } else {
        let why = format!("{NO_IMAGE}: it has neither manifest.json nor index.json");
        return Err(Error::Invalid { what: "the archive".into(), why });
    };
    if found.is_empty() {
        let why = match from.only {
            Some(name) => format!("it holds no image {name:?}"),
            None => "it lists no image".to_owned(),
        };
        return Err(Error::Invalid { what: "the archive".into(), why });
    }
    if from.single && found.len() > 1 {
        let why = format!("it holds {} images, and one is to be named", found.len());
        return Err(Error::Invalid { what: "the archive".into(), why });
    }
    if let ([one], Some(name)) = (&mut found[..], from.nameless)
        && one.names.is_empty()
    {
        one.names.push(name.clone());
    }
    sweep(store, progress);
    found.into_iter().map(|f| put(store, archive, f, progress)).collect()
}

/// Leaves the image that `name` means, `@N` for the Nth.
fn choose(found: &mut Vec<Found>, name: &str) -> Result<(), Error> {
    if let Some(number) = name.strip_prefix('@').and_then(|n| n.parse::<usize>().ok()) {
        *found = found.drain(..).skip(number).take(1).collect();
        return Ok(());
    }
    let wanted = tagged(name)?.to_string();
    for image in found.iter_mut() {
        image.names.retain(|n| n.to_string() == wanted);
    }
    found.retain(|f| !f.names.is_empty());
    Ok(())
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

fn docker(archive: &Archive, list: &[u8], only: Option<&str>) -> Result<Vec<Found>, Error> {
    let list: Vec<DockerEntry> = serde_json::from_slice(list)
        .map_err(|e| Error::Invalid { what: "manifest.json of the archive".into(), why: e.to_string() })?;
    let mut found: Vec<Found> =
        list.into_iter().map(|e| docker_image(archive, e)).collect::<Result<_, _>>()?;
    if let Some(name) = only {
        let count = found.len();
        choose(&mut found, name)?;
        if found.is_empty() {
            let why = format!("it holds no image {name:?} among its {count}");
            return Err(Error::Invalid { what: "the archive".into(), why });
        }
    }
    Ok(found)
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
    let layers = entry.layers.into_iter().map(|file| FoundLayer { file, blob: None }).collect();
    Ok(Found { names, config, config_document, manifest_document: None, layers })
}

/// The manifest of an image whose archive had none, of its layers as they are when not packed.
fn made_manifest(
    store: &Store,
    found: &Found,
    layers: &[Wanted],
    staged: &[StagedLayer],
) -> Result<Document, Error> {
    let mut list = Vec::new();
    for w in layers {
        let size = match staged.iter().find(|s| s.layer().chain == w.chain) {
            Some(s) => s.layer().tar_size,
            None => store.layer(&w.chain)?.map_or(0, |l| l.tar_size),
        };
        list.push(json!({ "mediaType": OCI_LAYER, "digest": w.diff_id, "size": size }));
    }
    let config = &found.config_document;
    let text = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": config.digest, "size": config.bytes.len() },
        "layers": list,
    });
    let bytes = text.to_string().into_bytes();
    let digest = Digest::sha256(Sha256::digest(&bytes).into());
    Ok(Document { digest, media_type: OCI_MANIFEST.to_owned(), bytes })
}

/// A name in an archive is docker's: a short one is docker.io's.
fn tagged(text: &str) -> Result<ImageRef, Error> {
    Ok(text.parse::<ImageRef>()?)
}

fn put(store: &Store, archive: &Archive, found: Found, progress: &dyn Progress) -> Result<Loaded, Error> {
    let mut image = image_of(&found);
    let layers = wanted(&image.diff_ids);
    let pull = store.begin_pull(layers.clone(), &mut |_, _| !progress.cancelled())?;
    let missing: Vec<(&Wanted, &FoundLayer)> =
        layers.iter().zip(&found.layers).filter(|(w, _)| pull.missing().contains(w)).collect();
    for layer in layers.iter().filter(|w| !pull.missing().contains(w)) {
        progress.layer(&layer.diff_id, LayerState::Exists);
    }
    let staged = unpack_all(store, archive, &pull, missing, progress)?;
    image.size = total_size(store, &layers, &staged)?;
    let manifest = match &found.manifest_document {
        Some(d) => d.clone(),
        None => made_manifest(store, &found, &layers, &staged)?,
    };
    image.manifest = manifest.digest.clone();
    // Where packed layers are known by digest a push may find them there already.
    let blobs: Vec<Blob> = layers
        .iter()
        .zip(&found.layers)
        .filter_map(|(w, l)| {
            let blob = l.blob.as_ref().filter(|b| b.digest != w.diff_id)?;
            Some(Blob {
                digest: blob.digest.clone(),
                diff_id: w.diff_id.clone(),
                media_type: blob.media_type.clone(),
                size: blob.size,
                source: String::new(),
            })
        })
        .collect();
    let documents = [manifest, found.config_document];
    pull.publish(store, staged, Some((&image, &documents)), &blobs)?;
    progress.config(&image.id);
    Ok(Loaded { image: store.image(&image.id)?, names: found.names })
}

fn image_of(found: &Found) -> Image {
    let c = &found.config;
    Image {
        id: found.config_document.digest.clone(),
        manifest: found.config_document.digest.clone(),
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
    missing: Vec<(&Wanted, &FoundLayer)>,
    progress: &dyn Progress,
) -> Result<Vec<StagedLayer>, Error> {
    let root = &store.paths().root;
    let todo = Mutex::new(missing.into_iter());
    let (staged, failure) = (Mutex::new(Vec::new()), Mutex::new(None));
    std::thread::scope(|threads| {
        for _ in 0..JOBS {
            threads.spawn(|| {
                let next = || todo.lock().ok()?.next();
                while let Some((wanted, FoundLayer { file, blob })) = next() {
                    if failure.lock().is_ok_and(|f| f.is_some()) {
                        return;
                    }
                    let expected = Expected {
                        name: file.clone(),
                        blob: blob.as_ref().map(|b| b.digest.clone()).filter(|d| *d != wanted.diff_id),
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
