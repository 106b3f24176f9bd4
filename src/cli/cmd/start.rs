//! `rcon start`.

use std::path::PathBuf;

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::relay;
use crate::cli::ui::Ui;
use crate::engine::attach::AttachOptions;

/// Flags of `start`. `-a` is `--attach` here, so `--all` has no short form.
#[derive(clap::Args)]
struct StartArgs {
    /// Attach stdout and stderr, and hand signals on
    #[arg(short, long)]
    attach: bool,
    /// Attach stdin too
    #[arg(short, long)]
    interactive: bool,
    /// Keys that detach (default ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Hand signals on to the process (default true when attached)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean, value_name = "BOOL")]
    sig_proxy: Option<bool>,
    /// Start all containers
    #[arg(long)]
    all: bool,
    /// Start the container created last
    #[arg(short, long)]
    latest: bool,
    /// Start from this checkpoint (of checkpoint create)
    #[arg(long, value_name = "NAME")]
    checkpoint: Option<String>,
    /// Folder of checkpoints, if not the container's own
    #[arg(long, value_name = "DIR", requires = "checkpoint")]
    checkpoint_dir: Option<PathBuf>,
    /// Start those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    StartArgs,
    run,
    Section::Everyday,
    ["start", "container start"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start stopped containers"
);

fn run(args: StartArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let attached = args.attach || args.interactive;
    if ctx.manner == Manner::Podman && args.sig_proxy == Some(true) && !attached {
        return Err(Failure::usage("you cannot use sig-proxy without --attach: invalid argument"));
    }
    let options = AttachOptions {
        stdin: args.interactive,
        stdout: true,
        stderr: true,
        detach_keys: crate::cli::client::detach_keys(ctx, args.detach_keys)?,
        sig_proxy: args.sig_proxy.unwrap_or(true),
        size: relay::terminal_size(),
    };
    let choice = SelectArgs { all: args.all, latest: args.latest, filter: args.filter, cidfile: Vec::new() };
    if let Some(checkpoint) = &args.checkpoint {
        let [name] = args.containers.as_slice() else {
            return Err(Failure::new("you cannot restore multiple containers at once"));
        };
        let which = (checkpoint.as_str(), args.checkpoint_dir.as_deref());
        let attach = attached.then_some(&options);
        let (_, streams) = crate::engine::checkpoint::named::start(ctx.engine()?, name, which, attach)?;
        let Some(streams) = streams else {
            ui.line(name);
            return Ok(Exit::OK);
        };
        return relay::relay(streams, ui);
    }
    if attached && !choice.latest {
        let [name] = args.containers.as_slice() else {
            return Err(Failure::new("you cannot start and attach multiple containers at once"));
        };
        let attached = crate::engine::start::start_attached(ctx.engine()?, name, &options)
            .map_err(|e| Failure::from(e).code(1))?;
        return relay::relay(attached, ui);
    }
    let which = selection(args.containers, choice, false, "start")?;
    if attached {
        let latest = super::latest(ctx)?;
        return relay::relay(crate::engine::start::start_attached(ctx.engine()?, &latest, &options)?, ui);
    }
    let mut each = Each::new(ui);
    crate::engine::start::start(ctx.engine()?, &which, &mut |done| match done.result {
        // docker: whatever kept the container from starting.
        Err(e) => each.fail(&Failure::from(e).code(1)),
        Ok(_) => each.echo(done),
    })?;
    Ok(each.exit())
}
