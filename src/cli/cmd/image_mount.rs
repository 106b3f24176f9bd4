//! `rcon image mount` and `rcon image unmount`.

use serde_json::json;

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::engine::images::{self, MountedImage};

/// Flags of `image mount`.
#[derive(clap::Args)]
struct MountArgs {
    /// Mount all images
    #[arg(short, long)]
    all: bool,
    /// Only json
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
    /// Images; none shows what is mounted
    #[arg(value_name = "IMAGE", hide = true)]
    images: Vec<String>,
}

/// Flags of `image unmount`.
#[derive(clap::Args)]
struct UnmountArgs {
    /// Unmount all images
    #[arg(short, long)]
    all: bool,
    /// As without it: a mount that is in use goes when its last user does
    #[arg(short, long)]
    force: bool,
    /// Images
    #[arg(value_name = "IMAGE", hide = true)]
    images: Vec<String>,
}

pub(super) const MOUNT: Def = def!(
    MountArgs,
    mount,
    Section::Images,
    ["image mount"],
    "[OPTIONS] [IMAGE...]",
    "Show the file system of images on the host, read-only"
);
pub(super) const UNMOUNT: Def = def!(
    UnmountArgs,
    unmount,
    Section::Images,
    ["image unmount", "image umount"],
    "[OPTIONS] IMAGE [IMAGE...]",
    "Take the mounts of images away"
);

fn mount(args: MountArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.all && !args.images.is_empty() {
        return Err(Failure::usage("conflicting options: --all and names of images"));
    }
    let done = images::mount(ctx.engine()?, &args.images, args.all)?;
    if args.format.is_some() {
        let one =
            |m: &MountedImage| json!({ "id": m.id.hex(), "Repositories": m.names, "mountpoint": m.path });
        ui.line(super::inspect::indented(&done.iter().map(one).collect()));
        return Ok(Exit::OK);
    }
    for m in &done {
        match args.images.as_slice() {
            [_] => ui.line(&m.path),
            _ => ui.line(format_args!("{} {}", m.names.first().map_or(m.id.short(), String::as_str), m.path)),
        }
    }
    Ok(Exit::OK)
}

fn unmount(args: UnmountArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    match (args.all, args.images.is_empty()) {
        (true, false) => return Err(Failure::usage("conflicting options: --all and names of images")),
        (false, true) => return Err(Failure::new("'rcon image unmount' requires at least 1 argument")),
        _ => {}
    }
    for id in images::unmount(ctx.engine()?, &args.images, args.all)? {
        ui.line(if ctx.manner == Manner::Podman { id.hex() } else { id.as_str() });
    }
    Ok(Exit::OK)
}
