//! `images`: what is in the store, one entry for each name.

use globset::{GlobBuilder, GlobMatcher};

use super::{Context, Error, Kind, Names, find_by};
use crate::engine::filter::{Filters, has_label};
use crate::model::digest::Digest;
use crate::model::image::Image;
use crate::model::reference::ImageRef;
use crate::model::units::parse_timestamp;
use crate::storage::{Paths, Store, lent};

/// Filters that `images` knows.
pub const IMAGE_FILTERS: &[&str] = &[
    "after",
    "before",
    "containers",
    "dangling",
    "digest",
    "id",
    "intermediate",
    "label",
    "label!",
    "readonly",
    "reference",
    "since",
    "until",
];

/// Which images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// `-a`. rcon has no intermediate images, so that it changes nothing.
    pub all: bool,
    /// `--filter` as typed.
    pub filters: Vec<String>,
    /// Names or patterns given as arguments, `nginx`, `repo:*`.
    pub references: Vec<String>,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// Image id.
    pub id: Digest,
    /// Repository as docker shows it; `None` for `<none>`.
    pub repository: Option<String>,
    /// Tag; `None` for `<none>`.
    pub tag: Option<String>,
    /// Digest of the reference in its registry, if known.
    pub digest: Option<Digest>,
    /// When it was built.
    pub created: Option<jiff::Timestamp>,
    /// Bytes of its unpacked layers.
    pub size: u64,
    /// Containers that use it.
    pub containers: usize,
    /// It is used from another store.
    pub read_only: bool,
    /// The image.
    pub image: Image,
}

/// Lists images, the newest first.
///
/// # Errors
/// An unknown filter, or a value that it does not take.
pub fn list(ctx: &Context, options: &ListOptions) -> Result<Vec<ListEntry>, Error> {
    let store = ctx.store()?;
    let filter = ImageFilter::compile(ctx, &store, &options.filters, &options.references)?;
    let containers = store.list_containers()?;
    let mut entries = Vec::new();
    for image in store.list_images()? {
        let users = containers.iter().filter(|c| c.image_id.as_ref() == Some(&image.id)).count();
        if !filter.wants(&image, users) {
            continue;
        }
        entries.extend(entries_of(ctx, &image, users).into_iter().filter(|e| filter.wants_entry(e)));
    }
    entries.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| name(a).cmp(&name(b))));
    Ok(entries)
}

fn name(e: &ListEntry) -> (Option<&str>, Option<&str>) {
    (e.repository.as_deref(), e.tag.as_deref())
}

fn entries_of(ctx: &Context, image: &Image, containers: usize) -> Vec<ListEntry> {
    let read_only = is_lent(&ctx.paths, image);
    let entry = |repository: Option<String>, tag: Option<String>, digest: Option<Digest>| ListEntry {
        id: image.id.clone(),
        repository,
        tag,
        digest,
        created: image.created,
        size: image.size,
        containers,
        read_only,
        image: image.clone(),
    };
    let digests: Vec<ImageRef> = image.digests.iter().filter_map(|d| d.parse().ok()).collect();
    let shown = |r: &ImageRef| if ctx.podman { r.name() } else { r.familiar_name() };
    let mut entries = Vec::new();
    for r in image.names.iter().filter_map(|n| n.parse::<ImageRef>().ok()) {
        let digest = digests.iter().find(|d| d.name() == r.name()).and_then(|d| d.digest.clone());
        entries.push(entry(Some(shown(&r)), r.tag.clone(), digest));
    }
    // Repositories that know it by digest alone.
    for d in &digests {
        if !image.names.iter().any(|n| n.parse::<ImageRef>().is_ok_and(|r| r.name() == d.name())) {
            entries.push(entry(Some(shown(d)), None, d.digest.clone()));
        }
    }
    if entries.is_empty() {
        entries.push(entry(None, None, None));
    }
    entries
}

/// A compiled filter; `images` and `image prune` share it.
pub(super) struct ImageFilter {
    filters: Filters,
    before: Option<jiff::Timestamp>,
    since: Option<jiff::Timestamp>,
    until: Option<jiff::Timestamp>,
    patterns: Vec<Pattern>,
    /// Called podman: a pattern may fit the end of a name, a digest be that of a manifest here.
    podman: bool,
    paths: Paths,
}

impl ImageFilter {
    pub(super) fn compile(
        ctx: &Context,
        store: &Store,
        texts: &[String],
        references: &[String],
    ) -> Result<Self, Error> {
        let filters = Filters::parse(texts, IMAGE_FILTERS)?;
        for key in ["dangling", "intermediate", "readonly"] {
            for value in filters.values(key) {
                boolean(value)
                    .ok_or_else(|| Error::new(Kind::Invalid, format!("invalid filter '{key}={value}'")))?;
            }
        }
        let names = Names::of(ctx);
        let edge = |key: &str| -> Result<Option<jiff::Timestamp>, Error> {
            match filters.values(key).first() {
                Some(name) => Ok(find_by(&names, store, name)?.0.created),
                None => Ok(None),
            }
        };
        let (before, since) = (edge("before")?, edge("since")?.or(edge("after")?));
        let until = match filters.values("until").first() {
            Some(text) => Some(parse_timestamp(text, jiff::Timestamp::now(), &jiff::tz::TimeZone::system())?),
            None => None,
        };
        let given = references.iter().chain(filters.values("reference"));
        let patterns = given.map(|text| Pattern::new(text)).collect::<Result<_, _>>()?;
        Ok(Self { before, since, until, patterns, podman: ctx.podman, filters, paths: ctx.paths.clone() })
    }

    pub(super) fn wants(&self, image: &Image, containers: usize) -> bool {
        self.filters.iter().all(|(key, values)| match key {
            "dangling" => values.iter().all(|v| boolean(v) == Some(image.names.is_empty())),
            // Every image here is one that somebody asked for.
            "intermediate" => values.iter().all(|v| boolean(v) == Some(false)),
            "readonly" => values.iter().all(|v| boolean(v) == Some(is_lent(&self.paths, image))),
            "label" => values.iter().all(|v| has_label(&image.config.labels, v)),
            "label!" => !values.iter().any(|v| has_label(&image.config.labels, v)),
            "before" => self.before.is_some_and(|t| image.created.is_some_and(|c| c < t)),
            "since" | "after" => self.since.is_some_and(|t| image.created.is_some_and(|c| c > t)),
            "until" => self.until.is_some_and(|t| image.created.is_none_or(|c| c < t)),
            "id" => values.iter().any(|v| image.id.hex().starts_with(v.strip_prefix("sha256:").unwrap_or(v))),
            "digest" => values.iter().any(|v| {
                let own = self.podman && image.manifest.as_str().starts_with(v.as_str());
                own || image
                    .digests
                    .iter()
                    .any(|d| d.rsplit_once('@').is_some_and(|(_, d)| d.starts_with(v.as_str())))
            }),
            "containers" => values.iter().any(|v| boolean(v) == Some(containers > 0)),
            _ => true,
        })
    }

    fn wants_entry(&self, e: &ListEntry) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|p| p.fits(e, self.podman))
    }
}

/// Whether an image is used from another store (`--storage-opt overlay.imagestore`).
pub(super) fn is_lent(paths: &Paths, image: &Image) -> bool {
    image.layers.last().is_some_and(|top| lent::is_lent(paths, top))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Some(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `nginx`, `nginx:1.*`, `quay.io/*/app`: fits the name, or name and tag, in docker's or in the full form.
struct Pattern(GlobMatcher);

impl Pattern {
    fn new(text: &str) -> Result<Self, Error> {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        let glob =
            glob.map_err(|e| Error::new(Kind::Invalid, format!("invalid reference pattern {text:?}: {e}")))?;
        Ok(Self(glob.compile_matcher()))
    }

    fn fits(&self, e: &ListEntry, podman: bool) -> bool {
        let Some(repository) = &e.repository else { return false };
        let full = repository.parse::<ImageRef>().map_or_else(|_| repository.clone(), |r| r.name());
        let ends = full.match_indices('/').map(|(at, _)| full[at + 1..].to_owned()).collect::<Vec<_>>();
        let ends = ends.into_iter().filter(|_| podman);
        [repository.clone(), full.clone()].into_iter().chain(ends).any(|name| {
            self.0.is_match(&name)
                || e.tag.as_ref().is_some_and(|t| self.0.is_match(format!("{name}:{t}")))
                || e.digest.as_ref().is_some_and(|d| self.0.is_match(format!("{name}@{d}")))
        })
    }
}
