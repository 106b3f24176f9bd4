//! [`Context`]: what every verb needs to know. Data; no behaviour but loading it.

use std::path::PathBuf;

use super::config::Config;
use super::error::Error;
use super::host::Host;
use crate::model::network::DEFAULT_NETWORK;
use crate::model::reference::{DEFAULT_REGISTRY, ImageRef};
use crate::storage::{Paths, Store};

/// Where things are, what the configuration says, what the host can do.
#[derive(Debug, Clone)]
pub struct Context {
    /// The roots, `/var/lib/rcon` and `/run/rcon`.
    pub paths: Paths,
    /// Files, environment and flags, merged.
    pub config: Config,
    /// What this host can do; probed lazily, once.
    pub host: Host,
    /// Names are podman's: those of images are shown in full, found by their end, and `localhost/…` where made here; the
    /// default network is `podman`.
    pub podman: bool,
    /// `--storage-opt overlay.imagestore`: roots whose images are used, too.
    pub image_stores: Vec<PathBuf>,
    /// `--network-config-dir`: networks that are defined in files.
    pub network_config_dir: Option<PathBuf>,
}

/// The global flags of the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GlobalOptions {
    /// `--root`.
    pub root: Option<PathBuf>,
    /// `--runroot`.
    pub runroot: Option<PathBuf>,
    /// `--config`: a containers.conf to read instead of the usual ones.
    pub config: Option<PathBuf>,
    /// `--cgroup-manager`: `cgroupfs` or `systemd`.
    pub cgroup_manager: Option<String>,
    /// `--storage-driver`: only `overlay` is accepted.
    pub storage_driver: Option<String>,
    /// `--runtime`: default OCI runtime of new containers.
    pub runtime: Option<String>,
    /// `--cdi-spec-dir`.
    pub cdi_spec_dirs: Vec<PathBuf>,
    /// `--hooks-dir`.
    pub hooks_dirs: Vec<PathBuf>,
    /// See [`Context::podman`].
    pub podman: bool,
    /// `--module`: further containers.conf files, by path or name.
    pub modules: Vec<String>,
    /// See [`Context::image_stores`].
    pub image_stores: Vec<PathBuf>,
    /// See [`Context::network_config_dir`].
    pub network_config_dir: Option<PathBuf>,
    /// `--default-mounts-file`: a mounts.conf.
    pub default_mounts_file: Option<PathBuf>,
    /// `--events-backend`: `file` or `none`.
    pub events_backend: Option<String>,
}

impl Context {
    /// Reads the environment and the configuration files and merges them with the flags.
    ///
    /// # Errors
    /// A configuration file that cannot be read or does not parse, named with its line.
    pub fn load(global: &GlobalOptions) -> Result<Self, Error> {
        let env = super::env::Env::read();
        let config = Config::load(&env, global)?;
        let root = global.root.clone().or(env.root).unwrap_or_else(|| config.root.clone());
        let run = global.runroot.clone().or(env.runroot).unwrap_or_else(|| config.runroot.clone());
        Ok(Self {
            paths: Paths::new(root, run),
            config,
            host: Host::default(),
            podman: global.podman,
            image_stores: global.image_stores.clone(),
            network_config_dir: global.network_config_dir.clone(),
        })
    }

    /// Keys that detach: as given, or those of containers.conf.
    #[must_use]
    pub fn detach_keys(&self, given: Option<String>) -> Option<String> {
        given.or_else(|| self.config.engine.detach_keys.clone())
    }

    /// The registry in whose name images are that are tagged or made here with a short one.
    #[must_use]
    pub fn own_registry(&self) -> &'static str {
        if self.podman { "localhost" } else { DEFAULT_REGISTRY }
    }

    /// A network's name as the caller is used to it.
    #[must_use]
    pub fn network_name<'a>(&self, name: &'a str) -> &'a str {
        if self.podman && name == DEFAULT_NETWORK { "podman" } else { name }
    }

    /// An image's name as the caller is used to it.
    #[must_use]
    pub fn shown(&self, name: &ImageRef) -> String {
        if self.podman { name.to_string() } else { name.familiar() }
    }

    /// Opens the store below the durable root, making it when needed, and takes up what is defined elsewhere.
    ///
    /// # Errors
    /// No permission, or a database that cannot be opened.
    pub fn store(&self) -> Result<Store, Error> {
        let store = Store::open(&self.paths)?;
        for lender in &self.image_stores {
            store.borrow_images(lender)?;
        }
        if let Some(dir) = &self.network_config_dir {
            super::networks::take_up(&store, dir)?;
        }
        Ok(store)
    }
}
