//! What is asked of a registry as a whole: are these credentials good (`login`), what is there (`search`).

use std::path::Path;

use reqwest::Method;
use serde::Deserialize;

use super::super::Error;
use super::super::auth::Credentials;
use super::remote::Access;
use super::retry::Retry;
use super::transport::{Request, Transport, read_limited};
use crate::model::reference::DEFAULT_REGISTRY;

/// Most bytes of an answer to a search.
const MAX_ANSWER: u64 = 8 << 20;

/// A repository that a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// Registry that was asked.
    #[serde(skip)]
    pub registry: String,
    /// Repository.
    pub name: String,
    /// What its owner says of it; Quay says `null`.
    #[serde(deserialize_with = "text_or_null")]
    pub description: String,
    /// Stars.
    pub star_count: u64,
    /// One of docker's official images.
    pub is_official: bool,
    /// Built by docker's old service.
    pub is_automated: bool,
}

fn text_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(from).map(Option::unwrap_or_default)
}

fn transport(
    access: &Access<'_>,
    registry: &str,
    credentials: Option<Credentials>,
) -> Result<Transport, Error> {
    let insecure = access.insecure(access.registries.insecure(registry));
    let dir = access.options.cert_dir.as_deref().map(Path::new);
    Transport::new(registry, insecure, credentials, access.env, dir, Retry::new(access.options))
}

/// Asks the registry whether it believes these credentials.
pub(crate) async fn check_login(
    access: &Access<'_>,
    registry: &str,
    credentials: Credentials,
) -> Result<(), Error> {
    let transport = transport(access, registry, Some(credentials))?;
    let request = Request { method: Method::GET, path: "/v2/", headers: &[], body: None, scope: "" };
    let response = transport.send(&request, &|_, _| {}).await?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(transport.failure(response, "GET", "/v2/").await)
}

/// Repositories whose name or description fits `term`: docker's search where there is one, else the catalogue.
pub(crate) async fn search(
    access: &Access<'_>,
    registry: &str,
    term: &str,
    limit: usize,
) -> Result<Vec<SearchResult>, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        results: Vec<SearchResult>,
    }
    #[derive(Deserialize)]
    struct Catalogue {
        repositories: Option<Vec<String>>,
    }
    // docker's index has a host of its own.
    let host = if registry == DEFAULT_REGISTRY { "index.docker.io" } else { registry };
    let credentials = access.keychain().find(registry, "")?;
    let what = format!("answer of {host} to a search");
    let invalid = |e: serde_json::Error| Error::Invalid { what: what.clone(), why: e.to_string() };
    let mut query = reqwest::Url::parse("http://q/v1/search").expect("a constant URL parses");
    query.query_pairs_mut().append_pair("q", term).append_pair("n", &limit.to_string());
    let path = format!("/v1/search?{}", query.query().unwrap_or_default());
    let index = transport(access, host, credentials)?;
    let ask = |path: &str, scope: &str| {
        let (path, scope) = (path.to_owned(), scope.to_owned());
        let index = &index;
        async move {
            let request =
                Request { method: Method::GET, path: &path, headers: &[], body: None, scope: &scope };
            index.send(&request, &|_, _| {}).await
        }
    };
    let response = ask(&path, "").await?;
    let mut found = if response.status().is_success() {
        let body = read_limited(response, MAX_ANSWER, &what).await?;
        serde_json::from_slice::<Answer>(&body).map_err(invalid)?.results
    } else {
        // Registries have an upper limit for n, some refuse what is above it: 1000 is the usual one, and without a
        // number each gives what it likes.
        let mut response = ask("/v2/_catalog?n=1000", "registry:catalog:*").await?;
        if response.status().as_u16() == 400 {
            response = ask("/v2/_catalog", "registry:catalog:*").await?;
        }
        if !response.status().is_success() {
            return Err(index.failure(response, "GET", &format!("search of {registry}")).await);
        }
        let body = read_limited(response, MAX_ANSWER, &what).await?;
        let all = serde_json::from_slice::<Catalogue>(&body).map_err(invalid)?.repositories;
        let fits = all.unwrap_or_default().into_iter().filter(|name| name.contains(term));
        fits.map(|name| SearchResult { name, ..SearchResult::default() }).collect()
    };
    found.truncate(limit);
    for f in &mut found {
        registry.clone_into(&mut f.registry);
    }
    Ok(found)
}
