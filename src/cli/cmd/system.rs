//! `rcon system df` and `rcon system prune`.

use serde_json::{Value, json};

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::listing::{self, Layout, Style};
use crate::cli::ui::table::Table;
use crate::cli::ui::template::Data;
use crate::engine::prune::{PruneOptions, Pruned};
use crate::engine::system::{DiskUsage, Usage};
use crate::model::units::human_size;

/// Flags of `system df`.
#[derive(clap::Args)]
struct DfArgs {
    /// Show each image, container and volume
    #[arg(short, long)]
    verbose: bool,
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Flags of `system prune`.
#[derive(clap::Args)]
struct PruneArgs {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Only what matches (until=, label=, label!=)
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Volumes too
    #[arg(long)]
    volumes: bool,
}

pub(super) const DF: Def =
    def!(DfArgs, df, Section::System, ["system df"], "[OPTIONS]", "Show what the store takes");
pub(super) const PRUNE: Def =
    def!(PruneArgs, prune, Section::System, ["system prune"], "[OPTIONS]", "Remove what nothing uses");

const LAYOUT: Layout = Layout {
    titles: &[
        ("Active", "ACTIVE"),
        ("Reclaimable", "RECLAIMABLE"),
        ("Size", "SIZE"),
        ("TotalCount", "TOTAL"),
        ("Type", "TYPE"),
    ],
    further: &["Total"],
    columns: &["Type", "TotalCount", "Active", "Size", "Reclaimable"],
};

fn df(args: DfArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let DiskUsage { images, containers, volumes } = crate::engine::system::df(ctx.engine()?, args.verbose)?;
    let all = [("Images", images), ("Containers", containers), ("Local Volumes", volumes)];
    if args.verbose {
        if args.format.is_some() {
            return Err(Failure::usage(
                "conflicting options: --verbose and --format cannot be used together",
            ));
        }
        for (title, usage) in &all {
            ui.line(format_args!("{title} space usage:\n"));
            ui.text(&items(usage));
            ui.line("");
        }
        return Ok(Exit::OK);
    }
    let rows: Vec<Data> = all.iter().map(|(title, usage)| Data::from(row(title, usage))).collect();
    let style = Style { format: args.format.as_deref(), no_heading: false };
    listing::show(ui, &LAYOUT, style, &rows)?;
    Ok(Exit::OK)
}

fn row(title: &str, usage: &Usage) -> Value {
    let reclaimable = match usage.size {
        0 => human_size(usage.reclaimable),
        size => {
            format!("{} ({}%)", human_size(usage.reclaimable), usage.reclaimable.saturating_mul(100) / size)
        }
    };
    json!({
        "Active": usage.active.to_string(),
        "Reclaimable": reclaimable,
        "Size": human_size(usage.size),
        // podman's word for it
        "Total": usage.total,
        "TotalCount": usage.total.to_string(),
        "Type": title,
    })
}

/// A table of whatever columns the items have; sizes in bytes become human ones.
fn items(usage: &Usage) -> String {
    let Some(Value::Object(first)) = usage.items.first() else { return String::new() };
    let columns: Vec<&String> = first.keys().collect();
    let mut table = Table::new(columns.iter().map(|c| c.to_uppercase()));
    for item in &usage.items {
        table.row(columns.iter().map(|c| match item.get(c.as_str()) {
            Some(Value::Number(n)) if c.to_ascii_lowercase().contains("size") => {
                human_size(n.as_u64().unwrap_or(0))
            }
            Some(Value::String(s)) => listing::tame(s),
            Some(other) => other.to_string(),
            None => String::new(),
        }));
    }
    table.render()
}

fn prune(args: PruneArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let mut question = String::from(
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n",
    );
    if args.volumes {
        question.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    question.push_str(match args.all {
        true => "  - all images without at least one container associated to them\n",
        false => "  - all dangling images\n",
    });
    if !args.force && !ui.confirm(&question)? {
        return Err(Failure::new("system prune has been cancelled"));
    }
    let options = PruneOptions { filters: args.filter, all: args.all, volumes: args.volumes };
    let pruned = crate::engine::prune::system(ctx.engine()?, &options)?;
    show(ui, &pruned);
    Ok(Exit::OK)
}

fn show(ui: &mut Ui, pruned: &Pruned) {
    super::show_list(ui, "Deleted Containers:", &pruned.containers);
    super::show_list(ui, "Deleted Networks:", &pruned.networks);
    super::show_list(ui, "Deleted Volumes:", &pruned.volumes);
    super::show_list(ui, "Deleted Images:", &pruned.images);
    ui.line(format_args!("Total reclaimed space: {}", human_size(pruned.reclaimed)));
}
