//! `rcon restart`.

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::Outcome;
use crate::cli::ui::Ui;
use crate::engine::stop::StopOptions;

/// Flags of `restart`.
#[derive(clap::Args)]
struct RestartArgs {
    /// Seconds until it is killed; -1 waits for ever
    #[arg(short = 't', long = "timeout", alias = "time", value_name = "SECONDS")]
    timeout: Option<i64>,
    /// Signal to send instead of the container's own
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Leave alone what does not run
    #[arg(long)]
    running: bool,
    #[command(flatten)]
    choice: SelectArgs,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    RestartArgs,
    run,
    Section::Containers,
    ["restart", "container restart"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop containers and start them again"
);

fn run(args: RestartArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let mut choice = args.choice;
    // `--running` alone means all that run.
    choice.all |= args.running && args.containers.is_empty() && !choice.latest;
    let which = selection(args.containers, choice, false, "restart")?;
    let options = StopOptions { timeout: args.timeout, signal: args.signal, shutdown: false };
    let mut each = Each::new(ui);
    crate::engine::restart::restart(ctx.engine()?, &which, &options, args.running, &mut |done| {
        if let Ok(stopped) = &done.result
            && let Some(killed) = &stopped.killed
        {
            each.warn(killed);
        }
        each.echo(done);
    })?;
    Ok(each.exit())
}
