//! Which failures are worth another try, and after which pause. Pure but for the clock's jitter.

use std::time::{Duration, SystemTime};

use crate::model::create::RegistryOptions;

/// Tries after the first, as podman has it.
const DEFAULT_RETRIES: u32 = 3;

/// First pause; doubled each time.
const FIRST: Duration = Duration::from_millis(500);

/// Longest pause of our own choice.
const LONGEST: Duration = Duration::from_secs(20);

/// A registry that wants us to wait longer is not waited for.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// How often and how patiently.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    /// Tries after the first.
    pub(crate) count: u32,
    /// Fixed pause, from `--retry-delay`.
    pub(crate) delay: Option<Duration>,
    /// The user asked for retries: then also what rarely passes (connection refused) is tried again.
    pub(crate) asked: bool,
}

impl Retry {
    /// As the command line says.
    pub(crate) fn new(options: &RegistryOptions) -> Self {
        Self {
            count: options.retry.unwrap_or(DEFAULT_RETRIES),
            delay: options.retry_delay.map(Duration::from_secs),
            asked: options.retry.is_some(),
        }
    }

    /// The pause before try `n` (1 is the first repetition); `asked` is the registry's Retry-After. `None`: give up.
    pub(crate) fn pause(&self, n: u32, asked: Option<Duration>) -> Option<Duration> {
        if n > self.count || asked.is_some_and(|a| a > LONGEST_ASKED) {
            return None;
        }
        let own = self.delay.unwrap_or_else(|| jittered((FIRST * 2u32.pow(n.min(8) - 1)).min(LONGEST)));
        Some(asked.map_or(own, |a| a.max(if self.delay.is_some() { own } else { Duration::ZERO })))
    }
}

/// Between half and all of it, so that many clients do not come back together.
fn jittered(d: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.subsec_nanos());
    let share = f64::from((nanos ^ std::process::id().wrapping_mul(2_654_435_761)) % 1024) / 1024.0;
    d.mul_f64(0.5 + share / 2.0)
}

/// HTTP statuses that may pass.
pub(crate) fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let r = Retry { count: 3, delay: None, asked: false };
        for (n, max) in [(1, 500), (2, 1000), (3, 2000)] {
            let p = r.pause(n, None).unwrap();
            assert!(p <= Duration::from_millis(max) && p >= Duration::from_millis(max / 2), "{n}: {p:?}");
        }
        assert_eq!(r.pause(4, None), None);
        assert_eq!(r.pause(1, Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(r.pause(1, Some(Duration::from_secs(3600))), None);
        let fixed = Retry { count: 100, delay: Some(Duration::from_secs(2)), asked: true };
        assert_eq!(fixed.pause(99, None), Some(Duration::from_secs(2)));
        assert_eq!(fixed.pause(1, Some(Duration::ZERO)), Some(Duration::from_secs(2)));
        assert_eq!(Retry { count: 0, ..r }.pause(1, None), None);
    }

    #[test]
    fn retry_after_has_two_forms() {
        let now: jiff::Timestamp = "2015-10-21T07:28:00Z".parse().unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
