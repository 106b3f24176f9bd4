//! Life of a container: name, labels, removal, restart, stop, logs.

use super::super::exit::{Failure, Manner};
use super::{env, strict_pair};
use crate::model::lifecycle::{LifecycleOptions, RestartPolicy, parse_signal};

/// Flags for the life of a container.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Container")]
pub struct LifeArgs {
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Remove a container of that name first
    #[arg(long)]
    pub replace: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Restart policy: no, on-failure[:MAX], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<RestartPolicy>,
    /// Signal that asks it to stop
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds until a stop becomes a kill; -1 waits for ever
    #[arg(long, value_name = "SECONDS")]
    pub stop_timeout: Option<i64>,
    /// Kill it after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
    pub timeout: u64,
    /// Set a label
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub label: Vec<String>,
    /// Read labels from a file
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<String>,
    /// Set an annotation
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<String>,
    /// Write the id of the container to a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<String>,
    /// Write the pid of the first process to a file
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<String>,
    /// Write the pid of the monitor to a file
    #[arg(long, value_name = "FILE")]
    pub conmon_pidfile: Option<String>,
    /// Containers that must run first
    #[arg(long, value_name = "CONTAINER")]
    pub requires: Vec<String>,
    /// Prepare for systemd as first process: true, false, always
    #[arg(long, value_name = "MODE", value_parser = ["true", "false", "always"])]
    pub systemd: Option<String>,
    /// Who tells systemd that the service is ready: container, conmon, healthy, ignore
    #[arg(long, value_name = "MODE", value_parser = ["container", "conmon", "healthy", "ignore"])]
    pub sdnotify: Option<String>,
    /// OCI runtime to use
    #[arg(long, value_name = "NAME|PATH")]
    pub runtime: Option<String>,
    /// Where output goes: json-file, k8s-file, journald, none, passthrough
    #[arg(long, value_name = "DRIVER", help_heading = "Logs")]
    pub log_driver: Option<String>,
    /// Options of the log driver (max-size=10m, max-file=3)
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Logs")]
    pub log_opt: Vec<String>,
}

impl LifeArgs {
    /// A container that is removed when it ends is not started again, but for podman's on-failure.
    pub(super) fn check_removal(&self, manner: Manner) -> Result<(), Failure> {
        match self.restart {
            Some(RestartPolicy::OnFailure { .. }) if manner == Manner::Podman => Ok(()),
            Some(policy) if self.rm && policy != RestartPolicy::No => {
                Err(Failure::usage("conflicting options: cannot specify both --restart and --rm"))
            }
            _ => Ok(()),
        }
    }

    /// The part about life; the rest is taken by `create`.
    pub(super) fn lifecycle(&self) -> Result<LifecycleOptions, Failure> {
        if self.replace && self.name.is_none() {
            return Err(Failure::usage("cannot replace a container without --name being set"));
        }
        if let Some(signal) = &self.stop_signal {
            parse_signal(signal)?;
        }
        let log_opts = self.log_opt.iter().map(|t| strict_pair("log-opt", t)).collect::<Result<_, _>>()?;
        Ok(LifecycleOptions {
            health_log: Default::default(),
            auto_remove: self.rm,
            remove_image: false,
            restart: self.restart,
            stop_signal: self.stop_signal.clone(),
            stop_timeout: self.stop_timeout,
            timeout: self.timeout,
            health: None,
            health_on_failure: Default::default(),
            log_driver: self.log_driver.clone(),
            log_opts,
            sdnotify: self.sdnotify.clone(),
        })
    }

    /// `-l` and `--label-file`.
    pub(super) fn labels(&self) -> Result<Vec<(String, String)>, Failure> {
        env::labels(&self.label_file, &self.label)
    }

    /// `--annotation`.
    pub(super) fn annotations(&self) -> Result<Vec<(String, String)>, Failure> {
        let pairs =
            self.annotation.iter().map(|t| strict_pair("annotation", t)).collect::<Result<Vec<_>, _>>()?;
        Ok(super::unique_pairs(pairs))
    }
}
