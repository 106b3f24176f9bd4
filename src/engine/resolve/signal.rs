//! Signals as users write them: `KILL`, `SIGKILL`, `9`, `SIGRTMIN+3`.

use crate::engine::error::{Error, Kind};

/// Linux signal names with their numbers (generic numbering: x86, arm, riscv).
const SIGNALS: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// First and last real-time signal as the C library counts them (two are its own).
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// The number of a signal.
///
/// # Errors
/// An unknown name, or a number outside 1 to 64.
pub fn parse(text: &str) -> Result<i32, Error> {
    number(text).ok_or_else(|| {
        Error::new(Kind::Invalid, format!("invalid signal: {text}"))
            .hint("a name such as TERM or SIGTERM, RTMIN+3, or a number from 1 to 64")
    })
}

fn number(text: &str) -> Option<i32> {
    if let Ok(n) = text.parse::<i32>() {
        return (1..=RTMAX).contains(&n).then_some(n);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, n)) = SIGNALS.iter().find(|(s, _)| *s == name) {
        return Some(*n);
    }
    let offset = |rest: &str, sign: char| -> Option<i32> {
        if rest.is_empty() { Some(0) } else { rest.strip_prefix(sign)?.parse().ok() }
    };
    let n = if let Some(rest) = name.strip_prefix("RTMIN") {
        RTMIN + offset(rest, '+')?
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        RTMAX - offset(rest, '-')?
    } else {
        return None;
    };
    (RTMIN..=RTMAX).contains(&n).then_some(n)
}

/// `SIGTERM` of 15; `SIGRTMIN+n` for real-time ones.
#[must_use]
pub fn name(number: i32) -> String {
    if let Some((name, _)) = SIGNALS.iter().find(|(_, n)| *n == number) {
        return format!("SIG{name}");
    }
    match number {
        RTMIN => "SIGRTMIN".to_owned(),
        n if (RTMIN..=RTMAX).contains(&n) => format!("SIGRTMIN+{}", n - RTMIN),
        n => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_real_time_signals() {
        for (text, want) in
            [("TERM", 15), ("sigterm", 15), ("9", 9), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("rtmin", 34)]
        {
            assert_eq!(parse(text).ok(), Some(want), "{text}");
        }
        for bad in ["", "0", "65", "FOO", "RTMIN+31", "RTMIN3", "-9"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(name(15), "SIGTERM");
        assert_eq!(name(37), "SIGRTMIN+3");
    }
}
