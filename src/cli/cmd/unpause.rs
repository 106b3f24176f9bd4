//! `rcon unpause`.

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::Outcome;
use crate::cli::ui::Ui;

/// Flags of `unpause`.
#[derive(clap::Args)]
struct UnpauseArgs {
    #[command(flatten)]
    choice: SelectArgs,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    UnpauseArgs,
    run,
    Section::Containers,
    ["unpause", "container unpause"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Thaw frozen containers"
);

fn run(args: UnpauseArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let which = selection(args.containers, args.choice, false, "unpause")?;
    let mut each = Each::new(ui);
    crate::engine::pause::unpause(ctx.engine()?, &which, &mut |done| each.echo(done))?;
    Ok(each.exit())
}
