//! Registry configuration: `registries.conf` (version 2) with its `.d` folders, docker's `daemon.json`.
//!
//! Files, the first that exists: `$CONTAINERS_REGISTRIES_CONF`, `~/.config/containers/registries.conf`,
//! `/etc/containers/registries.conf`. Then every `*.conf` of `/etc/containers/registries.conf.d` and of
//! `~/.config/containers/registries.conf.d` in the order of their names (with the variable set, only of the
//! folder `FILE.d`); a registry there replaces one of the same prefix, a search list replaces the list, an alias
//! replaces an alias (and an empty one removes it).
//!
//! Of `/etc/docker/daemon.json` two keys are heeded, so that a machine that moves from docker keeps its set-up:
//! `insecure-registries` and `registry-mirrors` (docker.io only). What registries.conf says of a registry wins.
//!
//! Loopback addresses and `localhost` are insecure unless configured otherwise, as docker has it. There are no
//! prompts: `short-name-mode` is accepted and changes nothing, the search order alone decides.

mod docker;
mod file;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::Error;
use super::env::Env;
use crate::model::reference::{DEFAULT_REGISTRY, ImageName, ImageRef};

/// What is configured about registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    /// `unqualified-search-registries`; `None` where no file says it.
    search: Option<Vec<String>>,
    /// `[[registry]]` tables.
    entries: Vec<Entry>,
    /// `[aliases]`: short name → registry/repository.
    aliases: Vec<(String, String)>,
    /// `credential-helpers`.
    credential_helpers: Vec<String>,
    /// docker's `insecure-registries`.
    docker_insecure: Vec<docker::Insecure>,
}

/// One `[[registry]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// What references it is for: `host`, `host/ns`, `*.domain`.
    prefix: String,
    /// Where they are really; `None` keeps the reference.
    location: Option<String>,
    insecure: bool,
    blocked: bool,
    mirrors: Vec<Mirror>,
    /// The file that says so, for messages.
    file: PathBuf,
}

/// One `[[registry.mirror]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mirror {
    location: String,
    insecure: bool,
    when: MirrorFor,
}

/// `pull-from-mirror`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MirrorFor {
    All,
    Digests,
    Tags,
}

/// A place where a reference can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What is asked there.
    pub reference: ImageRef,
    /// Certificates are not checked and plain HTTP is allowed.
    pub insecure: bool,
    /// A mirror: any failure there leads on to the next source.
    pub mirror: bool,
}

impl Registries {
    /// Reads the configuration files.
    ///
    /// # Errors
    /// A file that cannot be read or does not parse, named with the reason.
    pub fn load(env: &Env) -> Result<Self, Error> {
        let mut all = Self::default();
        for path in files(env)? {
            all.merge(file::read(&path)?);
        }
        docker::add(&env.etc.join("docker/daemon.json"), &mut all)?;
        Ok(all)
    }

    /// Parses one document, for tests and `rcon system check`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        file::parse(text, path)
    }

    /// Registries that unqualified names are searched in, in order; docker.io if none is configured.
    #[must_use]
    pub fn search(&self) -> Vec<&str> {
        match &self.search {
            Some(list) if !list.is_empty() => list.iter().map(String::as_str).collect(),
            _ => vec![DEFAULT_REGISTRY],
        }
    }

    /// Helpers configured for all registries (`credential-helpers`), without the built-in `containers-auth.json`.
    pub fn credential_helpers(&self) -> impl Iterator<Item = &str> {
        self.credential_helpers.iter().map(String::as_str).filter(|h| *h != "containers-auth.json")
    }

    /// The alias of a short name (repository without tag).
    #[must_use]
    pub fn alias(&self, repository: &str) -> Option<&str> {
        self.aliases.iter().find(|(name, _)| name == repository).map(|(_, target)| target.as_str())
    }

    /// Where to ask for `reference`: mirrors first, the place itself last.
    ///
    /// # Errors
    /// A blocked registry; a configuration that makes no reference of it.
    pub fn sources(&self, reference: &ImageRef) -> Result<Vec<Source>, Error> {
        let Some((entry, matched)) = self.entry_for(reference) else {
            let insecure = self.insecure_by_default(&reference.registry);
            return Ok(vec![Source { reference: reference.clone(), insecure, mirror: false }]);
        };
        if entry.blocked {
            return Err(Error::Blocked {
                reference: reference.to_string(),
                prefix: entry.prefix.clone(),
                file: entry.file.display().to_string(),
            });
        }
        let mut sources = Vec::new();
        for m in &entry.mirrors {
            let wanted = match m.when {
                MirrorFor::All => true,
                MirrorFor::Digests => reference.digest.is_some(),
                MirrorFor::Tags => reference.digest.is_none(),
            };
            if wanted {
                let target = relocate(reference, matched, &m.location, &entry.file)?;
                sources.push(Source { reference: target, insecure: m.insecure, mirror: true });
            }
        }
        let target = match &entry.location {
            Some(location) => relocate(reference, matched, location, &entry.file)?,
            None => reference.clone(),
        };
        let insecure = entry.insecure || self.insecure_by_default(&target.registry);
        sources.push(Source { reference: target, insecure, mirror: false });
        Ok(sources)
    }

    /// Whether plain HTTP and unknown certificates are allowed for a registry host, for `login` and `search`.
    #[must_use]
    pub fn insecure(&self, registry: &str) -> bool {
        let configured = self.entries.iter().find(|e| match_prefix(&e.prefix, registry).is_some());
        configured.is_some_and(|e| e.insecure) || self.insecure_by_default(registry)
    }

    fn insecure_by_default(&self, registry: &str) -> bool {
        is_loopback(registry) || self.docker_insecure.iter().any(|i| i.covers(registry))
    }

    /// The entry with the longest prefix that fits, and how much of the full text it fits.
    fn entry_for(&self, reference: &ImageRef) -> Option<(&Entry, usize)> {
        let full = reference.to_string();
        self.entries
            .iter()
            .filter_map(|e| match_prefix(&e.prefix, &full).map(|n| (e, n)))
            .max_by_key(|(e, n)| (*n, !e.prefix.starts_with('*'), e.prefix.len()))
    }

    /// Puts a later file over this.
    fn merge(&mut self, later: Self) {
        if later.search.is_some() {
            self.search = later.search;
        }
        if !later.credential_helpers.is_empty() {
            self.credential_helpers = later.credential_helpers;
        }
        for e in later.entries {
            self.entries.retain(|old| old.prefix != e.prefix);
            self.entries.push(e);
        }
        for (name, target) in later.aliases {
            self.aliases.retain(|(old, _)| *old != name);
            if !target.is_empty() {
                self.aliases.push((name, target));
            }
        }
    }
}

/// The files to read, in order.
fn files(env: &Env) -> Result<Vec<PathBuf>, Error> {
    let system = env.etc.join("containers");
    let user = env.config_home.as_ref().map(|c| c.join("containers"));
    let mut files = Vec::new();
    let folders = match &env.registries_conf {
        Some(path) => {
            files.push(path.clone());
            let mut folder = path.clone().into_os_string();
            folder.push(".d");
            vec![PathBuf::from(folder)]
        }
        None => {
            let main = user.iter().chain([&system]).map(|d| d.join("registries.conf")).find(|p| p.exists());
            files.extend(main);
            [Some(system), user].into_iter().flatten().map(|d| d.join("registries.conf.d")).collect()
        }
    };
    for folder in folders {
        files.extend(drop_ins(&folder)?);
    }
    Ok(files)
}

fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |e: std::io::Error| Error::File { path: folder.to_owned(), why: e.to_string() };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(unreadable(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|x| x == "conf") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// How many bytes of `full` (a reference, or a bare host) the prefix covers; it must end where a part ends.
fn match_prefix(prefix: &str, full: &str) -> Option<usize> {
    let end = if let Some(suffix) = prefix.strip_prefix('*') {
        // `*.example.com/ns`: at least one more label before, and none of it in the path.
        let (domain, path) = suffix.split_once('/').map_or((suffix, ""), |(d, _)| (d, &suffix[d.len()..]));
        let host_end = full.find('/').unwrap_or(full.len());
        let host = &full[..host_end];
        if host.len() <= domain.len() || !host.ends_with(domain) || !full[host_end..].starts_with(path) {
            return None;
        }
        host_end + path.len()
    } else {
        full.starts_with(prefix).then_some(prefix.len())?
    };
    match full.as_bytes().get(end) {
        None | Some(b'/' | b':' | b'@') => Some(end),
        Some(_) => None,
    }
}

/// Replaces the matched beginning of a reference by `location`.
fn relocate(reference: &ImageRef, matched: usize, location: &str, file: &Path) -> Result<ImageRef, Error> {
    let text = format!("{location}{}", &reference.to_string()[matched..]);
    let bad = |why: String| Error::File {
        path: file.to_owned(),
        why: format!("location {location:?} makes {text:?} of {reference}: {why}"),
    };
    match text.parse::<ImageName>().map_err(|e| bad(e.why))? {
        ImageName::Qualified(r) => Ok(r),
        // A location of a single label, `registry`, is a host all the same.
        ImageName::Short { .. } => match text.split_once('/') {
            Some((host, _)) => {
                let rest = format!("localhost{}", &text[host.len()..]);
                let r: ImageRef = rest.parse().map_err(|e: crate::model::ParseError| bad(e.why))?;
                Ok(ImageRef { registry: host.to_owned(), ..r })
            }
            None => Err(bad("it names no repository".into())),
        },
    }
}

/// Host part of `host[:port]`, brackets of an IPv6 address removed.
pub(crate) fn host_of(registry: &str) -> &str {
    if let Some(inner) = registry.strip_prefix('[') {
        return inner.split_once(']').map_or(inner, |(h, _)| h);
    }
    registry.split_once(':').map_or(registry, |(h, _)| h)
}

/// 127.0.0.0/8, ::1 and `localhost`.
pub(crate) fn is_loopback(registry: &str) -> bool {
    let host = host_of(registry);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
