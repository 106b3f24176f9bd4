//! Life of a container: restart policy, health check, stop signal and timeout, pull policy, logging.

use serde::{Deserialize, Serialize};

mod parse;
pub use parse::{parse_signal, signal_name};

/// `--restart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When the exit code is not 0, at most `max` times (0: without limit).
    OnFailure {
        /// Most retries; 0 is no limit.
        max: u32,
    },
    /// Always, also at boot.
    Always,
    /// Always, unless stopped by the user.
    UnlessStopped,
}

/// `--pull`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PullPolicy {
    /// When there is no local image.
    #[default]
    Missing,
    /// Each time.
    Always,
    /// Never.
    Never,
    /// When the registry has a newer one; an unreachable registry is no error if there is a local image.
    Newer,
}

/// A health check, from the image or from `--health-*`. Durations in nanoseconds, 0 for the default, as in
/// docker's JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", text]`; empty inherits.
    pub test: Vec<String>,
    /// Time between checks.
    pub interval: u64,
    /// Time one check may take.
    pub timeout: u64,
    /// Grace period after start.
    pub start_period: u64,
    /// Interval during the grace period.
    pub start_interval: u64,
    /// Failures in a row that make it unhealthy; 0 is the default of 3.
    pub retries: u32,
    /// Another check, which has to succeed before this one begins (podman's `--health-startup-*`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup: Option<StartupCheck>,
}

impl HealthCheck {
    /// An interval that never ends (`--health-interval disable`): the check runs only when it is asked for.
    pub const NEVER: u64 = u64::MAX;
}

/// What tells that a container has started. Durations in nanoseconds; 0 and empty inherit or mean the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StartupCheck {
    /// As [`HealthCheck::test`].
    pub test: Vec<String>,
    /// Time between checks.
    pub interval: u64,
    /// Time one check may take.
    pub timeout: u64,
    /// Failures after which the container is restarted; 0 is no limit.
    pub retries: u32,
    /// Successes that it takes; 0 is the default of 1.
    pub success: u32,
}

/// Where results of the health check go and how much of them is kept. `None` means "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthLogOptions {
    /// `--health-log-destination`: `local`, `events_logger` or a directory.
    pub destination: Option<String>,
    /// `--health-max-log-count`: results that are kept; 0 keeps all.
    pub max_count: Option<u32>,
    /// `--health-max-log-size`: bytes of output that are kept of each; 0 keeps all.
    pub max_size: Option<u32>,
}

/// The same, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthLog {
    /// `local` (with the container's state alone), `events_logger` (in events too) or a directory (in a file there too).
    pub destination: String,
    /// Results that are kept; 0 keeps all.
    pub max_count: u32,
    /// Bytes of output that are kept of each; 0 keeps all.
    pub max_size: u32,
    /// What an event is made of.
    #[serde(default)]
    pub events: HealthEvents,
}

/// When a health check makes an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthEvents {
    /// When the status changes: docker's.
    #[default]
    Changes,
    /// Each time: podman's.
    Each,
    /// Never: `healthcheck_events = false` of containers.conf.
    Never,
}

impl HealthLog {
    /// With the container's state alone.
    pub const LOCAL: &str = "local";
    /// An event for each result.
    pub const EVENTS: &str = "events_logger";
}

impl Default for HealthLog {
    /// docker's.
    fn default() -> Self {
        Self {
            destination: Self::LOCAL.to_owned(),
            max_count: 5,
            max_size: 4096,
            events: HealthEvents::Changes,
        }
    }
}

/// What happens when a container turns unhealthy (`--health-on-failure`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthAction {
    /// Only report.
    #[default]
    None,
    /// Kill it.
    Kill,
    /// Restart it.
    Restart,
    /// Stop it.
    Stop,
}

impl HealthAction {
    /// As `--health-on-failure` takes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

/// Where output goes. Drivers: `json-file`, `k8s-file`, `journald`, `none`, `passthrough`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// Driver name.
    pub driver: String,
    /// Bytes a file may have before it is rotated; 0 is no limit.
    pub max_size: u64,
    /// Files kept, the current one counted.
    pub max_file: u32,
    /// All options as typed, for `inspect`.
    #[serde(default)]
    pub options: Vec<(String, String)>,
}

/// What the caller said about life. `None` means "not said".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleOptions {
    /// `--rm`.
    pub auto_remove: bool,
    /// `--rmi`.
    pub remove_image: bool,
    /// `--restart`.
    pub restart: Option<RestartPolicy>,
    /// `--stop-signal`.
    pub stop_signal: Option<String>,
    /// `--stop-timeout`, seconds; -1 waits for ever.
    pub stop_timeout: Option<i64>,
    /// `--timeout`: kill after this many seconds; 0 never.
    pub timeout: u64,
    /// `--health-*`; `test` of `["NONE"]` for `--no-healthcheck`.
    pub health: Option<HealthCheck>,
    /// `--health-on-failure`.
    pub health_on_failure: HealthAction,
    /// `--health-log-destination`, `--health-max-log-…`.
    pub health_log: HealthLogOptions,
    /// `--log-driver`.
    pub log_driver: Option<String>,
    /// `--log-opt`.
    pub log_opts: Vec<(String, String)>,
    /// `--sdnotify`: `container`, `conmon`, `healthy`, `ignore`.
    pub sdnotify: Option<String>,
}
