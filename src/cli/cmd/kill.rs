//! `rcon kill`.

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::Outcome;
use crate::cli::ui::Ui;

/// Flags of `kill`.
#[derive(clap::Args)]
struct KillArgs {
    /// Signal to send (default KILL)
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    #[command(flatten)]
    choice: SelectArgs,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    KillArgs,
    run,
    Section::Containers,
    ["kill", "container kill"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Send a signal to running containers"
);

fn run(args: KillArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let which = selection(args.containers, args.choice, false, "kill")?;
    let mut each = Each::new(ui);
    crate::engine::kill::kill(ctx.engine()?, &which, args.signal.as_deref(), &mut |done| each.echo(done))?;
    Ok(each.exit())
}
