//! Health checks as a state machine: when to probe, and what a result means. No I/O; times are since the
//! start of the container's process. The rules are docker's: during the start period failures do not count,
//! a success ends it; `retries` failures in a row make it unhealthy; one success makes it healthy.

use std::time::Duration;

use crate::model::container::{Health, HealthResult};
use crate::model::lifecycle::{HealthCheck, HealthLog, StartupCheck};

/// A container's health check.
#[derive(Debug, Clone)]
pub struct Checker {
    argv: Vec<String>,
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
    health: Health,
    next: Option<Duration>,
    startup: Option<Startup>,
    log: HealthLog,
}

/// The startup check, until it has succeeded often enough.
#[derive(Debug, Clone)]
struct Startup {
    argv: Vec<String>,
    interval: Duration,
    timeout: Duration,
    retries: u32,
    /// Successes that are missing.
    missing: u32,
    failures: u32,
}

impl Startup {
    fn new(check: &StartupCheck) -> Option<Self> {
        Some(Self {
            argv: argv(&check.test)?,
            interval: or_default(check.interval, Duration::from_secs(30)),
            timeout: or_default(check.timeout, Duration::from_secs(30)),
            retries: check.retries,
            missing: check.success.max(1),
            failures: 0,
        })
    }
}

/// The command of a check; `None` where it is none.
fn argv(test: &[String]) -> Option<Vec<String>> {
    match test.split_first() {
        Some((kind, rest)) if kind == "CMD" && !rest.is_empty() => Some(rest.to_vec()),
        Some((kind, [text])) if kind == "CMD-SHELL" => {
            Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()])
        }
        _ => None,
    }
}

/// What a result changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The status is as before.
    Same,
    /// It is healthy now.
    Healthy,
    /// It is unhealthy now.
    Unhealthy,
    /// The startup check has failed too often.
    Failed,
}

fn or_default(nanoseconds: u64, default: Duration) -> Duration {
    if nanoseconds == 0 { default } else { Duration::from_nanos(nanoseconds) }
}

/// [`HealthCheck::NEVER`] as the machine has it.
const NEVER: Duration = Duration::from_nanos(HealthCheck::NEVER);

impl Checker {
    /// The machine of a container's check, if it has one.
    #[must_use]
    pub fn of(spec: &crate::model::container::ContainerSpec) -> Option<Self> {
        let log = spec.lifecycle.health_log.clone();
        spec.lifecycle.health.as_ref().and_then(Self::new).map(|checker| Self { log, ..checker })
    }

    /// What becomes of the results.
    #[must_use]
    pub fn log(&self) -> &HealthLog {
        &self.log
    }

    /// Takes over what another machine has found, whose check was changed.
    pub fn go_on(&mut self, before: &Self, now: Duration) {
        self.health.clone_from(&before.health);
        if before.startup.is_none() {
            self.startup = None;
        }
        self.next = Some(now + self.pause(now));
    }

    /// Bytes of output that are kept of a result.
    #[must_use]
    pub fn room(&self) -> usize {
        match self.log.max_size {
            0 => usize::MAX,
            size => usize::try_from(size).unwrap_or(usize::MAX),
        }
    }

    /// The machine of a check, before the first probe; `None` where the check is none (`NONE`, empty).
    #[must_use]
    pub fn new(check: &HealthCheck) -> Option<Self> {
        let argv = argv(&check.test)?;
        let interval = or_default(check.interval, Duration::from_secs(30));
        let mut checker = Self {
            argv,
            interval,
            timeout: or_default(check.timeout, Duration::from_secs(30)),
            start_period: Duration::from_nanos(check.start_period),
            start_interval: or_default(check.start_interval, Duration::from_secs(5)),
            retries: if check.retries == 0 { 3 } else { check.retries },
            health: Health { status: "starting".to_owned(), ..Health::default() },
            next: None,
            startup: check.startup.as_ref().and_then(Startup::new),
            log: HealthLog::default(),
        };
        checker.next = Some(checker.pause(Duration::ZERO));
        Some(checker)
    }

    /// The command of a probe.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        self.startup.as_ref().map_or(&self.argv, |s| &s.argv)
    }

    /// How long a probe may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.startup.as_ref().map_or(self.timeout, |s| s.timeout)
    }

    /// Health as it is.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// When the next probe is due; `None` while one runs, and where it is only run when it is asked for.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.next.filter(|at| *at < NEVER)
    }

    /// A probe was started.
    pub fn started(&mut self) {
        self.next = None;
    }

    /// No probe now (the container is frozen): one interval later.
    pub fn postpone(&mut self, now: Duration) {
        self.next = Some(now + self.interval);
    }

    /// A probe ended at `now`.
    pub fn ended(&mut self, now: Duration, result: HealthResult) -> Verdict {
        let good = result.exit_code == 0;
        self.health.log.push(result);
        if let Ok(kept @ 1..) = usize::try_from(self.log.max_count) {
            let surplus = self.health.log.len().saturating_sub(kept);
            self.health.log.drain(..surplus);
        }
        if self.startup.is_some() {
            return self.startup_ended(now, good);
        }
        let was = self.health.status.clone();
        if good {
            self.health.failing_streak = 0;
            "healthy".clone_into(&mut self.health.status);
        } else if !(was == "starting" && now < self.start_period) {
            self.health.failing_streak += 1;
            if self.health.failing_streak >= self.retries {
                "unhealthy".clone_into(&mut self.health.status);
            }
        }
        self.next = Some(now + self.pause(now));
        match self.health.status.as_str() {
            now if now == was => Verdict::Same,
            "healthy" => Verdict::Healthy,
            "unhealthy" => Verdict::Unhealthy,
            _ => Verdict::Same,
        }
    }

    /// Until the startup check has succeeded the container is starting, and its health check waits.
    fn startup_ended(&mut self, now: Duration, good: bool) -> Verdict {
        let Some(startup) = &mut self.startup else { return Verdict::Same };
        if good {
            startup.missing -= 1;
        } else {
            startup.failures += 1;
        }
        if startup.retries > 0 && startup.failures >= startup.retries {
            // Whoever restarts the container makes a new machine; until then nothing is asked.
            return Verdict::Failed;
        }
        if startup.missing == 0 {
            // The health check itself says whether it is healthy, and at once.
            self.startup = None;
            self.next = Some(now);
        } else {
            self.next = Some(now + startup.interval);
        }
        Verdict::Same
    }

    fn pause(&self, now: Duration) -> Duration {
        if let Some(startup) = &self.startup {
            return startup.interval;
        }
        if self.interval < NEVER && self.health.status == "starting" && now < self.start_period {
            self.start_interval.min(self.interval)
        } else {
            self.interval
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: &[&str]) -> HealthCheck {
        HealthCheck {
            test: test.iter().map(|s| (*s).to_owned()).collect(),
            interval: 10_000_000_000,
            start_period: 25_000_000_000,
            start_interval: 2_000_000_000,
            retries: 2,
            ..HealthCheck::default()
        }
    }

    fn result(exit_code: i32) -> HealthResult {
        HealthResult {
            start: jiff::Timestamp::UNIX_EPOCH,
            end: jiff::Timestamp::UNIX_EPOCH,
            exit_code,
            output: String::new(),
        }
    }

    #[test]
    fn commands() {
        let argv = |test: &[&str]| Checker::new(&check(test)).map(|c| c.argv().join(" "));
        assert_eq!(argv(&["CMD", "a", "b"]).as_deref(), Some("a b"));
        assert_eq!(argv(&["CMD-SHELL", "a || b"]).as_deref(), Some("/bin/sh -c a || b"));
        assert_eq!(argv(&["NONE"]), None);
        assert_eq!(argv(&[]), None);
        assert_eq!(argv(&["CMD"]), None);
    }

    #[test]
    fn a_life() {
        let mut checker = Checker::new(&check(&["CMD", "x"])).expect("a check");
        // seconds, exit code, verdict, status, streak, seconds until the next probe
        let table = [
            (2, 1, Verdict::Same, "starting", 0, 2),
            (20, 1, Verdict::Same, "starting", 0, 2),
            (26, 1, Verdict::Same, "starting", 1, 10),
            (36, 0, Verdict::Healthy, "healthy", 0, 10),
            (46, 1, Verdict::Same, "healthy", 1, 10),
            (56, -1, Verdict::Unhealthy, "unhealthy", 2, 10),
            (66, 1, Verdict::Same, "unhealthy", 3, 10),
            (76, 0, Verdict::Healthy, "healthy", 0, 10),
        ];
        assert_eq!(checker.due(), Some(Duration::from_secs(2)));
        for (at, code, verdict, status, streak, pause) in table {
            let now = Duration::from_secs(at);
            checker.started();
            assert_eq!(checker.due(), None);
            assert_eq!(checker.ended(now, result(code)), verdict, "at {at}");
            assert_eq!((checker.health().status.as_str(), checker.health().failing_streak), (status, streak));
            assert_eq!(checker.due(), Some(now + Duration::from_secs(pause)), "at {at}");
        }
        assert_eq!(checker.health().log.len(), 5);
    }

    #[test]
    fn the_startup_check_comes_first_and_may_fail_for_good() {
        let startup = StartupCheck {
            test: vec!["CMD".to_owned(), "up".to_owned()],
            interval: 3_000_000_000,
            retries: 3,
            success: 2,
            ..StartupCheck::default()
        };
        let with = HealthCheck { startup: Some(startup), start_period: 0, ..check(&["CMD", "x"]) };
        let mut checker = Checker::new(&with).expect("a check");
        let second = Duration::from_secs;
        assert_eq!((checker.due(), checker.argv()), (Some(second(3)), &["up".to_owned()][..]));
        for (at, code, due) in [(3, 1, 6), (6, 0, 9), (9, 0, 9)] {
            assert_eq!(checker.ended(second(at), result(code)), Verdict::Same);
            assert_eq!((checker.due(), checker.health().status.as_str()), (Some(second(due)), "starting"));
        }
        assert_eq!(checker.argv(), ["x"]);
        assert_eq!(checker.ended(second(10), result(0)), Verdict::Healthy);
        let mut checker = Checker::new(&with).expect("a check");
        let verdicts = [1, 2, 3].map(|at| checker.ended(second(at), result(1)));
        assert_eq!(verdicts, [Verdict::Same, Verdict::Same, Verdict::Failed]);
    }

    #[test]
    fn a_success_ends_the_start_period() {
        let mut checker = Checker::new(&check(&["CMD", "x"])).expect("a check");
        assert_eq!(checker.ended(Duration::from_secs(2), result(0)), Verdict::Healthy);
        assert_eq!(checker.due(), Some(Duration::from_secs(12)));
        assert_eq!(checker.ended(Duration::from_secs(12), result(1)), Verdict::Same);
        assert_eq!(checker.health().failing_streak, 1);
    }
}
