//! `rcon create`.

use crate::cli::Ctx;
use crate::cli::args::create::CreateArgs;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::progress::PullProgress;

pub(super) const DEF: Def = def!(
    CreateArgs,
    run,
    Section::Containers,
    ["create", "container create"],
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    flags_first
);

fn run(args: CreateArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    args.check(ctx.manner)?;
    let files = args.side_files();
    if let Some(warning) = args.warning() {
        ui.warn(warning);
    }
    let options = args.into_options(&ctx.globals)?;
    let progress = PullProgress::new(options.quiet).speaking(ctx.manner);
    let created = crate::engine::create::create(ctx.engine()?, &options, &files, &progress);
    progress.finish();
    let created = created?;
    for warning in &created.warnings {
        ui.warn(warning);
    }
    ui.line(created.id);
    Ok(Exit::OK)
}
