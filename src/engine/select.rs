//! Which containers a verb is about: names, ids and unique prefixes, `--all`, `--latest`, `--filter`,
//! `--cidfile`; and [`Done`], how each one's outcome is reported.

use std::path::PathBuf;

use super::context::Context;
use super::error::{Error, Kind};
use super::filter::ContainerFilter;
use super::view::Container;
use crate::storage::Store;

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

/// One container of a selection, found or not.
#[derive(Debug)]
pub(crate) struct Target {
    /// As typed.
    pub(crate) given: String,
    /// The container.
    pub(crate) found: Result<Container, Error>,
}

/// Resolves a selection. `fits` says which containers `--all` and filters mean: those for which the verb makes sense.
pub(crate) fn targets(
    ctx: &Context,
    store: &Store,
    which: &Selection,
    fits: impl Fn(&Container) -> bool,
) -> Result<Vec<Target>, Error> {
    let Selection { names, all, latest, filters, cidfiles, ignore } = which;
    if (*all || *latest) && !names.is_empty() {
        let flag = if *all { "--all" } else { "--latest" };
        return Err(Error::new(Kind::Invalid, format!("{flag} and container names cannot be used together")));
    }
    let mut given = names.clone();
    for path in cidfiles {
        match std::fs::read_to_string(path) {
            Ok(text) => given.push(text.lines().next().unwrap_or_default().trim().to_owned()),
            Err(e) if *ignore && e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => {
                return Err(Error::with_source(
                    Kind::NotFound,
                    format!("reading CIDFile {}", path.display()),
                    e,
                ));
            }
        }
    }
    if given.is_empty() && (*all || *latest || !filters.is_empty()) {
        let filter = ContainerFilter::compile(ctx, store, filters)?;
        let mut list = super::view::all(ctx, store)?;
        if *latest {
            list.truncate(1);
        }
        let found = list.into_iter().filter(|c| filter.wants(c) && (*latest || fits(c)));
        return Ok(found.map(|c| Target { given: c.id().to_string(), found: Ok(c) }).collect());
    }
    let mut targets = Vec::new();
    for name in given {
        let found = Container::find(ctx, store, &name);
        if *ignore && matches!(&found, Err(e) if e.kind() == Kind::NotFound) {
            continue;
        }
        if let (Ok(c), false) = (&found, filters.is_empty())
            && !ContainerFilter::compile(ctx, store, filters)?.wants(c)
        {
            continue;
        }
        targets.push(Target { given: name, found });
    }
    Ok(targets)
}
