//! Everything that `run` and `create` have in common: the groups joined into one [`CreateOptions`].

use super::super::exit::{Failure, Manner};
use super::super::globals::Globals;
use super::health::HealthArgs;
use super::image::{PlatformArgs, PolicyArgs, RegistryArgs};
use super::life::LifeArgs;
use super::mounts::MountArgs;
use super::network::NetworkArgs;
use super::process::{FirstProcessArgs, ProcessArgs};
use super::refused::RefusedArgs;
use super::resources::ResourceArgs;
use super::security::SecurityArgs;
use super::strict_pair;
use crate::engine::create::SideFiles;
use crate::model::create::{CreateOptions, RegistryOptions};
use crate::model::lifecycle::PullPolicy;

/// Flags of `run` and `create`.
#[derive(clap::Args, Debug, Default)]
pub struct CreateArgs {
    #[command(flatten)]
    life: LifeArgs,
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    first: FirstProcessArgs,
    #[command(flatten)]
    storage: MountArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    security: SecurityArgs,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    platform: PlatformArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    refused: RefusedArgs,
    /// When to pull the image: always, missing (default), never, newer
    #[arg(long, value_name = "POLICY", help_heading = "Image")]
    pull: Option<PullPolicy>,
    /// Do not show the progress of the pull
    #[arg(short, long, help_heading = "Image")]
    quiet: bool,
    /// IMAGE is a directory of the host that holds a root file system; with :O behind it is only read
    #[arg(long, help_heading = "Image")]
    rootfs: bool,
    /// Which streams to attach: stdin, stdout, stderr
    #[arg(short, long, value_name = "STREAM", help_heading = "Streams")]
    pub attach: Vec<String>,
    /// Image and command
    #[arg(required = true, value_name = "IMAGE", hide = true)]
    image: String,
    /// Command and its arguments
    #[arg(value_name = "COMMAND", hide = true)]
    command: Vec<String>,
}

impl CreateArgs {
    /// Whether a terminal is wished.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.process.tty
    }

    /// Whether stdin is kept open.
    #[must_use]
    pub fn interactive(&self) -> bool {
        self.process.interactive
    }

    /// What is to be said of flags that have no effect.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        self.refused.warning()
    }

    /// What docker or podman refuses and the other does not.
    ///
    /// # Errors
    /// A health check that could never succeed, a removal that contradicts the restart policy.
    pub fn check(&self, manner: Manner) -> Result<(), Failure> {
        if manner == Manner::Podman {
            self.health.check_as_podman()?;
            self.security.check_as_podman()?;
        }
        self.life.check_removal(manner)
    }

    /// Files to write beside the container.
    #[must_use]
    pub fn side_files(&self) -> SideFiles {
        // A later start may have another working directory.
        let path =
            |p: &Option<String>| p.as_ref().map(|p| std::path::absolute(p).unwrap_or_else(|_| p.into()));
        SideFiles {
            cidfile: self.life.cidfile.as_ref().map(Into::into),
            pidfile: path(&self.life.pidfile),
            monitor_pidfile: path(&self.life.conmon_pidfile),
        }
    }

    /// What the caller said.
    ///
    /// # Errors
    /// Values that do not parse or exclude each other.
    pub fn into_options(mut self, globals: &Globals) -> Result<CreateOptions, Failure> {
        let mut process = self.process.into_options(self.command)?;
        self.first.apply(&mut process)?;
        (process.cap_add, process.cap_drop) = self.security.capabilities();
        let mut lifecycle = self.life.lifecycle()?;
        lifecycle.health_log = self.health.log();
        let (health, action) = self.health.into_options()?;
        lifecycle.health = health;
        lifecycle.health_on_failure = action.unwrap_or_default();
        let storage_opts = &self.storage.storage.storage_opt;
        let storage_opts =
            storage_opts.iter().map(|t| strict_pair("storage-opt", t)).collect::<Result<_, _>>()?;
        let (image, rootfs) = match self.rootfs {
            true => (String::new(), Some(self.image)),
            false => (self.image, None),
        };
        let hostname = self.network.hostname.take();
        let domainname = self.network.domainname.take();
        Ok(CreateOptions {
            image,
            rootfs,
            replace: self.life.replace,
            pull: self.pull.unwrap_or_default(),
            platform: self.platform.into_option()?,
            registry: RegistryOptions {
                signature_policy: self.policy.signature_policy,
                ..self.registry.into_options(globals)?
            },
            quiet: self.quiet,
            process,
            resources: self.resources.into_options()?,
            mounts: self.storage.into_mounts()?,
            volumes_from: self.storage.storage.volumes_from,
            image_volume: self.storage.storage.image_volume,
            read_only: self.storage.storage.read_only,
            read_only_tmpfs: self.storage.storage.read_only_tmpfs,
            shm_size: self.storage.storage.shm_size.map(|s| s.0).filter(|n| *n > 0),
            shm_size_systemd: self.storage.storage.shm_size_systemd.map(|s| s.0).filter(|n| *n > 0),
            chroot_dirs: self.storage.storage.chrootdirs,
            rdt_class: self.security.rdt_class.take(),
            devices: self.security.device.clone(),
            device_rules: self.security.device_rules()?,
            namespaces: self.security.namespaces()?,
            hostname,
            domainname,
            network: self.network.into_options()?,
            security: self.security.security()?,
            sysctls: self.security.sysctls()?,
            cgroup_parent: self.security.cgroup_parent,
            cgroups: self.security.cgroups,
            lifecycle,
            labels: self.life.labels()?,
            annotations: self.life.annotations()?,
            // docker shows names with a slash in front, so scripts hand them back like that.
            name: self
                .life
                .name
                .map(|n| n.strip_prefix('/').map(str::to_owned).unwrap_or(n))
                .filter(|n| !n.is_empty()),
            secrets: self.storage.storage.secret,
            timezone: self.first.tz,
            passwd: self.first.passwd,
            passwd_entry: self.first.passwd_entry,
            group_entry: self.first.group_entry,
            hostuser: self.first.hostuser,
            storage_opts,
            systemd: self.life.systemd,
            runtime: self.life.runtime,
            requires: super::commas(self.life.requires),
            personality: self.first.personality,
            init_path: self.first.init_path,
            gpus: self.security.gpus,
            http_proxy: self.first.http_proxy,
            command_line: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
        })
    }
}
