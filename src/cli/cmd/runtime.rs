//! `rcon runtime …` and `rcon-runtime …`: the OCI runtime command line, with runc's words, messages
//! and exit codes, so that containerd, CRI-O, podman and docker can drive it.
//!
//! Arguments are in `args`, what needs no running container in `about`, life in `life`, exec in `exec`, criu's part
//! in `criu`, the rest in `query`. The work is in `runtime::manage`; nothing is decided here.

mod about;
mod args;
mod criu;
mod exec;
mod life;
mod log;
mod query;
mod resources;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::ui::Ui;
use crate::runtime::state::Store;
use args::{Cli, Command, Global};

/// What every command gets.
struct Ctx<'a> {
    /// What it was called by.
    program: &'static str,
    global: &'a Global,
    store: Store,
    ui: &'a mut Ui,
}

/// Runs the OCI runtime command line with the arguments after `runtime`.
///
/// # Errors
/// What failed, for stderr; the exit code is 1 as runc's.
pub fn main(program: &'static str, args: Vec<String>, ui: &mut Ui) -> Outcome {
    let arguments = std::iter::once(program.to_owned()).chain(args);
    let parsed = command(program).try_get_matches_from(arguments).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(e) => return not_parsed(&e, ui),
    };
    if cli.global.version {
        let name = if program == "rcon runtime" { "rcon-runtime" } else { program };
        ui.line(format_args!("{name} version {}", env!("CARGO_PKG_VERSION")));
        ui.line(format_args!("commit: {}", option_env!("RCON_COMMIT").unwrap_or("unknown")));
        ui.line(format_args!("spec: {}", crate::runtime::oci::OCI_VERSION));
        return Ok(Exit::OK);
    }
    let Some(command) = cli.command else {
        return Err(Failure::new("no command given").hint(format!("{program} --help lists the commands")));
    };
    log::init(&cli.global)?;
    let store = Store::new(cli.global.root());
    let outcome = run(command, &mut Ctx { program, global: &cli.global, store, ui });
    if let Err(failure) = &outcome {
        log::error(&cli.global, &failure.message);
    }
    outcome
}

/// Help in the shape of runc's, by which scripts find their way: NAME, then what it does.
fn help(name: &str) -> String {
    format!("NAME:\n   {name} - {{about}}\n\nUSAGE:\n   {{usage}}\n\n{{all-args}}\n")
}

fn command(program: &'static str) -> clap::Command {
    let mut command = Cli::command().name(program).bin_name(program).help_template(help(program));
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for name in names {
        let text = help(&format!("{program} {name}"));
        command = command.mut_subcommand(name, |c| c.help_template(text));
    }
    command
}

fn run(command: Command, ctx: &mut Ctx<'_>) -> Outcome {
    match command {
        Command::Create(a) => life::create(&a, ctx),
        Command::Start(a) => life::start(&a, ctx),
        Command::Run(a) => life::run(&a, ctx),
        Command::Kill(a) => life::kill(&a, ctx),
        Command::Delete(a) => life::delete(&a, ctx),
        Command::Pause(a) => life::pause(&a, ctx),
        Command::Resume(a) => life::resume(&a, ctx),
        Command::Exec(a) => exec::run(*a, ctx),
        Command::State(a) => query::state(&a, ctx),
        Command::List(a) => query::list(&a, ctx),
        Command::Ps(a) => query::ps(&a, ctx),
        Command::Events(a) => query::events(&a, ctx),
        Command::Update(a) => resources::update(&a, ctx),
        Command::Checkpoint(a) => criu::checkpoint(*a, ctx),
        Command::Restore(a) => criu::restore(*a, ctx),
        Command::Features => about::features(ctx),
        Command::Spec(a) => about::spec(&a),
    }
}

fn not_parsed(e: &clap::Error, ui: &mut Ui) -> Outcome {
    if e.kind() == clap::error::ErrorKind::InvalidSubcommand {
        let word = e.get(clap::error::ContextKind::InvalidSubcommand).map(ToString::to_string);
        let word = word.unwrap_or_default();
        return Err(Failure::new(format!("No help topic for '{word}': there is no such command")));
    }
    if e.use_stderr() {
        return Err(Failure::new(e.to_string().trim().trim_start_matches("error: ").to_owned()));
    }
    ui.text(&e.to_string());
    Ok(Exit::OK)
}

/// [`failure`] of a start. What the kernel says of the program itself stands alone, as runc has it.
fn start_failure(ctx: &mut Ctx<'_>, doing: &str, error: &crate::runtime::Error) -> Failure {
    use crate::runtime::Error as E;
    match error {
        E::Exec { .. } => {}
        // What failed on the container's side.
        E::CommandNotFound { .. } | E::CommandNotExecutable { .. } | E::Step { .. } | E::Died(_) => {
            let colon = if doing.is_empty() { "" } else { ": " };
            return failure(&format!("{doing}{colon}unable to start container process"), error);
        }
        _ => return failure(doing, error),
    }
    log::error(ctx.global, &error.to_string());
    ctx.ui.note(error);
    Failure::new("")
}

/// An error with everything that caused it: `a: b: c`.
fn failure(doing: &str, error: &dyn std::error::Error) -> Failure {
    let mut message = format!("{doing}{}{error}", if doing.is_empty() { "" } else { ": " });
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    Failure::new(message)
}
