//! Go's `print` and `printf` over JSON values.

use serde_json::Value;

use super::eval::Val;
use super::funcs;

/// `print`: a space between two operands when neither is text.
pub(super) fn print(args: &[Val]) -> String {
    let mut out = String::new();
    let mut before_was_text = true;
    for (n, arg) in args.iter().enumerate() {
        let is_text = matches!(arg, Some(Value::String(_)));
        if n > 0 && !is_text && !before_was_text {
            out.push(' ');
        }
        out.push_str(&funcs::print(arg));
        before_was_text = is_text;
    }
    out
}

/// Flags, width and precision of one verb.
#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// `printf`: the verbs v s q d i x X o b c t f e g T and %%.
pub(super) fn printf(format: &str, args: &[Val]) -> String {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '0' | '+' | '#' | ' ')) {
            match flag {
                '-' => spec.left = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                _ => {}
            }
        }
        spec.width = digits(&mut chars, &mut args).unwrap_or(0);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(digits(&mut chars, &mut args).unwrap_or(0));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.next() {
                Some(arg) => out.push_str(&one(verb, arg, &spec)),
                None => out.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
    }
    let extra: Vec<String> = args.map(|a| format!("{}={}", go_type(a), funcs::print(a))).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn digits(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    args: &mut std::slice::Iter<'_, Val>,
) -> Option<usize> {
    if chars.next_if_eq(&'*').is_some() {
        let value = args.next()?.as_ref()?.as_u64()?;
        return usize::try_from(value).ok();
    }
    let mut text = String::new();
    while let Some(d) = chars.next_if(char::is_ascii_digit) {
        text.push(d);
    }
    // A width that would fill the memory is nobody's wish.
    text.parse().ok().map(|n: usize| n.min(10_000))
}

fn go_type(value: &Val) -> &'static str {
    match value {
        None | Some(Value::Null) => "<nil>",
        Some(Value::Bool(_)) => "bool",
        Some(Value::Number(n)) if n.is_f64() => "float64",
        Some(Value::Number(_)) => "int",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "[]interface {}",
        Some(Value::Object(_)) => "map[string]interface {}",
    }
}

fn one(verb: char, arg: &Val, spec: &Spec) -> String {
    let bad = || format!("%!{verb}({}={})", go_type(arg), funcs::print(arg));
    let integer = || arg.as_ref().and_then(|v| v.as_i64().or_else(|| v.as_f64().map(|f| f as i64)));
    let is_number = matches!(arg, Some(Value::Number(_)));
    let text = match verb {
        'v' => funcs::print(arg),
        's' if is_number || matches!(arg, Some(Value::Bool(_))) => bad(),
        's' => match spec.precision {
            Some(most) => funcs::print(arg).chars().take(most).collect(),
            None => funcs::print(arg),
        },
        'q' => match arg {
            Some(Value::String(s)) => Value::from(s.clone()).to_string(),
            Some(Value::Array(a)) => {
                let all: Vec<String> =
                    a.iter().map(|v| Value::from(funcs::print_value(v)).to_string()).collect();
                format!("[{}]", all.join(" "))
            }
            _ => bad(),
        },
        't' if matches!(arg, Some(Value::Bool(_))) => funcs::print(arg),
        'T' => go_type(arg).to_owned(),
        'd' | 'i' if is_number => integer().map_or_else(bad, |n| signed(n, spec)),
        'x' if is_number => {
            integer().map_or_else(bad, |n| format!("{}{n:x}", if spec.sharp { "0x" } else { "" }))
        }
        'X' if is_number => integer().map_or_else(bad, |n| format!("{n:X}")),
        'o' if is_number => integer().map_or_else(bad, |n| format!("{n:o}")),
        'b' if is_number => integer().map_or_else(bad, |n| format!("{n:b}")),
        'c' if is_number => {
            let c = integer().and_then(|n| u32::try_from(n).ok()).and_then(char::from_u32);
            c.map_or_else(bad, |c| c.to_string())
        }
        'x' => hex(arg).unwrap_or_else(bad),
        'f' | 'F' | 'e' | 'g' if is_number => {
            let value = arg.as_ref().and_then(Value::as_f64).unwrap_or_default();
            match verb {
                'e' => format!("{value:.*e}", spec.precision.unwrap_or(6)),
                'g' => value.to_string(),
                _ => format!("{value:.*}", spec.precision.unwrap_or(6)),
            }
        }
        _ => bad(),
    };
    pad(text, spec, is_number)
}

fn signed(n: i64, spec: &Spec) -> String {
    if spec.plus && n >= 0 { format!("+{n}") } else { n.to_string() }
}

fn hex(arg: &Val) -> Option<String> {
    match arg {
        Some(Value::String(s)) => Some(s.bytes().map(|b| format!("{b:02x}")).collect()),
        _ => None,
    }
}

fn pad(text: String, spec: &Spec, is_number: bool) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if spec.left {
        return format!("{text}{}", " ".repeat(missing));
    }
    if spec.zero && is_number {
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (&text[..1], digits),
            None => ("", text.as_str()),
        };
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    format!("{}{text}", " ".repeat(missing))
}
