//! `rcon pull`.

use crate::cli::Ctx;
use crate::cli::args::image::{PlatformArgs, PolicyArgs, RegistryArgs};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::progress::PullProgress;
use crate::engine::images::{self, PullOptions};
use crate::model::create::RegistryOptions;
use crate::model::lifecycle::PullPolicy;
use crate::model::reference::ImageRef;

/// Flags of `pull`.
#[derive(clap::Args)]
struct PullArgs {
    /// All tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Only the name of the image, no progress
    #[arg(short, long)]
    quiet: bool,
    /// When to pull: always, missing, newer, never
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    #[command(flatten)]
    platform: PlatformArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    signature: PolicyArgs,
    /// Images
    #[arg(value_name = "IMAGE", required = true, hide = true)]
    images: Vec<String>,
}

pub(super) const DEF: Def = def!(
    PullArgs,
    run,
    Section::Images,
    ["pull", "image pull"],
    "[OPTIONS] IMAGE [IMAGE...]",
    "Fetch images from a registry"
);

fn run(args: PullArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let options = PullOptions {
        platform: args.platform.into_option()?,
        registry: RegistryOptions {
            signature_policy: args.signature.signature_policy,
            ..args.registry.into_options(&ctx.globals)?
        },
        policy: policy(args.policy.as_deref())?,
    };
    let engine = ctx.engine()?;
    let mut exit = Exit::OK;
    for image in &args.images {
        let names = if args.all_tags { images::tags(image, &options)? } else { vec![image.clone()] };
        for name in names {
            if let Err(failure) = one(&name, args.quiet, &options, engine, ui) {
                ui.failure(&failure);
                exit = Exit::failed(failure.code);
            }
        }
    }
    Ok(exit)
}

fn one(
    name: &str,
    quiet: bool,
    options: &PullOptions,
    engine: &crate::engine::Context,
    ui: &mut Ui,
) -> Result<(), Failure> {
    let manner = if engine.podman { Manner::Podman } else { Manner::Docker };
    let progress = PullProgress::new(quiet).speaking(manner);
    let done = images::pull(engine, name, options, &progress);
    let told = progress.finish();
    let done = done?;
    if !quiet && !told && !engine.podman {
        ui.note(format_args!("Digest: {}", done.digest));
        let what = if done.up_to_date { "Image is up to date" } else { "Downloaded newer image" };
        let shown = done.reference.as_ref().map_or_else(|| name.to_owned(), ImageRef::familiar);
        ui.note(format_args!("Status: {what} for {shown}"));
    }
    match &done.reference {
        _ if engine.podman => ui.line(done.image.id.hex()),
        Some(reference) => ui.line(reference),
        None => ui.line(&done.image.id),
    }
    ui.flush();
    Ok(())
}

fn policy(text: Option<&str>) -> Result<PullPolicy, Failure> {
    Ok(match text {
        None | Some("always") => PullPolicy::Always,
        Some("missing" | "ifnotpresent") => PullPolicy::Missing,
        Some("newer" | "ifnewer") => PullPolicy::Newer,
        Some("never") => PullPolicy::Never,
        Some(other) => {
            return Err(Failure::usage(format!("unsupported pull policy \"{other}\""))
                .hint("want always, missing, newer or never"));
        }
    })
}
