//! `rcon export`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Failure, Manner, Outcome};
use crate::cli::ui::Ui;

/// Flags of `export`.
#[derive(clap::Args)]
struct ExportArgs {
    /// Write to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

pub(super) const DEF: Def = def!(
    ExportArgs,
    run,
    Section::Containers,
    ["export", "container export"],
    "[OPTIONS] CONTAINER",
    "Write the file system of a container as a tar archive"
);

fn run(args: ExportArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    let engine = ctx.engine()?;
    if let Some(path) = args.output.as_deref().filter(|p| ctx.manner == Manner::Podman && p.contains(':')) {
        return Err(Failure::usage(format!("invalid filename (should not contain ':') {path:?}")));
    }
    super::to_output(args.output.as_deref(), |out| {
        crate::engine::export::export(engine, &args.container, out).map_err(Failure::from)?;
        Ok(())
    })
}
