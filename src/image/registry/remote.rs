//! Manifests and blobs of one repository of one registry.

use std::path::Path;

use reqwest::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderName, LINK, RANGE};
use reqwest::{Method, Response};
use sha2::{Digest as _, Sha256, Sha512};

use super::super::Error;
use super::super::auth::Keychain;
use super::super::env::Env;
use super::super::manifest::{self, Descriptor};
use super::super::registries::{Registries, Source};
use super::retry::Retry;
use super::transport::{OnRetry, Request, Transport, classify, read_limited};
use crate::model::create::RegistryOptions;
use crate::model::digest::Digest;
use crate::model::reference::ImageRef;

/// Pages of tags that are read; a registry that goes on is broken.
const MAX_PAGES: usize = 10_000;

/// What it takes to reach registries, the same for all sources of one command.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    /// Flags.
    pub(crate) options: &'a RegistryOptions,
    /// registries.conf.
    pub(crate) registries: &'a Registries,
    /// Files.
    pub(crate) env: &'a Env,
}

impl Access<'_> {
    /// Where credentials are looked for.
    pub(crate) fn keychain(&self) -> Keychain {
        let file = self.options.auth_file.as_deref().map(Path::new);
        Keychain::new(self.env, self.registries, self.options.creds.clone(), file)
    }

    /// Whether a registry may be reached without checks; the command line has the last word.
    pub(crate) fn insecure(&self, configured: bool) -> bool {
        self.options.tls_verify.map_or(configured, |verify| !verify)
    }
}

/// One repository.
pub(crate) struct Remote {
    pub(super) transport: Transport,
    /// What is asked for there.
    pub(crate) reference: ImageRef,
    pub(super) scope: String,
}

/// A manifest or index as received, its digest verified.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Digest of the bytes.
    pub(crate) digest: Digest,
    /// Media type as sent.
    pub(crate) content_type: Option<String>,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

/// A blob that begins to come.
pub(crate) struct Blob {
    /// The body.
    pub(crate) response: Response,
    /// Offset of its first byte in the blob.
    pub(crate) offset: u64,
}

impl Remote {
    /// A repository; nothing is sent yet. `actions` is `pull` or `pull,push`.
    pub(crate) fn new(access: &Access<'_>, source: &Source, actions: &str) -> Result<Self, Error> {
        let r = &source.reference;
        let credentials = access.keychain().find(&r.registry, &r.repository)?;
        let transport = Transport::new(
            &r.registry,
            access.insecure(source.insecure),
            credentials,
            access.env,
            access.options.cert_dir.as_deref().map(Path::new),
            Retry::new(access.options),
        )?;
        let scope = format!("repository:{}:{actions}", r.repository);
        Ok(Self { transport, reference: r.clone(), scope })
    }

    /// Retries of this command.
    pub(crate) fn retry(&self) -> Retry {
        self.transport.retry
    }

    /// Whether a broken transfer is worth another try.
    pub(crate) fn worth_retrying(&self, e: &Error) -> bool {
        // In the middle of a transfer a refused connection may well be a registry that restarts.
        matches!(e, Error::Unreachable { .. }) || self.transport.worth_retrying(e)
    }

    /// Fetches the manifest of a tag or digest; a digest is verified.
    pub(crate) async fn manifest(&self, version: &str, told: OnRetry<'_>) -> Result<Received, Error> {
        let what = self.named(version);
        let response = self.get_manifest(Method::GET, version, &what, told).await?;
        let content_type = header(&response, &CONTENT_TYPE);
        let bytes = read_limited(response, manifest::MAX_MANIFEST, &format!("manifest of {what}")).await?;
        let digest = match version.parse::<Digest>() {
            Ok(expected) => {
                let actual = digest_of(&expected, &bytes);
                if actual != expected {
                    return Err(Error::DigestMismatch {
                        what: format!("manifest of {what}"),
                        expected,
                        actual,
                    });
                }
                expected
            }
            Err(_) => Digest::sha256(Sha256::digest(&bytes).into()),
        };
        Ok(Received { digest, content_type, bytes })
    }

    /// The digest that a tag has now, without the manifest where the registry tells it.
    pub(crate) async fn digest(&self, version: &str, told: OnRetry<'_>) -> Result<Digest, Error> {
        let what = self.named(version);
        let response = self.get_manifest(Method::HEAD, version, &what, told).await;
        let known = response
            .ok()
            .and_then(|r| r.headers().get("docker-content-digest")?.to_str().ok()?.parse::<Digest>().ok());
        match known {
            Some(d) => Ok(d),
            // Registries that do not answer HEAD, or without the header.
            None => Ok(self.manifest(version, told).await?.digest),
        }
    }

    async fn get_manifest(
        &self,
        method: Method,
        version: &str,
        what: &str,
        told: OnRetry<'_>,
    ) -> Result<Response, Error> {
        let path = format!("/v2/{}/manifests/{version}", self.reference.repository);
        let request = Request {
            method: method.clone(),
            path: &path,
            headers: &[(ACCEPT, manifest::ACCEPT)],
            body: None,
            scope: &self.scope,
        };
        let response = self.transport.send(&request, told).await.map_err(|e| self.hub_denies(e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.transport.failure(response, method.as_str(), what).await)
    }

    /// All tags, page by page.
    pub(crate) async fn tags(&self, told: OnRetry<'_>) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let first = format!("/v2/{}/tags/list", self.reference.repository);
        let mut path = first.clone();
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let request =
                Request { method: Method::GET, path: &path, headers: &[], body: None, scope: &self.scope };
            let response = self.transport.send(&request, told).await.map_err(|e| self.hub_denies(e))?;
            let what = format!("tags of {}", self.reference.name());
            if !response.status().is_success() {
                return Err(self.transport.failure(response, "GET", &self.reference.name()).await);
            }
            let next = response.headers().get(LINK).and_then(|v| v.to_str().ok()).and_then(next_query);
            let body = read_limited(response, manifest::MAX_MANIFEST, &what).await?;
            let page: Page = serde_json::from_slice(&body)
                .map_err(|e| Error::Invalid { what: what.clone(), why: e.to_string() })?;
            all.extend(page.tags.unwrap_or_default());
            match next {
                // Only the query is taken: the next page is on the same host.
                Some(query) => path = format!("{first}?{query}"),
                None => return Ok(all),
            }
        }
        Ok(all)
    }

    /// docker.io answers 401 for what does not exist, so that nobody learns which private names there are.
    fn hub_denies(&self, e: Error) -> Error {
        match e {
            Error::Unauthorized { registry, with_credentials: false, .. } if registry == "docker.io" => {
                Error::Denied {
                    reference: self.reference.familiar_name(),
                    detail: "repository does not exist or may require authorization".into(),
                }
            }
            e => e,
        }
    }

    /// `host/repo:tag` or `host/repo@digest`.
    fn named(&self, version: &str) -> String {
        let sign = if version.contains(':') { '@' } else { ':' };
        format!("{}{sign}{version}", self.reference.name())
    }

    /// Fetches a small blob whole and verifies digest and size.
    pub(crate) async fn small_blob(
        &self,
        d: &Descriptor,
        limit: u64,
        kind: &str,
        told: OnRetry<'_>,
    ) -> Result<Vec<u8>, Error> {
        let what = format!("{kind} {}", d.digest);
        if d.size > limit {
            return Err(Error::TooLarge { what, limit });
        }
        let blob = self.blob(&d.digest, 0, told).await?;
        let bytes = read_limited(blob.response, limit, &what).await?;
        if bytes.len() as u64 != d.size {
            return Err(Error::SizeMismatch { what, expected: d.size, actual: bytes.len() as u64 });
        }
        let actual = digest_of(&d.digest, &bytes);
        if actual != d.digest {
            return Err(Error::DigestMismatch { what, expected: d.digest.clone(), actual });
        }
        Ok(bytes)
    }

    /// Begins to fetch a blob from `offset` on. The registry may begin earlier: see [`Blob::offset`].
    pub(crate) async fn blob(&self, digest: &Digest, offset: u64, told: OnRetry<'_>) -> Result<Blob, Error> {
        let path = format!("/v2/{}/blobs/{digest}", self.reference.repository);
        let range = format!("bytes={offset}-");
        let headers: &[(HeaderName, &str)] = if offset > 0 { &[(RANGE, &range)] } else { &[] };
        let request = Request { method: Method::GET, path: &path, headers, body: None, scope: &self.scope };
        let response = self.transport.send(&request, told).await?;
        match response.status().as_u16() {
            206 => {
                let from = header(&response, &CONTENT_RANGE).and_then(|v| range_start(&v));
                if from != Some(offset) {
                    return Err(Error::Invalid {
                        what: format!("answer of {} for blob {digest}", self.reference.registry),
                        why: format!("asked for bytes from {offset} on, got range {from:?}"),
                    });
                }
                Ok(Blob { response, offset })
            }
            200..=299 => Ok(Blob { response, offset: 0 }),
            _ => {
                let what = format!("{} blob {digest}", self.reference.name());
                Err(self.transport.failure(response, "GET", &what).await)
            }
        }
    }

    /// What a failure in the middle of a body means.
    pub(crate) fn broken(&self, e: &reqwest::Error) -> Error {
        classify(&self.reference.registry, e)
    }
}

fn header(r: &Response, name: &HeaderName) -> Option<String> {
    r.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// The query of `<…?QUERY>; rel="next"`.
fn next_query(link: &str) -> Option<String> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| target.split_once('?').map(|(_, q)| q.to_owned()))?
}

/// `bytes 100-199/200` → 100.
fn range_start(value: &str) -> Option<u64> {
    value.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.parse().ok()
}

/// The digest of `bytes` in the algorithm of `like`.
pub(crate) fn digest_of(like: &Digest, bytes: &[u8]) -> Digest {
    let mut h = Hasher::new(like);
    h.update(bytes);
    h.finish()
}

/// sha256 or sha512, as a digest asks for.
pub(crate) enum Hasher {
    /// The usual one.
    Sha256(Sha256),
    /// Rare.
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// A hasher of the algorithm of `like`.
    pub(crate) fn new(like: &Digest) -> Self {
        if like.algorithm() == "sha512" { Self::Sha512(Box::default()) } else { Self::Sha256(Sha256::new()) }
    }

    /// Takes more bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(h) => h.update(bytes),
            Self::Sha512(h) => h.update(bytes),
        }
    }

    /// The digest.
    pub(crate) fn finish(self) -> Digest {
        match self {
            Self::Sha256(h) => Digest::sha256(h.finalize().into()),
            Self::Sha512(h) => {
                let hex: String = h.finalize().iter().map(|b| format!("{b:02x}")).collect();
                format!("sha512:{hex}").parse().expect("64 bytes are 128 hex digits")
            }
        }
    }
}
