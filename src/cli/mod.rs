//! The command line: find the command, parse its flags, call the engine, print, choose the exit code.
//!
//! What lives here: argv grammar ([`argv`]), the table of commands ([`cmd`]), shared groups of flags
//! ([`args`]), everything that reaches a terminal ([`ui`]) and the mapping of errors to exit codes
//! ([`exit`]). What does not: decisions about containers; those are the engine's.
//!
//! Start-up is part of the budget (`rcon --version` in 1 ms): the command word is looked up in a static
//! table first and only that command's clap tree is built; the whole tree exists only for `help`,
//! completions and man pages.

pub mod args;
pub mod argv;
mod client;
pub mod cmd;
mod complete;
pub mod def;
pub mod exit;
mod generate;
pub mod globals;
mod help;
mod log;
mod relay;
mod suggest;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use def::Def;
use exit::{Exit, Failure, Manner, Outcome};
use globals::Globals;
use ui::Ui;
use ui::words::Words;

use crate::engine;

/// What a command gets beside its own arguments: the global flags, and the engine when it asks for it.
pub struct Ctx {
    /// Global flags.
    pub globals: Globals,
    /// Whose manners the program has, by the name it was called by.
    pub manner: Manner,
    engine: std::cell::OnceCell<engine::Context>,
}

impl Ctx {
    /// The engine's context, loaded at the first call: `--version` and `--help` never read a file.
    ///
    /// # Errors
    /// A configuration file that cannot be read or does not parse.
    pub fn engine(&self) -> Result<&engine::Context, Failure> {
        if let Some(ctx) = self.engine.get() {
            return Ok(ctx);
        }
        let options =
            engine::GlobalOptions { podman: self.manner == Manner::Podman, ..self.globals.to_engine() };
        let ctx = engine::Context::load(&options)?;
        Ok(self.engine.get_or_init(|| ctx))
    }
}

/// Entry point of the command line; never prints but through [`Ui`].
#[must_use]
pub fn main() -> ExitCode {
    let mut ui = Ui::new();
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let manner = Manner::of(&program);
    ui.called(&program);
    let outcome = strings(args).and_then(|args| {
        if manner == Manner::Podman {
            ui.say_as_podman(Words::of("", &args));
        }
        run(args, manner, &mut ui)
    });
    finish(outcome, manner, &mut ui)
}

/// Entry point of `rcon runtime …` and `rcon-runtime …`: the name that it goes by, and the
/// arguments after it.
#[must_use]
pub fn runtime_main(program: &'static str, args: Vec<OsString>) -> ExitCode {
    let mut ui = Ui::new();
    let outcome = strings(args.into_iter()).and_then(|args| cmd::runtime::main(program, args, &mut ui));
    finish(outcome, Manner::Docker, &mut ui)
}

fn finish(outcome: Outcome, manner: Manner, ui: &mut Ui) -> ExitCode {
    let exit = match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            ui.failure(&failure);
            Exit::failed(failure.code)
        }
    };
    ui.flush();
    ExitCode::from(manner.code(exit))
}

/// The arguments as text. Everything rcon stores is UTF-8, so other bytes are refused where they come in.
fn strings(args: impl Iterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    args.enumerate()
        .map(|(i, a)| {
            a.into_string().map_err(|a| {
                Failure::usage(format!("argument {} is not valid UTF-8: {}", i + 1, a.display()))
            })
        })
        .collect()
}

/// Finds the command of `args` (without the program's name) and runs it.
fn run(args: Vec<String>, manner: Manner, ui: &mut Ui) -> Outcome {
    let (globals, rest) = globals::parse(args)?;
    if globals.version {
        let name = if manner == Manner::Podman { "podman" } else { "rcon" };
        ui.line(format_args!("{name} version {}", env!("CARGO_PKG_VERSION")));
        return Ok(Exit::OK);
    }
    if rest.is_empty() || (rest[0] == "help" || globals.help) {
        let words = rest.get(1..).unwrap_or_default();
        return help::show(if globals.help { &rest } else { words }, ui);
    }
    if let Some(described) = complete::foreign(&rest) {
        let (text, note) = complete::foreign_answer(&rest[1..], described);
        ui.text(&text);
        ui.note(note);
        return Ok(Exit::OK);
    }
    match cmd::find(&rest) {
        cmd::Found::Command { def, depth } => run_command((def, depth), rest, (globals, manner), ui),
        cmd::Found::Group { words } => help::group_called(&rest, words, ui),
        cmd::Found::Nothing => Err(suggest::unknown_command(&rest)),
    }
}

/// `--out` and `--noout`: stdout itself is replaced, so that a container's streams follow it too.
fn redirect(globals: &Globals) -> Result<(), Failure> {
    let path = match &globals.out {
        Some(path) => path.as_str(),
        None if globals.noout => "/dev/null",
        None => return Ok(()),
    };
    let file = std::fs::File::create(path)
        .map_err(|e| Failure::new(format!("--out {path}: the file cannot be written: {e}")))?;
    rustix::stdio::dup2_stdout(file).map_err(|e| Failure::new(format!("--out {path}: {e}")))
}

/// Parses the flags of one command and runs it.
fn run_command(
    (def, depth): (&Def, usize),
    rest: Vec<String>,
    (mut globals, manner): (Globals, Manner),
    ui: &mut Ui,
) -> Outcome {
    let called = rest[..depth].join(" ");
    if manner == Manner::Podman {
        ui.say_as_podman(Words::of(&called, &rest[depth..]));
    }
    let mut rest = rest;
    let own = rest.split_off(depth);
    let mut tree = def.tree(&called);
    tree.build();
    let parsed =
        argv::parse(&tree, own, def.flags_first, &mut globals).map_err(|e| e.into_failure(&tree, &called))?;
    let argv::Parsed::Args(canonical) = parsed else {
        ui.text(&help::of_command(&mut tree, def));
        return Ok(Exit::OK);
    };
    argv::check_count(&tree, &canonical, &called)?;
    let matches =
        tree.try_get_matches_from_mut(canonical.into_words()).map_err(|e| argv::clap_failure(&e, &called))?;
    log::init(&globals, manner == Manner::Podman);
    redirect(&globals)?;
    let ctx = Ctx { globals, manner, engine: std::cell::OnceCell::new() };
    (def.run)(&matches, &ctx, ui)
}
