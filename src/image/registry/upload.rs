//! The writing half of a repository: does a blob exist, link it from another repository, upload it, put a manifest.

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response};

use super::super::Error;
use super::remote::Remote;
use super::transport::{OnRetry, Request};
use crate::model::digest::Digest;

/// A blob upload in progress: where its next piece goes.
pub(crate) struct Upload {
    location: String,
    at: u64,
}

/// What a request to begin an upload brought.
pub(crate) enum Begun {
    /// The registry linked the blob from the other repository.
    Mounted,
    /// Bytes are wanted.
    Upload(Upload),
}

impl Remote {
    /// The size of a blob that the repository has.
    pub(crate) async fn has_blob(&self, digest: &Digest, told: OnRetry<'_>) -> Result<bool, Error> {
        let path = format!("/v2/{}/blobs/{digest}", self.reference.repository);
        let response = self.ask(Method::HEAD, &path, &[], None, told).await?;
        match response.status().as_u16() {
            200..=299 => Ok(true),
            404 => Ok(false),
            _ => Err(self.transport.failure(response, "HEAD", &path).await),
        }
    }

    /// Begins an upload; with `mount` (digest and repository of the same registry) the registry may need no bytes.
    pub(crate) async fn begin_upload(
        &self,
        mount: Option<(&Digest, &str)>,
        told: OnRetry<'_>,
    ) -> Result<Begun, Error> {
        let mut path = format!("/v2/{}/blobs/uploads/", self.reference.repository);
        if let Some((digest, from)) = mount {
            path += &format!("?mount={digest}&from={from}");
        }
        let response = self.ask(Method::POST, &path, &[(CONTENT_LENGTH, "0")], None, told).await?;
        match response.status().as_u16() {
            201 => Ok(Begun::Mounted),
            202 => Ok(Begun::Upload(Upload { location: self.location(&response)?, at: 0 })),
            _ => Err(self.transport.failure(response, "POST", &path).await),
        }
    }

    /// Sends the next piece of a blob.
    pub(crate) async fn upload_chunk(
        &self,
        upload: &mut Upload,
        bytes: Bytes,
        told: OnRetry<'_>,
    ) -> Result<(), Error> {
        let (length, end) = (bytes.len().to_string(), upload.at + bytes.len() as u64);
        let range = format!("{}-{}", upload.at, end.saturating_sub(1));
        let headers = [
            (CONTENT_TYPE, "application/octet-stream"),
            (CONTENT_LENGTH, length.as_str()),
            (reqwest::header::CONTENT_RANGE, range.as_str()),
        ];
        let body = || reqwest::Body::from(bytes.clone());
        let response = self.ask(Method::PATCH, &upload.location, &headers, Some(&body), told).await?;
        if !matches!(response.status().as_u16(), 200..=299) {
            return Err(self.transport.failure(response, "PATCH", "blob upload").await);
        }
        upload.location = self.location(&response)?;
        upload.at = end;
        Ok(())
    }

    /// Ends an upload; the last bytes may come with it.
    pub(crate) async fn finish_upload(
        &self,
        upload: Upload,
        digest: &Digest,
        last: Bytes,
        told: OnRetry<'_>,
    ) -> Result<(), Error> {
        let sign = if upload.location.contains('?') { '&' } else { '?' };
        let path = format!("{}{sign}digest={digest}", upload.location);
        let length = last.len().to_string();
        let headers = [(CONTENT_TYPE, "application/octet-stream"), (CONTENT_LENGTH, length.as_str())];
        let body = || reqwest::Body::from(last.clone());
        let response = self.ask(Method::PUT, &path, &headers, Some(&body), told).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(self.transport.failure(response, "PUT", &format!("blob {digest}")).await)
    }

    /// Uploads a small blob unless the repository has it.
    pub(crate) async fn put_small_blob(
        &self,
        digest: &Digest,
        bytes: &[u8],
        told: OnRetry<'_>,
    ) -> Result<(), Error> {
        if self.has_blob(digest, told).await? {
            return Ok(());
        }
        match self.begin_upload(None, told).await? {
            Begun::Mounted => Ok(()),
            Begun::Upload(u) => self.finish_upload(u, digest, Bytes::copy_from_slice(bytes), told).await,
        }
    }

    /// Puts a manifest under a tag or digest.
    pub(crate) async fn put_manifest(
        &self,
        version: &str,
        media_type: &str,
        bytes: &[u8],
        told: OnRetry<'_>,
    ) -> Result<(), Error> {
        let path = format!("/v2/{}/manifests/{version}", self.reference.repository);
        let body = || reqwest::Body::from(bytes.to_vec());
        let response = self.ask(Method::PUT, &path, &[(CONTENT_TYPE, media_type)], Some(&body), told).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(self.transport.failure(response, "PUT", &self.reference.to_string()).await)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(reqwest::header::HeaderName, &str)],
        body: Option<&dyn Fn() -> reqwest::Body>,
        told: OnRetry<'_>,
    ) -> Result<Response, Error> {
        let request = Request { method, path, headers, body, scope: &self.scope };
        self.transport.send(&request, told).await
    }

    /// Where the next request of an upload goes: on the registry's own host only, for it carries our credentials.
    fn location(&self, response: &Response) -> Result<String, Error> {
        let bad = |why: String| Error::Invalid {
            what: format!("answer of {} to an upload", self.reference.registry),
            why,
        };
        let text = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
        let text = text.ok_or_else(|| bad("it names no location".into()))?;
        let url = response.url().join(text).map_err(|e| bad(format!("location {text:?}: {e}")))?;
        if !self.transport.is_registry(&url) {
            return Err(bad(format!("location {text:?} is on another host")));
        }
        // Some registries behind a proxy name http where they are reached by https.
        let query = url.query().map(|q| format!("?{q}")).unwrap_or_default();
        Ok(format!("{}{query}", url.path()))
    }
}
