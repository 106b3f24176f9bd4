//! One `registries.conf` document: its TOML shape, checked and turned into [`Registries`].

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Entry, Error, Mirror, MirrorFor, Registries};
use crate::model::reference::ImageName;

/// Files larger than this are no configuration.
const MAX_FILE: u64 = 4 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    unqualified_search_registries: Option<Vec<String>>,
    #[serde(default)]
    credential_helpers: Vec<String>,
    #[serde(default)]
    registry: Vec<Registry>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    /// Version 1 of the format.
    registries: Option<Old>,
}

/// What version 1 of the format had: lists of hosts.
#[derive(Deserialize)]
struct Old {
    #[serde(default)]
    search: Hosts,
    #[serde(default)]
    insecure: Hosts,
    #[serde(default)]
    block: Hosts,
}

#[derive(Default, Deserialize)]
struct Hosts {
    #[serde(default)]
    registries: Vec<String>,
}

impl Document {
    /// Puts what is said in version 1 into the words of version 2.
    fn modern(&mut self) -> Result<(), String> {
        let Some(Old { search, insecure, block }) = self.registries.take() else { return Ok(()) };
        if self.unqualified_search_registries.is_some() || !self.registry.is_empty() {
            return Err("it mixes [registries.search] and the like with the newer form \
                        (unqualified-search-registries, [[registry]])"
                .into());
        }
        let bare = |host: &String| host.trim_end_matches('/').to_owned();
        self.unqualified_search_registries = Some(search.registries.iter().map(bare).collect());
        let mut known: BTreeMap<String, Registry> = BTreeMap::new();
        for (hosts, blocked) in [(insecure.registries, false), (block.registries, true)] {
            for host in hosts.iter().map(bare) {
                let entry = known
                    .entry(host.clone())
                    .or_insert_with(|| Registry { location: host, ..Registry::default() });
                entry.blocked |= blocked;
                entry.insecure |= !blocked;
            }
        }
        self.registry = known.into_values().collect();
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<MirrorTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorTable {
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<String>,
}

/// Reads and parses a file.
pub(super) fn read(path: &Path) -> Result<Registries, Error> {
    let bad = |why: String| Error::File { path: path.to_owned(), why };
    let meta = std::fs::metadata(path).map_err(|e| bad(e.to_string()))?;
    if meta.len() > MAX_FILE {
        return Err(bad(format!("larger than {MAX_FILE} bytes")));
    }
    parse(&std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?, path)
}

/// Parses a document; `path` is for messages.
pub(super) fn parse(text: &str, path: &Path) -> Result<Registries, Error> {
    let bad = |why: String| Error::File { path: path.to_owned(), why };
    let mut doc: Document = toml::from_str(text).map_err(|e| bad(e.to_string().trim_end().to_owned()))?;
    doc.modern().map_err(bad)?;
    for host in doc.unqualified_search_registries.iter().flatten() {
        if !format!("{host}/x").parse::<ImageName>().is_ok_and(|n| matches!(n, ImageName::Qualified(_))) {
            return Err(bad(format!("unqualified-search-registries: {host:?} is not a registry host")));
        }
    }
    for (name, target) in &doc.aliases {
        check_alias(name, target).map_err(|why| bad(format!("alias {name:?}: {why}")))?;
    }
    let entries = doc.registry.into_iter().map(|r| entry(r, path).map_err(bad)).collect::<Result<_, _>>()?;
    Ok(Registries {
        search: doc.unqualified_search_registries,
        entries,
        aliases: doc.aliases.into_iter().collect(),
        credential_helpers: doc.credential_helpers,
        docker_insecure: Vec::new(),
    })
}

fn check_alias(name: &str, target: &str) -> Result<(), String> {
    match name.parse::<ImageName>() {
        Ok(ImageName::Short { tag: None, digest: None, .. }) => {}
        _ => return Err("the name must be a short name without tag and digest".into()),
    }
    if target.is_empty() {
        return Ok(());
    }
    match target.parse::<ImageName>() {
        // A tag cannot be told from the default one after parsing, hence the look at the text.
        Ok(ImageName::Qualified(r)) if r.digest.is_none() && !has_tag(target) => Ok(()),
        _ => Err(format!("{target:?} must be registry/repository without tag and digest")),
    }
}

fn has_tag(target: &str) -> bool {
    target.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

fn entry(r: Registry, path: &Path) -> Result<Entry, String> {
    let trim = |s: String| s.trim_end_matches('/').to_owned();
    let (prefix, location) = (trim(r.prefix), trim(r.location));
    if prefix.is_empty() && location.is_empty() {
        return Err("a [[registry]] needs prefix or location".into());
    }
    for s in [&prefix, &location] {
        if s.contains("://") {
            return Err(format!("{s:?}: a host is wanted, without http:// or https://"));
        }
    }
    if location.contains('*') {
        return Err(format!("location {location:?}: wildcards are only for prefix"));
    }
    if prefix.contains('*') && !prefix.starts_with("*.") || prefix.matches('*').count() > 1 {
        return Err(format!("prefix {prefix:?}: only *.domain is allowed"));
    }
    let mut mirrors = Vec::new();
    for m in r.mirror {
        let location = trim(m.location);
        if location.is_empty() || location.contains("://") {
            return Err(format!(
                "mirror location {location:?}: a host is wanted, without http:// or https://"
            ));
        }
        let when = match m.pull_from_mirror.as_deref() {
            Some(_) if r.mirror_by_digest_only => {
                return Err(format!(
                    "mirror {location:?}: pull-from-mirror and mirror-by-digest-only exclude each other"
                ));
            }
            None | Some("" | "all") => MirrorFor::All,
            Some("digest-only") => MirrorFor::Digests,
            Some("tag-only") => MirrorFor::Tags,
            Some(other) => {
                return Err(format!("pull-from-mirror {other:?}: want all, digest-only or tag-only"));
            }
        };
        let when = if r.mirror_by_digest_only { MirrorFor::Digests } else { when };
        mirrors.push(Mirror { location, insecure: m.insecure, when });
    }
    let location = (!location.is_empty() && location != prefix).then_some(location);
    let prefix = match (&location, prefix.is_empty()) {
        (Some(l), true) => l.clone(),
        _ => prefix,
    };
    let location = location.filter(|l| *l != prefix);
    Ok(Entry { prefix, location, insecure: r.insecure, blocked: r.blocked, mirrors, file: path.to_owned() })
}
