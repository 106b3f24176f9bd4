//! `rcon save`, `rcon load`, `rcon import`.

use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;

use crate::cli::Ctx;
use crate::cli::args::image::PlatformArgs;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::progress::PullProgress;
use crate::engine::images::{self, ArchiveForm, ImportOptions, LoadFrom};

/// Flags of `save`.
#[derive(clap::Args)]
struct SaveArgs {
    /// Form: docker-archive (which is an OCI archive, too), oci-archive, oci-dir, docker-dir
    #[arg(long, value_name = "FORM", value_parser = ["docker-archive", "oci-archive", "oci-dir", "docker-dir"])]
    format: Option<String>,
    /// Pack the layers with gzip; only with --format docker-dir
    #[arg(long)]
    compress: bool,
    /// Several images in one archive, which needs no flag here
    #[arg(short, long, hide = true)]
    multi_image_archive: bool,
    /// Write to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Say nothing, which it does anyway
    #[arg(short, long)]
    quiet: bool,
    /// Only if it is for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Layers are never packed in an archive
    #[arg(long, hide = true)]
    uncompressed: bool,
    /// Images
    #[arg(value_name = "IMAGE", required = true, hide = true)]
    images: Vec<String>,
}

/// Flags of `load`.
#[derive(clap::Args)]
struct LoadArgs {
    /// Read from a file instead of stdin
    #[arg(short, long, value_name = "FILE")]
    input: Option<String>,
    /// Only the names of what was loaded
    #[arg(short, long)]
    quiet: bool,
    /// Platform to take of an archive with several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
}

/// Flags of `import`.
#[derive(clap::Args)]
struct ImportArgs {
    /// Dockerfile instruction to apply
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Comment of the image
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Only the id
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    platform: PlatformArgs,
    /// Archive; - is stdin
    #[arg(value_name = "FILE", required = true, hide = true)]
    file: String,
    /// Name of the image
    #[arg(value_name = "NAME", hide = true)]
    name: Option<String>,
}

pub(super) const SAVE: Def = def!(
    SaveArgs,
    save,
    Section::Images,
    ["save", "image save"],
    "[OPTIONS] IMAGE [IMAGE...]",
    "Write images into an archive"
);

pub(super) const LOAD: Def = def!(
    LoadArgs,
    load,
    Section::Images,
    ["load", "image load"],
    "[OPTIONS]",
    "Read images out of an archive"
);

pub(super) const IMPORT: Def = def!(
    ImportArgs,
    import,
    Section::Images,
    ["import", "image import"],
    "[OPTIONS] FILE|- [NAME]",
    "Make an image of a file system archive"
);

fn save(args: SaveArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    if args.compress && args.format.as_deref() != Some("docker-dir") {
        return Err(Failure::usage("--compress can only be set when --format is 'docker-dir'"));
    }
    let engine = ctx.engine()?;
    if let Some(platform) = &args.platform {
        args.images.iter().try_for_each(|image| images::check_platform(engine, image, platform))?;
    }
    let directory = || match args.output.as_deref().filter(|o| *o != "-") {
        Some(path) => Ok(path.into()),
        None => Err(Failure::usage("--format with a directory needs --output DIR")),
    };
    let form = match args.format.as_deref() {
        Some("oci-archive") => ArchiveForm::Oci,
        Some("oci-dir") => ArchiveForm::OciDir(directory()?),
        Some("docker-dir") => ArchiveForm::DockerDir { path: directory()?, compress: args.compress },
        _ => ArchiveForm::Docker,
    };
    if matches!(form, ArchiveForm::OciDir(_) | ArchiveForm::DockerDir { .. }) {
        images::save(engine, &args.images, &form, &mut std::io::sink())?;
        return Ok(Exit::OK);
    }
    super::to_output(args.output.as_deref(), |out| Ok(images::save(engine, &args.images, &form, out)?))
}

/// A file, or stdin, which must not be a terminal.
fn open(path: Option<&str>) -> Result<File, Failure> {
    match path.filter(|p| *p != "-") {
        Some(path) => File::open(path).map_err(|e| Failure::new(format!("open {path}: {e}"))),
        None => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                return Err(Failure::new("requested load from stdin, but stdin is empty: it is a terminal")
                    .hint("name a file, or redirect the input"));
            }
            let fd = stdin.as_fd().try_clone_to_owned();
            fd.map(File::from).map_err(|e| Failure::new(format!("reading stdin: {e}")))
        }
    }
}

fn load(args: LoadArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if let Some(url) = args.input.as_deref().filter(|i| i.contains("://")) {
        return Err(Failure::new(format!(
            "cannot load {url}: only files, directories and stdin can be loaded"
        ))
        .hint("fetch it first: curl URL | rcon load"));
    }
    let input = match &args.input {
        Some(path) if std::path::Path::new(path).is_dir() => LoadFrom::Directory(path.into()),
        path => LoadFrom::File(open(path.as_deref())?),
    };
    // docker's load tells of its layers on a terminal only; podman's always.
    let progress = PullProgress::new(args.quiet || ctx.manner == Manner::Docker).speaking(ctx.manner);
    let engine = ctx.engine()?;
    let loaded = images::load(engine, input, args.platform.as_deref(), &progress);
    progress.finish();
    let loaded = loaded?;
    for l in &loaded {
        if l.names.is_empty() {
            let what = if engine.podman { "Loaded image" } else { "Loaded image ID" };
            ui.line(format_args!("{what}: {}", l.image.id));
        }
        for name in &l.names {
            ui.line(format_args!("Loaded image: {}", engine.shown(name)));
        }
    }
    Ok(Exit::OK)
}

fn import(args: ImportArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.file.contains("://") {
        return Err(Failure::new(format!(
            "cannot import {}: only files and stdin can be imported",
            args.file
        ))
        .hint("fetch it first: curl URL | rcon import -"));
    }
    let options = ImportOptions {
        name: args.name,
        changes: args.change,
        message: args.message,
        platform: args.platform.into_option()?,
        annotations: Vec::new(),
    };
    let mut input = open(Some(&args.file))?;
    let id = images::import(ctx.engine()?, &mut input, &options)?;
    super::copied(ui, ctx, &id, args.quiet)?;
    ui.line(id);
    Ok(Exit::OK)
}
