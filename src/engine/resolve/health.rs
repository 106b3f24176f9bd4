//! Health checks: the image's with the caller's over it, defaults written out.

use super::world::PathKind;
use super::{Inputs, invalid};
use crate::engine::error::Error;
use crate::model::lifecycle::{HealthCheck, HealthEvents, HealthLog, HealthLogOptions, StartupCheck};

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// What becomes of the results: docker's numbers where nothing is said.
pub(super) fn log(wish: &HealthLogOptions, inputs: &Inputs<'_>) -> Result<HealthLog, Error> {
    let default = HealthLog::default();
    let destination = match wish.destination.as_deref() {
        None | Some("" | HealthLog::LOCAL) => default.destination,
        Some(HealthLog::EVENTS) => HealthLog::EVENTS.to_owned(),
        Some(directory) => {
            let path = inputs.world.cwd().join(directory);
            if inputs.world.path(&path) != PathKind::Directory {
                let text = format!("--health-log-destination {directory}: there is no such directory");
                return Err(invalid(text).hint("use local, events_logger or a directory that exists"));
            }
            path.display().to_string()
        }
    };
    Ok(HealthLog {
        destination,
        max_count: wish.max_count.unwrap_or(default.max_count),
        max_size: wish.max_size.unwrap_or(default.max_size),
        events: match (inputs.config.engine.health_events, inputs.config.podman) {
            (Some(false), _) => HealthEvents::Never,
            (_, true) => HealthEvents::Each,
            (_, false) => HealthEvents::Changes,
        },
    })
}

/// The check that will run, or `None`.
pub(super) fn resolve(
    own: Option<&HealthCheck>,
    image: Option<&HealthCheck>,
) -> Result<Option<HealthCheck>, Error> {
    let own = own.cloned().unwrap_or_default();
    let image = image.cloned().unwrap_or_default();
    let test = if own.test.is_empty() { image.test } else { own.test };
    match test.first().map(String::as_str) {
        None | Some("NONE") if own.startup.is_some() => {
            return Err(invalid("a startup health check needs a health check: give --health-cmd"));
        }
        None | Some("NONE") => return Ok(None),
        Some("CMD" | "CMD-SHELL") if test.len() > 1 => {}
        Some(other) => {
            return Err(invalid(format!(
                "invalid health check {other:?}: want CMD or CMD-SHELL with a command"
            )));
        }
    }
    let pick = |own: u64, image: u64, default: u64| match (own, image) {
        (0, 0) => default,
        (0, i) => i,
        (o, _) => o,
    };
    let startup = match own.startup.or(image.startup) {
        None => None,
        Some(s) if s.test.is_empty() => {
            return Err(invalid("the flags --health-startup-… need --health-startup-cmd"));
        }
        Some(s) => Some(StartupCheck {
            interval: if s.interval == 0 { 30 * SECOND } else { s.interval },
            timeout: if s.timeout == 0 { 30 * SECOND } else { s.timeout },
            success: s.success.max(1),
            ..s
        }),
    };
    let check = HealthCheck {
        startup,
        test,
        interval: pick(own.interval, image.interval, 30 * SECOND),
        timeout: pick(own.timeout, image.timeout, 30 * SECOND),
        start_period: pick(own.start_period, image.start_period, 0),
        start_interval: pick(own.start_interval, image.start_interval, 5 * SECOND),
        retries: if own.retries != 0 {
            own.retries
        } else if image.retries != 0 {
            image.retries
        } else {
            3
        },
    };
    for (name, value) in
        [("Interval", check.interval), ("Timeout", check.timeout), ("StartInterval", check.start_interval)]
    {
        if value < MILLISECOND {
            return Err(invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if check.start_period != 0 && check.start_period < MILLISECOND {
        return Err(invalid("StartPeriod in Healthcheck cannot be less than 1ms"));
    }
    Ok(Some(check))
}
