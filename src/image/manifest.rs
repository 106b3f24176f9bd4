//! Manifests and indexes, OCI's and docker's: parsed strictly, and the choice of a platform.
//!
//! Strict means (rule R11, CVE-2021-41190): a document is a manifest or an index, never both; its own media type
//! and the transport's must agree where both say something; a digest is a digest. Pure, no I/O.

mod form;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Error;
use crate::model::digest::Digest;
use crate::model::image::Platform;
pub use form::Form;

/// OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI layer, with `+gzip` or `+zstd` or nothing behind.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The same, packed with gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The same, packed with zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// docker's index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// docker's manifest (version 2, schema 2).
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// docker's image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// docker's layer, with `.gzip` or `.zstd` or nothing behind.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// The same, packed with gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// What the registry is asked for, best first.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// Most bytes of a manifest or index, as distribution and containers/image have it.
pub const MAX_MANIFEST: u64 = 4 << 20;

/// Most layers of an image; overlay takes 500 and an image beyond that is an attack.
const MAX_LAYERS: usize = 500;

/// Most manifests of an index.
const MAX_MANIFESTS: usize = 4096;

/// A pointer to a blob.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type.
    #[serde(default)]
    pub media_type: String,
    /// Digest of the bytes.
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
    /// Platform, in an index.
    #[serde(default)]
    pub platform: Option<PlatformEntry>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_default")]
    pub annotations: BTreeMap<String, String>,
}

/// Platform of an index entry as written there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PlatformEntry {
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub architecture: String,
    /// Variant.
    pub variant: String,
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// [`OCI_MANIFEST`] or [`DOCKER_MANIFEST`].
    pub media_type: &'static str,
    /// Image config.
    pub config: Descriptor,
    /// Layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// An index (manifest list).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// [`OCI_INDEX`] or [`DOCKER_INDEX`].
    pub media_type: &'static str,
    /// Entries in order.
    pub manifests: Vec<Descriptor>,
}

/// Either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// Parses a manifest or index. `content_type` is what the transport said, `what` names the document in errors.
///
/// # Errors
/// [`Error::Schema1`], [`Error::Invalid`], [`Error::MediaType`].
pub fn parse(bytes: &[u8], content_type: Option<&str>, what: &str) -> Result<Parsed, Error> {
    let invalid = |why: String| Error::Invalid { what: what.to_owned(), why };
    let transport = content_type.map(essence).and_then(known);
    if matches!(transport, Some(Type::Schema1)) {
        return Err(Error::Schema1 { reference: what.to_owned() });
    }
    let raw: Raw = serde_json::from_slice(bytes).map_err(|e| invalid(e.to_string()))?;
    if raw.schema_version == Some(1) {
        return Err(Error::Schema1 { reference: what.to_owned() });
    }
    if raw.schema_version != Some(2) {
        return Err(invalid(format!("schemaVersion is {:?}, want 2", raw.schema_version)));
    }
    let own = match raw.media_type.as_deref() {
        None | Some("") => None,
        Some(t) => match known(t) {
            Some(Type::Schema1) => return Err(Error::Schema1 { reference: what.to_owned() }),
            Some(k) => Some(k),
            None => return Err(Error::MediaType { what: what.to_owned(), media_type: t.to_owned() }),
        },
    };
    if let (Some(a), Some(b)) = (own, transport)
        && a != b
    {
        return Err(invalid(format!("it was sent as {:?} but calls itself {:?}", b.name(), a.name())));
    }
    let is_index = raw.manifests.is_some();
    if is_index && (raw.layers.is_some() || raw.config.is_some()) || raw.fs_layers.is_some() {
        return Err(invalid("it is manifest and index at the same time".into()));
    }
    let shape = if is_index { Type::OciIndex } else { Type::OciManifest };
    let kind = own.or(transport).unwrap_or(shape);
    if kind.is_index() != is_index {
        return Err(invalid(format!("its content is not that of {:?}", kind.name())));
    }
    if let Some(manifests) = raw.manifests {
        if manifests.len() > MAX_MANIFESTS {
            return Err(invalid(format!("{} manifests, more than {MAX_MANIFESTS}", manifests.len())));
        }
        return Ok(Parsed::Index(Index { media_type: kind.name(), manifests }));
    }
    let config = raw.config.ok_or_else(|| invalid("it has no config".into()))?;
    let layers = raw.layers.ok_or_else(|| invalid("it has no layers".into()))?;
    if layers.len() > MAX_LAYERS {
        return Err(invalid(format!("{} layers, more than {MAX_LAYERS}", layers.len())));
    }
    Ok(Parsed::Manifest(Manifest { media_type: kind.name(), config, layers }))
}

impl Manifest {
    /// Checks that it is a container image whose layers can be unpacked here.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an artifact, [`Error::MediaType`] for a layer of an unknown kind.
    pub fn check_image(&self, what: &str) -> Result<(), Error> {
        match self.config.media_type.as_str() {
            // Very old pushes of docker said octet-stream.
            OCI_CONFIG | DOCKER_CONFIG | "application/octet-stream" | "" => {}
            other => {
                let why = format!("it is an artifact with a config of type {other:?}, not a container image");
                return Err(Error::Invalid { what: what.to_owned(), why });
            }
        }
        for l in &self.layers {
            if !is_layer(&l.media_type) {
                let what = format!("layer {}", l.digest);
                return Err(Error::MediaType { what, media_type: l.media_type.clone() });
            }
        }
        Ok(())
    }
}

/// Whether a media type is that of a tar layer, compressed in a way that we know. Layers that a vendor does not
/// want on registries ("foreign", "nondistributable") are fetched from the registry or not at all: their URLs
/// are never followed.
fn is_layer(t: &str) -> bool {
    let known_end = |rest: &str| matches!(rest, "" | "+gzip" | "+zstd" | ".gzip" | ".zstd");
    [
        OCI_LAYER,
        DOCKER_LAYER,
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    ]
    .iter()
    .any(|p| t.strip_prefix(p).is_some_and(known_end))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    OciIndex,
    OciManifest,
    DockerIndex,
    DockerManifest,
    Schema1,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::OciIndex => OCI_INDEX,
            Self::OciManifest => OCI_MANIFEST,
            Self::DockerIndex => DOCKER_INDEX,
            Self::DockerManifest => DOCKER_MANIFEST,
            Self::Schema1 => "application/vnd.docker.distribution.manifest.v1+json",
        }
    }

    fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerIndex)
    }
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or("").trim()
}

fn known(media_type: &str) -> Option<Type> {
    Some(match media_type {
        OCI_INDEX => Type::OciIndex,
        OCI_MANIFEST => Type::OciManifest,
        DOCKER_INDEX => Type::DockerIndex,
        DOCKER_MANIFEST => Type::DockerManifest,
        "application/vnd.docker.distribution.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v1+prettyjws" => Type::Schema1,
        _ => return None,
    })
}

/// `null` is the default, as Go's encoder writes it for an empty map.
fn null_default<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

impl Index {
    /// The entry for a platform. `wanted` of `None` is this machine, which also runs what its processor can
    /// (386 on amd64, 32-bit arm on arm64) when there is nothing better.
    ///
    /// # Errors
    /// [`Error::NoPlatform`] names what there is.
    pub fn choose(&self, wanted: Option<&Platform>, what: &str) -> Result<&Descriptor, Error> {
        let images: Vec<&Descriptor> = self.manifests.iter().filter(|m| !is_attestation(m)).collect();
        // An index of one image without a platform means that one.
        if let [only] = images[..]
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let host = Platform::host();
        let platform = wanted.unwrap_or(&host);
        for candidate in candidates(platform, wanted.is_none()) {
            let found = images.iter().find(|m| platform_of(m).is_some_and(|p| p == candidate));
            if let Some(m) = found {
                return Ok(m);
            }
        }
        let mut available: Vec<String> =
            images.iter().filter_map(|m| platform_of(m)).map(|p| p.to_string()).collect();
        available.dedup();
        Err(Error::NoPlatform { reference: what.to_owned(), wanted: platform.to_string(), available })
    }
}

fn platform_of(m: &Descriptor) -> Option<Platform> {
    m.platform.as_ref().map(|p| Platform::new(&p.os, &p.architecture, &p.variant))
}

/// BuildKit's provenance documents travel in the index as images of no platform.
fn is_attestation(m: &Descriptor) -> bool {
    m.annotations.contains_key("vnd.docker.reference.type")
        || m.platform.as_ref().is_some_and(|p| p.os == "unknown" && p.architecture == "unknown")
}

/// Platforms that will do, best first.
fn candidates(p: &Platform, host: bool) -> Vec<Platform> {
    let with = |arch: &str, variant: &str| Platform::new(&p.os, arch, variant);
    let mut list = vec![p.clone()];
    let level = |v: &str| v.strip_prefix('v').and_then(|n| n.parse::<u8>().ok());
    match p.architecture.as_str() {
        "arm" => {
            let from = level(&p.variant).unwrap_or(7);
            list.extend((5..from).rev().map(|v| with("arm", &format!("v{v}"))));
        }
        "arm64" => {
            // v9 runs v8.
            list.push(with("arm64", ""));
            if host {
                list.extend((5..=8).rev().map(|v| with("arm", &format!("v{v}"))));
            }
        }
        "amd64" => {
            let from = level(&p.variant).unwrap_or(1);
            list.extend((2..from).rev().map(|v| with("amd64", &format!("v{v}"))));
            list.push(with("amd64", ""));
            if host {
                list.extend((2..=host_level()).map(|v| with("amd64", &format!("v{v}"))));
                list.push(with("386", ""));
            }
        }
        _ => {}
    }
    list
}

/// The x86-64 micro-architecture level of this processor.
fn host_level() -> u8 {
    #[cfg(target_arch = "x86_64")]
    {
        let v2 = std::is_x86_feature_detected!("sse4.2") && std::is_x86_feature_detected!("popcnt");
        let v3 = v2
            && std::is_x86_feature_detected!("avx2")
            && std::is_x86_feature_detected!("bmi2")
            && std::is_x86_feature_detected!("fma");
        let v4 = v3
            && std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512cd")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl");
        1 + u8::from(v2) + u8::from(v3) + u8::from(v4)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        1
    }
}

#[cfg(test)]
mod tests;
