//! A JSON value as YAML, in the block style that podman prints: keys sorted, lists at the depth of their key. Text that
//! would be read as something else is quoted as JSON quotes it, which YAML reads too.

use std::fmt::Write as _;

use serde_json::Value;

/// The document, each line ended.
pub fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => object(&mut out, 0, value, ""),
        Value::Array(list) if !list.is_empty() => array(&mut out, 0, list),
        other => out = scalar(other),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// `first` stands before the first key instead of the indentation: an object in a list.
fn object(out: &mut String, depth: usize, value: &Value, first: &str) {
    let Some(map) = value.as_object() else { return };
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort();
    for (n, key) in keys.into_iter().enumerate() {
        match (n, first) {
            (0, first) if !first.is_empty() => out.push_str(first),
            _ => indent(out, depth),
        }
        out.push_str(&text(key));
        out.push(':');
        member(out, depth, &map[key]);
    }
}

fn member(out: &mut String, depth: usize, value: &Value) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            object(out, depth + 1, value, "");
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            array(out, depth, list);
        }
        other => {
            // Writing to a String cannot fail.
            let _ok = writeln!(out, " {}", scalar(other));
        }
    }
}

fn array(out: &mut String, depth: usize, list: &[Value]) {
    for item in list {
        match item {
            Value::Object(map) if !map.is_empty() => {
                let first = format!("{}- ", "  ".repeat(depth));
                object(out, depth + 1, item, &first);
            }
            Value::Array(inner) if !inner.is_empty() => {
                indent(out, depth);
                out.push_str("-\n");
                array(out, depth + 1, inner);
            }
            other => {
                indent(out, depth);
                let _ok = writeln!(out, "- {}", scalar(other));
            }
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    (0..depth).for_each(|_| out.push_str("  "));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => text(s),
        other => other.to_string(),
    }
}

/// Text as it is where it can only be read as text.
fn text(s: &str) -> String {
    let starts = s.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '_' | '.'));
    let plain = s.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    let ends = !s.ends_with([' ', ':']) && !s.contains(": ") && !s.contains(" #");
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let word = words.contains(&s.to_ascii_lowercase().as_str());
    let number = s.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit())
        || [".nan", ".inf"].contains(&&*s.to_ascii_lowercase());
    if starts && plain && ends && !word && !number { s.to_owned() } else { Value::from(s).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_as_podman_prints_them() {
        let value = json!({
            "b": { "list": ["x", 1, { "k": "v", "deep": { "a": true } }], "none": [], "map": {} },
            "a": null,
            "text": ["", "yes", "12", "a: b", "/path", "-x", "häh", "1.5 GB", ".5"],
        });
        let wanted = "a: null\nb:\n  list:\n  - x\n  - 1\n  - deep:\n      a: true\n    k: v\n  map: {}\n  none: []\ntext:\n\
             - \"\"\n- \"yes\"\n- \"12\"\n- \"a: b\"\n- /path\n- \"-x\"\n- \"häh\"\n- \"1.5 GB\"\n- \".5\"\n";
        assert_eq!(document(&value), wanted);
        assert_eq!(document(&json!([{ "a": 1, "b": [2] }])), "- a: 1\n  b:\n  - 2\n");
    }
}
