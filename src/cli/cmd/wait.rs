//! `rcon wait`.

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{LatestArg, SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::Outcome;
use crate::cli::ui::Ui;
use crate::engine::wait::WaitOptions;
use crate::engine::{Done, Kind};

/// Flags of `wait`.
#[derive(clap::Args)]
struct WaitArgs {
    /// What to wait for: not-running (default), next-exit, removed, running, healthy, …
    #[arg(long, value_name = "CONDITION")]
    condition: Vec<String>,
    /// End with the first container that matches
    #[arg(long)]
    exit_first_match: bool,
    /// What does not exist is no error: its exit code is -1
    #[arg(long)]
    ignore: bool,
    /// Time between two looks: not needed, rcon is told by the kernel
    #[arg(short, long, value_name = "DURATION", hide = true)]
    interval: Option<String>,
    #[command(flatten)]
    latest: LatestArg,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    WaitArgs,
    run,
    Section::Containers,
    ["wait", "container wait"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Wait until containers stop, then print their exit codes"
);

fn run(args: WaitArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    // The kernel wakes us, so how often to look is nobody's matter; a wrong duration still is an error.
    if let Some(text) = args.interval.filter(|t| t.parse::<u64>().is_err()) {
        crate::model::units::parse_duration(&text)?;
    }
    let choice = SelectArgs { latest: args.latest.latest, ..SelectArgs::default() };
    let which = selection(args.containers, choice, false, "wait")?;
    let options =
        WaitOptions { conditions: crate::cli::args::commas(args.condition), first: args.exit_first_match };
    let mut each = Each::new(ui);
    crate::engine::wait::wait(ctx.engine()?, &which, &options, &mut |done| match &done.result {
        // podman: its exit code is said to be -1.
        Err(e) if args.ignore && e.kind() == Kind::NotFound => {
            each.show(Done { given: done.given, result: Ok(-1) }, |_, code| *code);
        }
        _ => each.show(done, |_, code| *code),
    })?;
    Ok(each.exit())
}
