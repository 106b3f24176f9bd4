//! Keeping and forgetting credentials: what `login` and `logout` do to a file or a helper.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::file::{AuthFile, normal_key};
use super::{DOCKER_KEYS, Env, Error, helper, runtime_file};
use crate::model::reference::DEFAULT_REGISTRY;

/// Where credentials went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Into a file, readable by its owner only, not encrypted.
    File(PathBuf),
    /// To a helper program.
    Helper(String),
}

/// The file that `login` writes: `--authfile`, `--compat-auth-file`, `$REGISTRY_AUTH_FILE`, or podman's.
fn target(env: &Env, auth_file: Option<&Path>) -> PathBuf {
    auth_file.or(env.auth_file.as_deref()).map_or_else(|| runtime_file(env), Path::to_owned)
}

/// Keeps a user name and password for `key` (`host` or `host/namespace`).
///
/// # Errors
/// The file cannot be read or written, or the helper refuses.
pub fn store(
    env: &Env,
    auth_file: Option<&Path>,
    key: &str,
    username: &str,
    password: &str,
) -> Result<Stored, Error> {
    let path = target(env, auth_file);
    let mut file =
        AuthFile::read(&path)?.unwrap_or_else(|| AuthFile { path: path.clone(), root: Map::new() });
    if let Some(name) = helper_for(&file, key) {
        let name = name.to_owned();
        helper::put(&name, server(key), username, password)?;
        return Ok(Stored::Helper(name));
    }
    let auths = file.root.entry("auths").or_insert_with(|| json!({}));
    let Some(auths) = auths.as_object_mut() else {
        return Err(Error::File { path, why: "auths is not an object".into() });
    };
    forget(auths, key);
    auths.insert(key.to_owned(), json!({ "auth": STANDARD.encode(format!("{username}:{password}")) }));
    write(&file)?;
    Ok(Stored::File(path))
}

/// Forgets the credentials of `key`; `false` when there were none.
///
/// # Errors
/// As [`store`].
pub fn store_erase(env: &Env, auth_file: Option<&Path>, key: &str) -> Result<bool, Error> {
    let path = target(env, auth_file);
    let Some(mut file) = AuthFile::read(&path)? else { return Ok(false) };
    let mut found = false;
    if let Some(name) = helper_for(&file, key) {
        found |= helper::erase(name, server(key))?;
    }
    if let Some(auths) = file.root.get_mut("auths").and_then(Value::as_object_mut)
        && forget(auths, key)
    {
        found = true;
        write(&file)?;
    }
    Ok(found)
}

/// The keys that `login` has credentials for in its file, for `logout --all`.
///
/// # Errors
/// The file does not parse.
pub fn logins(env: &Env, auth_file: Option<&Path>) -> Result<Vec<String>, Error> {
    let Some(file) = AuthFile::read(&target(env, auth_file))? else { return Ok(Vec::new()) };
    let keys = |name: &str| -> Vec<String> {
        file.root.get(name).and_then(Value::as_object).map_or_else(Vec::new, |m| m.keys().cloned().collect())
    };
    let mut all = keys("auths");
    all.extend(keys("credHelpers"));
    all.dedup();
    Ok(all)
}

fn helper_for<'a>(file: &'a AuthFile, key: &str) -> Option<&'a str> {
    let host = key.split('/').next().unwrap_or(key);
    file.helper_of(host)
        .or_else(|| file.root.get("credsStore").and_then(Value::as_str).filter(|s| !s.is_empty()))
}

/// What helpers call a registry.
fn server(key: &str) -> &str {
    if key == DEFAULT_REGISTRY { DOCKER_KEYS[0] } else { key }
}

/// Removes all spellings of a key.
fn forget(auths: &mut Map<String, Value>, key: &str) -> bool {
    let same = |k: &str| {
        normal_key(k) == key
            || key == DEFAULT_REGISTRY && DOCKER_KEYS.iter().any(|d| normal_key(d) == normal_key(k))
    };
    let old: Vec<String> = auths.keys().filter(|k| same(k)).cloned().collect();
    for k in &old {
        auths.remove(k);
    }
    !old.is_empty()
}

/// Writes beside and renames, mode 0600.
fn write(file: &AuthFile) -> Result<(), Error> {
    let path = &file.path;
    let bad = |e: std::io::Error| Error::Io { what: format!("cannot write {}", path.display()), source: e };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(bad)?;
    let mut name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = folder.join(name);
    let text = serde_json::to_string_pretty(&file.root).map_err(|e| bad(e.into()))?;
    let result = (|| {
        let mut f =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        f.write_all(text.as_bytes())?;
        f.write_all(b"\n")?;
        std::fs::rename(&beside, path)
    })();
    result.map_err(|e| {
        // The half-written file holds secrets; a failure to delete it leaves it private (0600).
        let _left = std::fs::remove_file(&beside);
        bad(e)
    })
}
