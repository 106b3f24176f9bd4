//! `rcon stop`.

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::Outcome;
use crate::cli::ui::Ui;
use crate::engine::stop::StopOptions;

/// Flags of `stop`.
#[derive(clap::Args)]
struct StopArgs {
    /// Seconds until it is killed; -1 waits for ever
    #[arg(short = 't', long = "timeout", alias = "time", value_name = "SECONDS")]
    timeout: Option<i64>,
    /// Signal to send instead of the container's own
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// For a shutdown: containers with a restart policy come back at the next boot
    #[arg(long, alias = "service")]
    shutdown: bool,
    /// What does not exist is no error
    #[arg(short, long)]
    ignore: bool,
    #[command(flatten)]
    choice: SelectArgs,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    StopArgs,
    run,
    Section::Everyday,
    ["stop", "container stop"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop running containers"
);

fn run(args: StopArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let which = selection(args.containers, args.choice, args.ignore, "stop")?;
    let options = StopOptions { timeout: args.timeout, signal: args.signal, shutdown: args.shutdown };
    let mut each = Each::new(ui);
    crate::engine::stop::stop(ctx.engine()?, &which, &options, &mut |done| {
        if let Ok(stopped) = &done.result
            && let Some(killed) = &stopped.killed
        {
            each.warn(killed);
        }
        each.echo(done);
    })?;
    Ok(each.exit())
}
