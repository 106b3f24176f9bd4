//! `rcon rename`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;

/// Arguments of `rename`.
#[derive(clap::Args)]
struct RenameArgs {
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
    /// New name
    #[arg(required = true, value_name = "NAME", hide = true)]
    name: String,
}

pub(super) const DEF: Def = def!(
    RenameArgs,
    run,
    Section::Containers,
    ["rename", "container rename"],
    "CONTAINER NEW_NAME",
    "Rename a container"
);

fn run(args: RenameArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    crate::engine::rename::rename(ctx.engine()?, &args.container, &args.name)?;
    Ok(Exit::OK)
}
