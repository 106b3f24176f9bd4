//! [`Env`]: the environment variables that say where registry configuration and credentials are.
//!
//! Read once by the caller (`engine::env` lists all variables); nothing in `image` reads a variable itself,
//! but reqwest, which takes the proxy variables (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).

use std::ffi::OsString;
use std::path::PathBuf;

/// Variables that this module heeds, with their meaning, for the reference page.
pub const VARIABLES: &[(&str, &str)] = &[
    ("CONTAINERS_REGISTRIES_CONF", "the only registries.conf to read (and the folder FILE.d beside it)"),
    ("REGISTRY_AUTH_FILE", "the only credentials file to use, as --authfile"),
    ("DOCKER_CONFIG", "folder of docker's config.json (default $HOME/.docker)"),
    ("XDG_RUNTIME_DIR", "where containers/auth.json is (default /run/containers/UID)"),
];

/// Values of the variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, or `$HOME/.config`.
    pub config_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `$CONTAINERS_REGISTRIES_CONF`.
    pub registries_conf: Option<PathBuf>,
    /// `$REGISTRY_AUTH_FILE`.
    pub auth_file: Option<PathBuf>,
    /// `$DOCKER_CONFIG`, or `$HOME/.docker`.
    pub docker_config: Option<PathBuf>,
    /// Root of the system's configuration, `/etc`; another one in tests.
    pub etc: PathBuf,
    /// Folder of the user's volatile credentials without `$XDG_RUNTIME_DIR`, `/run/containers/UID`.
    pub run_containers: PathBuf,
}

impl Env {
    /// Takes the variables from `get`; `uid` is the user's number.
    #[must_use]
    pub fn from(uid: u32, get: impl Fn(&str) -> Option<OsString>) -> Self {
        // An empty value means "not set", as for XDG variables.
        let path = |name: &str| get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = path("HOME");
        Self {
            config_home: path("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|h| h.join(".config"))),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            registries_conf: path("CONTAINERS_REGISTRIES_CONF"),
            auth_file: path("REGISTRY_AUTH_FILE"),
            docker_config: path("DOCKER_CONFIG").or_else(|| home.as_ref().map(|h| h.join(".docker"))),
            home,
            etc: PathBuf::from("/etc"),
            run_containers: PathBuf::from("/run/containers").join(uid.to_string()),
        }
    }
}
