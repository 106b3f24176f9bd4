//! `rcon rmi`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::engine::Kind;
use crate::engine::images::{self, ListOptions, Removal, RmiOptions};

/// Flags of `rmi`.
#[derive(clap::Args)]
struct RmiArgs {
    /// Remove all images
    #[arg(short, long)]
    all: bool,
    /// Also take the names of images that containers use, and remove ids with several names
    #[arg(short, long)]
    force: bool,
    /// What does not exist is no error
    #[arg(short, long)]
    ignore: bool,
    /// Keep untagged images that it was built on, which is always so; layers go when no image needs them
    #[arg(long, hide = true)]
    no_prune: bool,
    /// Images
    #[arg(value_name = "IMAGE", hide = true)]
    images: Vec<String>,
}

pub(super) const DEF: Def = def!(
    RmiArgs,
    run,
    Section::Images,
    ["rmi", "image rm", "image remove"],
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove images"
);

fn run(args: RmiArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let _always = args.no_prune;
    let engine = ctx.engine()?;
    let mut names = args.images;
    if args.all {
        if !names.is_empty() {
            return Err(Failure::usage("--all and names of images cannot be used together"));
        }
        let mut ids: Vec<_> =
            images::list(engine, &ListOptions::default())?.into_iter().map(|e| e.id.to_string()).collect();
        ids.dedup();
        names = ids;
    }
    if names.is_empty() && !args.all {
        return Err(Failure::new("'rcon rmi' requires at least 1 argument")
            .hint("run 'rcon rmi --help' for more information"));
    }
    let podman = ctx.manner == Manner::Podman;
    let mut exit = Exit::OK;
    for name in names {
        match images::rmi(engine, &name, RmiOptions { force: args.force || args.all }) {
            Ok(done) => {
                let mut told = false;
                done.iter().for_each(|d| match d {
                    Removal::Untagged(n) => ui.line(format_args!("Untagged: {n}")),
                    // podman does not tell of the layers.
                    Removal::Deleted(n) if podman => {
                        if !std::mem::replace(&mut told, true) {
                            ui.line(format_args!("Deleted: {}", n.trim_start_matches("sha256:")));
                        }
                    }
                    Removal::Deleted(n) => ui.line(format_args!("Deleted: {n}")),
                });
            }
            Err(e) if (args.ignore || args.force) && e.kind() == Kind::NotFound => {}
            Err(e) => {
                exit = exit.removal(e.kind());
                ui.failure(&Failure::from(e));
            }
        }
    }
    Ok(exit)
}
