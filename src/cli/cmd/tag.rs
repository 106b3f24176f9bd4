//! `rcon tag` and `rcon untag`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;
use crate::engine::images;

/// Arguments of `tag`.
#[derive(clap::Args)]
struct TagArgs {
    /// Image
    #[arg(value_name = "IMAGE", required = true, hide = true)]
    image: String,
    /// New names
    #[arg(value_name = "NAME", required = true, hide = true)]
    names: Vec<String>,
}

/// Arguments of `untag`.
#[derive(clap::Args)]
struct UntagArgs {
    /// Image
    #[arg(value_name = "IMAGE", required = true, hide = true)]
    image: String,
    /// Names to take away; all if none is given
    #[arg(value_name = "NAME", hide = true)]
    names: Vec<String>,
}

pub(super) const DEF: Def = def!(
    TagArgs,
    tag,
    Section::Images,
    ["tag", "image tag"],
    "IMAGE NAME [NAME...]",
    "Give an image further names"
);

pub(super) const UNTAG: Def = def!(
    UntagArgs,
    untag,
    Section::Images,
    ["untag", "image untag"],
    "IMAGE [NAME...]",
    "Take names away from an image"
);

fn tag(args: TagArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    images::tag(ctx.engine()?, &args.image, &args.names)?;
    Ok(Exit::OK)
}

fn untag(args: UntagArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    images::untag(ctx.engine()?, &args.image, &args.names)?;
    Ok(Exit::OK)
}
