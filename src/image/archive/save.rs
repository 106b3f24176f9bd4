//! Writing images into an archive or a directory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::manifest::{
    DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER,
    OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST,
};
use super::super::push::Packing;
use super::sink::{Checked, DirSink, Sink, TarSink};
use super::{Error, NAME, REF_NAME};
use crate::model::digest::Digest;
use crate::model::image::Image;
use crate::model::reference::ImageRef;
use crate::model::transport::FileForm;
use crate::storage::Store;
use crate::storage::layers::Layer;

/// An image to save and the names that it gets in the archive.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The image.
    pub image: Image,
    /// Its names there.
    pub names: Vec<ImageRef>,
    /// What an OCI layout calls it, if not by those.
    pub label: Option<String>,
}

/// Where to and how.
pub enum Target<'a> {
    /// docker's and OCI's archive at once, or OCI's alone.
    Tar {
        /// Add what docker's loaders look for.
        docker: bool,
        /// Stream.
        out: &'a mut dyn Write,
    },
    /// An OCI layout, its layers packed or not; entries of other names that are there stay.
    Layout(&'a Path, Option<Packed>),
    /// A directory with one image, its manifest docker's or OCI's.
    Dir {
        /// Directory.
        path: &'a Path,
        /// docker's media types.
        docker: bool,
        /// How the layers are packed.
        packed: Option<Packed>,
    },
}

/// Layers are packed.
#[derive(Debug, Clone, Copy)]
pub struct Packed {
    /// In which way.
    pub packing: Packing,
    /// How hard.
    pub level: Option<i32>,
}

/// Writes images; gives the digest of the manifest of the last.
///
/// # Errors
/// A layer whose archive cannot be made again, or a target that cannot be written.
pub fn save(store: &Store, images: &[Saved], target: Target<'_>) -> Result<Digest, Error> {
    match target {
        Target::Tar { docker, out } => {
            layout(store, images, &mut TarSink::new(out), docker, Vec::new(), None)
        }
        Target::Layout(path, packed) => {
            let other = entries_there(path, images);
            let packed = packed.map(|p| (path, p));
            layout(store, images, &mut DirSink::new(path.to_owned())?, false, other, packed)
        }
        Target::Dir { path, docker, packed } => match images {
            [one] => directory(store, &one.image, path, docker, packed),
            _ => Err(Error::Invalid {
                what: path.display().to_string(),
                why: "a directory of this form holds one image".into(),
            }),
        },
    }
}

/// The target of `form` at `path`; archives need a stream.
#[must_use]
pub fn directory_target(
    form: FileForm,
    path: &Path,
    docker: bool,
    packed: Option<Packed>,
) -> Option<Target<'_>> {
    match form {
        FileForm::OciDir => Some(Target::Layout(path, packed)),
        FileForm::Dir => Some(Target::Dir { path, docker, packed }),
        FileForm::DockerArchive | FileForm::OciArchive => None,
    }
}

fn layout(
    store: &Store,
    images: &[Saved],
    sink: &mut dyn Sink,
    docker: bool,
    mut index: Vec<Value>,
    packing: Option<(&Path, Packed)>,
) -> Result<Digest, Error> {
    let (mut list, mut last) = (Vec::new(), Digest::sha256([0; 32]));
    for saved in images {
        let layers = layers(store, &saved.image)?;
        let mut blobs = Vec::new();
        for layer in &layers {
            blobs.push(match packing {
                Some((dir, how)) => packed(store, &dir.join("blobs/sha256"), layer, how, false)?,
                None => {
                    put_layer(store, sink, layer, &path(&layer.diff_id))?;
                    plain(layer, OCI_LAYER)
                }
            });
        }
        let config = config(store, &saved.image)?;
        sink.bytes(&path(&saved.image.id), &config)?;
        let manifest = manifest(&saved.image, &blobs, config.len(), false);
        last = Digest::sha256(Sha256::digest(&manifest).into());
        sink.bytes(&path(&last), &manifest)?;
        index.extend(entries(saved, &last, manifest.len(), docker));
        list.push(json!({
            "Config": path(&saved.image.id),
            "RepoTags": saved.names.iter().map(ImageRef::familiar).collect::<Vec<_>>(),
            "Layers": layers.iter().map(|l| path(&l.diff_id)).collect::<Vec<_>>(),
        }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": index });
    sink.bytes("index.json", index.to_string().as_bytes())?;
    if docker {
        sink.bytes("manifest.json", Value::Array(list).to_string().as_bytes())?;
    }
    sink.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    sink.end()?;
    Ok(last)
}

/// Blobs by their bare digits, and the manifest beside them.
fn directory(
    store: &Store,
    image: &Image,
    path: &Path,
    docker: bool,
    packing: Option<Packed>,
) -> Result<Digest, Error> {
    let sink: &mut dyn Sink = &mut DirSink::new(path.to_owned())?;
    let mut blobs = Vec::new();
    for layer in &layers(store, image)? {
        blobs.push(match packing {
            Some(how) => packed(store, path, layer, how, docker)?,
            None => {
                put_layer(store, sink, layer, layer.diff_id.hex())?;
                plain(layer, if docker { DOCKER_LAYER } else { OCI_LAYER })
            }
        });
    }
    let config = config(store, image)?;
    sink.bytes(image.id.hex(), &config)?;
    let manifest = manifest(image, &blobs, config.len(), docker);
    sink.bytes("manifest.json", &manifest)?;
    sink.bytes("version", b"Directory Transport Version: 1.1\n")?;
    sink.end()?;
    Ok(Digest::sha256(Sha256::digest(&manifest).into()))
}

fn config(store: &Store, image: &Image) -> Result<Vec<u8>, Error> {
    let document = store.document(&image.id)?.ok_or_else(|| Error::Invalid {
        what: format!("image {}", image.id.short()),
        why: "its config is not in the store".into(),
    })?;
    Ok(document.bytes)
}

fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn layers(store: &Store, image: &Image) -> Result<Vec<Layer>, Error> {
    let one = |chain: &Digest| match store.layer(chain)? {
        Some(layer) => Ok(layer),
        None => Err(Error::Invalid {
            what: format!("image {}", image.id.short()),
            why: format!("its layer {} is not in the store", chain.short()),
        }),
    };
    image.layers.iter().map(one).collect()
}

/// A layer as it is in the archive.
struct Blob {
    media_type: &'static str,
    digest: Digest,
    size: u64,
}

fn plain(layer: &Layer, media_type: &'static str) -> Blob {
    Blob { media_type, digest: layer.diff_id.clone(), size: layer.tar_size }
}

/// Packs a layer into a file of `dir`, whose name is known when it is done.
fn packed(store: &Store, dir: &Path, layer: &Layer, packed: Packed, docker: bool) -> Result<Blob, Error> {
    let media_type = match (packed.packing, docker) {
        (Packing::Gzip, true) => DOCKER_LAYER_GZIP,
        (Packing::Gzip, false) => OCI_LAYER_GZIP,
        (Packing::Zstd, false) => OCI_LAYER_ZSTD,
        (Packing::Zstd, true) => {
            let why = "docker's form of a manifest has no word for zstd; use --format oci".to_owned();
            return Err(Error::Invalid { what: "the compression".into(), why });
        }
    };
    let part = dir.join(format!("{}.part", layer.diff_id.hex()));
    let failed = |source| Error::Io { what: format!("writing {}", part.display()), source };
    let pack = || {
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut file = BufWriter::with_capacity(128 << 10, File::create(&part).map_err(failed)?);
        let mut out = Checked { out: &mut file, hasher: Sha256::new(), size: 0 };
        match packed.packing {
            Packing::Gzip => {
                let level = packed.level.and_then(|l| u32::try_from(l).ok()).unwrap_or(6);
                let mut gzip = GzEncoder::new(&mut out, flate2::Compression::new(level.min(9)));
                write_layer(store, layer, &mut gzip)?;
                gzip.finish().map_err(failed)?;
            }
            Packing::Zstd => {
                let level = packed.level.unwrap_or(3);
                let mut zstd = zstd::stream::write::Encoder::new(&mut out, level).map_err(failed)?;
                write_layer(store, layer, &mut zstd)?;
                zstd.finish().map_err(failed)?;
            }
        }
        let (digest, size) = (Digest::sha256(out.hasher.finalize().into()), out.size);
        file.flush().and_then(|()| std::fs::rename(&part, dir.join(digest.hex()))).map_err(failed)?;
        Ok(Blob { media_type, digest, size })
    };
    pack().inspect_err(|_| {
        // The failure itself says more.
        let _gone = std::fs::remove_file(&part);
    })
}

/// A manifest of the layers as they are in the archive.
fn manifest(image: &Image, blobs: &[Blob], config_size: usize, docker: bool) -> Vec<u8> {
    let (own, config) = match docker {
        true => (DOCKER_MANIFEST, DOCKER_CONFIG),
        false => (OCI_MANIFEST, OCI_CONFIG),
    };
    let layers: Vec<Value> = blobs
        .iter()
        .map(|b| json!({ "mediaType": b.media_type, "digest": b.digest, "size": b.size }))
        .collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": own,
        "config": { "mediaType": config, "digest": image.id, "size": config_size },
        "layers": layers,
    });
    document.to_string().into_bytes()
}

/// Entries of `index.json`: one for each name, one without for an image that has none.
fn entries(saved: &Saved, digest: &Digest, size: usize, docker: bool) -> Vec<Value> {
    let image = &saved.image;
    let mut platform = json!({ "architecture": image.architecture, "os": image.os });
    if !image.variant.is_empty() {
        platform["variant"] = image.variant.clone().into();
    }
    let entry = json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": size, "platform": platform });
    let named = |name: &ImageRef| {
        let mut entry = entry.clone();
        // docker has its tag there, podman and skopeo look for the whole name.
        let short = name.tag.clone().unwrap_or_default();
        entry["annotations"] =
            json!({ NAME: name.to_string(), REF_NAME: if docker { short } else { name.to_string() } });
        entry
    };
    match (&saved.label, saved.names.is_empty()) {
        (Some(label), _) => {
            let mut entry = entry;
            entry["annotations"] = json!({ REF_NAME: label });
            vec![entry]
        }
        (None, true) => vec![entry],
        (None, false) => saved.names.iter().map(named).collect(),
    }
}

/// What `index.json` of a layout says about images of other names.
fn entries_there(dir: &Path, images: &[Saved]) -> Vec<Value> {
    let read = std::fs::read(dir.join("index.json")).ok();
    let index: Value = read.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
    let names = images.iter().flat_map(|i| i.names.iter().map(ToString::to_string));
    let ours: Vec<String> = names.chain(images.iter().filter_map(|i| i.label.clone())).collect();
    let other =
        |e: &&Value| e["annotations"][REF_NAME].as_str().is_some_and(|name| !ours.iter().any(|n| n == name));
    index["manifests"].as_array().into_iter().flatten().filter(other).cloned().collect()
}

/// A layer, its archive made again and checked on the way.
fn put_layer(store: &Store, sink: &mut dyn Sink, layer: &Layer, name: &str) -> Result<(), Error> {
    sink.file(name, layer.tar_size, &mut |out| write_layer(store, layer, out))
}

/// Writes the archive of a layer, which is held to its digest.
fn write_layer(store: &Store, layer: &Layer, out: &mut dyn Write) -> Result<(), Error> {
    let mut out = Checked { out, hasher: Sha256::new(), size: 0 };
    store.layer_tar(&layer.chain, &mut out)?;
    let (actual, size) = (Digest::sha256(out.hasher.finalize().into()), out.size);
    if actual != layer.diff_id || size != layer.tar_size {
        let what = format!("the rebuilt archive of layer {}", layer.chain.short());
        return Err(Error::DigestMismatch { what, expected: layer.diff_id.clone(), actual });
    }
    Ok(())
}
