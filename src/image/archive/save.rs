//! Writing images into one archive.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::manifest::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use super::{Error, NAME, REF_NAME, io as failed};
use crate::model::digest::Digest;
use crate::model::image::Image;
use crate::model::reference::ImageRef;
use crate::storage::Store;
use crate::storage::layers::Layer;

/// An image to save and the names that it gets in the archive.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The image.
    pub image: Image,
    /// Its names there.
    pub names: Vec<ImageRef>,
}

/// Writes images to `out`; `docker` adds what docker's loaders look for.
///
/// # Errors
/// A layer whose archive cannot be made again, or an `out` that cannot be written.
pub fn save(store: &Store, images: &[Saved], docker: bool, out: &mut dyn Write) -> Result<(), Error> {
    let mut tar = TarWriter { out, written: BTreeSet::new() };
    let (mut index, mut list) = (Vec::new(), Vec::new());
    for saved in images {
        let layers = layers(store, &saved.image)?;
        for layer in &layers {
            tar.layer(store, layer)?;
        }
        let config = store.document(&saved.image.id)?.ok_or_else(|| Error::Invalid {
            what: format!("image {}", saved.image.id.short()),
            why: "its config is not in the store".into(),
        })?;
        tar.blob(&config.digest, &config.bytes)?;
        let manifest = manifest(&saved.image, &layers, config.bytes.len());
        let digest = Digest::sha256(Sha256::digest(&manifest).into());
        tar.blob(&digest, &manifest)?;
        index.extend(entries(saved, &digest, manifest.len()));
        list.push(json!({
            "Config": path(&saved.image.id),
            "RepoTags": saved.names.iter().map(ImageRef::familiar).collect::<Vec<_>>(),
            "Layers": layers.iter().map(|l| path(&l.diff_id)).collect::<Vec<_>>(),
        }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": index });
    tar.file("index.json", index.to_string().as_bytes())?;
    if docker {
        tar.file("manifest.json", Value::Array(list).to_string().as_bytes())?;
    }
    tar.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    tar.end()
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

/// A manifest of the layers as they are in the archive.
fn manifest(image: &Image, layers: &[Layer], config_size: usize) -> Vec<u8> {
    let layers: Vec<Value> = layers
        .iter()
        .map(|l| json!({ "mediaType": OCI_LAYER, "digest": l.diff_id, "size": l.tar_size }))
        .collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": image.id, "size": config_size },
        "layers": layers,
    });
    document.to_string().into_bytes()
}

/// Entries of `index.json`: one for each name, one without for an image that has none.
fn entries(saved: &Saved, digest: &Digest, size: usize) -> Vec<Value> {
    let image = &saved.image;
    let mut platform = json!({ "architecture": image.architecture, "os": image.os });
    if !image.variant.is_empty() {
        platform["variant"] = image.variant.clone().into();
    }
    let entry = json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": size, "platform": platform });
    let named = |name: &ImageRef| {
        let mut entry = entry.clone();
        let tag = name.tag.clone().unwrap_or_default();
        entry["annotations"] = json!({ NAME: name.to_string(), REF_NAME: tag });
        entry
    };
    match saved.names.is_empty() {
        true => vec![entry],
        false => saved.names.iter().map(named).collect(),
    }
}

/// Writes a tar; a blob only once.
struct TarWriter<'a> {
    out: &'a mut dyn Write,
    written: BTreeSet<String>,
}

impl TarWriter<'_> {
    fn header(&mut self, path: &str, size: u64) -> Result<(), Error> {
        let mut h = tar::Header::new_ustar();
        let named = h.set_path(path);
        h.set_size(size);
        h.set_mode(0o644);
        h.set_entry_type(tar::EntryType::Regular);
        h.set_cksum();
        named.and_then(|()| self.out.write_all(h.as_bytes())).map_err(failed("writing the archive"))
    }

    fn pad(&mut self, size: u64) -> Result<(), Error> {
        let rest = usize::try_from((512 - size % 512) % 512).unwrap_or(0);
        self.out.write_all(&[0; 512][..rest]).map_err(failed("writing the archive"))
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.header(path, bytes.len() as u64)?;
        self.out.write_all(bytes).map_err(failed("writing the archive"))?;
        self.pad(bytes.len() as u64)
    }

    fn blob(&mut self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        if self.written.insert(path(digest)) { self.file(&path(digest), bytes) } else { Ok(()) }
    }

    /// A layer, its archive made again and checked on the way.
    fn layer(&mut self, store: &Store, layer: &Layer) -> Result<(), Error> {
        if !self.written.insert(path(&layer.diff_id)) {
            return Ok(());
        }
        self.header(&path(&layer.diff_id), layer.tar_size)?;
        let mut out = Checked { out: self.out, hasher: Sha256::new(), size: 0 };
        store.layer_tar(&layer.chain, &mut out)?;
        let (actual, size) = (Digest::sha256(out.hasher.finalize().into()), out.size);
        if actual != layer.diff_id || size != layer.tar_size {
            let what = format!("the rebuilt archive of layer {}", layer.chain.short());
            return Err(Error::DigestMismatch { what, expected: layer.diff_id.clone(), actual });
        }
        self.pad(size)
    }

    fn end(&mut self) -> Result<(), Error> {
        self.out.write_all(&[0; 1024]).and_then(|()| self.out.flush()).map_err(failed("writing the archive"))
    }
}

/// Hashes and counts what passes through.
struct Checked<'a> {
    out: &'a mut dyn Write,
    hasher: Sha256,
    size: u64,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
