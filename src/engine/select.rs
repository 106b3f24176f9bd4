//! Which containers a verb is about: names, ids and unique prefixes, `--all`, `--latest`, `--filter`,
//! `--cidfile`; and [`Done`], how each one's outcome is reported.

use std::path::PathBuf;

use super::error::Error;

/// The containers that the caller means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Names, ids or unique id prefixes as typed.
    pub names: Vec<String>,
    /// `--all`: every container for which the verb makes sense.
    pub all: bool,
    /// `--latest`.
    pub latest: bool,
    /// `--filter KEY=VALUE` as typed.
    pub filters: Vec<String>,
    /// `--cidfile`: each holds an id.
    pub cidfiles: Vec<PathBuf>,
    /// `--ignore`: what does not exist is no error.
    pub ignore: bool,
}

impl Selection {
    /// Just one container.
    #[must_use]
    pub fn one(name: &str) -> Self {
        Self { names: vec![name.to_owned()], ..Self::default() }
    }

    /// These containers.
    #[must_use]
    pub fn names(names: &[String]) -> Self {
        Self { names: names.to_vec(), ..Self::default() }
    }
}

/// The outcome for one container of several.
#[derive(Debug)]
pub struct Done<T> {
    /// What the caller typed (docker echoes it), or the full id when it came from `--all` or a filter.
    pub given: String,
    /// What became of it.
    pub result: Result<T, Error>,
}
