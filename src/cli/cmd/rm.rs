//! `rcon rm`.

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::Outcome;
use crate::cli::ui::Ui;
use crate::engine::rm::RemoveOptions;

/// Flags of `rm`. `-f` is `--force`, so `--filter` has no short form; `-l` is podman's `--latest`,
/// docker's is `--link`.
#[derive(clap::Args)]
struct RmArgs {
    /// Kill it first if it runs; what does not exist is no error
    #[arg(short, long)]
    force: bool,
    /// Remove its anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    /// With --force: seconds between the stop signal and SIGKILL
    #[arg(short = 't', long = "timeout", alias = "time", value_name = "SECONDS")]
    timeout: Option<i64>,
    /// Remove what depends on it too
    #[arg(long)]
    depend: bool,
    /// Remove a link (NAME/ALIAS) that --link made, not the container
    #[arg(long)]
    link: bool,
    /// What does not exist is no error
    #[arg(short, long)]
    ignore: bool,
    /// Take all containers
    #[arg(short, long)]
    all: bool,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Take those that match
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Read an id from a file
    #[arg(long, value_name = "FILE")]
    cidfile: Vec<String>,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    RmArgs,
    run,
    Section::Everyday,
    ["rm", "container rm", "container remove"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove containers"
);

fn run(args: RmArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let choice =
        SelectArgs { all: args.all, latest: args.latest, filter: args.filter, cidfile: args.cidfile };
    let which = selection(args.containers, choice, args.ignore || args.force, "rm")?;
    let options = RemoveOptions {
        force: args.force,
        volumes: args.volumes,
        timeout: args.timeout,
        depend: args.depend,
        link: args.link,
    };
    let mut each = Each::new(ui);
    crate::engine::rm::rm(ctx.engine()?, &which, &options, &mut |done| each.removed(done))?;
    Ok(each.exit())
}
