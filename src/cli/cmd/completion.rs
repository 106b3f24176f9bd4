//! `rcon completion`, and the hidden commands that make completions and documents.

use crate::cli::Ctx;
use crate::cli::complete;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::generate;
use crate::cli::ui::Ui;

/// Flags of `completion`.
#[derive(clap::Args)]
struct CompletionArgs {
    /// Write to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// Leave descriptions out: the scripts show them only where the shell can
    #[arg(long, hide = true)]
    no_desc: bool,
    /// Shell
    #[arg(required = true, value_name = "SHELL", value_parser = ["bash", "zsh", "fish"], hide = true)]
    shell: String,
}

/// Words to complete.
#[derive(clap::Args)]
struct WordsArgs {
    /// Words
    #[arg(value_name = "WORD", hide = true)]
    words: Vec<String>,
}

/// Where to write.
#[derive(clap::Args)]
struct GenerateArgs {
    /// Folder
    #[arg(required = true, value_name = "DIR", hide = true)]
    dir: String,
}

pub(super) const DEF: Def = def!(
    CompletionArgs,
    run,
    Section::System,
    ["completion"],
    "[OPTIONS] bash|zsh|fish",
    "Print a completion script for a shell"
);
pub(super) const COMPLETE: Def = def!(
    WordsArgs,
    words,
    Section::System,
    ["__complete"],
    "-- WORD...",
    "Answer a completion script",
    hidden,
    flags_first
);
pub(super) const GENERATE: Def = def!(
    GenerateArgs,
    generate,
    Section::System,
    ["__generate"],
    "DIR",
    "Write man pages, completions and reference",
    hidden
);

fn run(args: CompletionArgs, _ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let _no_difference = args.no_desc;
    let script =
        complete::SHELLS.iter().find(|(shell, ..)| *shell == args.shell).map_or("", |(.., text)| text);
    match args.file {
        Some(path) => std::fs::write(&path, script)
            .map_err(|e| Failure::new(format!("writing the script to {path}: {e}")))?,
        None => ui.text(script),
    }
    Ok(Exit::OK)
}

fn words(args: WordsArgs, _ctx: &Ctx, ui: &mut Ui) -> Outcome {
    ui.text(&complete::answer(&args.words));
    Ok(Exit::OK)
}

fn generate(args: GenerateArgs, _ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    generate::all(&args.dir)
}
