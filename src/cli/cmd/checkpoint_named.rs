//! `rcon checkpoint create`, `ls`, `rm`, docker's: checkpoints with names.

use std::path::PathBuf;

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;
use crate::engine::checkpoint::named;

/// Flags of `checkpoint create`.
#[derive(clap::Args)]
struct CreateArgs {
    /// Folder of checkpoints, if not the container's own
    #[arg(long, value_name = "DIR")]
    checkpoint_dir: Option<PathBuf>,
    /// Let the container run on
    #[arg(long)]
    leave_running: bool,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
    /// Name of the checkpoint
    #[arg(required = true, value_name = "CHECKPOINT", hide = true)]
    checkpoint: String,
}

/// Flags of `checkpoint ls`.
#[derive(clap::Args)]
struct LsArgs {
    /// Folder of checkpoints, if not the container's own
    #[arg(long, value_name = "DIR")]
    checkpoint_dir: Option<PathBuf>,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

/// Flags of `checkpoint rm`.
#[derive(clap::Args)]
struct RmArgs {
    /// Folder of checkpoints, if not the container's own
    #[arg(long, value_name = "DIR")]
    checkpoint_dir: Option<PathBuf>,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
    /// Name of the checkpoint
    #[arg(required = true, value_name = "CHECKPOINT", hide = true)]
    checkpoint: String,
}

pub(super) const CREATE: Def = def!(
    CreateArgs,
    create,
    Section::Containers,
    ["checkpoint create"],
    "[OPTIONS] CONTAINER CHECKPOINT",
    "Write the processes of a running container to files, by a name"
);
pub(super) const LS: Def = def!(
    LsArgs,
    ls,
    Section::Containers,
    ["checkpoint ls", "checkpoint list"],
    "[OPTIONS] CONTAINER",
    "List the checkpoints of a container"
);
pub(super) const RM: Def = def!(
    RmArgs,
    rm,
    Section::Containers,
    ["checkpoint rm", "checkpoint remove"],
    "[OPTIONS] CONTAINER CHECKPOINT",
    "Remove a checkpoint"
);

fn create(args: CreateArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let dir = args.checkpoint_dir.as_deref();
    named::create(ctx.engine()?, &args.container, &args.checkpoint, dir, args.leave_running)?;
    ui.line(args.checkpoint);
    Ok(Exit::OK)
}

fn ls(args: LsArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let names = named::ls(ctx.engine()?, &args.container, args.checkpoint_dir.as_deref())?;
    ui.line("CHECKPOINT NAME");
    for name in names {
        ui.line(name);
    }
    Ok(Exit::OK)
}

fn rm(args: RmArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    named::rm(ctx.engine()?, &args.container, &args.checkpoint, args.checkpoint_dir.as_deref())?;
    Ok(Exit::OK)
}
