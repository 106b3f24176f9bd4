//! The environment variables that rcon reads: the list is the documentation. Nothing else in the program
//! reads a variable (but the loader of the command line for `NO_COLOR` and `TERM`).

use std::path::PathBuf;

/// Values of the variables, read once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env {
    /// `RCON_ROOT`: durable root.
    pub root: Option<PathBuf>,
    /// `RCON_RUNROOT`: volatile root.
    pub runroot: Option<PathBuf>,
    /// `CONTAINERS_CONF`: the only containers.conf to read.
    pub containers_conf: Option<PathBuf>,
    /// `CONTAINERS_CONF_OVERRIDE`: a containers.conf read last.
    pub containers_conf_override: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, or `$HOME/.config`.
    pub config_home: Option<PathBuf>,
    /// `PODMAN_USERNS`: what `--userns` is where nobody says it, called podman.
    pub podman_userns: Option<String>,
    /// `NOTIFY_SOCKET`: where `--sdnotify` reports.
    pub notify_socket: Option<String>,
    /// `PATH`: where criu and what it calls are looked for.
    pub search_path: Option<String>,
    /// `http_proxy`, `https_proxy`, `ftp_proxy`, `no_proxy`, `all_proxy` in both cases, as found.
    pub proxies: Vec<(String, String)>,
}

/// Variables of one line each: name and meaning, for the reference page.
pub const VARIABLES: &[(&str, &str)] = &[
    ("RCON_ROOT", "durable root (default /var/lib/rcon)"),
    ("RCON_RUNROOT", "volatile root (default /run/rcon)"),
    ("CONTAINERS_CONF", "the only containers.conf to read"),
    ("CONTAINERS_CONF_OVERRIDE", "a containers.conf read after all others"),
    ("XDG_CONFIG_HOME", "where a user's containers/containers.conf is (default $HOME/.config)"),
    ("PODMAN_USERNS", "called podman: the user namespace of new containers, as --userns takes it"),
    ("NOTIFY_SOCKET", "where --sdnotify reports readiness"),
    ("HOME", "see XDG_CONFIG_HOME"),
    ("PATH", "where criu is looked for, for container checkpoint and restore"),
    ("http_proxy, https_proxy, ftp_proxy, no_proxy, all_proxy", "handed on with --http-proxy; both cases"),
];

const PROXIES: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

impl Env {
    /// Reads the process's environment.
    #[must_use]
    pub fn read() -> Self {
        Self::from(|name| std::env::var_os(name))
    }

    /// The same from any source, for tests.
    #[must_use]
    pub fn from(get: impl Fn(&str) -> Option<std::ffi::OsString>) -> Self {
        // An empty value means "not set", as for XDG variables.
        let path = |name: &str| get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let text = |name: &str| get(name).and_then(|v| v.into_string().ok()).filter(|v| !v.is_empty());
        Self {
            root: path("RCON_ROOT"),
            runroot: path("RCON_RUNROOT"),
            containers_conf: path("CONTAINERS_CONF"),
            containers_conf_override: path("CONTAINERS_CONF_OVERRIDE"),
            config_home: path("XDG_CONFIG_HOME").or_else(|| path("HOME").map(|h| h.join(".config"))),
            podman_userns: text("PODMAN_USERNS"),
            notify_socket: text("NOTIFY_SOCKET"),
            search_path: text("PATH"),
            proxies: PROXIES
                .iter()
                .filter_map(|n| Some(((*n).to_owned(), get(n)?.into_string().ok()?)))
                .collect(),
        }
    }
}

/// The whole environment, as far as it is text: for who asks that it be handed on.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?))).collect()
}

/// What `image` wants to know of the environment.
#[must_use]
pub fn images() -> crate::image::Env {
    crate::image::Env::from(rustix::process::getuid().as_raw(), |name| std::env::var_os(name))
}
