//! `rcon push`.

use crate::cli::Ctx;
use crate::cli::args::image::RegistryArgs;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::progress::PullProgress;
use crate::engine::images::{self, ListOptions, PushOptions};

/// Flags of `push`.
#[derive(clap::Args)]
struct PushArgs {
    /// All tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    /// Pack the layers with gzip that go into a directory (dir:, oci:); in a registry they are always packed
    #[arg(long)]
    compress: bool,
    /// Packing of layers that the registry has not: gzip, zstd
    #[arg(long, value_name = "FORMAT")]
    compression_format: Option<String>,
    /// How hard to pack
    #[arg(long, value_name = "LEVEL")]
    compression_level: Option<i32>,
    /// Do not use blobs of another packing
    #[arg(long)]
    force_compression: bool,
    /// Write the digest of the manifest to a file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<String>,
    /// podman's: leave signatures behind, which is always so, as the store keeps none
    #[arg(long, hide = true)]
    remove_signatures: bool,
    /// Form of the manifest: oci, v2s2 (default: that of the image)
    #[arg(short, long, value_name = "FORM")]
    format: Option<String>,
    /// Only if it is for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Image
    #[arg(value_name = "IMAGE", required = true, hide = true)]
    image: String,
    /// Where to
    #[arg(value_name = "DESTINATION", hide = true)]
    destination: Option<String>,
}

pub(super) const DEF: Def = def!(
    PushArgs,
    run,
    Section::Images,
    ["push", "image push"],
    "[OPTIONS] IMAGE [DESTINATION]",
    "Send an image to a registry"
);

fn run(args: PushArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let _always = args.remove_signatures;
    let options = PushOptions {
        registry: args.registry.into_options(&ctx.globals)?,
        compression: args.compression_format,
        level: args.compression_level,
        force_compression: args.force_compression,
        format: args.format,
        compress: args.compress,
    };
    let engine = ctx.engine()?;
    let names = if args.all_tags {
        if args.destination.is_some() {
            return Err(Failure::usage("--all-tags and a destination cannot be used together"));
        }
        let list = ListOptions { references: vec![args.image.clone()], ..ListOptions::default() };
        let all: Vec<String> = images::list(engine, &list)?
            .into_iter()
            .filter_map(|e| Some(format!("{}:{}", e.repository?, e.tag?)))
            .collect();
        if all.is_empty() {
            return Err(Failure::new(format!("No such image: {}", args.image)));
        }
        all
    } else {
        vec![args.image]
    };
    if let Some(platform) = &args.platform {
        names.iter().try_for_each(|name| images::check_platform(engine, name, platform))?;
    }
    let mut told = None;
    for name in names {
        let repository = images::repository(args.destination.as_deref().unwrap_or(&name));
        if ctx.manner == Manner::Docker && !args.quiet && repository.is_some() && repository != told {
            ui.line(format_args!(
                "The push refers to repository [{}]",
                repository.as_deref().unwrap_or_default()
            ));
            ui.flush();
            told = repository;
        }
        let progress = PullProgress::new(args.quiet).speaking(ctx.manner);
        let done = images::push(engine, &name, args.destination.as_deref(), &options, &progress);
        progress.finish();
        let (target, pushed) = done?;
        let tag = target.rsplit('/').next().and_then(|l| l.split_once(':')).map_or("", |(_, tag)| tag);
        if ctx.manner == Manner::Podman {
            // Its progress has told all.
        } else if args.quiet {
            ui.line(&target);
        } else if pushed.size == 0 {
            ui.line(format_args!("{target}: digest: {}", pushed.digest));
        } else {
            ui.line(format_args!("{tag}: digest: {} size: {}", pushed.digest, pushed.size));
        }
        if let Some(path) = &args.digestfile {
            let written = std::fs::write(path, pushed.digest.as_str());
            written.map_err(|e| Failure::new(format!("writing the digest to {path}: {e}")))?;
        }
    }
    Ok(Exit::OK)
}
