//! `rcon commit`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::engine::commit::CommitOptions;

/// Flags of `commit`.
#[derive(clap::Args)]
struct CommitArgs {
    /// Author
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// Dockerfile instruction to apply: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Put the JSON document of a file over the image's configuration
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Format of the manifest: oci (default) or docker
    #[arg(short, long, value_name = "FORMAT", value_parser = ["oci", "docker"])]
    format: Option<String>,
    /// Write the image's id to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<String>,
    /// Put the container's volumes into the image's config
    #[arg(long)]
    include_volumes: bool,
    /// Message
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Pause the container meanwhile (default true)
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean, value_name = "BOOL")]
    pause: Option<bool>,
    /// Say nothing but the id
    #[arg(short, long)]
    quiet: bool,
    /// Make one layer of all
    #[arg(short, long)]
    squash: bool,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
    /// Name of the image
    #[arg(value_name = "IMAGE", hide = true)]
    image: Option<String>,
}

pub(super) const DEF: Def = def!(
    CommitArgs,
    run,
    Section::Containers,
    ["commit", "container commit"],
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Make an image of a container"
);

fn run(args: CommitArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let config = args.config.as_deref().map(configuration).transpose()?;
    let options = CommitOptions {
        config,
        name: args.image,
        author: args.author,
        message: args.message,
        changes: args.change,
        pause: args.pause.unwrap_or(true),
        squash: args.squash,
        include_volumes: args.include_volumes,
        format: args.format,
    };
    let id = crate::engine::commit::commit(ctx.engine()?, &args.container, &options)?;
    let shown = if ctx.manner == Manner::Podman { id.hex() } else { id.as_str() };
    if let Some(path) = &args.iidfile {
        std::fs::write(path, shown)
            .map_err(|e| Failure::new(format!("writing the image's id to {path}: {e}")))?;
    }
    super::copied(ui, ctx, &id, args.quiet)?;
    ui.line(shown);
    Ok(Exit::OK)
}

fn configuration(path: &str) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let text = std::fs::read(path).map_err(|e| Failure::new(format!("reading --config {path}: {e}")))?;
    serde_json::from_slice(&text).map_err(|e| Failure::new(format!("--config {path} does not parse: {e}")))
}
