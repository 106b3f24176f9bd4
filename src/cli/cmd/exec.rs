//! `rcon exec`.

use crate::cli::Ctx;
use crate::cli::args::process::ProcessArgs;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::relay;
use crate::cli::ui::Ui;
use crate::engine::attach::AttachOptions;
use crate::engine::exec::{ExecHandle, ExecOptions};

/// Flags of `exec`.
#[derive(clap::Args)]
struct ExecArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// Run in the background
    #[arg(short, long, help_heading = "Streams")]
    detach: bool,
    /// Keys that detach (default ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS", help_heading = "Streams")]
    detach_keys: Option<String>,
    /// Hand descriptors 3 to 2 + N on
    #[arg(long, value_name = "N", help_heading = "Streams", default_value_t = 0, hide_default_value = true)]
    preserve_fds: u32,
    /// Hand these descriptors on, under the same numbers
    #[arg(long, value_name = "FD", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(3..1024),
          help_heading = "Streams")]
    preserve_fd: Vec<u32>,
    /// Wait so many seconds for the container to run
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u32>,
    /// podman's way without a session: an exec of rcon's has no record anyway, its owner is the monitor
    #[arg(long, hide = true)]
    no_session: bool,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Read the container's id from a file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<String>,
    /// Container (unless --latest or --cidfile), command and its arguments
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    words: Vec<String>,
}

pub(super) const DEF: Def = def!(
    ExecArgs,
    run,
    Section::Everyday,
    ["exec", "container exec"],
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Run a command in a running container",
    flags_first
);

fn run(args: ExecArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let mut words = args.words;
    if args.latest && args.cidfile.is_some() {
        return Err(Failure::usage("conflicting options: --latest and --cidfile"));
    }
    if args.no_session && args.detach {
        return Err(Failure::usage("conflicting options: --no-session and --detach"));
    }
    let name = match (args.latest, args.cidfile) {
        (true, _) => super::latest(ctx)?,
        (false, Some(path)) => super::read_cidfile(&path)?,
        (false, None) => words.remove(0),
    };
    if let Some(seconds) = args.wait {
        let limit = std::time::Duration::from_secs(u64::from(seconds));
        crate::engine::exec::wait_until_running(ctx.engine()?, &name, limit)?;
    }
    if words.is_empty() {
        return Err(Failure::new("'rcon exec' requires at least 2 arguments")
            .hint("See 'rcon exec --help' for more information"));
    }
    let (tty, interactive) = (args.process.tty, args.process.interactive);
    let mut process = args.process.into_options(words)?;
    crate::engine::stdio::check_preserved(args.preserve_fds, &args.preserve_fd)
        .map_err(|e| Failure::from(e).code(125))?;
    process.preserve_fds = args.preserve_fds;
    process.preserve_fd = args.preserve_fd;
    let attach = if args.detach {
        None
    } else {
        // podman only minds for `run`.
        if tty && interactive && ctx.manner == Manner::Docker {
            relay::want_terminal(ctx.manner, ui)?;
        }
        Some(AttachOptions {
            stdin: interactive,
            stdout: true,
            stderr: true,
            detach_keys: crate::cli::client::detach_keys(ctx, args.detach_keys)?,
            sig_proxy: false,
            size: relay::terminal_size(),
        })
    };
    let options = ExecOptions { process, attach };
    let handle = relay::with_streams(|streams| {
        let failure = |e| match args.detach && ctx.manner == Manner::Podman {
            // Nobody waits for a code of the command's.
            true => Failure::from(e).code(125),
            false => relay::exec_failure(e),
        };
        crate::engine::exec::exec(ctx.engine()?, &name, &options, streams).map_err(failure)
    })?;
    match handle {
        ExecHandle::Detached(session) => {
            if ctx.manner == Manner::Podman {
                ui.line(session);
            }
            Ok(Exit::OK)
        }
        ExecHandle::Attached(attached) => relay::relay_joined(*attached, ui),
    }
}
