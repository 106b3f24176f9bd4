//! `rcon diff`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::engine::diff::{self, Change};

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

/// Flags of `image diff`.
#[derive(clap::Args)]
struct ImageDiffArgs {
    /// Only json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Image, and the one that it is built on (default what is below its last layer)
    #[arg(value_name = "IMAGE", hide = true, required = true, num_args = 1..=2)]
    images: Vec<String>,
}

pub(super) const DEF: Def = def!(
    DiffArgs,
    any,
    Section::Containers,
    ["diff"],
    "[OPTIONS] CONTAINER",
    "Show what a container changed in its file system"
);
pub(super) const CONTAINER: Def = def!(
    DiffArgs,
    container,
    Section::Containers,
    ["container diff"],
    "[OPTIONS] CONTAINER",
    "Show what a container changed in its file system"
);
pub(super) const IMAGE: Def = def!(
    ImageDiffArgs,
    image,
    Section::Images,
    ["image diff"],
    "[OPTIONS] IMAGE [IMAGE]",
    "Show what an image changes against the one that it is built on"
);

/// podman's `diff` takes an image too, and before a container of that name.
fn any(args: DiffArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if let (Manner::Podman, [name]) = (ctx.manner, args.words.as_slice())
        && crate::engine::images::exists(ctx.engine()?, name)?
    {
        return show(&diff::image(ctx.engine()?, name, None)?, args.format.as_deref(), ui);
    }
    container(args, ctx, ui)
}

fn container(args: DiffArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let mut words = args.words;
    let name = super::name_or_latest(&mut words, args.latest, ctx, "diff")?;
    show(&diff::diff(ctx.engine()?, &name)?, args.format.as_deref(), ui)
}

fn image(args: ImageDiffArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let base = args.images.get(1).map(String::as_str);
    show(&diff::image(ctx.engine()?, &args.images[0], base)?, args.format.as_deref(), ui)
}

fn show(changes: &[(Change, String)], format: Option<&str>, ui: &mut Ui) -> Outcome {
    match format {
        None => {
            for (change, path) in changes {
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
