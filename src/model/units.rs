//! Quantities as docker writes them: byte sizes (`64m`), CPUs (`0.5`), durations (`1m30s`), points in time
//! (`10m`, `2026-11-21T10:00:00Z`), and their human forms in listings (`1.2GB`, `3 minutes ago`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ParseError;

mod time;
pub use time::{human_duration, parse_duration, parse_timestamp};

/// A number of bytes. Parsed from docker's `b k m g t` forms (powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

/// CPUs in billionths (docker's NanoCpus): `--cpus 0.5` is 500,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoCpus(pub u64);

impl FromStr for ByteSize {
    type Err = ParseError;

    /// `[0-9.]+[ ][bkmgtp][i][b]`, case-insensitive, powers of 1024.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_size(text, 1024).map(Self)
    }
}

/// A size in powers of 1000: docker and podman count the limits of log files so (`max-size=10m`), unlike all others.
///
/// # Errors
/// Not a size, or one too large.
pub fn parse_decimal_size(text: &str) -> Result<u64, ParseError> {
    parse_size(text, 1000)
}

fn parse_size(text: &str, base: u64) -> Result<u64, ParseError> {
    let bad = || ParseError::new("size", text, "want a number and, if need be, a unit: b, k, m, g, t or p");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let (letter, rest) = match unit.chars().next() {
        Some(c) => (c, &unit[c.len_utf8()..]),
        None => ('b', ""),
    };
    let power = "bkmgtp".find(letter).ok_or_else(bad)?;
    let long_ok = if letter == 'b' { rest.is_empty() } else { matches!(rest, "" | "b" | "ib") };
    if !long_ok || number.is_empty() {
        return Err(bad());
    }
    let factor = base.pow(u32::try_from(power).expect("the unit list has six letters"));
    if let Ok(whole) = number.parse::<u64>() {
        return whole
            .checked_mul(factor)
            .filter(|n| i64::try_from(*n).is_ok())
            .ok_or_else(|| ParseError::new("size", text, "it is too large"));
    }
    let value = number.parse::<f64>().map_err(|_| bad())? * factor as f64;
    if value >= i64::MAX as f64 {
        return Err(ParseError::new("size", text, "it is too large"));
    }
    Ok(value as u64)
}

impl fmt::Display for ByteSize {
    /// The shortest text that parses back to it: `64m`, `1536k`, `17`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0;
        let mut unit = 0;
        while value > 0 && value.is_multiple_of(1024) && unit < 5 {
            value /= 1024;
            unit += 1;
        }
        match unit {
            0 => write!(f, "{value}"),
            _ => write!(f, "{value}{}", &"bkmgtp"[unit..=unit]),
        }
    }
}

impl FromStr for NanoCpus {
    type Err = ParseError;

    /// A decimal number with at most nine places.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: &str| Err(ParseError::new("number of CPUs", text, why));
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && places.is_empty()) || !digits(whole) || !digits(places) {
            return bad("want a decimal number such as 1.5");
        }
        if places.len() > 9 {
            return bad("value is too precise");
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
        let nanos: u64 = format!("{places:0<9}").parse().unwrap_or(u64::MAX);
        match whole.checked_mul(1_000_000_000).and_then(|n| n.checked_add(nanos)) {
            Some(n) if i64::try_from(n).is_ok() => Ok(Self(n)),
            _ => bad("it is too large"),
        }
    }
}

impl fmt::Display for NanoCpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{nanos:09}").trim_end_matches('0'))
    }
}

/// `--memory-swap`: a size, or -1 for no limit.
///
/// # Errors
/// Neither a size nor -1.
pub fn parse_swap(text: &str) -> Result<i64, ParseError> {
    if text == "-1" {
        return Ok(-1);
    }
    let bytes = text.parse::<ByteSize>()?.0;
    i64::try_from(bytes).map_err(|_| ParseError::new("size", text, "it is too large"))
}

/// A size in powers of 1000 as `images` and `ps -s` show it: three digits, `187MB`, `1.09kB`.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

/// A size in powers of 1000 with four digits, as `stats` and pull progress show it: `12.34MB`.
#[must_use]
pub fn human_size_fine(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 4)
}

/// A size in powers of 1024 with four digits, as `stats` shows memory: `7.613GiB`.
#[must_use]
pub fn binary_size(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

/// Divides by `base` until it is small, then writes `digits` significant digits without trailing zeros.
fn scaled(mut value: f64, base: f64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let mut text = significant(value, digits);
    // Rounding may reach the next unit: 999.9kB is 1MB.
    if text.parse::<f64>().is_ok_and(|v| v >= base) && unit + 1 < units.len() {
        unit += 1;
        text = significant(value / base, digits);
    }
    format!("{text}{}", units[unit])
}

fn significant(value: f64, digits: usize) -> String {
    let before = if value < 1.0 { 1 } else { (value.log10().floor() as usize) + 1 };
    let text = format!("{value:.*}", digits.saturating_sub(before));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_as_docker_parses_them() {
        let ok = [
            ("0", 0),
            ("17", 17),
            ("17b", 17),
            ("64m", 64 << 20),
            ("64M", 64 << 20),
            ("64mb", 64 << 20),
            ("64MiB", 64 << 20),
            ("64 MB", 64 << 20),
            ("1.5g", 3 << 29),
            ("2t", 2 << 40),
            ("1p", 1 << 50),
            ("32.5kB", 33280),
        ];
        for (text, bytes) in ok {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "k", "foo", "-1", "64x", "64bb", "64mib2", "1.2.3", "64  m", "999999p"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_print_what_parses_back() {
        for n in [0, 17, 1024, 1536, 64 << 20, 3 << 29, 1 << 60] {
            assert_eq!(ByteSize(n).to_string().parse(), Ok(ByteSize(n)));
        }
        assert_eq!(ByteSize(64 << 20).to_string(), "64m");
    }

    #[test]
    fn cpus_are_decimal_with_nine_places() {
        assert_eq!("0.5".parse(), Ok(NanoCpus(500_000_000)));
        assert_eq!(".25".parse(), Ok(NanoCpus(250_000_000)));
        assert_eq!("2".parse(), Ok(NanoCpus(2_000_000_000)));
        assert_eq!(NanoCpus(1_500_000_000).to_string(), "1.5");
        for text in ["", ".", "-1", "a", "1.1234567891", "99999999999999"] {
            assert!(text.parse::<NanoCpus>().is_err(), "{text}");
        }
    }

    #[test]
    fn human_sizes_have_dockers_digits() {
        assert_eq!(human_size(0), "0B");
        assert_eq!(human_size(999), "999B");
        assert_eq!(human_size(1090), "1.09kB");
        assert_eq!(human_size(187_400_000), "187MB");
        assert_eq!(human_size(999_999), "1MB");
        assert_eq!(human_size_fine(12_345_678), "12.35MB");
        assert_eq!(binary_size(8_174_000_000), "7.613GiB");
        assert_eq!(binary_size(64 << 20), "64MiB");
    }
}
