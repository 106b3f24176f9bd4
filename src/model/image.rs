//! Images as the engine sees them: config fields that steer a container, ids, layers, platform.

use serde::{Deserialize, Serialize};

use super::digest::{ChainId, DiffId, Digest};
use super::lifecycle::HealthCheck;

/// The part of an image's config that steers containers (OCI image spec, "Image Configuration", with
/// docker's additions). Every text in it is hostile (rule R9).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// `User`.
    pub user: String,
    /// `ExposedPorts` keys, `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// `Env`, `NAME=value`.
    pub env: Vec<String>,
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
    /// `Volumes` keys.
    pub volumes: Vec<String>,
    /// `WorkingDir`.
    pub working_dir: String,
    /// `Labels`.
    pub labels: Vec<(String, String)>,
    /// `StopSignal`.
    pub stop_signal: String,
    /// `Healthcheck`.
    pub healthcheck: Option<HealthCheck>,
    /// `Shell`.
    pub shell: Vec<String>,
    /// `OnBuild`.
    pub on_build: Vec<String>,
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Digest of the config: the image id.
    pub id: Digest,
    /// Digest of the platform's manifest as pulled.
    pub manifest: Digest,
    /// Digest of the index it was chosen from, if any.
    pub index: Option<Digest>,
    /// Names, `docker.io/library/nginx:latest`, sorted.
    pub names: Vec<String>,
    /// Names with digests, `docker.io/library/nginx@sha256:…`, sorted.
    pub digests: Vec<String>,
    /// When it was built.
    pub created: Option<jiff::Timestamp>,
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v8`, or empty.
    pub variant: String,
    /// Author.
    pub author: String,
    /// Docker version or similar, comment of the last history entry.
    pub comment: String,
    /// Steering config.
    pub config: ImageConfig,
    /// diffIDs, lowest first.
    pub diff_ids: Vec<DiffId>,
    /// chainIDs, lowest first: `layers[i]` is the layer directory of `diff_ids[..=i]`.
    pub layers: Vec<ChainId>,
    /// Sum of the unpacked layers' sizes in bytes.
    pub size: u64,
}
