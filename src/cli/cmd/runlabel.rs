//! `rcon container runlabel`, podman's.

use crate::cli::Ctx;
use crate::cli::args::boolean;
use crate::cli::args::image::RegistryArgs;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::progress::PullProgress;
use crate::engine::runlabel::{self, RunlabelOptions};

/// Flags of `container runlabel`.
#[derive(clap::Args)]
struct RunlabelArgs {
    /// Show the command, do not run it
    #[arg(long)]
    display: bool,
    /// What NAME stands for in the command (default: the image's, without registry and tag)
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    /// What $OPT1 stands for
    #[arg(long, value_name = "TEXT", hide = true)]
    opt1: Option<String>,
    /// What $OPT2 stands for
    #[arg(long, value_name = "TEXT", hide = true)]
    opt2: Option<String>,
    /// What $OPT3 stands for
    #[arg(long, value_name = "TEXT", hide = true)]
    opt3: Option<String>,
    /// Fetch an image that is not there (default true)
    #[arg(short, long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = boolean)]
    pull: Option<bool>,
    /// Nothing of what the command says is shown, nor how the image is fetched
    #[arg(short, long)]
    quiet: bool,
    /// Remove a container that has the name of the command's --name
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Label
    #[arg(required = true, value_name = "LABEL", hide = true)]
    label: String,
    /// Image
    #[arg(required = true, value_name = "IMAGE", hide = true)]
    image: String,
    /// Further arguments of the command
    #[arg(value_name = "ARG", hide = true)]
    args: Vec<String>,
}

pub(super) const DEF: Def = def!(
    RunlabelArgs,
    run,
    Section::Containers,
    ["container runlabel"],
    "[OPTIONS] LABEL IMAGE [ARG...]",
    "Run the command that a label of an image holds",
    flags_first
);

fn run(args: RunlabelArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let options = RunlabelOptions {
        args: args.args,
        name: args.name,
        optional: [args.opt1, args.opt2, args.opt3],
        replace: args.replace,
        local: args.pull == Some(false),
        registry: args.registry.into_options(&ctx.globals)?,
    };
    let engine = ctx.engine()?;
    let progress = PullProgress::new(args.quiet).speaking(ctx.manner);
    let label = args.label.trim_start_matches('/');
    let command = runlabel::command(engine, label, &args.image, &options, &progress);
    progress.finish();
    let command = command?;
    let program = std::env::args().next().unwrap_or_else(|| "rcon".to_owned());
    if args.display {
        let rest = command.argv.iter().skip(1);
        let all: Vec<&str> = std::iter::once(program.as_str()).chain(rest.map(String::as_str)).collect();
        ui.line(format_args!("command: {}", all.join(" ")));
        return Ok(Exit::OK);
    }
    ui.flush();
    let code = command.run(engine, &options, args.quiet, &program)?;
    Ok(Exit::Code(u8::try_from(code).unwrap_or(255)))
}
