//! `rcon image inspect`, `rcon image exists`, `rcon image prune`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;
use crate::engine::images::{self, Removal};

/// Flags of `image inspect`.
#[derive(clap::Args)]
struct InspectArgs {
    /// Format with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only if it is for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Images
    #[arg(value_name = "IMAGE", required = true, hide = true)]
    names: Vec<String>,
}

/// Arguments of `image exists`.
#[derive(clap::Args)]
struct ExistsArgs {
    /// Image
    #[arg(value_name = "IMAGE", required = true, hide = true)]
    name: String,
}

/// Flags of `image prune`.
#[derive(clap::Args)]
struct PruneArgs {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Only those that match: until, label, label!
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Also what only containers of other tools use: the store has none of these
    #[arg(long, hide = true)]
    external: bool,
    /// The cache of a builder too: there is no builder, so there is no cache
    #[arg(long, hide = true)]
    build_cache: bool,
}

pub(super) const INSPECT: Def = def!(
    InspectArgs,
    inspect,
    Section::Images,
    ["image inspect"],
    "[OPTIONS] IMAGE [IMAGE...]",
    "Show all that is known of images"
);

pub(super) const EXISTS: Def = def!(
    ExistsArgs,
    exists,
    Section::Images,
    ["image exists"],
    "IMAGE",
    "Tell by the exit code whether an image is in the store"
);

pub(super) const PRUNE: Def =
    def!(PruneArgs, prune, Section::Images, ["image prune"], "[OPTIONS]", "Remove unused images");

fn inspect(args: InspectArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let engine = ctx.engine()?;
    super::inspect::show(ui, args.format.as_deref(), &args.names, |name| {
        if let Some(platform) = &args.platform {
            images::check_platform(engine, name, platform)?;
        }
        images::inspect(engine, name)
    })
}

fn exists(args: ExistsArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    Ok(if images::exists(ctx.engine()?, &args.name)? { Exit::OK } else { Exit::NO })
}

fn prune(args: PruneArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let filters = crate::cli::client::prune_filters(ctx, args.filter);
    let _nothing_more = (args.external, args.build_cache);
    let question = if args.all {
        "This will remove all images without at least one container associated to them."
    } else {
        "This will remove all dangling images."
    };
    if !args.force && !ui.confirm(question)? {
        return super::cancelled(ctx, "image prune");
    }
    let pruned = images::prune(ctx.engine()?, args.all, &filters)?;
    super::show_list(ui, "Deleted Images:", &removals(&pruned.removed));
    super::reclaimed(ui, ctx, pruned.reclaimed);
    Ok(Exit::OK)
}

/// docker's lines about what went.
pub(super) fn removals(all: &[Removal]) -> Vec<String> {
    let line = |r: &Removal| match r {
        Removal::Untagged(name) => format!("untagged: {name}"),
        Removal::Deleted(name) => format!("deleted: {name}"),
    };
    all.iter().map(line).collect()
}
