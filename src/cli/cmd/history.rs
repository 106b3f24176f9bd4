//! `rcon history`.

use serde_json::json;

use super::images::since;
use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::listing::{self, Layout, Style, ellipsis, tame};
use crate::cli::ui::template::Data;
use crate::engine::images::{self, HistoryEntry};
use crate::model::units::human_size;

/// Characters of a command that docker shows.
const COMMAND_WIDTH: usize = 45;

/// Flags of `history`.
#[derive(clap::Args)]
struct HistoryArgs {
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Sizes and dates for people
    #[arg(short = 'H', long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean, value_name = "BOOL")]
    human: Option<bool>,
    /// Do not cut ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// Show only ids
    #[arg(short, long)]
    quiet: bool,
    /// Only if it is for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Image
    #[arg(value_name = "IMAGE", required = true, hide = true)]
    image: String,
}

pub(super) const DEF: Def = def!(
    HistoryArgs,
    run,
    Section::Images,
    ["history", "image history"],
    "[OPTIONS] IMAGE",
    "Show how an image was made"
);

const LAYOUT: Layout = Layout {
    titles: &[
        ("Comment", "COMMENT"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("CreatedSince", "CREATED"),
        ("ID", "IMAGE"),
        ("Size", "SIZE"),
    ],
    further: &["Created", "Tags"],
    columns: &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
};

fn run(args: HistoryArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let podman = ctx.manner == Manner::Podman;
    if let Some(platform) = &args.platform {
        images::check_platform(ctx.engine()?, &args.image, platform)?;
    }
    let steps = images::history(ctx.engine()?, &args.image)?;
    if args.quiet && args.format.is_none() {
        for step in &steps {
            ui.line(id(step, !args.no_trunc, podman));
        }
        return Ok(Exit::OK);
    }
    let now = jiff::Timestamp::now();
    let rows: Vec<Data> =
        steps.iter().map(|s| row(s, now, (!args.no_trunc, args.human.unwrap_or(true)), podman)).collect();
    let style = Style { format: args.format.as_deref(), no_heading: false };
    listing::show(ui, &LAYOUT, style, &rows)?;
    Ok(Exit::OK)
}

fn id(step: &HistoryEntry, cut: bool, podman: bool) -> &str {
    match &step.id {
        Some(id) if podman && !cut => id.hex(),
        Some(id) if cut => id.short(),
        Some(id) => id.as_str(),
        None => "<missing>",
    }
}

fn row(step: &HistoryEntry, now: jiff::Timestamp, (cut, human): (bool, bool), podman: bool) -> Data {
    // podman's has no parts of seconds.
    let shown = |t: jiff::Timestamp| if podman { format!("{t:.0}") } else { t.to_string() };
    let at = step.created.map_or_else(String::new, shown);
    let by = tame(&step.created_by.replace('\t', " "));
    let created = if human { since(step.created, now) } else { at.clone() };
    Data::from(json!({
        "Comment": tame(&step.comment),
        "CreatedAt": at,
        "CreatedBy": if cut { ellipsis(&by, COMMAND_WIDTH) } else { by },
        "CreatedSince": created,
        "ID": id(step, cut, podman),
        "Size": if human { human_size(step.size) } else { step.size.to_string() },
        // podman's further fields
        "Created": created,
        "Tags": step.tags,
    }))
}
