//! One request to a registry: scheme, authentication, retries; and what its failure means.

use std::cell::Cell;
use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Method, Response};
use serde::Deserialize;

use super::super::Error;
use super::super::auth::Credentials;
use super::super::env::Env;
use super::super::error::chain;
use super::super::registries::is_loopback;
use super::auth::{Asked, Auth};
use super::challenge;
use super::retry::{Retry, may_pass, retry_after};
use super::tls;

/// A connection that says nothing for this long is dead.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// Connecting takes no longer.
const CONNECT: Duration = Duration::from_secs(20);

/// Most bytes of an error's body that are read.
const MAX_ERROR: u64 = 64 << 10;

/// Redirects followed.
const MAX_REDIRECTS: usize = 10;

/// Told of a pause and its reason before a request is repeated.
pub(crate) type OnRetry<'a> = &'a dyn Fn(Duration, &str);

/// How to reach one registry.
pub(super) struct Transport {
    pub(super) http: Client,
    /// As users know it, `docker.io`.
    pub(super) registry: String,
    /// Where it is, `registry-1.docker.io`.
    host: String,
    /// `https` or `http`, once an answer has come that way.
    scheme: Cell<Option<&'static str>>,
    pub(super) auth: Auth,
    pub(super) retry: Retry,
}

/// A request, repeatable.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// `/v2/…`, or a whole URL of the same registry (`Location`).
    pub(super) path: &'a str,
    pub(super) headers: &'a [(HeaderName, &'a str)],
    /// Makes the body, anew for each try.
    pub(super) body: Option<&'a dyn Fn() -> reqwest::Body>,
    /// `repository:x:pull`.
    pub(super) scope: &'a str,
}

impl Transport {
    pub(super) fn new(
        registry: &str,
        insecure: bool,
        credentials: Option<Credentials>,
        env: &Env,
        cert_dir: Option<&Path>,
        retry: Retry,
    ) -> Result<Self, Error> {
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let certs = tls::Certificates::load(env, registry, cert_dir)?;
        let policy = reqwest::redirect::Policy::custom(move |attempt| {
            let down = attempt.url().scheme() != "https"
                && attempt.previous().last().is_some_and(|p| p.scheme() == "https");
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if down && !insecure {
                attempt.error("redirected from https to plain http")
            } else {
                attempt.follow()
            }
        });
        let mut client = Client::builder();
        if is_loopback(host) {
            // As Go's clients: what is on this machine is not asked for through a proxy.
            client = client.no_proxy();
        }
        let http = client
            .tls_backend_preconfigured(tls::config(certs, insecure)?)
            .user_agent(concat!("rcon/", env!("CARGO_PKG_VERSION")))
            .redirect(policy)
            .referer(false)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(|e| classify(registry, &e))?;
        Ok(Self {
            http,
            registry: registry.to_owned(),
            host: host.to_owned(),
            scheme: Cell::new(if insecure { None } else { Some("https") }),
            auth: Auth::new(credentials),
            retry,
        })
    }

    /// Sends a request until it is answered; authenticates when asked to. The answer may be a failure that no
    /// repetition mends: see [`Transport::failure`].
    pub(super) async fn send(&self, request: &Request<'_>, told: OnRetry<'_>) -> Result<Response, Error> {
        let mut tries = 0;
        loop {
            let (error, asked) = match self.authenticated(request).await {
                Ok(r) if may_pass(r.status().as_u16()) => {
                    let after = r.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok());
                    let after = after.and_then(|v| retry_after(v, jiff::Timestamp::now()));
                    (self.failure(r, request.method.as_str(), request.path).await, after)
                }
                Ok(r) => return Ok(r),
                Err(e) if self.worth_retrying(&e) => (e, None),
                Err(e) => return Err(e),
            };
            tries += 1;
            let Some(pause) = self.retry.pause(tries, asked) else { return Err(error) };
            told(pause, &chain(&error));
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether a failure to get any answer may pass. A refused connection or an unknown name rarely does, so
    /// that is an error at once unless the user asked for retries.
    pub(super) fn worth_retrying(&self, e: &Error) -> bool {
        match e {
            Error::Timeout { .. } => true,
            Error::Unreachable { source, .. } => match source.downcast_ref::<Cause>() {
                Some(cause) => !cause.lasting || self.retry.asked,
                None => true,
            },
            _ => false,
        }
    }

    /// One try, and another with credentials if the registry wants them.
    async fn authenticated(&self, request: &Request<'_>) -> Result<Response, Error> {
        let mut challenged = 0;
        loop {
            let header = self.auth.header(request.scope);
            let response = self.once(request, header.as_ref()).await?;
            if response.status().as_u16() != 401 {
                return Ok(response);
            }
            // Only the registry itself may ask who we are, not a host that it redirected us to.
            if !self.is_registry(response.url()) {
                return Ok(response);
            }
            let challenges: Vec<_> = response
                .headers()
                .get_all(WWW_AUTHENTICATE)
                .iter()
                .filter_map(|v| v.to_str().ok())
                .flat_map(challenge::parse)
                .collect();
            let plain = response.url().scheme() == "http";
            let body = read_limited(response, MAX_ERROR, "error message").await.unwrap_or_default();
            let mut detail = words(&body);
            if detail.is_empty() {
                "authentication required".clone_into(&mut detail);
            }
            let asked = Asked {
                registry: &self.registry,
                challenges: &challenges,
                scope: request.scope,
                plain,
                detail,
            };
            challenged += 1;
            // A cached token may have ended, hence a second round; a third would not help.
            if challenged > 2 || challenged > 1 && header.is_some() {
                return Err(self.auth.refused(&asked, asked.detail.clone()));
            }
            self.auth.answer(&self.http, &asked, header.as_ref()).await?;
        }
    }

    pub(super) fn is_registry(&self, url: &reqwest::Url) -> bool {
        let scheme = url.scheme();
        let own = reqwest::Url::parse(&format!("{scheme}://{}/", self.host));
        own.is_ok_and(|own| {
            own.host_str() == url.host_str() && own.port_or_known_default() == url.port_or_known_default()
        })
    }

    /// One try over the right scheme. An insecure registry is asked by https first, then by http; one on loopback
    /// the other way round: nobody listens there, and a server of plain HTTP may be silent about a TLS greeting.
    async fn once(
        &self,
        request: &Request<'_>,
        header: Option<&reqwest::header::HeaderValue>,
    ) -> Result<Response, Error> {
        if let Some(scheme) = self.scheme.get() {
            return self.raw(scheme, request, header).await.map_err(|e| classify(&self.host, &e));
        }
        let order = if is_loopback(&self.host) { ["http", "https"] } else { ["https", "http"] };
        let first = self.raw(order[0], request, header).await;
        // Servers of TLS answer plain HTTP with 400, or hang up.
        let other = match &first {
            Ok(r) => order[0] == "http" && r.status().as_u16() == 400,
            Err(e) => e.is_connect() || order[0] == "http" && !e.is_timeout(),
        };
        if !other {
            self.scheme.set(first.is_ok().then_some(order[0]));
            return first.map_err(|e| classify(&self.host, &e));
        }
        match (self.raw(order[1], request, header).await, first) {
            (Ok(r), _) => {
                self.scheme.set(Some(order[1]));
                Ok(r)
            }
            (Err(_), Ok(r)) => {
                self.scheme.set(Some(order[0]));
                Ok(r)
            }
            (Err(second), Err(first)) => {
                let (first, second) = (classify(&self.host, &first), classify(&self.host, &second));
                // That the other side speaks no TLS is no news where plain HTTP failed, too.
                Err(if matches!(first, Error::Tls { plain_http: true, .. }) { second } else { first })
            }
        }
    }

    async fn raw(
        &self,
        scheme: &str,
        request: &Request<'_>,
        header: Option<&reqwest::header::HeaderValue>,
    ) -> reqwest::Result<Response> {
        let url = match request.path.strip_prefix('/') {
            Some(path) => format!("{scheme}://{}/{path}", self.host),
            None => request.path.to_owned(),
        };
        let mut builder = self.http.request(request.method.clone(), url);
        for (name, value) in request.headers {
            builder = builder.header(name, *value);
        }
        if let Some(h) = header {
            builder = builder.header(AUTHORIZATION, h);
        }
        if let Some(make) = request.body {
            builder = builder.body(make());
        }
        builder.send().await
    }

    /// The error that an answer means; `thing` is what was asked for.
    pub(super) async fn failure(&self, response: Response, method: &str, thing: &str) -> Error {
        let status = response.status().as_u16();
        let body = read_limited(response, MAX_ERROR, "error message").await.unwrap_or_default();
        let detail = words(&body);
        let registry = self.registry.clone();
        match status {
            401 => Error::Unauthorized { registry, detail, with_credentials: self.auth.has_credentials() },
            403 => Error::Denied { reference: thing.to_owned(), detail: or(detail, "forbidden") },
            404 => Error::NotFound { reference: thing.to_owned(), detail: or(detail, "not found") },
            429 => Error::RateLimited { registry, detail: or(detail, "429") },
            _ => Error::Server { registry, request: format!("{method} {thing}"), status, detail },
        }
    }
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}

/// Reads a whole body, which must not be larger than `limit`.
pub(super) async fn read_limited(mut r: Response, limit: u64, what: &str) -> Result<Vec<u8>, Error> {
    let too_large = || Error::TooLarge { what: what.to_owned(), limit };
    if r.content_length().is_some_and(|n| n > limit) {
        return Err(too_large());
    }
    let host = r.url().authority().to_owned();
    let mut body = Vec::new();
    while let Some(chunk) = r.chunk().await.map_err(|e| classify(&host, &e))? {
        if body.len() as u64 + chunk.len() as u64 > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The message in an error body of the distribution spec, one line, harmless to a terminal.
pub(super) fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        errors: Vec<Item>,
        details: Option<String>,
        message: Option<String>,
    }
    #[derive(Deserialize)]
    struct Item {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(parsed) = serde_json::from_slice::<Body>(body) else { return String::new() };
    let text = match parsed.errors.first() {
        Some(e) if !e.message.is_empty() => e.message.clone(),
        Some(e) => e.code.to_lowercase().replace('_', " "),
        None => parsed.details.or(parsed.message).unwrap_or_default(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// The root of a failed connection.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Cause {
    text: String,
    /// Trying again soon will hardly help.
    lasting: bool,
}

/// What a failure of the HTTP library means.
pub(super) fn classify(host: &str, e: &reqwest::Error) -> Error {
    if e.is_timeout() && !e.is_connect() {
        return Error::Timeout { registry: host.to_owned(), after: SILENCE };
    }
    let mut cause: &(dyn StdError + 'static) = e;
    let mut lasting = false;
    loop {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            let plain =
                matches!(tls, rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType));
            let detail = if plain { "the other side does not speak TLS".into() } else { tls.to_string() };
            return Error::Tls { registry: host.to_owned(), detail, plain_http: plain };
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            lasting |= io.kind() == io::ErrorKind::ConnectionRefused;
        }
        // getaddrinfo's errors have no kind.
        lasting |= cause.to_string().contains("failed to lookup address");
        // The source of an I/O error that wraps another is that one's source: the inner one is looked at, too.
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match inner.map(|e| e as &(dyn StdError + 'static)).or_else(|| cause.source()) {
            Some(next) => cause = next,
            None => break,
        }
    }
    let text = if e.is_timeout() {
        format!("no connection within {} s", CONNECT.as_secs())
    } else {
        cause.to_string()
    };
    Error::Unreachable { registry: host.to_owned(), source: Box::new(Cause { text, lasting }) }
}
