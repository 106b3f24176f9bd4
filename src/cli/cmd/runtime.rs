//! `rcon runtime …` and `rcon-runtime …`: the OCI runtime command line, with runc's words, messages
//! and exit codes, so that containerd, CRI-O, podman and docker can drive it.
//!
//! Arguments are in `args`, what needs no running container in `about`, life in `life`, exec in `exec`, the
//! rest in `query`. The work is in `runtime::manage`; nothing is decided here.

mod about;
mod args;
mod exec;
mod life;
mod log;
mod query;
mod resources;

use clap::Parser as _;

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::ui::Ui;
use crate::runtime::state::Store;
use args::{Cli, Command, Global};

/// What every command gets.
struct Ctx<'a> {
    global: &'a Global,
    store: Store,
    ui: &'a mut Ui,
}

/// Runs the OCI runtime command line with the arguments after `runtime`.
///
/// # Errors
/// What failed, for stderr; the exit code is 1 as runc's.
pub fn main(args: Vec<String>, ui: &mut Ui) -> Outcome {
    let cli = match Cli::try_parse_from(std::iter::once("rcon runtime".to_owned()).chain(args)) {
        Ok(cli) => cli,
        Err(e) => return not_parsed(&e, ui),
    };
    if cli.global.version {
        ui.line(format_args!("rcon-runtime version {}", env!("CARGO_PKG_VERSION")));
        ui.line(format_args!("spec: {}", crate::runtime::oci::OCI_VERSION));
        return Ok(Exit::OK);
    }
    let Some(command) = cli.command else {
        return Err(Failure::new("no command given").hint("rcon runtime --help lists the commands"));
    };
    let store = Store::new(cli.global.root());
    let outcome = run(command, &mut Ctx { global: &cli.global, store, ui });
    if let Err(failure) = &outcome {
        log::error(&cli.global, &failure.message);
    }
    outcome
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
        Command::Features => about::features(ctx),
        Command::Spec(a) => about::spec(&a),
    }
}

fn not_parsed(e: &clap::Error, ui: &mut Ui) -> Outcome {
    if e.use_stderr() {
        return Err(Failure::new(e.to_string().trim().trim_start_matches("error: ").to_owned()));
    }
    ui.text(&e.to_string());
    Ok(Exit::OK)
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
