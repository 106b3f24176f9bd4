//! `rcon run`.

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::create::CreateArgs;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::relay;
use crate::cli::ui::Ui;
use crate::cli::ui::progress::PullProgress;
use crate::engine::Selection;
use crate::engine::attach::AttachOptions;
use crate::engine::checkpoint::restore::{self, RestoreOptions};
use crate::engine::checkpoint::{self, ImportOptions};
use crate::engine::run::{RunHandle, RunOptions};
use crate::model::create::CreateOptions;

/// Flags of `run`: those of `create` and how the caller is connected.
#[derive(clap::Args)]
struct RunArgs {
    #[command(flatten)]
    create: CreateArgs,
    /// Run in the background and print the container's id
    #[arg(short, long, help_heading = "Streams")]
    detach: bool,
    /// Keys that detach (default ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS", help_heading = "Streams")]
    detach_keys: Option<String>,
    /// Hand signals on to the process (default true)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean, value_name = "BOOL", help_heading = "Streams")]
    sig_proxy: Option<bool>,
    /// Hand descriptors 3 to 2 + N on
    #[arg(long, value_name = "N", help_heading = "Streams", default_value_t = 0, hide_default_value = true)]
    preserve_fds: u32,
    /// Hand these descriptors on, under the same numbers
    #[arg(long, value_name = "FD", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(3..1024),
          help_heading = "Streams")]
    preserve_fd: Vec<u32>,
    /// With --rm: remove the image too, unless others use it
    #[arg(long, help_heading = "Container")]
    rmi: bool,
}

pub(super) const DEF: Def = def!(
    RunArgs,
    run,
    Section::Everyday,
    ["run", "container run"],
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a container and run it",
    flags_first
);

fn run(args: RunArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    args.create.check(ctx.manner)?;
    crate::engine::stdio::check_preserved(args.preserve_fds, &args.preserve_fd)
        .map_err(|e| Failure::from(e).code(125))?;
    let attach = attach_options(&args, ctx, ui)?;
    if let Some(warning) = args.create.warning() {
        ui.warn(warning);
    }
    let files = args.create.side_files();
    let mut options = args.create.into_options(&ctx.globals)?;
    options.process.preserve_fds = args.preserve_fds;
    options.process.preserve_fd = args.preserve_fd;
    options.lifecycle.remove_image = args.rmi;
    // podman: removing the image makes sense only together with the container.
    options.lifecycle.auto_remove |= args.rmi;
    let removed = args.rmi.then(|| options.image.clone());
    let engine = ctx.engine().map_err(|f| f.code(125))?;
    let progress = PullProgress::new(options.quiet).speaking(ctx.manner);
    // docker: with neither stdout nor stderr attached the id goes to stdout, as with -d.
    let silent = attach.as_ref().is_some_and(|a| !a.stdout && !a.stderr);
    let run = RunOptions { attach, files };
    let handle = crate::engine::run::run(engine, &options, &run, &progress);
    progress.finish();
    // The image of a checkpoint has no command of its own.
    if handle.is_err() && checkpoint::is_image(engine, &options.image) {
        return restored(&options, ctx, ui);
    }
    match handle.map_err(relay::start_failure)? {
        RunHandle::Detached { id, warnings } => {
            for warning in warnings {
                ui.warn(warning);
            }
            ui.line(id);
            Ok(Exit::OK)
        }
        RunHandle::Attached(attached) => {
            if silent {
                ui.line(&attached.id);
            }
            let outcome = relay::relay(*attached, ui);
            if let Some(image) = removed
                && crate::engine::images::exists(engine, &image)?
            {
                ui.warn(format_args!("--rmi: {image} stays: the image is in use by a container"));
            }
            outcome
        }
    }
}

/// The container of a checkpoint's image runs on, as podman has it.
fn restored(options: &CreateOptions, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let import = ImportOptions { name: options.name.clone(), ..ImportOptions::default() };
    let all = (&import, &RestoreOptions::default());
    let which = Selection::one(&options.image);
    let mut each = Each::new(ui);
    let progress = PullProgress::new(options.quiet).speaking(ctx.manner);
    restore::restore(ctx.engine()?, &which, all, &progress, &mut |done| each.echo(done))?;
    progress.finish();
    Ok(each.exit())
}

/// Which streams are attached: those of `-a`, else stdout and stderr, and stdin with `-i`.
fn attach_options(args: &RunArgs, ctx: &Ctx, ui: &mut Ui) -> Result<Option<AttachOptions>, Failure> {
    let streams = relay::streams(&args.create.attach)?;
    if args.detach {
        if streams.is_some() {
            // docker's exit code for this one is 1.
            return Err(Failure::new("conflicting options: cannot specify both --attach and --detach"));
        }
        if ctx.manner == Manner::Podman && args.create.interactive() && args.create.tty() {
            relay::want_terminal(ctx.manner, ui)?;
        }
        return Ok(None);
    }
    let (stdin, stdout, stderr) = streams.unwrap_or((args.create.interactive(), true, true));
    if stdin && args.create.tty() {
        relay::want_terminal(ctx.manner, ui)?;
    }
    Ok(Some(AttachOptions {
        stdin,
        stdout,
        stderr,
        detach_keys: crate::cli::client::detach_keys(ctx, args.detach_keys.clone())?,
        sig_proxy: args.sig_proxy.unwrap_or(true),
        size: relay::terminal_size(),
    }))
}
