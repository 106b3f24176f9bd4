//! Durations in Go's grammar, human durations in docker's words, and points in time as `--since` takes them.

use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::ParseError;

/// Go's duration grammar, without sign: `300ms`, `1.5h`, `2h45m`; `0` needs no unit.
///
/// # Errors
/// The text is no duration, or larger than 292 years.
pub fn parse_duration(text: &str) -> Result<Duration, ParseError> {
    let bad = |why: &str| ParseError::new("duration", text, why);
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(bad("want a number with a unit, for example 1m30s"));
    }
    if text.starts_with('-') {
        return Err(bad("it must not be negative"));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanos = 0.0_f64;
    let mut exact = 0_u128;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let factor: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(bad("a unit is missing: ns, us, ms, s, m or h")),
            other => return Err(bad(&format!("unknown unit {other:?}: want ns, us, ms, s, m or h"))),
        };
        match number.parse::<u64>() {
            Ok(n) => exact += u128::from(n) * u128::from(factor),
            Err(_) => {
                let n: f64 =
                    number.parse().map_err(|_| bad("want a number with a unit, for example 1m30s"))?;
                nanos += n * factor as f64;
            }
        }
        rest = tail;
    }
    let total = exact + nanos.round() as u128;
    match u64::try_from(total) {
        Ok(n) if i64::try_from(n).is_ok() => Ok(Duration::from_nanos(n)),
        _ => Err(bad("it is too long")),
    }
}

/// A duration as listings show it: "Less than a second", "3 minutes", "About an hour", "5 weeks".
#[must_use]
pub fn human_duration(d: Duration) -> String {
    let seconds = d.as_secs();
    let minutes = seconds / 60;
    // Hours are rounded to the nearest, as docker's.
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (s, ..) if s < 60 => format!("{s} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, m, _) if m < 60 => format!("{m} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., h) if h < 48 => format!("{h} hours"),
        (.., h) if h < 24 * 7 * 2 => format!("{} days", h / 24),
        (.., h) if h < 24 * 30 * 2 => format!("{} weeks", h / 24 / 7),
        (.., h) if h < 24 * 365 * 2 => format!("{} months", h / 24 / 30),
        (.., h) => format!("{} years", h / 24 / 365),
    }
}

/// A point in time as `--since`, `--until` and the `until` filter take it: a duration before `now` (`10m`),
/// seconds since 1970 with a fraction, RFC 3339, or a date with as many parts as you like; a date without zone
/// is in `zone`.
///
/// # Errors
/// The text is none of these.
pub fn parse_timestamp(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, ParseError> {
    let bad = || {
        ParseError::new(
            "time",
            text,
            "want RFC 3339 (2026-11-21T10:00:00Z), seconds since 1970, or a duration such as 10m",
        )
    };
    if let Some(t) = unix_seconds(text) {
        return t.ok_or_else(bad);
    }
    // As in Go, a negative duration is one ahead.
    if let Some(Ok(d)) = text.strip_prefix('-').map(parse_duration) {
        let ahead = SignedDuration::try_from(d).map_err(|_| bad())?;
        return now.checked_add(ahead).map_err(|_| bad());
    }
    if let Ok(d) = parse_duration(text) {
        let ago = SignedDuration::try_from(d).map_err(|_| bad())?;
        return now.checked_sub(ago).map_err(|_| bad());
    }
    if let Ok(t) = text.parse::<Timestamp>() {
        return Ok(t);
    }
    // `2026-11-21T10Z` and the like: split the zone off, fill the time up.
    let (local, zone) = match text.strip_suffix('Z') {
        Some(local) => (local, &TimeZone::UTC),
        None => (text, zone),
    };
    civil_time(local).and_then(|at| zone.to_timestamp(at).ok()).ok_or_else(bad)
}

/// `None` if the text is no number at all, `Some(None)` if it is one out of range.
fn unix_seconds(text: &str) -> Option<Option<Timestamp>> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(places) || places.len() > 9 {
        return None;
    }
    let nanos: i32 = format!("{places:0<9}").parse().unwrap_or(0);
    // What is beyond the last of our days is that day: whoever asks means "ever".
    Some(whole.parse().ok().map(|s| Timestamp::new(s, nanos).unwrap_or(Timestamp::MAX)))
}

/// `2026-11-21`, `2026-11-21T10`, `…T10:05`, `…T10:05:07.5`.
fn civil_time(text: &str) -> Option<civil::DateTime> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((d, t)) => (d, t),
        None => (text, ""),
    };
    let date: civil::Date = date.parse().ok()?;
    if time.is_empty() {
        return Some(date.at(0, 0, 0, 0));
    }
    let full = match time.len() {
        2 => format!("{time}:00:00"),
        5 => format!("{time}:00"),
        _ => time.to_owned(),
    };
    let time: civil::Time = full.parse().ok()?;
    Some(date.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_gos_grammar() {
        let ok = [
            ("0", 0),
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("2h45m", 9_900_000_000_000),
            ("1m30s", 90_000_000_000),
            ("10us", 10_000),
            ("+5s", 5_000_000_000),
        ];
        for (text, nanos) in ok {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["", "5", "-5s", "1d", "s", "1..5s", "99999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn human_durations_are_dockers_words() {
        let words = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (180, "3 minutes"),
            (3600, "About an hour"),
            (2 * 3600, "2 hours"),
            (47 * 3600, "47 hours"),
            (49 * 3600, "2 days"),
            (15 * 86400, "2 weeks"),
            (70 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ];
        for (seconds, text) in words {
            assert_eq!(human_duration(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }

    #[test]
    fn times_are_relative_unix_or_dates() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a valid time");
        let at = |text| parse_timestamp(text, now, &TimeZone::UTC).map(|t| t.to_string());
        for (text, want) in [
            ("10m", "2026-11-21T11:50:00Z"),
            ("-10m", "2026-11-21T12:10:00Z"),
            ("1795262400", "2026-11-21T12:00:00Z"),
            ("1795262400.5", "2026-11-21T12:00:00.5Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20T10", "2026-11-20T10:00:00Z"),
            ("2026-11-20T10:05Z", "2026-11-20T10:05:00Z"),
            ("2026-11-20T10:05:06.25", "2026-11-20T10:05:06.25Z"),
            ("2026-11-20T10:05:06+02:00", "2026-11-20T08:05:06Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(want), "{text}");
        }
        assert!(at("yesterday").is_err());
    }
}
