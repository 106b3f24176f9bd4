//! The syntaxes of `--restart`, `--pull`, `--health-on-failure` and of signals.

use std::fmt;
use std::str::FromStr;

use super::{HealthAction, PullPolicy, RestartPolicy};
use crate::model::ParseError;

impl FromStr for RestartPolicy {
    type Err = ParseError;

    /// `no`, `always`, `unless-stopped`, `on-failure[:MAX]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: &str| Err(ParseError::new("restart policy", text, why));
        let (name, max) = match text.split_once(':') {
            Some((name, max)) => (name, Some(max)),
            None => (text, None),
        };
        let policy = match (name, max) {
            ("" | "no", None) => Self::No,
            ("always", None) => Self::Always,
            ("unless-stopped", None) => Self::UnlessStopped,
            ("on-failure", None | Some("")) => Self::OnFailure { max: 0 },
            ("on-failure", Some(max)) => match max.parse() {
                Ok(max) => Self::OnFailure { max },
                Err(_) if max.parse::<i64>().is_ok_and(|n| n < 0) => {
                    return bad("maximum retry count cannot be negative");
                }
                Err(_) => return bad("maximum retry count must be an integer"),
            },
            ("no" | "always" | "unless-stopped", Some(_)) => {
                return bad("maximum retry count can only be used with 'on-failure'");
            }
            _ => return bad("want no, on-failure[:MAX], always or unless-stopped"),
        };
        Ok(policy)
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::OnFailure { max: 0 } => f.write_str("on-failure"),
            Self::OnFailure { max } => write!(f, "on-failure:{max}"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
        }
    }
}

impl FromStr for PullPolicy {
    type Err = ParseError;

    /// `always`, `missing`, `never`, `newer`; podman's `true` and `false` are `always` and `missing`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "always" | "true" => Ok(Self::Always),
            "missing" | "ifnotpresent" | "false" | "" => Ok(Self::Missing),
            "never" => Ok(Self::Never),
            "newer" | "ifnewer" => Ok(Self::Newer),
            _ => Err(ParseError::new("pull option", text, "want always, missing, never or newer")),
        }
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Always => "always",
            Self::Never => "never",
            Self::Newer => "newer",
        })
    }
}

impl FromStr for HealthAction {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" | "" => Ok(Self::None),
            "kill" => Ok(Self::Kill),
            "restart" => Ok(Self::Restart),
            "stop" => Ok(Self::Stop),
            _ => Err(ParseError::new("on-failure action", text, "want none, kill, restart or stop")),
        }
    }
}

impl fmt::Display for HealthAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Stop => "stop",
        })
    }
}

/// Signals 1 to 31 of Linux on x86-64 and arm64, in order.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
/// First and last real-time signal that programs may use.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// A signal's number from its name (`TERM`, `sigterm`, `RTMIN+3`) or number.
///
/// # Errors
/// There is no such signal.
pub fn parse_signal(text: &str) -> Result<i32, ParseError> {
    let bad = || ParseError::new("signal", text, "there is no such signal");
    // podman's habit of hands: kill -s -9.
    let text = text.strip_prefix('-').unwrap_or(text);
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=RTMAX).contains(&number) { Ok(number) } else { Err(bad()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |tail: &str, sign: char| match tail {
        "" => Some(0),
        _ => tail.strip_prefix(sign).and_then(|n| n.parse::<i32>().ok()).filter(|n| (0..=30).contains(n)),
    };
    if let Some(tail) = name.strip_prefix("RTMIN") {
        return offset(tail, '+').map(|n| RTMIN + n).ok_or_else(bad);
    }
    if let Some(tail) = name.strip_prefix("RTMAX") {
        return offset(tail, '-').map(|n| RTMAX - n).ok_or_else(bad);
    }
    let name = match name {
        "CLD" => "CHLD",
        "IOT" => "ABRT",
        "POLL" => "IO",
        other => other,
    };
    let at = SIGNALS.iter().position(|s| *s == name).ok_or_else(bad)?;
    i32::try_from(at + 1).map_err(|_| bad())
}

/// `SIGTERM` for 15; the number itself where it has no name.
#[must_use]
pub fn signal_name(number: i32) -> String {
    let index = usize::try_from(number - 1).ok();
    match index.and_then(|i| SIGNALS.get(i)) {
        Some(name) => format!("SIG{name}"),
        None if number == RTMIN => "SIGRTMIN".to_owned(),
        None if (RTMIN..=RTMAX).contains(&number) => format!("SIGRTMIN+{}", number - RTMIN),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_policies() {
        for (text, want) in [
            ("no", RestartPolicy::No),
            ("", RestartPolicy::No),
            ("always", RestartPolicy::Always),
            ("unless-stopped", RestartPolicy::UnlessStopped),
            ("on-failure", RestartPolicy::OnFailure { max: 0 }),
            ("on-failure:5", RestartPolicy::OnFailure { max: 5 }),
        ] {
            assert_eq!(text.parse(), Ok(want), "{text}");
        }
        for text in ["foo", "always:1", "on-failure:x", "on-failure:-1", "no:1"] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
        assert_eq!(RestartPolicy::OnFailure { max: 5 }.to_string(), "on-failure:5");
    }

    #[test]
    fn signals_by_name_and_number() {
        for (text, want) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("9", 9),
            ("-9", 9),
            ("HUP", 1),
            ("SYS", 31),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("64", 64),
        ] {
            assert_eq!(parse_signal(text), Ok(want), "{text}");
        }
        for text in ["", "0", "65", "-0", "FOO", "RTMIN+99", "RTMIN-1"] {
            assert!(parse_signal(text).is_err(), "{text}");
        }
        assert_eq!(signal_name(15), "SIGTERM");
        assert_eq!(signal_name(37), "SIGRTMIN+3");
    }
}
