//! [`Config`]: what the configuration files, the environment and the global flags say together.
//!
//! Files in order, later ones win key by key: `/etc/containers/containers.conf` and its `.d`,
//! `$XDG_CONFIG_HOME/containers/containers.conf` and its `.d`;
//! `CONTAINERS_CONF` (or `--config`) replaces them all, `CONTAINERS_CONF_OVERRIDE` is read last. Keys that rcon does not
//! know are passed over, as every reader of this shared file must.

mod file;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::context::GlobalOptions;
use super::env::Env;
use super::error::{Error, Kind};

/// The merged configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// Durable root.
    pub root: PathBuf,
    /// Volatile root.
    pub runroot: PathBuf,
    /// `[containers]`: defaults of new containers.
    pub containers: ContainersConfig,
    /// `[engine]`.
    pub engine: EngineConfig,
    /// See [`super::Context::podman`].
    pub podman: bool,
    /// `NOTIFY_SOCKET` of the caller.
    pub notify_socket: Option<String>,
    /// The caller's `PATH`, for criu.
    pub search_path: String,
    /// The caller's proxy variables, for `--http-proxy`.
    pub proxies: Vec<(String, String)>,
    /// All of the caller's variables, for `env_host`.
    pub host_env: Vec<(String, String)>,
    /// Lists that later files add to and do not replace (`{append=true}` among their values).
    appending: Vec<&'static str>,
}

/// Defaults of new containers, `[containers]` of containers.conf.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainersConfig {
    /// `base_hosts_file`, as `--hosts-file` takes it.
    pub base_hosts_file: Option<String>,
    /// `host_containers_internal_ip`: an address, or `none`.
    pub host_containers_internal_ip: Option<String>,
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
    /// `env_host`: hand the caller's environment on.
    pub env_host: bool,
    /// `privileged`.
    pub privileged: bool,
    /// `http_proxy`: hand the caller's proxy variables on.
    pub http_proxy: bool,
    /// `init`.
    pub init: bool,
    /// `log_path`: directory below which k8s-file logs are, each container's in one of its own.
    pub log_path: Option<PathBuf>,
    /// `log_driver`.
    pub log_driver: Option<String>,
    /// `log_tag`: the tag in the journal.
    pub log_tag: Option<String>,
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
    /// `oom_score_adj`.
    pub oom_score_adj: Option<i32>,
    /// `read_only`.
    pub read_only: bool,
    /// `label` false: no SELinux label.
    pub label: Option<bool>,
    /// `seccomp_profile`.
    pub seccomp_profile: Option<PathBuf>,
    /// `netns`, as `--network` takes it.
    pub netns: Option<String>,
    /// `pidns`, `ipcns`, `utsns`, `cgroupns`, as the flags take them.
    pub pidns: Option<String>,
    /// See [`Self::pidns`].
    pub ipcns: Option<String>,
    /// See [`Self::pidns`].
    pub utsns: Option<String>,
    /// See [`Self::pidns`].
    pub cgroupns: Option<String>,
    /// `userns`, or podman's PODMAN_USERNS: the user namespace of containers for which nobody says one.
    pub userns: Option<String>,
    /// `cgroups`: what `--cgroups` is where nobody says it.
    pub cgroups: Option<String>,
    /// `container_name_as_hostname`: the host name is the container's, but for its underscores.
    pub name_as_hostname: bool,
    /// `no_hosts`: /etc/hosts is left alone.
    pub no_hosts: bool,
}

/// How the engine works, `[engine]`, `[network]` and `[secrets]` of containers.conf.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineConfig {
    /// `cgroup_manager`: `cgroupfs` or `systemd`; `None` probes.
    pub cgroup_manager: Option<String>,
    /// `detach_keys`.
    pub detach_keys: Option<String>,
    /// `stop_timeout`, seconds.
    pub stop_timeout: Option<i64>,
    /// `--default-mounts-file`: the mounts.conf to read.
    pub default_mounts_file: Option<PathBuf>,
    /// `hooks_dir`.
    pub hooks_dirs: Vec<PathBuf>,
    /// `cdi_spec_dirs`.
    pub cdi_spec_dirs: Vec<PathBuf>,
    /// `default_network`.
    pub default_network: Option<String>,
    /// `default_subnet`.
    pub default_subnet: Option<String>,
    /// `events_container_create_inspect_data`.
    pub events_inspect_data: bool,
    /// `healthcheck_events`.
    pub health_events: Option<bool>,
    /// `events_logger` of `none`: no events are kept.
    pub no_events: bool,
    /// `default_host_ips`: where ports are published for which no address is named.
    pub default_host_ips: Vec<IpAddr>,
    /// `driver` of `[secrets]`.
    pub secret_driver: Option<String>,
    /// `opts` of `[secrets]`, which are that driver's.
    pub secret_options: Vec<(String, String)>,
}

/// The capabilities of a container where nobody says otherwise, called `podman`: docker's without AUDIT_WRITE, MKNOD and
/// NET_RAW.
const PODMAN_CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

impl Config {
    /// Reads the files that `env` and `global` name and merges them.
    ///
    /// # Errors
    /// A file that cannot be read or does not parse; a global flag with a value that is not supported.
    pub fn load(env: &Env, global: &GlobalOptions) -> Result<Self, Error> {
        let mut config = Self {
            root: PathBuf::from("/var/lib/rcon"),
            runroot: PathBuf::from("/run/rcon"),
            notify_socket: env.notify_socket.clone(),
            search_path: env
                .search_path
                .clone()
                .unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            proxies: env.proxies.clone(),
            ..Self::default()
        };
        // As podman's: programs behind a proxy find it without being told.
        config.containers.http_proxy = true;
        config.engine.cdi_spec_dirs = vec![PathBuf::from("/etc/cdi"), PathBuf::from("/var/run/cdi")];
        if global.podman {
            let names = PODMAN_CAPABILITIES.iter().map(|&name| name.to_owned());
            config.containers.default_capabilities = Some(names.collect());
        }
        let modules = modules(env, &global.modules)?;
        let mut files = files(env, global);
        let at = files.len() - usize::from(env.containers_conf_override.is_some());
        files.splice(at..at, modules.iter().cloned());
        for path in files {
            // A file that was named must be there; the usual ones need not.
            let named = global.config.as_ref() == Some(&path)
                || env.containers_conf.as_ref() == Some(&path)
                || modules.contains(&path);
            match std::fs::read_to_string(&path) {
                Ok(text) => file::apply(&mut config, &path, &text)?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => {}
                Err(e) => {
                    return Err(Error::with_source(Kind::Invalid, format!("reading {}", path.display()), e));
                }
            }
        }
        config.flags(global)?;
        if let Some(text) = env.podman_userns.as_ref().filter(|_| global.podman) {
            config.containers.userns = Some(text.clone());
        }
        if config.containers.env_host {
            config.host_env = super::env::all();
        }
        Ok(config)
    }

    fn flags(&mut self, global: &GlobalOptions) -> Result<(), Error> {
        let GlobalOptions {
            root: _,
            runroot: _,
            config: _,
            cgroup_manager,
            storage_driver,
            runtime,
            cdi_spec_dirs,
            hooks_dirs,
            modules: _,
            podman,
            image_stores: _,
            network_config_dir: _,
            default_mounts_file,
            events_backend,
        } = global;
        self.podman = *podman;
        self.engine.default_mounts_file.clone_from(default_mounts_file);
        if let Some(manager) = cgroup_manager {
            self.engine.cgroup_manager = Some(manager.clone());
        }
        if let Some(backend) = events_backend {
            self.engine.no_events = backend == "none";
        }
        match self.engine.cgroup_manager.as_deref() {
            None | Some("cgroupfs" | "systemd") => {}
            Some(other) => {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("unknown cgroup manager {other:?}: use cgroupfs or systemd"),
                ));
            }
        }
        if let Some(driver) = storage_driver.as_deref().filter(|d| !matches!(*d, "" | "overlay" | "overlay2"))
        {
            return Err(Error::new(
                Kind::Unsupported,
                format!("storage driver {driver:?} is not supported: rcon uses overlay"),
            ));
        }
        if let Some(runtime) = runtime.as_deref().filter(|r| !super::resolve::is_own_runtime(r)) {
            return Err(Error::new(
                Kind::Unsupported,
                format!(
                    "--runtime {runtime} is not supported: containers run by the runtime that is part of rcon"
                ),
            ));
        }
        if !cdi_spec_dirs.is_empty() {
            self.engine.cdi_spec_dirs.clone_from(cdi_spec_dirs);
        }
        if !hooks_dirs.is_empty() {
            self.engine.hooks_dirs.clone_from(hooks_dirs);
        }
        Ok(())
    }
}

/// The files to read, in order.
fn files(env: &Env, global: &GlobalOptions) -> Vec<PathBuf> {
    let mut all = Vec::new();
    if let Some(only) = global.config.as_ref().or(env.containers_conf.as_ref()) {
        all.push(only.clone());
    } else {
        // Not /usr/share/containers/containers.conf: what a distribution ships there are podman's own defaults
        // (three capabilities fewer, for one), and nobody chose them for rcon.
        with_folder(&mut all, Path::new("/etc/containers/containers.conf"));
        if let Some(home) = &env.config_home {
            with_folder(&mut all, &home.join("containers/containers.conf"));
        }
    }
    all.extend(env.containers_conf_override.clone());
    all
}

/// The files of `--module`: a path, or a name that is looked for below each `containers.conf.modules`.
fn modules(env: &Env, names: &[String]) -> Result<Vec<PathBuf>, Error> {
    let homes = env.config_home.iter().map(|home| home.join("containers"));
    let usual = ["/etc/containers", "/usr/share/containers"].map(PathBuf::from);
    let folders: Vec<PathBuf> = homes.chain(usual).map(|dir| dir.join("containers.conf.modules")).collect();
    let find = |name: &String| {
        if name.starts_with('/') {
            return Ok(PathBuf::from(name));
        }
        folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
            let tried: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
            let text = format!("--module {name}: there is no such file in {}", tried.join(", "));
            Error::new(Kind::NotFound, text).hint("an absolute path names any file")
        })
    };
    names.iter().map(find).collect()
}

/// A file and the `*.conf` of the folder beside it, sorted.
fn with_folder(all: &mut Vec<PathBuf>, file: &Path) {
    all.push(file.to_owned());
    let mut folder = file.as_os_str().to_owned();
    folder.push(".d");
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "conf")).collect();
    found.sort();
    all.extend(found);
}
