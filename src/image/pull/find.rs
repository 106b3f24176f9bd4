//! From a reference to the documents of one image: index → manifest of the platform → config, all checked.

use super::super::config::{self, Config};
use super::super::manifest::{self, DOCKER_CONFIG, DOCKER_MANIFEST, Manifest, OCI_CONFIG, Parsed};
use super::super::progress::Progress;
use super::super::registry::Remote;
use super::super::registry::remote::Received;
use super::Error;
use crate::model::digest::Digest;
use crate::model::image::{Image, Platform};
use crate::model::reference::ImageRef;
use crate::storage::images::Document;
use crate::storage::layers::chain_ids;

/// An index may point to an index; deeper is nonsense.
const MAX_DEPTH: usize = 3;

/// The documents of an image.
pub(super) struct Found {
    /// Digest that the reference has.
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    pub(super) config: Config,
    manifest_document: Document,
    config_document: Document,
    /// Indexes on the way, outermost first.
    indexes: Vec<Document>,
}

/// Fetches and checks the documents.
pub(super) async fn find(
    remote: &Remote,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<Found, Error> {
    let what = remote.reference.to_string();
    let told = |pause: std::time::Duration, why: &str| {
        progress.warning(&format!("{why}; trying again in {:.1} s", pause.as_secs_f32()));
    };
    let mut received = remote.manifest(remote.reference.version(), &told).await?;
    let digest = received.digest.clone();
    let mut indexes = Vec::new();
    let manifest = loop {
        match manifest::parse(&received.bytes, received.content_type.as_deref(), &what)? {
            Parsed::Manifest(m) => break m,
            Parsed::Index(index) => {
                if indexes.len() == MAX_DEPTH {
                    let why = "indexes within indexes".to_owned();
                    return Err(Error::Invalid { what, why });
                }
                let entry = index.choose(platform, &what)?;
                let next = remote.manifest(entry.digest.as_str(), &told).await?;
                if next.bytes.len() as u64 != entry.size {
                    let (expected, actual) = (entry.size, next.bytes.len() as u64);
                    let what = format!("manifest {}", entry.digest);
                    return Err(Error::SizeMismatch { what, expected, actual });
                }
                indexes.push(document(received, index.media_type));
                received = next;
            }
        }
    };
    manifest.check_image(&what)?;
    let bytes = remote.small_blob(&manifest.config, config::MAX_CONFIG, "image config", &told).await?;
    let config = config::parse(&bytes, &format!("image config {}", manifest.config.digest))?;
    check(&what, &manifest, &config, platform, indexes.is_empty(), progress)?;
    let media_type = if manifest.media_type == DOCKER_MANIFEST { DOCKER_CONFIG } else { OCI_CONFIG };
    let config_document =
        Document { digest: manifest.config.digest.clone(), media_type: media_type.to_owned(), bytes };
    let manifest_document = document(received, manifest.media_type);
    Ok(Found { digest, manifest, config, manifest_document, config_document, indexes })
}

fn document(received: Received, media_type: &str) -> Document {
    Document { digest: received.digest, media_type: media_type.to_owned(), bytes: received.bytes }
}

/// Whether manifest and config belong together and to the platform.
fn check(
    what: &str,
    manifest: &Manifest,
    config: &Config,
    platform: Option<&Platform>,
    single: bool,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let (layers, ids) = (manifest.layers.len(), config.diff_ids.len());
    if layers != ids {
        let why = format!("the manifest has {layers} layers, its config {ids}");
        return Err(Error::Invalid { what: what.to_owned(), why });
    }
    let is = config.platform();
    // An index has chosen already; its word on the variant is better than the config's.
    if !single || config.architecture.is_empty() {
        return Ok(());
    }
    match platform {
        Some(wanted) if wanted.os != is.os || wanted.architecture != is.architecture => {
            Err(Error::NoPlatform {
                reference: what.to_owned(),
                wanted: wanted.to_string(),
                available: vec![is.to_string()],
            })
        }
        Some(_) => Ok(()),
        None => {
            let host = Platform::host();
            if is.os != host.os {
                let (wanted, available) = (host.to_string(), vec![is.to_string()]);
                return Err(Error::NoPlatform { reference: what.to_owned(), wanted, available });
            }
            if is.architecture != host.architecture {
                progress.warning(&format!(
                    "the image's platform ({is}) is not this machine's ({host}) and no platform was asked for"
                ));
            }
            Ok(())
        }
    }
}

impl Found {
    /// The image as it will be in the store, its size not yet known.
    pub(super) fn image(&self, reference: &ImageRef) -> Image {
        let c = &self.config;
        let named = match (&reference.digest, &reference.tag) {
            // As docker: what is pulled by digest gets no tag.
            (None, Some(_)) => vec![reference.to_string()],
            _ => Vec::new(),
        };
        Image {
            id: self.config_document.digest.clone(),
            manifest: self.manifest_document.digest.clone(),
            index: self.indexes.first().map(|d| d.digest.clone()),
            names: named,
            digests: vec![reference.with_digest(&self.digest).to_string()],
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

    /// Everything to be kept as received.
    pub(super) fn documents(&self) -> Vec<Document> {
        let own = [&self.manifest_document, &self.config_document];
        self.indexes.iter().chain(own).cloned().collect()
    }
}
