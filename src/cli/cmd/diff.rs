//! `rcon diff`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::ui::Ui;
use crate::engine::diff::Change;

/// Flags of `diff`.
#[derive(clap::Args)]
struct DiffArgs {
    /// Only json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Container
    #[arg(value_name = "CONTAINER", hide = true, num_args = 0..=1)]
    words: Vec<String>,
}

pub(super) const DEF: Def = def!(
    DiffArgs,
    run,
    Section::Containers,
    ["diff", "container diff"],
    "[OPTIONS] CONTAINER",
    "Show what a container changed in its file system"
);

fn run(args: DiffArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let mut words = args.words;
    let name = super::name_or_latest(&mut words, args.latest, ctx, "diff")?;
    let changes = crate::engine::diff::diff(ctx.engine()?, &name)?;
    match args.format.as_deref() {
        None => {
            for (change, path) in &changes {
                ui.line(format_args!("{} {path}", letter(*change)));
            }
        }
        Some("json") => {
            let paths = |kind| -> Vec<&str> {
                changes.iter().filter(|(c, _)| *c == kind).map(|(_, p)| p.as_str()).collect()
            };
            let mut all = serde_json::Map::new();
            for (title, kind) in
                [("changed", Change::Modified), ("added", Change::Added), ("deleted", Change::Deleted)]
            {
                let list = paths(kind);
                if !list.is_empty() {
                    all.insert(title.to_owned(), list.into());
                }
            }
            ui.line(format_args!("{:#}", serde_json::Value::Object(all)));
        }
        Some(other) => {
            return Err(Failure::usage(format!(
                "invalid argument {other:?} for \"--format\" flag: only json is supported"
            )));
        }
    }
    Ok(Exit::OK)
}

fn letter(change: Change) -> char {
    match change {
        Change::Modified => 'C',
        Change::Added => 'A',
        Change::Deleted => 'D',
    }
}
