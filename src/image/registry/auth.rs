//! From credentials to an `Authorization` header: Basic, and Bearer with a token service (docker's token
//! authentication, GET and OAuth2 POST). Tokens are cached by scope.
//!
//! Credentials are sent only to the registry itself and to the token service that the registry itself named in a
//! challenge (rule R11); never from TLS down to plain HTTP, never because a host that we were redirected to asks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

use super::super::Error;
use super::super::auth::Credentials;
use super::challenge::Challenge;
use super::transport::{classify, read_limited, words};

/// Most bytes of a token service's answer.
const MAX_TOKEN: u64 = 1 << 20;

/// Validity of a token that says nothing about it.
const DEFAULT_VALIDITY: u64 = 60;

/// What is known about one registry's authentication.
pub(super) struct Auth {
    credentials: Option<Credentials>,
    state: RefCell<State>,
    /// One token is fetched at a time; who waits finds it in the cache.
    fetching: tokio::sync::Mutex<()>,
}

enum State {
    /// Not asked yet.
    Open,
    Basic,
    Bearer(HashMap<String, Token>),
}

struct Token {
    header: String,
    until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, state: RefCell::new(State::Open), fetching: tokio::sync::Mutex::new(()) }
    }

    /// Whether there are credentials to send.
    pub(super) fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// The header for requests of this scope, as far as it is known.
    pub(super) fn header(&self, scope: &str) -> Option<HeaderValue> {
        let text = match (&*self.state.borrow(), &self.credentials) {
            (_, Some(Credentials::RegistryToken(t))) => format!("Bearer {t}"),
            (State::Basic, Some(Credentials::Basic { username, password })) => basic(username, password),
            (State::Bearer(tokens), _) => {
                tokens.get(scope).filter(|t| t.until > Instant::now()).map(|t| t.header.clone())?
            }
            _ => return None,
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Meets the registry's challenges, so that [`Auth::header`] has something new to say.
    pub(super) async fn answer(
        &self,
        http: &reqwest::Client,
        asked: &Asked<'_>,
        used: Option<&HeaderValue>,
    ) -> Result<(), Error> {
        let _one = self.fetching.lock().await;
        if self.header(asked.scope).as_ref() != used {
            // Another request of ours got the token meanwhile.
            return Ok(());
        }
        for c in asked.challenges {
            if let Challenge::Bearer { realm, service, scope } = c {
                let token = self.fetch(http, asked, realm, service.as_deref(), scope.as_deref()).await?;
                let mut state = self.state.borrow_mut();
                if !matches!(*state, State::Bearer(_)) {
                    *state = State::Bearer(HashMap::new());
                }
                if let State::Bearer(tokens) = &mut *state {
                    tokens.insert(asked.scope.to_owned(), token);
                }
                return Ok(());
            }
        }
        let can_basic = matches!(self.credentials, Some(Credentials::Basic { .. }));
        if asked.challenges.contains(&Challenge::Basic) && can_basic && used.is_none() {
            *self.state.borrow_mut() = State::Basic;
            return Ok(());
        }
        // docker's words for a registry that would take them.
        let lacks = asked.challenges.contains(&Challenge::Basic) && !self.has_credentials();
        let detail = if lacks { "no basic auth credentials".to_owned() } else { asked.detail.clone() };
        Err(self.refused(asked, detail))
    }

    /// The error for a registry that is not convinced.
    pub(super) fn refused(&self, asked: &Asked<'_>, detail: String) -> Error {
        Error::Unauthorized {
            registry: asked.registry.to_owned(),
            detail,
            with_credentials: self.has_credentials(),
        }
    }

    async fn fetch(
        &self,
        http: &reqwest::Client,
        asked: &Asked<'_>,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Token, Error> {
        let invalid = |why: String| Error::Invalid {
            what: format!("authentication challenge of {}", asked.registry),
            why,
        };
        let url = reqwest::Url::parse(realm).map_err(|e| invalid(format!("realm {realm:?}: {e}")))?;
        match url.scheme() {
            "https" => {}
            "http" if asked.plain || !self.has_credentials() => {}
            other => {
                return Err(invalid(format!("credentials would travel by {other} to {realm:?}")));
            }
        }
        let mut scopes: Vec<&str> = asked.scope.split(' ').filter(|s| !s.is_empty()).collect();
        if scopes.is_empty() {
            scopes.extend(scope.iter().flat_map(|s| s.split(' ')));
        }
        let response = match &self.credentials {
            Some(Credentials::IdentityToken(t)) => {
                let form = [("grant_type", "refresh_token"), ("refresh_token", t)];
                self.post(http, &url, service, &scopes, &form).await
            }
            other => {
                let got = self.get(http, &url, service, &scopes).await;
                match (&got, other) {
                    // Services that know OAuth2 alone.
                    (Ok(r), Some(Credentials::Basic { username, password }))
                        if matches!(r.status().as_u16(), 404 | 405) =>
                    {
                        let form =
                            [("grant_type", "password"), ("username", username), ("password", password)];
                        self.post(http, &url, service, &scopes, &form).await
                    }
                    _ => got,
                }
            }
        };
        let host = url.host_str().unwrap_or(realm).to_owned();
        let response = response.map_err(|e| classify(&host, &e))?;
        let status = response.status().as_u16();
        let body = read_limited(response, MAX_TOKEN, &format!("answer of the token service {host}")).await?;
        match status {
            200..=299 => token(&body).ok_or_else(|| invalid(format!("{realm} answered without a token"))),
            401 | 403 => {
                Err(self.refused(asked, or(words(&body), "the token service refused the credentials")))
            }
            429 => Err(Error::RateLimited { registry: host, detail: words(&body) }),
            _ => Err(Error::Server {
                registry: host,
                request: format!("GET {}", url.path()),
                status,
                detail: words(&body),
            }),
        }
    }

    async fn get(
        &self,
        http: &reqwest::Client,
        url: &reqwest::Url,
        service: Option<&str>,
        scopes: &[&str],
    ) -> reqwest::Result<reqwest::Response> {
        let mut url = url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(service.map(|s| ("service", s)));
            query.extend_pairs(scopes.iter().map(|s| ("scope", *s)));
            if let Some(Credentials::Basic { username, .. }) = &self.credentials {
                query.append_pair("account", username);
            }
        }
        let mut request = http.get(url);
        if let Some(Credentials::Basic { username, password }) = &self.credentials {
            request = request.header(AUTHORIZATION, sensitive(&basic(username, password)));
        }
        request.send().await
    }

    async fn post(
        &self,
        http: &reqwest::Client,
        url: &reqwest::Url,
        service: Option<&str>,
        scopes: &[&str],
        form: &[(&str, &str)],
    ) -> reqwest::Result<reqwest::Response> {
        // The encoder of URLs is that of forms.
        let mut body = reqwest::Url::parse("http://form").expect("a constant URL parses");
        let scope = scopes.join(" ");
        body.query_pairs_mut()
            .extend_pairs(form)
            .extend_pairs(service.map(|s| ("service", s)))
            .append_pair("client_id", "rcon")
            .append_pair("scope", &scope);
        http.post(url.clone())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.query().unwrap_or_default().to_owned())
            .send()
            .await
    }
}

/// A registry's question.
pub(super) struct Asked<'a> {
    /// Registry as the user knows it.
    pub(super) registry: &'a str,
    /// What it offers.
    pub(super) challenges: &'a [Challenge],
    /// What we want to do, `repository:x:pull`; several with spaces between.
    pub(super) scope: &'a str,
    /// The registry speaks plain HTTP (and is allowed to).
    pub(super) plain: bool,
    /// Its words.
    pub(super) detail: String,
}

fn token(body: &[u8]) -> Option<Token> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let text = answer.token.or(answer.access_token).filter(|t| !t.is_empty())?;
    let header = format!("Bearer {text}");
    // A token that cannot be a header is none.
    HeaderValue::from_str(&header).ok()?;
    let seconds = answer.expires_in.unwrap_or(DEFAULT_VALIDITY).clamp(10, 24 * 3600);
    // Renewed a little early, as clocks and requests take time.
    Some(Token { header, until: Instant::now() + Duration::from_secs(seconds - seconds.min(50) / 10) })
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

fn sensitive(text: &str) -> HeaderValue {
    // base64 is always a header value.
    let mut value = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}
