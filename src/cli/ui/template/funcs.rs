//! The functions of templates, truth, and how values are printed.

use std::cmp::Ordering;

use serde_json::Value;

use super::eval::Val;
use super::{TemplateError, printf};

const KNOWN: [&str; 28] = [
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "eq", "ne", "lt", "le", "gt",
    "ge", "json", "join", "split", "lower", "upper", "title", "truncate", "pad", "html", "js", "urlquery",
    "trim", "replace",
];

/// Whether there is such a function.
pub(super) fn known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// Whether it only changes the looks of its argument, so that a title passes through it.
pub(super) fn formats(name: &str) -> bool {
    matches!(
        name,
        "json"
            | "join"
            | "split"
            | "lower"
            | "upper"
            | "title"
            | "truncate"
            | "pad"
            | "html"
            | "js"
            | "urlquery"
            | "trim"
            | "replace"
            | "println"
            | "slice"
    )
}

pub(super) fn call(name: &str, args: Vec<Val>) -> Result<Val, TemplateError> {
    let wrong = |want: &str| TemplateError::run(format!("wrong number of args for {name}: want {want}"));
    let text = |i: usize| args.get(i).map(print).ok_or_else(|| wrong("more"));
    Ok(Some(match name {
        "not" => Value::Bool(!truth(args.first().ok_or_else(|| wrong("1"))?)),
        "len" => length(args.first().ok_or_else(|| wrong("1"))?)?,
        "index" => return index(args),
        "slice" => return slice(args),
        "print" => printf::print(&args).into(),
        "println" => format!("{}\n", args.iter().map(print).collect::<Vec<_>>().join(" ")).into(),
        "printf" => printf::printf(&text(0)?, &args[1..]).into(),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => Value::Bool(compare(name, &args)?),
        "json" => json(args.first().ok_or_else(|| wrong("1"))?).into(),
        "join" => join(args.first().ok_or_else(|| wrong("2"))?, &text(1)?)?,
        "split" => {
            let (all, separator) = (text(0)?, text(1)?);
            let parts = |s: &str| -> Vec<Value> {
                match separator.is_empty() {
                    true => s.chars().map(|c| c.to_string().into()).collect(),
                    false => s.split(separator.as_str()).map(Value::from).collect(),
                }
            };
            Value::Array(parts(&all))
        }
        "lower" => text(0)?.to_lowercase().into(),
        "upper" => text(0)?.to_uppercase().into(),
        "trim" => text(0)?.trim().into(),
        "replace" => text(2)?.replace(&text(0)?, &text(1)?).into(),
        "title" => title(&text(0)?).into(),
        "truncate" => {
            let most = number(args.get(1), &wrong("2"))?;
            text(0)?.chars().take(most).collect::<String>().into()
        }
        "pad" => {
            let (before, after) = (number(args.get(1), &wrong("3"))?, number(args.get(2), &wrong("3"))?);
            let all = text(0)?;
            let padded = format!("{}{all}{}", " ".repeat(before), " ".repeat(after));
            Value::from(if all.is_empty() { all } else { padded })
        }
        "html" => escape_html(&args.iter().map(print).collect::<String>()).into(),
        "js" => json_text(&args.iter().map(print).collect::<String>()).into(),
        "urlquery" => percent(&args.iter().map(print).collect::<String>()).into(),
        _ => return Err(TemplateError::run(format!("function {name:?} not defined"))),
    }))
}

fn number(value: Option<&Val>, wrong: &TemplateError) -> Result<usize, TemplateError> {
    match value {
        Some(Some(Value::Number(n))) => Ok(usize::try_from(n.as_u64().unwrap_or(0)).unwrap_or(0)),
        _ => Err(wrong.clone()),
    }
}

/// Go's truth: not false, 0, nil or empty.
pub(super) fn truth(value: &Val) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(b)) => *b,
        Some(Value::Number(n)) => n.as_f64() != Some(0.0),
        Some(Value::String(s)) => !s.is_empty(),
        Some(Value::Array(a)) => !a.is_empty(),
        Some(Value::Object(o)) => !o.is_empty(),
    }
}

/// Nanoseconds as Go's `time.Duration` prints itself: `1m30s`, `1.5s`, `200ms`, `0s`.
pub(super) fn go_duration(nanoseconds: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let fraction = |whole: u64, rest: u64, width: usize| match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{}", format!("{rest:0width$}").trim_end_matches('0')),
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        n if n < 1_000 => format!("{n}ns"),
        n if n < 1_000_000 => format!("{}µs", fraction(n / 1_000, n % 1_000, 3)),
        n if n < SECOND => format!("{}ms", fraction(n / 1_000_000, n % 1_000_000, 6)),
        n => {
            let (seconds, rest) = (n / SECOND, n % SECOND);
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let seconds = fraction(seconds % 60, rest, 9);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, m) => format!("{m}m{seconds}s"),
                (h, m) => format!("{h}h{m}m{seconds}s"),
            }
        }
    }
}

/// A value as Go's `fmt` prints it.
pub(super) fn print(value: &Val) -> String {
    value.as_ref().map_or_else(|| "<no value>".to_owned(), print_value)
}

pub(super) fn print_value(value: &Value) -> String {
    match value {
        // JSON does not tell a nil list from a nil pointer; docker's are nearly always lists.
        Value::Null => "[]".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => match n.as_f64() {
            Some(f) if n.is_f64() => float(f),
            _ => n.to_string(),
        },
        Value::String(s) => s.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(print_value).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            if let Some(names) = structure(map) {
                let fields = names.iter().map(|name| map.get(*name).map(print_value).unwrap_or_default());
                return format!("{{{}}}", fields.collect::<Vec<_>>().join(" "));
            }
            let mut all: Vec<(&String, &Value)> = map.iter().collect();
            all.sort_by_key(|(k, _)| *k);
            // The values of docker's sets (ports, volumes) are empty structs, which Go prints as braces.
            let element = |k: &String, v: &Value| match v {
                Value::Object(o) if o.is_empty() && k.contains('/') => "{}".to_owned(),
                other => print_value(other),
            };
            let fields: Vec<String> =
                all.into_iter().map(|(k, v)| format!("{k}:{}", element(k, v))).collect();
            format!("map[{}]", fields.join(" "))
        }
    }
}

/// The fields of docker's small structures that people print whole, in its order: Go writes a structure without the
/// names, and JSON does not tell one from a map.
fn structure(map: &serde_json::Map<String, Value>) -> Option<&'static [&'static str]> {
    const MOUNT: [&str; 8] = ["Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation"];
    // The fields by which each is known, and all.
    const ALL: [(&[&str], &[&str]); 4] = [
        (&["Name", "MaximumRetryCount"], &["Name", "MaximumRetryCount"]),
        (&["HostIp", "HostPort"], &["HostIp", "HostPort"]),
        (&["Destination", "RW"], &MOUNT),
        (&["Type", "Config"], &["Type", "Config"]),
    ];
    let known = |marks: &[&str]| marks.iter().all(|mark| map.contains_key(*mark));
    ALL.iter().find(|(marks, _)| known(marks)).map(|(_, fields)| *fields)
}

fn float(f: f64) -> String {
    if f != 0.0 && (f.abs() < 1e-4 || f.abs() >= 1e21) {
        let text = format!("{f:e}");
        // Go writes two digits of exponent at least.
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    f.to_string()
}

/// What kind of value it is, for errors.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "type bool",
        Value::Number(_) => "type number",
        Value::String(_) => "type string",
        Value::Array(_) => "type list",
        Value::Object(_) => "type map",
    }
}

fn json(value: &Val) -> String {
    value.as_ref().unwrap_or(&Value::Null).to_string()
}

fn json_text(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].replace('\'', "\\'")
}

fn length(value: &Val) -> Result<Value, TemplateError> {
    Ok(match value {
        Some(Value::String(s)) => s.len().into(),
        Some(Value::Array(a)) => a.len().into(),
        Some(Value::Object(o)) => o.len().into(),
        None | Some(Value::Null) => 0.into(),
        Some(other) => return Err(TemplateError::run(format!("len of {}", type_name(other)))),
    })
}

fn index(args: Vec<Val>) -> Result<Val, TemplateError> {
    let mut args = args.into_iter();
    let mut value = args.next().ok_or_else(|| TemplateError::run("wrong number of args for index"))?;
    for key in args {
        value = match (value, key) {
            (Some(Value::Object(mut map)), Some(Value::String(key))) => match map.remove(&key) {
                Some(found) => Some(found),
                // A missing key of a map of texts is the empty text.
                None if map.values().all(Value::is_string) => Some("".into()),
                None => None,
            },
            (Some(Value::Array(list)), Some(Value::Number(n))) => {
                let at = n.as_u64().and_then(|n| usize::try_from(n).ok());
                match at.and_then(|at| list.get(at)) {
                    Some(found) => Some(found.clone()),
                    None => {
                        return Err(TemplateError::run(format!(
                            "error calling index: index out of range: {n}"
                        )));
                    }
                }
            }
            (Some(Value::String(s)), Some(Value::Number(n))) => {
                let at = n.as_u64().and_then(|n| usize::try_from(n).ok());
                match at.and_then(|at| s.as_bytes().get(at)) {
                    Some(byte) => Some(Value::from(*byte)),
                    None => {
                        return Err(TemplateError::run(format!(
                            "error calling index: index out of range: {n}"
                        )));
                    }
                }
            }
            (None | Some(Value::Null), _) => {
                return Err(TemplateError::run("error calling index: index of untyped nil"));
            }
            (Some(value), key) => {
                return Err(TemplateError::run(format!(
                    "error calling index: can't index {} with {}",
                    type_name(&value),
                    print(&key)
                )));
            }
        };
    }
    Ok(value)
}

fn slice(args: Vec<Val>) -> Result<Val, TemplateError> {
    let bad = || TemplateError::run("error calling slice: index out of range");
    let mut bounds = Vec::new();
    for arg in &args[1.min(args.len())..] {
        match arg {
            Some(Value::Number(n)) => {
                bounds.push(n.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(bad)?);
            }
            _ => return Err(TemplateError::run("error calling slice: bounds must be numbers")),
        }
    }
    let range = |len: usize| -> Result<std::ops::Range<usize>, TemplateError> {
        let (from, to) = (bounds.first().copied().unwrap_or(0), bounds.get(1).copied().unwrap_or(len));
        if from <= to && to <= len { Ok(from..to) } else { Err(bad()) }
    };
    match args.into_iter().next() {
        Some(Some(Value::String(s))) => Ok(Some(s.get(range(s.len())?).ok_or_else(bad)?.into())),
        Some(Some(Value::Array(a))) => Ok(Some(Value::Array(a[range(a.len())?].to_vec()))),
        _ => Err(TemplateError::run("error calling slice: can't slice this value")),
    }
}

fn join(list: &Val, separator: &str) -> Result<Value, TemplateError> {
    match list {
        Some(Value::Array(items)) => {
            Ok(items.iter().map(print_value).collect::<Vec<_>>().join(separator).into())
        }
        None | Some(Value::Null) => Ok("".into()),
        Some(Value::String(s)) => Ok(s.clone().into()),
        Some(other) => {
            Err(TemplateError::run(format!("error calling join: {} is no list", type_name(other))))
        }
    }
}

fn compare(name: &str, args: &[Val]) -> Result<bool, TemplateError> {
    let (first, others) =
        args.split_first().ok_or_else(|| TemplateError::run("missing argument for comparison"))?;
    if others.is_empty() {
        return Err(TemplateError::run("missing argument for comparison"));
    }
    if name == "eq" {
        for other in others {
            if equal(first, other)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let other = &others[0];
    if name == "ne" {
        return Ok(!equal(first, other)?);
    }
    let order = match (first, other) {
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Number(a)), Some(Value::Number(b))) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        },
        _ => return Err(incompatible(name)),
    };
    Ok(match name {
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        "gt" => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn incompatible(name: &str) -> TemplateError {
    TemplateError::run(format!("error calling {name}: incompatible types for comparison"))
}

fn equal(a: &Val, b: &Val) -> Result<bool, TemplateError> {
    match (a, b) {
        (None | Some(Value::Null), None | Some(Value::Null)) => Ok(true),
        (None | Some(Value::Null), _) | (_, None | Some(Value::Null)) => Ok(false),
        (Some(Value::Number(a)), Some(Value::Number(b))) => Ok(a.as_f64() == b.as_f64()),
        (Some(a), Some(b)) if std::mem::discriminant(a) == std::mem::discriminant(b) => Ok(a == b),
        _ => Err(incompatible("eq")),
    }
}

/// The first letter of each word upper case.
fn title(text: &str) -> String {
    let mut start = true;
    let up = |c: char| {
        let out: String = if start { c.to_uppercase().collect() } else { c.to_string() };
        start = !c.is_alphanumeric() && c != '_';
        out
    };
    text.chars().map(up).collect()
}

fn escape_html(text: &str) -> String {
    let escape = |c: char| match c {
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        '"' => "&#34;".to_owned(),
        '\'' => "&#39;".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

fn percent(text: &str) -> String {
    let escape = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
        b' ' => "+".to_owned(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(escape).collect()
}
