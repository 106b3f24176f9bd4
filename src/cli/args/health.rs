//! Health checks: shared by `run`, `create` and `update`.

use super::super::exit::Failure;
use crate::model::lifecycle::{HealthAction, HealthCheck, HealthLogOptions, StartupCheck};
use crate::model::units::parse_duration;

/// Flags for health checks.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Health check")]
pub struct HealthArgs {
    /// Command that tells whether the container is healthy; "none" disables the image's
    #[arg(long, alias = "healthcheck-command", value_name = "COMMAND")]
    pub health_cmd: Option<String>,
    /// Time between two checks
    #[arg(long, alias = "healthcheck-interval", value_name = "DURATION")]
    pub health_interval: Option<String>,
    /// Time that one check may take
    #[arg(long, alias = "healthcheck-timeout", value_name = "DURATION")]
    pub health_timeout: Option<String>,
    /// Time after the start in which failures do not count
    #[arg(long, alias = "healthcheck-start-period", value_name = "DURATION")]
    pub health_start_period: Option<String>,
    /// Time between two checks in the start period
    #[arg(long, value_name = "DURATION")]
    pub health_start_interval: Option<String>,
    /// Failures in a row that make it unhealthy
    #[arg(long, alias = "healthcheck-retries", value_name = "N")]
    pub health_retries: Option<u32>,
    /// What an unhealthy container brings about: none, kill, restart, stop
    #[arg(long, value_name = "ACTION")]
    pub health_on_failure: Option<HealthAction>,
    /// Command that must succeed before the health check begins
    #[arg(long, value_name = "COMMAND")]
    pub health_startup_cmd: Option<String>,
    /// Time between two startup checks
    #[arg(long, value_name = "DURATION")]
    pub health_startup_interval: Option<String>,
    /// Failures of the startup check after which the container is restarted
    #[arg(long, value_name = "N")]
    pub health_startup_retries: Option<u32>,
    /// Successes of the startup check that it takes
    #[arg(long, value_name = "N")]
    pub health_startup_success: Option<u32>,
    /// Time that one startup check may take
    #[arg(long, value_name = "DURATION")]
    pub health_startup_timeout: Option<String>,
    /// Where results go beside the container's state: local (nowhere), events_logger or a directory
    #[arg(long, value_name = "DESTINATION")]
    pub health_log_destination: Option<String>,
    /// Results that are kept; 0 keeps all (default 5)
    #[arg(long, value_name = "N")]
    pub health_max_log_count: Option<u32>,
    /// Bytes of output that are kept of each result; 0 keeps all (default 4096)
    #[arg(long, value_name = "BYTES")]
    pub health_max_log_size: Option<u32>,
    /// Disable the image's health check
    #[arg(long)]
    pub no_healthcheck: bool,
}

impl HealthArgs {
    /// What becomes of the results.
    #[must_use]
    pub fn log(&self) -> HealthLogOptions {
        HealthLogOptions {
            destination: self.health_log_destination.clone(),
            max_count: self.health_max_log_count,
            max_size: self.health_max_log_size,
        }
    }

    /// podman refuses what docker takes for "as usual".
    ///
    /// # Errors
    /// No retries, or a time-out below a second.
    pub fn check_as_podman(&self) -> Result<(), Failure> {
        if self.health_retries == Some(0) {
            return Err(Failure::usage("healthcheck-retries must be greater than 0"));
        }
        let short = |text: &String| parse_duration(text).is_ok_and(|d| d.as_secs() == 0);
        if self.health_timeout.as_ref().is_some_and(short) {
            return Err(Failure::usage("healthcheck-timeout must be at least 1 second"));
        }
        Ok(())
    }

    /// The check, if anything was said about it.
    ///
    /// # Errors
    /// A duration that does not parse, or `--no-healthcheck` beside other flags.
    pub fn into_options(self) -> Result<(Option<HealthCheck>, Option<HealthAction>), Failure> {
        let nanos = |flag: &str, text: &Option<String>| match text.as_deref() {
            None | Some("disable") => Ok(0),
            Some(text) => match parse_duration(text) {
                Ok(d) if !d.is_zero() && d.as_millis() == 0 => {
                    Err(Failure::usage(format!("--{flag} cannot be less than 1ms")))
                }
                Ok(d) => Ok(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
                Err(e) => {
                    Err(Failure::usage(format!("invalid argument {text:?} for \"--{flag}\" flag: {}", e.why)))
                }
            },
        };
        let startup = StartupCheck {
            test: self.health_startup_cmd.as_deref().map(test).unwrap_or_default(),
            interval: nanos("health-startup-interval", &self.health_startup_interval)?,
            timeout: nanos("health-startup-timeout", &self.health_startup_timeout)?,
            retries: self.health_startup_retries.unwrap_or(0),
            success: self.health_startup_success.unwrap_or(0),
        };
        let check = HealthCheck {
            startup: (startup != StartupCheck::default()).then_some(startup),
            test: self.health_cmd.as_deref().map(test).unwrap_or_default(),
            interval: match self.health_interval.as_deref() {
                Some("disable") => HealthCheck::NEVER,
                _ => nanos("health-interval", &self.health_interval)?,
            },
            timeout: nanos("health-timeout", &self.health_timeout)?,
            start_period: nanos("health-start-period", &self.health_start_period)?,
            start_interval: nanos("health-start-interval", &self.health_start_interval)?,
            retries: self.health_retries.unwrap_or(0),
        };
        let said = check != HealthCheck::default() || self.health_cmd.is_some();
        if self.no_healthcheck {
            if said {
                return Err(Failure::usage("--no-healthcheck conflicts with --health-* options"));
            }
            let none = HealthCheck { test: vec!["NONE".to_owned()], ..HealthCheck::default() };
            return Ok((Some(none), self.health_on_failure));
        }
        Ok((said.then_some(check), self.health_on_failure))
    }
}

/// A JSON list is executed as it is, other text by a shell.
fn test(text: &str) -> Vec<String> {
    if text == "none" {
        return vec!["NONE".to_owned()];
    }
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(list) if matches!(list.first().map(String::as_str), Some("CMD" | "CMD-SHELL" | "NONE")) => list,
        Ok(list) => std::iter::once("CMD".to_owned()).chain(list).collect(),
        Err(_) if text.is_empty() => Vec::new(),
        Err(_) => vec!["CMD-SHELL".to_owned(), text.to_owned()],
    }
}
