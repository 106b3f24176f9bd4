//! Life: restart policy, stop signal, health check, logs.

use std::path::Path;

use super::{Inputs, health, invalid};
use crate::engine::error::{Error, Kind};
use crate::model::container::LifecycleSpec;
use crate::model::image::ImageConfig;
use crate::model::lifecycle::{HealthAction, LifecycleOptions, LogSpec, RestartPolicy, parse_signal};
use crate::model::units::{ByteSize, parse_decimal_size};

const DEFAULT_STOP_TIMEOUT: i64 = 10;
/// Logs are bounded by default: three files of 10 MB (docker grows one without end).
const LOG_SIZE: u64 = 10_000_000;
const LOG_FILES: u32 = 3;

pub(super) fn resolve(
    inputs: &Inputs<'_>,
    image: &ImageConfig,
    systemd: bool,
) -> Result<LifecycleSpec, Error> {
    let LifecycleOptions {
        auto_remove,
        remove_image,
        restart,
        stop_signal,
        stop_timeout,
        timeout,
        health: own_health,
        health_on_failure,
        health_log,
        log_driver,
        log_opts,
        sdnotify,
    } = &inputs.options.lifecycle;
    let restart = restart.unwrap_or_default();
    // To podman a container that ends well is through, and is removed then.
    let ends = inputs.config.podman && matches!(restart, RestartPolicy::OnFailure { .. });
    if *auto_remove && restart != RestartPolicy::No && !ends {
        return Err(invalid("conflicting options: cannot specify both --restart and --rm"));
    }
    if *remove_image && !*auto_remove {
        return Err(invalid("--rmi needs --rm: the image cannot go while its container stays"));
    }
    let stop_signal = match stop_signal.as_deref() {
        Some(text) => parse_signal(text)?,
        None if systemd => super::systemd::STOP_SIGNAL,
        // A nonsense signal in an image must not make it unusable; docker falls back to SIGTERM too.
        None => parse_signal(&image.stop_signal).unwrap_or(15),
    };
    let driver = log_driver.clone().or_else(|| inputs.config.containers.log_driver.clone());
    let health = health::resolve(own_health.as_ref(), image.healthcheck.as_ref())?;
    if health.is_none() && *health_on_failure != HealthAction::None {
        return Err(invalid(format!(
            "cannot set on-failure action to {} without a health check",
            health_on_failure.word()
        )));
    }
    Ok(LifecycleSpec {
        auto_remove: *auto_remove,
        remove_image: *remove_image,
        restart,
        stop_signal,
        stop_timeout: stop_timeout.or(inputs.config.engine.stop_timeout).unwrap_or(DEFAULT_STOP_TIMEOUT),
        timeout: *timeout,
        health,
        health_on_failure: *health_on_failure,
        health_log: health::log(health_log, inputs)?,
        log: as_configured(logs(driver.as_deref(), log_opts, inputs)?, inputs),
        no_events: inputs.config.engine.no_events,
        sdnotify: sdnotify.clone(),
        // Known to `create`, which fills them in.
        pidfile: None,
        monitor_pidfile: None,
    })
}

/// Puts the log below `log_path` of containers.conf, and `log_tag` on what goes into the journal, unless the caller said
/// otherwise.
fn as_configured(mut log: LogSpec, inputs: &Inputs<'_>) -> LogSpec {
    if let Some(tag) = &inputs.config.containers.log_tag
        && log.driver == "journald"
        && !log.options.iter().any(|(key, _)| key == "tag")
    {
        log.options.push(("tag".to_owned(), tag.clone()));
    }
    if let Some(dir) = &inputs.config.containers.log_path
        && log.driver == "k8s-file"
        && !log.options.iter().any(|(key, _)| key == "path")
    {
        let file = dir.join(inputs.id.as_str()).join("ctr.log");
        log.options.push(("path".to_owned(), file.display().to_string()));
    }
    log
}

fn logs(driver: Option<&str>, opts: &[(String, String)], inputs: &Inputs<'_>) -> Result<LogSpec, Error> {
    let driver = match driver {
        None | Some("" | "json-file") => "json-file",
        Some(d @ ("k8s-file" | "none" | "passthrough" | "journald")) => d,
        Some("local") => {
            return Err(Error::new(
                Kind::Unsupported,
                "--log-driver local is not supported: its format is dockerd's own",
            )
            .hint("json-file rotates by default and can be read by every tool"));
        }
        Some(other) => {
            return Err(invalid(format!("logger: no log driver named '{other}' is registered"))
                .hint("drivers: json-file, k8s-file, journald, none, passthrough"));
        }
    };
    let mut spec = LogSpec {
        driver: driver.to_owned(),
        max_size: inputs.config.containers.log_size_max.unwrap_or(LOG_SIZE),
        max_file: LOG_FILES,
        options: opts.to_vec(),
    };
    for (key, value) in opts {
        match key.as_str() {
            "max-size" | "size" if matches!(driver, "json-file" | "k8s-file") => {
                // docker writes -1 for "no limit".
                spec.max_size = if value == "-1" { 0 } else { parse_decimal_size(value)? };
            }
            // The journal keeps to its own sizes; podman takes the option all the same.
            "max-size" if driver == "journald" && inputs.config.podman => {
                parse_decimal_size(value)?;
            }
            "max-file" if matches!(driver, "json-file" | "k8s-file") => {
                spec.max_file = value.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
                    invalid(format!("invalid max-file {value:?}: max-file cannot be less than 1"))
                })?;
            }
            "tag" | "labels" | "labels-regex" | "env" | "env-regex"
                if matches!(driver, "json-file" | "journald") => {}
            "path" if driver == "k8s-file" => {
                if !Path::new(value).is_absolute() {
                    return Err(invalid(format!("log opt path={value}: the path must be absolute")));
                }
            }
            "mode" if matches!(value.as_str(), "blocking" | "non-blocking") => {}
            "max-buffer-size" => {
                value.parse::<ByteSize>()?;
            }
            _ => {
                return Err(invalid(format!("unknown log opt '{key}' for {driver} log driver")));
            }
        }
    }
    Ok(spec)
}
