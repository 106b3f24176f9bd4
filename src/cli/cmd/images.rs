//! `rcon images`.

use std::time::Duration;

use serde_json::json;

use super::podman_json;
use super::ps::created_at;
use crate::cli::Ctx;
use crate::cli::client::{self, Listing};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::listing::{self, Layout, Style, tame};
use crate::cli::ui::template::Data;
use crate::engine::images::{self, ListEntry, ListOptions};
use crate::model::units::{human_duration, human_size};

/// Flags of `images`.
#[derive(clap::Args)]
struct ImagesArgs {
    /// All images; there are no intermediate ones here, so that it shows no more
    #[arg(short, long)]
    all: bool,
    /// Show the digests
    #[arg(long)]
    digests: bool,
    /// Show those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the earlier names
    #[arg(long)]
    history: bool,
    /// Do not cut ids
    #[arg(long)]
    no_trunc: bool,
    /// Do not print the titles
    #[arg(short, long)]
    noheading: bool,
    /// Show only ids
    #[arg(short, long)]
    quiet: bool,
    /// Order: created, id, repository, size, tag
    #[arg(long, value_name = "KEY", value_parser = ["created", "id", "repository", "size", "tag"])]
    sort: Option<String>,
    /// Names or patterns
    #[arg(value_name = "REPOSITORY[:TAG]", hide = true)]
    references: Vec<String>,
}

pub(super) const DEF: Def = def!(
    ImagesArgs,
    run,
    Section::Everyday,
    ["images", "image ls", "image list"],
    "[OPTIONS] [REPOSITORY[:TAG]...]",
    "List images"
);

const TITLES: &[(&str, &str)] = &[
    ("Containers", "CONTAINERS"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("SharedSize", "SHARED SIZE"),
    ("Size", "SIZE"),
    ("Tag", "TAG"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("VirtualSize", "SIZE"),
];
const FURTHER: &[&str] = &[
    "Created",
    "CreatedTime",
    "Dangling",
    "History",
    "Labels",
    "Names",
    "ReadOnly",
    "RepoDigests",
    "RepoTags",
    "Platform",
];
const LAYOUT: Layout = Layout {
    titles: TITLES,
    further: FURTHER,
    columns: &["Repository", "Tag", "ID", "CreatedSince", "Size"],
};
const WITH_DIGESTS: Layout = Layout {
    titles: TITLES,
    further: FURTHER,
    columns: &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"],
};
const WITH_HISTORY: Layout = Layout {
    titles: TITLES,
    further: FURTHER,
    columns: &["Repository", "Tag", "ID", "CreatedSince", "Size", "History"],
};

fn run(mut args: ImagesArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    args.format = client::format(ctx, Listing::Images, args.format.take(), args.quiet);
    let options = ListOptions { all: args.all, filters: args.filter, references: args.references };
    let mut all = images::list(ctx.engine()?, &options)?;
    if let Some(key) = &args.sort {
        sort(&mut all, key);
    }
    if args.quiet && args.format.is_none() {
        let mut last = None;
        for e in &all {
            // An image with several names is one id.
            if last.replace(&e.id) != Some(&e.id) {
                ui.line(if args.no_trunc { e.id.as_str() } else { e.id.short() });
            }
        }
        return Ok(Exit::OK);
    }
    if podman_json::is_wanted(ctx, args.format.as_deref()) {
        podman_json::show(ui, podman_json::images(&all));
        return Ok(Exit::OK);
    }
    let now = jiff::Timestamp::now();
    let rows: Vec<Data> = all.iter().map(|e| row(e, now, !args.no_trunc)).collect();
    let layout = match (args.digests, args.history) {
        (true, _) => &WITH_DIGESTS,
        (false, true) => &WITH_HISTORY,
        (false, false) => &LAYOUT,
    };
    let style = Style { format: args.format.as_deref(), no_heading: args.noheading };
    listing::show(ui, layout, style, &rows)?;
    Ok(Exit::OK)
}

fn sort(all: &mut [ListEntry], key: &str) {
    match key {
        "id" => all.sort_by(|a, b| a.id.cmp(&b.id)),
        "repository" => all.sort_by(|a, b| a.repository.cmp(&b.repository)),
        "size" => all.sort_by_key(|e| e.size),
        "tag" => all.sort_by(|a, b| a.tag.cmp(&b.tag)),
        _ => all.sort_by_key(|e| std::cmp::Reverse(e.created)),
    }
}

/// `5 days ago`; docker says `N/A` of an image without a date.
pub(super) fn since(at: Option<jiff::Timestamp>, now: jiff::Timestamp) -> String {
    let Some(at) = at else { return "N/A".to_owned() };
    let seconds = u64::try_from(now.as_second() - at.as_second()).unwrap_or(0);
    format!("{} ago", human_duration(Duration::from_secs(seconds)))
}

fn row(e: &ListEntry, now: jiff::Timestamp, cut: bool) -> Data {
    let none = || "<none>".to_owned();
    let image = &e.image;
    let size = human_size(e.size);
    let value = json!({
        "Containers": if e.containers == 0 { "N/A".to_owned() } else { e.containers.to_string() },
        "CreatedAt": e.created.map_or_else(|| "N/A".to_owned(), created_at),
        "CreatedSince": since(e.created, now),
        "Digest": e.digest.as_ref().map_or_else(none, ToString::to_string),
        "ID": if cut { e.id.short() } else { e.id.as_str() },
        "Repository": e.repository.clone().unwrap_or_else(none),
        "SharedSize": "N/A",
        "Size": size,
        "Tag": e.tag.clone().unwrap_or_else(none),
        "UniqueSize": "N/A",
        "VirtualSize": size,
        // podman's further fields
        "Created": since(e.created, now),
        "CreatedTime": e.created.map_or_else(String::new, created_at),
        "Dangling": image.names.is_empty(),
        "History": image.names.join(", "),
        "Labels": tame(&listing::labels_text(&image.config.labels)),
        "Names": image.names,
        "ReadOnly": e.read_only,
        "RepoDigests": image.digests,
        "RepoTags": image.names,
        "Platform": format!("{}/{}", image.os, image.architecture),
    });
    Data { value, lookups: listing::label_lookup(&image.config.labels) }
}
