//! `rcon search`.

use serde_json::json;

use crate::cli::Ctx;
use crate::cli::args::boolean;
use crate::cli::args::image::RegistryArgs;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::listing::{self, Layout, Style, ellipsis, tame};
use crate::cli::ui::template::Data;
use crate::engine::images::{self, PullOptions};

/// Results of a registry that are shown unasked, and for 0.
const DEFAULT_LIMIT: usize = 25;

/// Flags of `search`.
#[derive(clap::Args)]
struct SearchArgs {
    /// Show those that match: is-official=BOOL, is-automated=BOOL, stars=NUMBER
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Most results of a registry
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT)]
    limit: usize,
    /// List the tags of a repository
    #[arg(long)]
    list_tags: bool,
    /// Do not cut descriptions
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = boolean,
          value_name = "BOOL")]
    no_trunc: Option<bool>,
    /// Show stars, official and automated, as docker does; for a program that is called podman
    #[arg(long)]
    compatible: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// What to look for
    #[arg(value_name = "TERM", required = true, hide = true)]
    term: String,
}

pub(super) const DEF: Def =
    def!(SearchArgs, run, Section::Images, ["search"], "[OPTIONS] TERM", "Search registries for images");

const LAYOUT: Layout = Layout {
    titles: &[
        ("Description", "DESCRIPTION"),
        ("IsAutomated", "AUTOMATED"),
        ("IsOfficial", "OFFICIAL"),
        ("Name", "NAME"),
        ("StarCount", "STARS"),
    ],
    further: FURTHER,
    columns: &["Name", "Description", "StarCount", "IsOfficial"],
};
/// podman's further names.
const FURTHER: &[&str] = &["Automated", "Index", "Official", "Stars"];
/// podman shows no stars, unless asked to.
const PODMAN: Layout = Layout {
    titles: &[
        ("Automated", "AUTOMATED"),
        ("Description", "DESCRIPTION"),
        ("Index", "INDEX"),
        ("Name", "NAME"),
        ("Official", "OFFICIAL"),
        ("Stars", "STARS"),
    ],
    further: &["IsAutomated", "IsOfficial", "StarCount"],
    columns: &["Name", "Description"],
};
const COMPATIBLE: Layout =
    Layout { columns: &["Name", "Description", "Stars", "Official", "Automated"], ..PODMAN };

const TAGS: Layout =
    Layout { titles: &[("Name", "NAME"), ("Tag", "TAG")], further: &[], columns: &["Name", "Tag"] };

/// Characters of a description that docker shows.
const WIDTH: usize = 45;

fn run(args: SearchArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let registry = args.registry.into_options(&ctx.globals)?;
    let style = Style { format: args.format.as_deref(), no_heading: false };
    if args.list_tags && !args.filter.is_empty() {
        return Err(Failure::usage("filters are not applicable to list tags result"));
    }
    if args.list_tags {
        let options = PullOptions { registry, ..PullOptions::default() };
        let names = images::tags(untagged(&args.term), &options)?;
        let rows: Vec<Data> = names
            .iter()
            .take(args.limit)
            .filter_map(|n| n.rsplit_once(':'))
            .map(|(name, tag)| Data::from(json!({ "Name": name, "Tag": tag })))
            .collect();
        listing::show(ui, &TAGS, style, &rows)?;
        return Ok(Exit::OK);
    }
    // podman's lists and templates have descriptions whole.
    let whole = args.no_trunc.unwrap_or(ctx.manner == Manner::Podman && args.format.is_some());
    if ctx.manner == Manner::Docker {
        for text in &args.filter {
            crate::cli::args::filter(text).map_err(|why| {
                Failure::usage(format!("invalid argument \"{text}\" for \"-f, --filter\" flag: {why}"))
            })?;
        }
    }
    let filters = args.filter.iter().map(|f| Filter::parse(f)).collect::<Result<Vec<_>, _>>()?;
    // docker's limits; podman asks for as many as it is told.
    if ctx.manner == Manner::Docker && args.limit > 100 {
        return Err(Failure::new(format!("Limit {} is outside the range of [1, 100]", args.limit)));
    }
    let limit = if args.limit == 0 { DEFAULT_LIMIT } else { args.limit };
    let found = images::search(&args.term, limit, &registry)?;
    let rows: Vec<Data> = found
        .iter()
        .filter(|r| {
            filters.iter().all(|f| match *f {
                Filter::Official(want) => r.is_official == want,
                Filter::Automated(want) => r.is_automated == want,
                Filter::Stars(least) => r.star_count >= least,
            })
        })
        .map(|r| {
            let text = tame(&r.description);
            let ok = |yes: bool| if yes { "[OK]" } else { "" };
            Data::from(json!({
                "Description": match (whole, ctx.manner) {
                    (true, _) => text,
                    (false, Manner::Docker) => ellipsis(&text, WIDTH),
                    (false, Manner::Podman) => dots(&text),
                },
                "Index": r.registry,
                "IsAutomated": ok(r.is_automated),
                "IsOfficial": ok(r.is_official),
                "Name": if r.registry == "docker.io" { r.name.clone() } else { format!("{}/{}", r.registry, r.name) },
                "StarCount": r.star_count,
                "Stars": r.star_count,
                "Official": ok(r.is_official),
                "Automated": ok(r.is_automated),
            }))
        })
        .collect();
    if rows.is_empty() && ctx.manner == Manner::Podman && style.is_plain() {
        return Ok(Exit::OK);
    }
    let layout = match (ctx.manner, args.compatible) {
        (Manner::Docker, _) => &LAYOUT,
        (Manner::Podman, false) => &PODMAN,
        (Manner::Podman, true) => &COMPATIBLE,
    };
    listing::show(ui, layout, style, &rows)?;
    Ok(Exit::OK)
}

/// A term without the tag, of which a list of tags takes no notice.
fn untagged(term: &str) -> &str {
    match term.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') && name.contains('/') => name,
        _ => term,
    }
}

/// As [`ellipsis`], with podman's three dots behind as many characters.
fn dots(text: &str) -> String {
    if text.chars().count() < WIDTH {
        return text.to_owned();
    }
    let cut: String = text.chars().take(WIDTH - 1).collect();
    format!("{cut}...")
}

enum Filter {
    Official(bool),
    Automated(bool),
    Stars(u64),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, Failure> {
        let bad = || {
            Failure::usage(format!("invalid filter '{text}'"))
                .hint("known filters: is-official, is-automated, stars")
        };
        let (key, value) = text.split_once('=').unwrap_or((text, "true"));
        let yes = || boolean(value).map_err(|_| bad());
        match key {
            "is-official" => Ok(Self::Official(yes()?)),
            "is-automated" => Ok(Self::Automated(yes()?)),
            "stars" => value.parse().map(Self::Stars).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}
