//! What can go wrong with registries and image documents; each variant names the thing, the source is the cause.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::ParseError;
use crate::model::digest::Digest;

/// Anything that keeps an image from being fetched, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The signature policy refuses it, or is none.
    #[error("{what}: {why}")]
    Policy {
        /// The image, or the policy's file.
        what: String,
        /// Why.
        why: String,
    },
    /// The registry does not have it.
    #[error("{reference}: the registry has no such image ({detail})")]
    NotFound {
        /// Image reference.
        reference: String,
        /// The registry's words, `manifest unknown`.
        detail: String,
    },
    /// The registry wants to know who asks, or does not believe it.
    #[error("{registry}: authentication required{}", further(.detail))]
    Unauthorized {
        /// Registry host.
        registry: String,
        /// The registry's words.
        detail: String,
        /// Whether credentials were sent.
        with_credentials: bool,
    },
    /// The registry knows who asks and says no (docker.io says this of private and absent repositories alike).
    #[error("{reference}: access denied ({detail})")]
    Denied {
        /// Image reference.
        reference: String,
        /// The registry's words.
        detail: String,
    },
    /// `blocked = true` in registries.conf.
    #[error("{reference}: registry blocked by {prefix:?} in {file}")]
    Blocked {
        /// Image reference.
        reference: String,
        /// The prefix that matched.
        prefix: String,
        /// File that says so.
        file: String,
    },
    /// No answer: no route, refused, name unknown, connection lost.
    #[error("{registry}: cannot reach the registry")]
    Unreachable {
        /// Registry host, with port.
        registry: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The TLS handshake failed.
    #[error("{registry}: TLS error: {detail}")]
    Tls {
        /// Registry host, with port.
        registry: String,
        /// What the check says.
        detail: String,
        /// Whether the other side speaks plain HTTP.
        plain_http: bool,
    },
    /// No byte for too long.
    #[error("{registry}: no answer for {} s", .after.as_secs())]
    Timeout {
        /// Registry host, with port.
        registry: String,
        /// How long was waited.
        after: Duration,
    },
    /// 429 to the end of all retries.
    #[error("{registry}: too many requests ({detail})")]
    RateLimited {
        /// Registry host.
        registry: String,
        /// The registry's words.
        detail: String,
    },
    /// An answer that the protocol does not foresee.
    #[error("{registry}: {request} answered {status}{}", prefixed(.detail))]
    Server {
        /// Registry host.
        registry: String,
        /// `GET /v2/…`.
        request: String,
        /// HTTP status.
        status: u16,
        /// The registry's words, may be empty.
        detail: String,
    },
    /// The bytes are not those that the digest names.
    #[error("{what} has digest {actual}, expected {expected}")]
    DigestMismatch {
        /// `manifest of …`, `layer …`.
        what: String,
        /// As named.
        expected: Digest,
        /// As computed.
        actual: Digest,
    },
    /// More or fewer bytes than the descriptor says.
    #[error("{what} has {actual} bytes, expected {expected}")]
    SizeMismatch {
        /// `layer …`.
        what: String,
        /// As named.
        expected: u64,
        /// As received.
        actual: u64,
    },
    /// A layer that does not decompress or is no tar archive.
    #[error("layer {layer} is corrupt")]
    CorruptLayer {
        /// Digest of the blob, or file in an archive.
        layer: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The index has no manifest for the platform.
    #[error("{reference}: no image for platform {wanted}; there are: {}", .available.join(", "))]
    NoPlatform {
        /// Image reference.
        reference: String,
        /// `linux/arm64/v8`.
        wanted: String,
        /// What there is.
        available: Vec<String>,
    },
    /// Manifest version 2 schema 1, which has no content addressing.
    #[error(
        "{reference}: image manifest version 2 schema 1 is not supported; push it again with a current tool"
    )]
    Schema1 {
        /// Image reference.
        reference: String,
    },
    /// A media type that is no image's.
    #[error("{what}: unsupported media type {media_type:?}")]
    MediaType {
        /// `layer sha256:…`.
        what: String,
        /// As found.
        media_type: String,
    },
    /// A document that breaks its specification, or contradicts itself.
    #[error("{what} is invalid: {why}")]
    Invalid {
        /// `manifest sha256:…`, `image config …`.
        what: String,
        /// The rule that it breaks.
        why: String,
    },
    /// More bytes than such a document may have.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// Limit in bytes.
        limit: u64,
    },
    /// No space left.
    #[error("{what}: no space left on the disk that holds {}", .path.display())]
    DiskFull {
        /// `layer …`.
        what: String,
        /// Folder on that disk.
        path: PathBuf,
    },
    /// A name that is no image reference, or a platform that is none.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A configuration or credentials file that cannot be read or understood.
    #[error("{}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A credential helper that fails.
    #[error("credential helper {program}: {why}")]
    Helper {
        /// `docker-credential-…`.
        program: String,
        /// Its words.
        why: String,
    },
    /// Several places were tried.
    #[error("{name}: not found in any registry: {}", list(.tried))]
    AllFailed {
        /// Name as typed.
        name: String,
        /// Reference and reason, in order.
        tried: Vec<(String, Self)>,
    },
    /// SIGINT, SIGTERM or a caller that went away.
    #[error("interrupted")]
    Interrupted,
    /// The store.
    #[error(transparent)]
    Storage(#[from] crate::storage::Error),
    /// Reading or writing on this machine.
    #[error("{what}")]
    Io {
        /// What was done to which thing.
        what: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

fn prefixed(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

fn list(tried: &[(String, Error)]) -> String {
    tried.iter().map(|(_, e)| e.to_string()).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// What the user can do about it, if we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => "check the name and the tag".into(),
            Self::Unreachable { .. } | Self::Timeout { .. } => {
                "does it run, and is it reached from here? proxies are taken from HTTPS_PROXY and NO_PROXY".into()
            }
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                "what came is not what was asked for: pull again; if it stays so, the registry's copy is damaged".into()
            }
            Self::CorruptLayer { .. } => "the image itself is damaged: it has to be made or pushed again".into(),
            Self::Server { status: 500.., .. } => "the registry is in trouble: try again later".into(),
            Self::Unauthorized { registry, with_credentials: false, .. } => {
                format!("run rcon login {registry}")
            }
            Self::Unauthorized { registry, with_credentials: true, .. } => {
                format!("the stored credentials were refused; run rcon login {registry} again")
            }
            Self::Denied { .. } => "it may be private or not exist; check the name, or run rcon login".into(),
            Self::Tls { plain_http: true, registry, .. } => {
                format!(
                    "{registry} seems to speak plain HTTP; use --tls-verify=false or mark it insecure in registries.conf"
                )
            }
            Self::Tls { registry, .. } => {
                format!(
                    "put its CA into /etc/containers/certs.d/{registry}/ca.crt, or use --tls-verify=false"
                )
            }
            Self::RateLimited { registry, .. } => {
                format!("wait, or run rcon login {registry} for a higher limit")
            }
            Self::DiskFull { .. } => "free some space: rcon system prune, rcon image prune -a".into(),
            Self::NoPlatform { .. } => "choose one with --platform".into(),
            Self::Blocked { file, .. } => format!("see {file}"),
            Self::AllFailed { tried, .. } => return tried.last().and_then(|(_, e)| e.hint()),
            _ => return None,
        })
    }
}

/// A registry's words, where they say more than ours.
fn further(detail: &str) -> String {
    if detail.is_empty() || detail == "authentication required" {
        String::new()
    } else {
        format!(" ({detail})")
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(e: &(dyn std::error::Error + 'static)) -> String {
    let mut text = e.to_string();
    let mut next = e.source();
    while let Some(c) = next {
        text.push_str(": ");
        text.push_str(&c.to_string());
        next = c.source();
    }
    text
}
