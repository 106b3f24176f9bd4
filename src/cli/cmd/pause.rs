//! `rcon pause`.

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::Outcome;
use crate::cli::ui::Ui;

/// Flags of `pause`.
#[derive(clap::Args)]
struct PauseArgs {
    #[command(flatten)]
    choice: SelectArgs,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    PauseArgs,
    run,
    Section::Containers,
    ["pause", "container pause"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Freeze all processes of containers"
);

fn run(args: PauseArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let which = selection(args.containers, args.choice, false, "pause")?;
    let mut each = Each::new(ui);
    crate::engine::pause::pause(ctx.engine()?, &which, &mut |done| each.echo(done))?;
    Ok(each.exit())
}
