//! Filters of listings, `--filter KEY=VALUE`: same key means or, different keys mean and, as docker's.

use super::error::{Error, Kind};

/// Filters as typed, grouped by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Splits `KEY=VALUE` texts and checks that each key is one of `known`.
    ///
    /// # Errors
    /// A text without `=`, or an unknown key (the error lists the known ones).
    pub fn parse(texts: &[String], known: &[&str]) -> Result<Self, Error> {
        let mut all: Vec<(String, Vec<String>)> = Vec::new();
        for text in texts {
            let Some((key, value)) = text.split_once('=') else {
                return Err(Error::new(
                    Kind::Invalid,
                    format!(
                        "invalid argument {text:?} for --filter: bad format of filter (expected name=value)"
                    ),
                ));
            };
            let key = key.trim().to_ascii_lowercase();
            if !known.contains(&key.as_str()) {
                return Err(Error::new(Kind::Invalid, format!("invalid filter '{key}'"))
                    .hint(format!("known filters: {}", known.join(", "))));
            }
            match all.iter_mut().find(|(k, _)| *k == key) {
                Some((_, values)) => values.push(value.trim().to_owned()),
                None => all.push((key, vec![value.trim().to_owned()])),
            }
        }
        Ok(Self(all))
    }

    /// The values of a key; empty if it was not used.
    #[must_use]
    pub fn values(&self, key: &str) -> &[String] {
        self.0.iter().find(|(k, _)| k == key).map_or(&[], |(_, v)| v.as_slice())
    }

    /// No filter at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_slice()))
    }
}
