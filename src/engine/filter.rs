//! Filters of listings, `--filter KEY=VALUE`: same key means or, different keys mean and, as docker's.

use regex_automata::meta::Regex;

use super::context::Context;
use super::error::{Error, Kind};
use super::view::Container;
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::model::image::Image;
use crate::model::lifecycle::RestartPolicy;
use crate::model::network::{NetworkModeSpec, Protocol, parse_expose};
use crate::model::units::parse_timestamp;
use crate::storage::Store;
use crate::storage::containers::Desired;

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

/// Filters that `ps`, `stop`, `rm` and the like know.
pub const CONTAINER_FILTERS: &[&str] = &[
    "ancestor",
    "before",
    "command",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "label",
    "label!",
    "name",
    "network",
    "publish",
    "restart-policy",
    "should-start-on-boot",
    "since",
    "status",
    "until",
    "volume",
];

/// A compiled filter of containers.
#[derive(Debug)]
pub(crate) struct ContainerFilter {
    filters: Filters,
    ancestors: Vec<Image>,
    networks: Vec<String>,
    /// Containers in the network of one that was named.
    joined: Vec<ContainerId>,
    /// podman: what an image's name or id may hold.
    parts: Vec<String>,
    before: Option<jiff::Timestamp>,
    since: Option<jiff::Timestamp>,
    until: Option<jiff::Timestamp>,
    ports: Vec<(bool, u16, u16, Protocol)>,
}

/// The images and those that are built on them: theirs begin with the same layers and the same history.
fn with_descendants(store: &Store, ancestors: Vec<Image>) -> Result<Vec<Image>, Error> {
    if ancestors.is_empty() {
        return Ok(ancestors);
    }
    let built_on = |image: &Image, a: &Image| -> Result<bool, Error> {
        if image.id == a.id || a.layers.is_empty() || !image.layers.starts_with(&a.layers) {
            return Ok(image.id == a.id);
        }
        super::images::continues(store, image, a)
    };
    let mut found = Vec::new();
    for image in store.list_images()? {
        for a in &ancestors {
            if built_on(&image, a)? {
                found.push(image);
                break;
            }
        }
    }
    Ok(found)
}

impl ContainerFilter {
    /// Checks the filters and looks up what they name.
    pub(crate) fn compile(ctx: &Context, store: &Store, texts: &[String]) -> Result<Self, Error> {
        let filters = Filters::parse(texts, CONTAINER_FILTERS)?;
        for status in filters.values("status") {
            if !matches!(
                status.as_str(),
                "created"
                    | "configured"
                    | "initialized"
                    | "running"
                    | "paused"
                    | "restarting"
                    | "removing"
                    | "exited"
                    | "stopped"
                    | "stopping"
                    | "dead"
                    | "unknown"
            ) {
                return Err(bad("status", status));
            }
        }
        for health in filters.values("health") {
            if !matches!(health.as_str(), "starting" | "healthy" | "unhealthy" | "none") {
                return Err(bad("health", health));
            }
        }
        for policy in filters.values("restart-policy") {
            if !matches!(policy.as_str(), "" | "no" | "none" | "on-failure" | "always" | "unless-stopped") {
                // podman's words for a filter of its own.
                return Err(Error::new(Kind::Invalid, format!("{policy} invalid restart policy")));
            }
        }
        for word in filters.values("should-start-on-boot") {
            word.parse::<bool>().map_err(|_| bad("should-start-on-boot", word))?;
        }
        for code in filters.values("exited") {
            code.parse::<i32>().map_err(|_| bad("exited", code))?;
        }
        let mut ports = Vec::new();
        for (published, key) in [(true, "publish"), (false, "expose")] {
            for text in filters.values(key) {
                let (first, last, protocol) = parse_expose(text)?;
                ports.push((published, first, last, protocol));
            }
        }
        let edge = |key: &str| -> Result<Option<jiff::Timestamp>, Error> {
            let Some(name) = filters.values(key).first() else { return Ok(None) };
            Ok(Some(store.find_container(name)?.created))
        };
        let until = match filters.values("until").first() {
            Some(text) => Some(parse_timestamp(text, jiff::Timestamp::now(), &jiff::tz::TimeZone::system())?),
            None => None,
        };
        let (before, since) = (edge("before")?, edge("since")?);
        // An image or network that does not exist matches nothing; docker says so by an empty list.
        let ancestors = filters.values("ancestor").iter();
        let ancestors: Vec<Image> =
            ancestors.filter_map(|name| super::lookup::image(ctx, store, name).ok()).collect();
        let ancestors = with_descendants(store, ancestors)?;
        let networks = filters
            .values("network")
            .iter()
            .map(|name| super::lookup::network(ctx, store, name).map_or_else(|_| name.clone(), |n| n.name));
        let networks = networks.collect();
        let joined = joined(store, filters.values("network"))?;
        let parts = if ctx.podman { filters.values("ancestor").to_vec() } else { Vec::new() };
        Ok(Self { ancestors, networks, joined, parts, before, since, until, ports, filters })
    }

    /// Whether a container passes.
    pub(crate) fn wants(&self, c: &Container) -> bool {
        self.filters.is_empty()
            || (self.filters.iter().all(|(key, values)| self.key(c, key, values)) && self.ports_match(c))
    }

    fn key(&self, c: &Container, key: &str, values: &[String]) -> bool {
        let row = &c.row;
        match key {
            "id" => values.iter().any(|v| id_matches(v, row.id.as_str())),
            "name" => values.iter().any(|v| name_matches(v, &row.name)),
            "label" => values.iter().all(|v| has_label(&row.labels, v)),
            "label!" => !values.iter().any(|v| has_label(&row.labels, v)),
            "status" => values.iter().any(|v| status_is(&c.phase, v)),
            "exited" => match &c.phase {
                Phase::Exited(e) => values.iter().any(|v| v.parse() == Ok(e.code)),
                _ => false,
            },
            "health" => values.iter().any(|v| v == health_word(&c.phase, row.has_health)),
            "ancestor" => {
                self.ancestors.iter().any(|image| {
                    row.image_id.as_ref() == Some(&image.id)
                        || (row.image_id.is_none() && row.image_name == image.id.as_str())
                }) || self.parts.iter().any(|part| {
                    let id = row.image_id.as_ref().map_or("", |id| id.as_str());
                    name_matches(part, &row.image_name) || id.contains(part.as_str())
                })
            }
            "network" => {
                row.networks.iter().any(|n| self.networks.contains(n)) || self.joined.contains(&row.id)
            }
            "volume" => values.iter().any(|v| {
                row.mounts.iter().any(|(source, target)| {
                    source == v
                        || target == v
                        || v.strip_prefix(source.as_str())
                            .is_some_and(|rest| rest.strip_prefix(':') == Some(target))
                })
            }),
            "before" => self.before.is_some_and(|t| row.created < t),
            "since" => self.since.is_some_and(|t| row.created > t),
            "until" => self.until.is_some_and(|t| row.created < t),
            "restart-policy" => values.iter().any(|v| policy_is(row.restart, v)),
            "command" => row.command.first().is_some_and(|word| values.iter().any(|v| name_matches(v, word))),
            "should-start-on-boot" => values.iter().any(|v| v.parse() == Ok(starts_on_boot(c))),
            "is-task" => values.iter().any(|v| v == "false"),
            _ => true,
        }
    }

    fn ports_match(&self, c: &Container) -> bool {
        self.ports.iter().all(|(published, first, last, protocol)| {
            let fits = |port: u16, p: Protocol| p == *protocol && (*first..=*last).contains(&port);
            if *published {
                let live = c.phase.running().map(|r| r.ports.as_slice());
                live.unwrap_or(&c.row.ports).iter().any(|p| fits(p.host_port, p.protocol))
            } else {
                c.row.exposed.iter().any(|e| fits(e.port, e.protocol))
            }
        })
    }
}

/// Containers that were made with `--network container:NAME`, for each NAME of a filter `network=container:NAME`.
fn joined(store: &Store, values: &[String]) -> Result<Vec<ContainerId>, Error> {
    let mut owners = Vec::new();
    for name in values.iter().filter_map(|v| v.strip_prefix("container:")) {
        owners.push(store.find_container(name)?.id);
    }
    if owners.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for row in store.list_containers()? {
        if let NetworkModeSpec::Container(id) = store.spec(&row.id)?.network.mode
            && owners.contains(&id)
        {
            found.push(row.id);
        }
    }
    Ok(found)
}

/// Whether a boot starts it: it ran once, the policy says so, and nobody stopped it.
fn starts_on_boot(c: &Container) -> bool {
    match c.row.restart {
        _ if matches!(c.phase, Phase::Created) => false,
        RestartPolicy::Always => true,
        RestartPolicy::UnlessStopped => c.row.desired != Desired::Stopped,
        RestartPolicy::No | RestartPolicy::OnFailure { .. } => false,
    }
}

fn bad(key: &str, value: &str) -> Error {
    Error::new(Kind::Invalid, format!("invalid filter '{key}={value}'"))
}

/// Whether a name matches, as docker and podman have it: a regular expression that may match anywhere, the name with
/// or without a slash before it. What is no expression is looked for as it is.
pub(crate) fn name_matches(pattern: &str, name: &str) -> bool {
    match Regex::new(pattern) {
        Ok(regex) => {
            regex.is_match(name) || (pattern.contains('/') && regex.is_match(format!("/{name}").as_str()))
        }
        Err(_) => name.contains(pattern),
    }
}

/// Whether an id is meant: by its first digits (docker), or by a regular expression (podman). An empty one, of a variable
/// that is not set, means none: what is listed by it is often removed next.
pub(crate) fn id_matches(pattern: &str, id: &str) -> bool {
    if pattern.is_empty() {
        return false;
    }
    if pattern.bytes().all(|b| b.is_ascii_hexdigit()) {
        return id.starts_with(&pattern.to_ascii_lowercase());
    }
    Regex::new(pattern).is_ok_and(|regex| regex.is_match(id))
}

/// `KEY` or `KEY=VALUE` among labels.
pub(crate) fn has_label(labels: &[(String, String)], wanted: &str) -> bool {
    let (key, value) = match wanted.split_once('=') {
        Some((k, v)) => (k, Some(v)),
        None => (wanted, None),
    };
    // podman's: a part of the key may be left open.
    let named = |k: &String| k == key || key.contains('*') && fits(k, key);
    labels.iter().any(|(k, v)| named(k) && value.is_none_or(|want| want == v))
}

/// Whether a text has the form of a pattern in which `*` stands for anything.
fn fits(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(&rest[at..], after))
        }),
    }
}

fn status_is(phase: &Phase, word: &str) -> bool {
    match word {
        "stopped" => phase.status() == "exited",
        "configured" => phase.status() == "created",
        "stopping" => phase.podmans_status() == word,
        _ => phase.status() == word,
    }
}

/// The health of a container in a word; `none` without a check.
pub(crate) fn health_word(phase: &Phase, has_check: bool) -> &str {
    if !has_check {
        return "none";
    }
    match phase {
        Phase::Initialized(r) | Phase::Running(r) | Phase::Paused(r) => {
            r.health.as_ref().map_or("starting", |h| h.status.as_str())
        }
        Phase::Exited(e) | Phase::Restarting(e) => {
            e.health.as_ref().map_or("unhealthy", |h| h.status.as_str())
        }
        Phase::Created | Phase::Failed { .. } | Phase::Removing => "starting",
    }
}

fn policy_is(policy: RestartPolicy, word: &str) -> bool {
    match policy {
        RestartPolicy::No => matches!(word, "no" | "none" | ""),
        RestartPolicy::OnFailure { .. } => word == "on-failure",
        RestartPolicy::Always => word == "always",
        RestartPolicy::UnlessStopped => word == "unless-stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_docker_matches_them() {
        for (p, text, want) in [
            ("web", "my-web-1", true),
            ("^web", "my-web-1", false),
            ("^web", "web-1", true),
            ("^web$", "web-1", false),
            ("^web$", "web", true),
            ("web$", "my-web", true),
            ("w.*1", "web-1", true),
            ("db", "web", false),
            ("^/web$", "web", true),
            ("w[aeiou]b|cache", "my-web", true),
            ("^[^w]", "web", false),
            ("we(b", "my-we(b", true),
        ] {
            assert_eq!(name_matches(p, text), want, "{p} {text}");
        }
        for (p, want) in [("5fA", true), ("fa0", false), ("^[^6]", true), ("^[^5]", false), ("a0$", true)] {
            assert_eq!(id_matches(p, "5fa0"), want, "{p}");
        }
    }

    #[test]
    fn an_id_is_meant_by_its_beginning_and_by_nothing_none_is() {
        assert!(id_matches("AB", "abc1") && id_matches("^a.c", "abc1"));
        assert!(!id_matches("b", "abc1") && !id_matches("", "abc1"));
    }

    #[test]
    fn unknown_keys_are_named_with_the_known_ones() {
        let e = Filters::parse(&["foo=1".to_owned()], &["id", "name"]).expect_err("unknown");
        assert_eq!(e.to_string(), "invalid filter 'foo'");
        assert_eq!(e.hint_text(), Some("known filters: id, name"));
    }
}
