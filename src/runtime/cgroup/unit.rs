//! What a caller wants of the systemd unit of its container beside the limits: runc's annotations
//! `org.systemd.property.NAME`, whose values are written as GVariant has them.

use std::collections::HashMap;

use super::Error;
use super::dbus::Value;
use super::properties::Property;

const PREFIX: &str = "org.systemd.property.";

/// Wishes for a unit; none by default.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    pub(super) properties: Vec<Property>,
    /// One that failed stays listed until the container is deleted, as runc's.
    pub(super) stays: bool,
}

impl Unit {
    /// Of a bundle's annotations.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a name or a value that is none.
    pub fn of_bundle(annotations: Option<&HashMap<String, String>>) -> Result<Self, Error> {
        let mut properties = Vec::new();
        let mut given: Vec<_> = annotations.into_iter().flatten().collect();
        given.sort();
        for (key, text) in given {
            let Some(name) = key.strip_prefix(PREFIX) else { continue };
            let refuse = |why| Error::Unsupported { setting: format!("the annotation {key:?}"), why };
            if name.len() < 3 || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
                return Err(refuse("it names no property of systemd"));
            }
            let value = value(text.trim()).ok_or_else(|| refuse("its value is not written as GVariant"))?;
            properties.push(seconds(name, value).ok_or_else(|| refuse("it wants a number of seconds"))?);
        }
        Ok(Self { properties, stays: true })
    }
}

/// The bus knows times in microseconds only, and their names say so.
fn seconds(name: &str, value: Value) -> Option<Property> {
    let Some(stem) = name.strip_suffix("Sec").filter(|s| !s.ends_with('U')) else {
        return Some((name.to_owned().into(), value));
    };
    let number = match value {
        Value::I32(n) => u64::try_from(n).ok()?,
        Value::I64(n) => u64::try_from(n).ok()?,
        Value::U32(n) => n.into(),
        Value::U64(n) => n,
        _ => return None,
    };
    Some((format!("{stem}USec").into(), Value::U64(number.checked_mul(1_000_000)?)))
}

/// A value in GVariant's text: `true`, `5`, `uint64 5`, `'text'`, `['a', 'b']`.
fn value(text: &str) -> Option<Value> {
    if let Some(list) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return list.split(',').map(|one| string(one.trim())).collect::<Option<_>>().map(Value::Strs);
    }
    if let Some(text) = string(text) {
        return Some(Value::Str(text));
    }
    match text.split_once(' ') {
        None => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            number => number.parse().ok().map(Value::I32),
        },
        Some(("boolean", "true")) => Some(Value::Bool(true)),
        Some(("boolean", "false")) => Some(Value::Bool(false)),
        Some(("int32", n)) => n.trim().parse().ok().map(Value::I32),
        Some(("uint32", n)) => n.trim().parse().ok().map(Value::U32),
        Some(("int64", n)) => n.trim().parse().ok().map(Value::I64),
        Some(("uint64", n)) => n.trim().parse().ok().map(Value::U64),
        Some(_) => None,
    }
}

fn string(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|q| matches!(q, '\'' | '"'))?;
    let inner = text[1..].strip_suffix(quote)?;
    (!inner.contains([quote, '\\', '\0'])).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str, text: &str) -> Option<(String, Value)> {
        let annotations = HashMap::from([(format!("{PREFIX}{key}"), text.to_owned())]);
        let unit = Unit::of_bundle(Some(&annotations)).ok()?;
        unit.properties.into_iter().next().map(|(n, v)| (n.into_owned(), v))
    }

    #[test]
    fn values_as_gvariant_has_them() {
        for (key, text, name, wanted) in [
            ("RuntimeMaxSec", "2", "RuntimeMaxUSec", Value::U64(2_000_000)),
            ("TimeoutStopUSec", "uint64 5", "TimeoutStopUSec", Value::U64(5)),
            ("CollectMode", "'inactive'", "CollectMode", Value::Str("inactive".into())),
            ("CPUAccounting", "true", "CPUAccounting", Value::Bool(true)),
            (
                "After",
                "['a.target', 'b.target']",
                "After",
                Value::Strs(vec!["a.target".into(), "b.target".into()]),
            ),
            ("Nice", "int32 -1", "Nice", Value::I32(-1)),
        ] {
            assert_eq!(of(key, text), Some((name.to_owned(), wanted)), "{key} {text}");
        }
    }

    #[test]
    fn what_is_no_property_is_refused() {
        for (key, text) in [
            ("A", "1"),
            ("Slice.x", "1"),
            ("RuntimeMaxSec", "'two'"),
            ("RuntimeMaxSec", "-2"),
            ("Nice", "many"),
            ("Nice", "'a"),
            ("Nice", "['a', 5]"),
            ("Nice", ""),
        ] {
            assert_eq!(of(key, text), None, "{key} {text}");
        }
        let other = HashMap::from([("org.other".to_owned(), "x".to_owned())]);
        assert!(Unit::of_bundle(Some(&other)).unwrap().properties.is_empty());
    }
}
