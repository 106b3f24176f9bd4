//! One credentials file: `auth.json` of the containers tools and docker's `config.json`, which share a shape.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Map, Value};

use super::{Credentials, DOCKER_KEYS, Error, helper};
use crate::model::reference::DEFAULT_REGISTRY;

/// A larger file is no credentials file.
const MAX_FILE: u64 = 8 << 20;

/// The file as found. Keys that we do not know are kept when it is written.
#[derive(Debug)]
pub(super) struct AuthFile {
    pub(super) path: PathBuf,
    pub(super) root: Map<String, Value>,
}

impl AuthFile {
    /// Reads it; `None` when there is none (or it is not ours to read).
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let bad = |why: String| Error::File { path: path.to_owned(), why };
        match std::fs::metadata(path) {
            Ok(m) if m.len() > MAX_FILE => return Err(bad(format!("larger than {MAX_FILE} bytes"))),
            // /dev/null is a usual way to say "no credentials".
            Ok(m) if !m.is_file() => return Ok(Some(Self { path: path.to_owned(), root: Map::new() })),
            Ok(_) => {}
            Err(_) => return Ok(None),
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
            Err(e) => return Err(bad(e.to_string())),
        };
        if text.trim().is_empty() {
            return Ok(Some(Self { path: path.to_owned(), root: Map::new() }));
        }
        match serde_json::from_str(&text) {
            Ok(Value::Object(root)) => Ok(Some(Self { path: path.to_owned(), root })),
            Ok(_) => Err(bad("want a JSON object".into())),
            Err(e) => Err(bad(e.to_string())),
        }
    }

    /// The credentials for a repository.
    pub(super) fn find(&self, registry: &str, repository: &str) -> Result<Option<Credentials>, Error> {
        if let Some(name) = self.helper_of(registry)
            && let Some(found) = self.ask(name, registry)?
        {
            return Ok(Some(found));
        }
        let auths = self.auths();
        for key in keys(registry, repository) {
            if let Some(entry) = auths.get(key.as_str())
                && let Some(found) = self.entry(&key, entry)?
            {
                return Ok(Some(found));
            }
        }
        match self.root.get("credsStore").and_then(Value::as_str) {
            Some(name) if !name.is_empty() => self.ask(name, registry),
            _ => Ok(None),
        }
    }

    /// The helper that `credHelpers` names for a registry.
    pub(super) fn helper_of(&self, registry: &str) -> Option<&str> {
        let helpers = self.root.get("credHelpers")?.as_object()?;
        let docker = DOCKER_KEYS.iter().filter(|_| registry == DEFAULT_REGISTRY).copied();
        std::iter::once(registry)
            .chain(docker)
            .find_map(|k| helpers.get(k)?.as_str())
            .filter(|h| !h.is_empty())
    }

    fn ask(&self, name: &str, registry: &str) -> Result<Option<Credentials>, Error> {
        if registry == DEFAULT_REGISTRY
            && let Some(found) = helper::get(name, DOCKER_KEYS[0])?
        {
            return Ok(Some(found));
        }
        helper::get(name, registry)
    }

    /// `auths` by normal key.
    fn auths(&self) -> BTreeMap<String, &Value> {
        let mut map = BTreeMap::new();
        let Some(auths) = self.root.get("auths").and_then(Value::as_object) else { return map };
        for (key, value) in auths {
            let key = normal_key(key);
            map.entry(key).or_insert(value);
        }
        map
    }

    fn entry(&self, key: &str, entry: &Value) -> Result<Option<Credentials>, Error> {
        let bad = |why: &str| Error::File { path: self.path.clone(), why: format!("auths of {key}: {why}") };
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|s| !s.is_empty());
        if let Some(token) = text("identitytoken") {
            return Ok(Some(Credentials::IdentityToken(token.to_owned())));
        }
        if let Some(token) = text("registrytoken") {
            return Ok(Some(Credentials::RegistryToken(token.to_owned())));
        }
        if let Some(auth) = text("auth") {
            let plain = STANDARD
                .decode(auth)
                .or_else(|_| STANDARD_NO_PAD.decode(auth))
                .ok()
                .and_then(|b| String::from_utf8(b).ok())
                .ok_or_else(|| bad("auth is not base64 of user:password"))?;
            let (user, password) =
                plain.split_once(':').ok_or_else(|| bad("auth is not base64 of user:password"))?;
            let password = password.trim_end_matches('\0').to_owned();
            return Ok(Some(Credentials::Basic { username: user.to_owned(), password }));
        }
        match (text("username"), text("password")) {
            (Some(u), Some(p)) => {
                Ok(Some(Credentials::Basic { username: u.to_owned(), password: p.to_owned() }))
            }
            // An empty object means "the credsStore has it" in docker's file.
            _ => Ok(None),
        }
    }
}

/// Keys to look up, most specific first.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut path = repository;
    while !path.is_empty() {
        keys.push(format!("{registry}/{path}"));
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    keys.push(registry.to_owned());
    if registry == DEFAULT_REGISTRY {
        keys.extend(["index.docker.io".to_owned(), "registry-1.docker.io".to_owned()]);
    }
    keys
}

/// `https://index.docker.io/v1/` → `index.docker.io`; a path that is not an API version stays.
pub(super) fn normal_key(key: &str) -> String {
    let (scheme, rest) = match key.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, key),
    };
    let rest = rest.trim_end_matches('/');
    match rest.split_once('/') {
        // docker writes URLs: only their host counts.
        Some((host, _)) if scheme => host.to_owned(),
        Some((host, "v1" | "v2")) => host.to_owned(),
        _ => rest.to_owned(),
    }
}
