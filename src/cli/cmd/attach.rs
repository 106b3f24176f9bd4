//! `rcon attach`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::relay;
use crate::cli::ui::Ui;
use crate::engine::attach::AttachOptions;

/// Flags of `attach`.
#[derive(clap::Args)]
struct AttachArgs {
    /// Keys that detach (default ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Do not attach stdin
    #[arg(long)]
    no_stdin: bool,
    /// Hand signals on to the process (default true)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean, value_name = "BOOL")]
    sig_proxy: Option<bool>,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Container
    #[arg(value_name = "CONTAINER", hide = true)]
    container: Option<String>,
}

pub(super) const DEF: Def = def!(
    AttachArgs,
    run,
    Section::Containers,
    ["attach", "container attach"],
    "[OPTIONS] CONTAINER",
    "Attach to the streams of a running container"
);

fn run(args: AttachArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let name = match (args.container, args.latest) {
        (Some(_), true) => {
            return Err(Failure::usage("conflicting options: --latest and the name of a container"));
        }
        (Some(name), false) => name,
        (None, true) => super::latest(ctx)?,
        (None, false) => return Err(Failure::new("'rcon attach' requires 1 argument")),
    };
    let options = AttachOptions {
        stdin: !args.no_stdin,
        stdout: true,
        stderr: true,
        detach_keys: crate::cli::client::detach_keys(ctx, args.detach_keys)?,
        sig_proxy: args.sig_proxy.unwrap_or(true),
        size: relay::terminal_size(),
    };
    relay::relay_joined(crate::engine::attach::attach(ctx.engine()?, &name, &options)?, ui)
}
