//! Credentials: where they are looked for, and how they are kept.
//!
//! Order: what the caller gives (`--creds`), then the first of these that knows the registry:
//! `--authfile` or `$REGISTRY_AUTH_FILE` alone if given; else `$XDG_RUNTIME_DIR/containers/auth.json` (without
//! the variable `/run/containers/UID/auth.json`), `~/.config/containers/auth.json`, `$DOCKER_CONFIG/config.json`,
//! then the `credential-helpers` of registries.conf. Within a file, the most specific key wins
//! (`host/team/app`, `host/team`, `host`), a helper of the host (`credHelpers`) before the stored text, and
//! `credsStore` for what has neither.
//!
//! Not here: how they are sent (`registry::auth`).

mod file;
mod helper;
mod store;

use std::path::{Path, PathBuf};

use super::Error;
use super::env::Env;
use super::registries::Registries;

pub use store::{Stored, logins, store, store_erase};

/// What proves who we are.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User name and password.
    Basic {
        /// User.
        username: String,
        /// Password or personal token.
        password: String,
    },
    /// An OAuth2 refresh token, exchanged for a bearer token at the registry's token service.
    IdentityToken(String),
    /// A bearer token, sent as it is.
    RegistryToken(String),
}

impl std::fmt::Debug for Credentials {
    /// Never shows a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

/// The places where credentials are looked for.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    given: Option<Credentials>,
    files: Vec<PathBuf>,
    /// The file was named by the user and must exist.
    explicit: bool,
    helpers: Vec<String>,
}

impl Keychain {
    /// `given` comes from `--creds`, `auth_file` from `--authfile`.
    #[must_use]
    pub fn new(
        env: &Env,
        registries: &Registries,
        given: Option<(String, String)>,
        auth_file: Option<&Path>,
    ) -> Self {
        let given = given.map(|(username, password)| Credentials::Basic { username, password });
        match auth_file {
            Some(path) => Self { given, files: vec![path.to_owned()], explicit: true, helpers: Vec::new() },
            None if env.auth_file.is_some() => Self {
                given,
                files: env.auth_file.iter().cloned().collect(),
                explicit: false,
                helpers: Vec::new(),
            },
            None => Self {
                given,
                files: default_files(env),
                explicit: false,
                helpers: registries.credential_helpers().map(str::to_owned).collect(),
            },
        }
    }

    /// Credentials for a repository of a registry; `repository` may be empty (`login`, `search`).
    ///
    /// # Errors
    /// A file that does not parse, a helper that fails. An unreadable or absent file is no error, unless it was
    /// named with `--authfile`.
    pub fn find(&self, registry: &str, repository: &str) -> Result<Option<Credentials>, Error> {
        if self.given.is_some() {
            return Ok(self.given.clone());
        }
        for path in &self.files {
            let file = match file::AuthFile::read(path)? {
                Some(file) => file,
                None if self.explicit => {
                    return Err(Error::File { path: path.clone(), why: "no such file".into() });
                }
                None => continue,
            };
            if let Some(found) = file.find(registry, repository)? {
                return Ok(Some(found));
            }
        }
        for name in &self.helpers {
            if let Some(found) = helper::get(name, registry)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The usual files, first wins.
fn default_files(env: &Env) -> Vec<PathBuf> {
    let mut files = vec![runtime_file(env)];
    files.extend(env.config_home.as_ref().map(|c| c.join("containers/auth.json")));
    files.extend(env.docker_config.as_ref().map(|d| d.join("config.json")));
    files
}

/// podman's volatile file, which `login` writes.
fn runtime_file(env: &Env) -> PathBuf {
    match &env.runtime_dir {
        Some(dir) => dir.join("containers/auth.json"),
        None => env.run_containers.join("auth.json"),
    }
}

/// The keys under which credentials of docker.io may be kept besides its name.
const DOCKER_KEYS: [&str; 3] = ["https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io"];

#[cfg(test)]
mod tests;
