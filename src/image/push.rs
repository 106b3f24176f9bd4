//! Push: an image of the store goes to a registry.
//!
//! A layer whose compressed blob is known is not packed again if the registry has the blob, or can link it from
//! another of its repositories. Else its exact tar is made again from the store, packed and sent piece by piece; the
//! digest is known at the end. When every layer could keep its blob the manifest goes out unchanged, so that the
//! image has the same digest everywhere.

use std::io::Write;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::env::Env;
use super::error::Error;
use super::manifest::{DOCKER_MANIFEST, Form};
use super::progress::{LayerState, Progress};
use super::registries::{Registries, Source};
use super::registry::upload::Begun;
use super::registry::{Access, Remote, block_on};
use crate::model::create::RegistryOptions;
use crate::model::digest::{ChainId, DiffId, Digest};
use crate::model::image::Image;
use crate::model::reference::ImageRef;
use crate::storage::Store;
use crate::storage::layers::{self, Blob};

/// Bytes of a piece that is sent with one request.
const PIECE: usize = 4 << 20;

/// How layers are packed for the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// gzip, what every client takes.
    #[default]
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Packing {
    /// As media types end.
    fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// What is to be pushed and how.
#[derive(Debug, Clone)]
pub struct PushRequest<'a> {
    /// Image.
    pub image: &'a Image,
    /// Where to, with a tag or a digest.
    pub target: ImageRef,
    /// Flags of the command line.
    pub options: &'a RegistryOptions,
    /// registries.conf.
    pub registries: &'a Registries,
    /// Where credentials and certificates are.
    pub env: &'a Env,
    /// `--compression-format`; `None` keeps known blobs and packs others by gzip.
    pub packing: Option<Packing>,
    /// `--compression-level`.
    pub level: Option<i32>,
    /// `--force-compression`: do not use known blobs of another packing.
    pub force: bool,
    /// `--format`; `None` keeps the image's.
    pub form: Option<Form>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
}

/// Pushes an image.
///
/// # Errors
/// [`Error`] names the thing and the cause.
pub fn push(store: &Store, request: &PushRequest<'_>, progress: &dyn Progress) -> Result<Pushed, Error> {
    if request.form == Some(Form::Docker) && request.packing == Some(Packing::Zstd) {
        return Err(Error::Invalid {
            what: "combination of --format v2s2 and --compression-format zstd".into(),
            why: "docker's manifests know no zstd; use --format oci".into(),
        });
    }
    let access = Access { options: request.options, registries: request.registries, env: request.env };
    // Mirrors are for pulls: a push goes to the place itself.
    let source = request.registries.sources(&request.target)?.pop();
    let source =
        source.unwrap_or(Source { reference: request.target.clone(), insecure: false, mirror: false });
    block_on(progress, async {
        let remote = Remote::new(&access, &source, "pull,push")?;
        let pushed = OnePush { store, request, remote: &remote, progress }.run().await?;
        progress.config(&request.image.id);
        Ok(pushed)
    })
}

struct OnePush<'a> {
    store: &'a Store,
    request: &'a PushRequest<'a>,
    remote: &'a Remote,
    progress: &'a dyn Progress,
}

impl OnePush<'_> {
    async fn run(&self) -> Result<Pushed, Error> {
        let image = self.request.image;
        let list: Vec<(Digest, u64)> = image
            .diff_ids
            .iter()
            .zip(&image.layers)
            .map(|(d, c)| Ok((d.clone(), self.store.layer(c)?.map_or(0, |l| l.tar_size))))
            .collect::<Result<_, Error>>()?;
        self.progress.layers(&self.request.target, &list);
        let mut blobs = Vec::new();
        for (diff_id, chain) in image.diff_ids.iter().zip(&image.layers) {
            blobs.push(self.layer(diff_id, chain).await?);
        }
        let told = |_: std::time::Duration, why: &str| self.progress.warning(why);
        let config = self.document(&image.id, "config")?;
        self.remote.put_small_blob(&image.id, &config, &told).await?;
        let (media_type, manifest) = self.manifest(&blobs, config.len() as u64)?;
        let digest = Digest::sha256(Sha256::digest(&manifest).into());
        let version = match &self.request.target.tag {
            Some(tag) => tag.clone(),
            None => digest.to_string(),
        };
        self.remote.put_manifest(&version, media_type, &manifest, &told).await?;
        self.store.add_blobs(&blobs)?;
        let size = manifest.len() as u64;
        Ok(Pushed { digest, size })
    }

    fn document(&self, digest: &Digest, kind: &str) -> Result<Vec<u8>, Error> {
        match self.store.document(digest)? {
            Some(d) => Ok(d.bytes),
            None => Err(Error::Invalid {
                what: format!("image {}", self.request.image.id.short()),
                why: format!("its {kind} {digest} is not in the store"),
            }),
        }
    }

    /// Brings one layer there; says as what blob.
    async fn layer(&self, diff_id: &DiffId, chain: &ChainId) -> Result<Blob, Error> {
        let told = |after: std::time::Duration, reason: &str| {
            self.progress.layer(diff_id, LayerState::Retrying { after, reason: reason.to_owned() });
        };
        let here = self.remote.reference.name();
        let known: Vec<Blob> = self.store.blobs_of(diff_id)?.into_iter().filter(|b| self.usable(b)).collect();
        for blob in &known {
            if self.remote.has_blob(&blob.digest, &told).await? {
                self.progress.layer(diff_id, LayerState::Exists);
                return Ok(Blob { source: here, ..blob.clone() });
            }
        }
        let registry = format!("{}/", self.remote.reference.registry);
        for blob in &known {
            let Some(from) = blob.source.strip_prefix(&registry) else { continue };
            if let Ok(Begun::Mounted) = self.remote.begin_upload(Some((&blob.digest, from)), &told).await {
                self.progress.layer(diff_id, LayerState::Mounted { from: from.to_owned() });
                return Ok(Blob { source: here, ..blob.clone() });
            }
        }
        let blob = self.upload(diff_id, chain, &told).await?;
        self.progress.layer(diff_id, LayerState::Pushed);
        Ok(blob)
    }

    fn usable(&self, blob: &Blob) -> bool {
        // docker's manifests know no zstd.
        if self.request.form == Some(Form::Docker) && blob.media_type.ends_with("zstd") {
            return false;
        }
        match self.request.packing {
            None => blob.media_type.ends_with("gzip") || blob.media_type.ends_with("zstd"),
            Some(_) if !self.request.force => true,
            Some(Packing::Gzip) => blob.media_type.ends_with("gzip"),
            Some(Packing::Zstd) => blob.media_type.ends_with("zstd"),
        }
    }

    /// Makes the tar again, packs it and sends it piece by piece.
    async fn upload(
        &self,
        diff_id: &DiffId,
        chain: &ChainId,
        told: &dyn Fn(std::time::Duration, &str),
    ) -> Result<Blob, Error> {
        let Begun::Upload(mut upload) = self.remote.begin_upload(None, told).await? else {
            return Err(Error::Invalid {
                what: format!("answer of {}", self.remote.reference.registry),
                why: "it linked a blob that was not named".into(),
            });
        };
        let packing = self.request.packing.unwrap_or_default();
        let total = self.store.layer(chain)?.map_or(0, |l| l.tar_size);
        let (pieces, mut packed) = mpsc::channel::<Bytes>(2);
        let paths = self.store.paths().clone();
        let (chain, expected, level) = (chain.clone(), diff_id.clone(), self.request.level);
        let packer = std::thread::spawn(move || -> Result<(), Error> {
            let mut out =
                Hashing { inner: packer(packing, level, Pieces::new(pieces))?, hasher: Sha256::new() };
            layers::layer_tar(&paths, &chain, &mut out)?;
            let actual = Digest::sha256(out.hasher.finalize().into());
            if actual != expected {
                let what = format!("the rebuilt archive of layer {}", chain.short());
                return Err(Error::DigestMismatch { what, expected, actual });
            }
            out.inner.finish().map_err(|source| Error::Io { what: "cannot pack a layer".into(), source })
        });
        let (mut hasher, mut size, mut sent) = (Sha256::new(), 0, Ok(()));
        while let Some(piece) = packed.recv().await {
            hasher.update(&piece);
            size += piece.len() as u64;
            sent = self.remote.upload_chunk(&mut upload, piece, told).await;
            if sent.is_err() {
                break;
            }
            self.progress.layer(diff_id, LayerState::Uploading { current: size, total: total.max(size) });
        }
        drop(packed);
        let made = packer_result(packer);
        sent?;
        made?;
        let digest = Digest::sha256(hasher.finalize().into());
        self.remote.finish_upload(upload, &digest, Bytes::new(), told).await?;
        let media_type = self.form().layer(packing.word());
        Ok(Blob { digest, diff_id: diff_id.clone(), media_type, size, source: self.remote.reference.name() })
    }

    fn form(&self) -> Form {
        self.request.form.unwrap_or_else(|| match self.store.document(&self.request.image.manifest) {
            Ok(Some(d)) if d.media_type == DOCKER_MANIFEST => Form::Docker,
            _ => Form::Oci,
        })
    }

    /// The manifest as it was, if it still fits; else one made of these blobs.
    fn manifest(&self, blobs: &[Blob], config_size: u64) -> Result<(&'static str, Vec<u8>), Error> {
        let packed = blobs.iter().any(|b| b.media_type.ends_with("zstd"));
        let form = if packed { Form::Oci } else { self.form() };
        let media_type = form.manifest();
        if let Some(d) = self.store.document(&self.request.image.manifest)?
            && d.media_type == media_type
            && let Ok(v) = serde_json::from_slice::<Value>(&d.bytes)
            && let Some(layers) = v["layers"].as_array()
            && layers.len() == blobs.len()
            && layers.iter().zip(blobs).all(|(l, b)| l["digest"] == b.digest.as_str())
        {
            return Ok((media_type, d.bytes));
        }
        let layers: Vec<Value> = blobs
            .iter()
            .map(|b| {
                let of_form = form
                    .layer(["zstd", "gzip"].into_iter().find(|p| b.media_type.ends_with(p)).unwrap_or(""));
                json!({ "mediaType": of_form, "digest": b.digest, "size": b.size })
            })
            .collect();
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": { "mediaType": form.config(), "digest": self.request.image.id, "size": config_size },
            "layers": layers,
        });
        let bytes = serde_json::to_vec(&document)
            .map_err(|e| Error::Invalid { what: "new manifest".into(), why: e.to_string() })?;
        Ok((media_type, bytes))
    }
}

fn packer_result(thread: std::thread::JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    thread.join().unwrap_or(Err(Error::Interrupted))
}

/// Hashes what passes through.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// A compressor that can be ended.
trait Pack: Write {
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}

impl Pack for flate2::write::GzEncoder<Pieces> {
    fn finish(self: Box<Self>) -> std::io::Result<()> {
        (*self).finish()?.end()
    }
}

impl Pack for zstd::stream::write::Encoder<'static, Pieces> {
    fn finish(self: Box<Self>) -> std::io::Result<()> {
        (*self).finish()?.end()
    }
}

fn packer(packing: Packing, level: Option<i32>, out: Pieces) -> Result<Box<dyn Pack>, Error> {
    let failed = |source| Error::Io { what: "cannot begin to pack a layer".into(), source };
    Ok(match packing {
        Packing::Gzip => {
            let level = u32::try_from(level.unwrap_or(6)).unwrap_or(6).min(9);
            Box::new(flate2::write::GzEncoder::new(out, flate2::Compression::new(level)))
        }
        Packing::Zstd => {
            Box::new(zstd::stream::write::Encoder::new(out, level.unwrap_or(3)).map_err(failed)?)
        }
    })
}

/// Collects bytes into pieces for the network loop.
struct Pieces {
    to: mpsc::Sender<Bytes>,
    current: Vec<u8>,
}

impl Pieces {
    fn new(to: mpsc::Sender<Bytes>) -> Self {
        Self { to, current: Vec::with_capacity(PIECE) }
    }

    fn send(&mut self) -> std::io::Result<()> {
        let piece = std::mem::replace(&mut self.current, Vec::with_capacity(PIECE));
        let gone = |_| std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the upload stopped");
        self.to.blocking_send(Bytes::from(piece)).map_err(gone)
    }

    fn end(mut self) -> std::io::Result<()> {
        if self.current.is_empty() { Ok(()) } else { self.send() }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = bytes.len().min(PIECE - self.current.len());
        self.current.extend_from_slice(&bytes[..n]);
        if self.current.len() == PIECE {
            self.send()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
