//! `rcon top`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::table::Table;

/// Flags of `top`.
#[derive(clap::Args)]
struct TopArgs {
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Container, then options of ps or names of fields
    #[arg(value_name = "CONTAINER", hide = true)]
    words: Vec<String>,
}

pub(super) const DEF: Def = def!(
    TopArgs,
    run,
    Section::Everyday,
    ["top", "container top"],
    "[OPTIONS] CONTAINER [ps OPTIONS|FIELD...]",
    "Show the processes of a container",
    flags_first
);

fn run(args: TopArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let mut words = args.words;
    let name = super::name_or_latest(&mut words, args.latest, ctx, "top")?;
    if words.is_empty() && ctx.manner == Manner::Podman {
        words = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"].map(str::to_owned).to_vec();
    }
    let processes = crate::engine::top::top(ctx.engine()?, &name, &words)?;
    let mut table = Table::new(processes.titles);
    for row in processes.rows {
        table.row(row);
    }
    ui.text(&table.render());
    Ok(Exit::OK)
}
