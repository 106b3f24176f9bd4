//! Arguments of `rcon runtime`, as runc has them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Open Container Initiative runtime: run containers from bundles, as runc does.
#[derive(Debug, Parser)]
#[command(name = "rcon runtime", disable_version_flag = true, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags before the command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Log debug messages
    #[arg(long)]
    pub debug: bool,
    /// Write the log to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Format of the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Folder of the containers' state
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Use systemd to make cgroups
    #[arg(long)]
    systemd_cgroup: bool,
    /// Who makes cgroups: crun's word for the same, and for none at all
    #[arg(long, value_enum, value_name = "WHO", conflicts_with = "systemd_cgroup")]
    cgroup_manager: Option<CgroupManager>,
    /// Whether cgroup errors are tolerated: true, false or auto
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = ["true", "false", "auto"])]
    pub rootless: Option<String>,
    /// Print the version
    #[arg(short = 'v', long)]
    pub version: bool,
}

impl Global {
    /// Whether errors of cgroups that nobody asked for are passed over.
    pub(super) fn is_rootless(&self) -> bool {
        match self.rootless.as_deref() {
            Some("true") => true,
            Some("false") => false,
            _ => crate::sys::probe::effective_uid() != 0 || is_lent_root(),
        }
    }

    /// Who makes cgroups.
    pub(super) fn cgroup_manager(&self) -> CgroupManager {
        let plain = if self.systemd_cgroup { CgroupManager::Systemd } else { CgroupManager::Cgroupfs };
        self.cgroup_manager.unwrap_or(plain)
    }

    /// Whether the folder of the containers was named.
    pub(super) fn names_root(&self) -> bool {
        self.root.is_some()
    }

    /// `/run/rcon-runtime`, or below the user's runtime folder without root, be it in a user namespace of its own, as
    /// podman calls us.
    pub(super) fn root(&self) -> PathBuf {
        if let Some(root) = &self.root {
            return root.clone();
        }
        let root = crate::sys::probe::effective_uid() == 0 && !is_lent_root();
        let user = !root || self.rootless.as_deref() == Some("true");
        match std::env::var_os("XDG_RUNTIME_DIR").filter(|_| user) {
            Some(dir) => PathBuf::from(dir).join("rcon-runtime"),
            None => PathBuf::from("/run/rcon-runtime"),
        }
    }
}

/// Root only of a user namespace that a user without root made, as podman does.
fn is_lent_root() -> bool {
    crate::sys::idmap::user_above().is_some_and(|uid| uid != 0)
        && std::env::var_os("USER").is_none_or(|u| u != "root")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CgroupManager {
    Cgroupfs,
    Systemd,
    Disabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write the processes of a container to files, by criu
    Checkpoint(Box<super::criu::Checkpoint>),
    /// Create a container
    Create(Create),
    /// Delete what a container holds
    Delete(Delete),
    /// Show events and numbers of a container
    Events(Events),
    /// Run a process in a container
    Exec(Box<Exec>),
    /// Show what this runtime can do, as JSON
    Features,
    /// Send a signal to a container
    Kill(Kill),
    /// List containers
    #[command(visible_alias = "ls")]
    List(List),
    /// Freeze all processes of a container
    Pause(Id),
    /// Show the processes of a container
    Ps(Ps),
    /// Make a container of what checkpoint has written
    Restore(Box<super::criu::Restore>),
    /// Let a paused container run on
    Resume(Id),
    /// Create and start a container
    Run(Run),
    /// Write an example config.json
    Spec(Spec),
    /// Start a created container
    Start(Id),
    /// Show the state of a container as JSON
    State(Id),
    /// Change the limits of a container
    Update(Box<super::resources::Update>),
}

#[derive(Debug, Args)]
pub(super) struct Id {
    /// Id of the container
    pub id: String,
}

/// What create and run have in common.
#[derive(Debug, Args)]
pub(super) struct Making {
    /// Folder of the bundle
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub bundle: PathBuf,
    /// The configuration, if it is not the bundle's config.json
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Socket that gets the master of the terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Write the pid here
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Socket that gets a pidfd of the first process
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// Hand on this many descriptors beyond stdio
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Not needed: the root is always changed by pivot_root
    #[arg(long, hide = true)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Id of the container
    pub id: String,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    pub making: Making,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub making: Making,
    /// Leave it running in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Keep its state when it has ended
    #[arg(long)]
    pub keep: bool,
    /// Not needed: orphans come to the process that waits anyway
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// Kill it first; one that does not exist is no error
    #[arg(short, long)]
    pub force: bool,
    /// Id of the container
    pub id: String,
}

#[derive(Debug, Args)]
pub(super) struct Kill {
    /// To every process in it
    #[arg(short, long)]
    pub all: bool,
    /// Id of the container
    pub id: String,
    /// Name or number
    #[arg(default_value = "SIGTERM", allow_hyphen_values = true)]
    pub signal: String,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Ids only
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct Ps {
    /// Format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Id of the container
    pub id: String,
    /// Options for the host's ps
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub ps_args: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Time between numbers, such as 5s
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub interval: String,
    /// Print the numbers once and end
    #[arg(long)]
    pub stats: bool,
    /// Id of the container
    pub id: String,
}

#[derive(Debug, Args)]
pub(super) struct Spec {
    /// Folder to write config.json to
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub bundle: PathBuf,
    /// For a user without root
    #[arg(long)]
    pub rootless: bool,
}

#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Socket that gets the master of the terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<String>,
    /// Set a variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Allocate a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// UID[:GID]
    #[arg(short, long, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// Add a group
    #[arg(short = 'g', long, value_name = "GID")]
    pub additional_gids: Vec<u32>,
    /// File with the process as JSON
    #[arg(short, long, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Leave it running in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Write the pid here
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Socket that gets a pidfd of the process
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// SELinux label
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Set no_new_privs
    #[arg(long)]
    pub no_new_privs: bool,
    /// Add a capability
    #[arg(short, long, value_name = "CAP")]
    pub cap: Vec<String>,
    /// Hand on this many descriptors beyond stdio
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Run in a cgroup below the container's: [CONTROLLERS:]PATH
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Do so in a paused container too, where it waits
    #[arg(long)]
    pub ignore_paused: bool,
    /// Not needed: orphans come to the process that waits anyway
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
    /// Id of the container
    pub id: String,
    /// Command and arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}
