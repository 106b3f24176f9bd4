//! `rcon version`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;

/// Flags of `version`.
#[derive(clap::Args)]
struct VersionArgs {
    /// Format the output with a Go template, or `json`
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
}

pub(super) const DEF: Def =
    def!(VersionArgs, run, Section::System, ["version"], "[OPTIONS]", "Show the version");

fn run(_args: VersionArgs, _ctx: &Ctx, ui: &mut Ui) -> Outcome {
    ui.line(env!("CARGO_PKG_VERSION"));
    Ok(Exit::OK)
}
