//! `rcon volume …`.

use serde_json::json;

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::{env, unique_pairs};
use crate::cli::client::{self, Listing};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::listing::{self, Layout, Style};
use crate::cli::ui::template::Data;
use crate::engine::volumes::{self, VolumeOptions};
use crate::model::volume::Volume;

/// Flags of `volume create`.
#[derive(clap::Args)]
struct CreateArgs {
    /// Driver: only local
    #[arg(short, long, value_name = "NAME")]
    driver: Option<String>,
    /// Set a label
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Options of the driver: type, device, o, size
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// One that exists is no error
    #[arg(long)]
    ignore: bool,
    /// Owner of its root
    #[arg(long, value_name = "UID")]
    uid: Option<u32>,
    /// Group of its root
    #[arg(long, value_name = "GID")]
    gid: Option<u32>,
    /// Name, as docker's old flag
    #[arg(long = "name", value_name = "NAME", hide = true)]
    old_name: Option<String>,
    /// Name
    #[arg(value_name = "NAME", hide = true)]
    name: Option<String>,
}

/// Flags of `volume ls`.
#[derive(clap::Args)]
struct LsArgs {
    /// Show those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Do not print the titles
    #[arg(short, long)]
    noheading: bool,
    /// Show only names
    #[arg(short, long)]
    quiet: bool,
}

/// Flags of `volume inspect`.
#[derive(clap::Args)]
struct InspectArgs {
    /// Format with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// All volumes
    #[arg(short, long)]
    all: bool,
    /// Volumes
    #[arg(value_name = "VOLUME", hide = true)]
    names: Vec<String>,
}

/// Flags of `volume rm`.
#[derive(clap::Args)]
struct RmArgs {
    /// What does not exist is no error
    #[arg(short, long)]
    force: bool,
    /// All volumes
    #[arg(short, long)]
    all: bool,
    /// With --force: remove the containers that use them too, killed after so many seconds
    #[arg(short, long, value_name = "SECONDS", allow_hyphen_values = true)]
    time: Option<i64>,
    /// Volumes
    #[arg(value_name = "VOLUME", hide = true)]
    names: Vec<String>,
}

/// Flags of `volume prune`.
#[derive(clap::Args)]
struct PruneArgs {
    /// Named volumes too, not only anonymous ones
    #[arg(short, long)]
    all: bool,
    /// Only those that match
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only tell which volumes would go
    #[arg(long)]
    dry_run: bool,
}

/// A volume's name alone.
#[derive(clap::Args)]
struct NameArg {
    /// Volume
    #[arg(required = true, value_name = "VOLUME", hide = true)]
    name: String,
}

/// `volume reload` has no flags.
#[derive(clap::Args)]
struct ReloadArgs {}

/// Flags of `volume export`.
#[derive(clap::Args)]
struct ExportArgs {
    /// Write to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Volume
    #[arg(required = true, value_name = "VOLUME", hide = true)]
    name: String,
}

/// Arguments of `volume import`.
#[derive(clap::Args)]
struct ImportArgs {
    /// Volume
    #[arg(required = true, value_name = "VOLUME", hide = true)]
    name: String,
    /// Archive; - is stdin
    #[arg(value_name = "FILE", hide = true)]
    file: Option<String>,
}

pub(super) const CREATE: Def =
    def!(CreateArgs, create, Section::Volumes, ["volume create"], "[OPTIONS] [VOLUME]", "Create a volume");
pub(super) const LS: Def =
    def!(LsArgs, ls, Section::Volumes, ["volume ls", "volume list"], "[OPTIONS]", "List volumes");
pub(super) const INSPECT: Def = def!(
    InspectArgs,
    inspect,
    Section::Volumes,
    ["volume inspect"],
    "[OPTIONS] VOLUME [VOLUME...]",
    "Show all that is known of volumes"
);
pub(super) const RM: Def = def!(
    RmArgs,
    rm,
    Section::Volumes,
    ["volume rm", "volume remove"],
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove volumes"
);
pub(super) const PRUNE: Def = def!(
    PruneArgs,
    prune,
    Section::Volumes,
    ["volume prune"],
    "[OPTIONS]",
    "Remove volumes that nothing uses"
);
pub(super) const EXISTS: Def = def!(
    NameArg,
    exists,
    Section::Volumes,
    ["volume exists"],
    "VOLUME",
    "Tell by the exit code whether a volume exists"
);
pub(super) const MOUNT: Def = def!(
    NameArg,
    mount,
    Section::Volumes,
    ["volume mount"],
    "VOLUME",
    "Show the path of a volume on the host"
);
pub(super) const UNMOUNT: Def = def!(
    NameArg,
    unmount,
    Section::Volumes,
    ["volume unmount"],
    "VOLUME",
    "End what volume mount began; the files of a volume stay where they are"
);
pub(super) const RELOAD: Def = def!(
    ReloadArgs,
    reload,
    Section::Volumes,
    ["volume reload"],
    "",
    "Take up volumes whose directories are there and that are not known any more"
);
pub(super) const EXPORT: Def = def!(
    ExportArgs,
    export,
    Section::Volumes,
    ["volume export"],
    "[OPTIONS] VOLUME",
    "Write the content of a volume as a tar archive"
);
pub(super) const IMPORT: Def = def!(
    ImportArgs,
    import,
    Section::Volumes,
    ["volume import"],
    "VOLUME [FILE]",
    "Fill a volume from a tar archive"
);

const LAYOUT: Layout = Layout {
    titles: &[
        ("Availability", "AVAILABILITY"),
        ("Driver", "DRIVER"),
        ("Group", "GROUP"),
        ("Labels", "LABELS"),
        ("Links", "LINKS"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Name", "VOLUME NAME"),
        ("Scope", "SCOPE"),
        ("Size", "SIZE"),
        ("Status", "STATUS"),
    ],
    further: &["CreatedAt", "Anonymous"],
    columns: &["Driver", "Name"],
};

fn create(args: CreateArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.name.is_some() && args.old_name.is_some() {
        return Err(Failure::usage(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
        ));
    }
    let options = VolumeOptions {
        name: args.name.or(args.old_name).filter(|n| !n.is_empty()),
        driver: args.driver,
        options: unique_pairs(args.opt.iter().map(|t| crate::cli::args::pair(t))),
        labels: env::labels(&[], &args.label)?,
        ignore: args.ignore,
        uid: args.uid,
        gid: args.gid,
    };
    ui.line(volumes::create(ctx.engine()?, &options)?.name);
    Ok(Exit::OK)
}

fn ls(mut args: LsArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    args.format = client::format(ctx, Listing::Volumes, args.format.take(), args.quiet);
    let all = volumes::ls(ctx.engine()?, &args.filter)?;
    if args.quiet && args.format.is_none() {
        for volume in &all {
            ui.line(&volume.name);
        }
        return Ok(Exit::OK);
    }
    if super::podman_json::is_wanted(ctx, args.format.as_deref()) {
        let documents = all.iter().map(|v| volumes::inspect(ctx.engine()?, &v.name).map_err(Failure::from));
        super::podman_json::show(ui, documents.collect::<Result<_, _>>()?);
        return Ok(Exit::OK);
    }
    let rows: Vec<Data> = all.iter().map(row).collect();
    let style = Style { format: args.format.as_deref(), no_heading: args.noheading };
    listing::show(ui, &LAYOUT, style, &rows)?;
    Ok(Exit::OK)
}

fn row(v: &Volume) -> Data {
    let value = json!({
        "Availability": "N/A",
        "Driver": v.driver,
        "Group": "N/A",
        "Labels": listing::labels_text(&v.labels),
        "Links": "N/A",
        "Mountpoint": v.mountpoint,
        "Name": v.name,
        "Scope": "local",
        "Size": "N/A",
        "Status": "N/A",
        "CreatedAt": v.created.to_string(),
        "Anonymous": v.anonymous,
    });
    Data { value, lookups: listing::label_lookup(&v.labels) }
}

fn inspect(args: InspectArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let engine = ctx.engine()?;
    let names = match args.all {
        true => volumes::ls(engine, &[])?.into_iter().map(|v| v.name).collect(),
        false if args.names.is_empty() => {
            return Err(Failure::new("'rcon volume inspect' requires at least 1 argument"));
        }
        false => args.names,
    };
    super::inspect::show(ui, args.format.as_deref(), &names, |name| volumes::inspect(engine, name))
}

/// Whether `--force` takes the containers along. docker's does not; podman's does, and `--time` is podman's.
pub(super) fn removes_users(ctx: &Ctx, force: bool, time: Option<i64>) -> Result<bool, Failure> {
    if time.is_some() && !force {
        return Err(Failure::usage("--time is only for --force, which stops containers"));
    }
    Ok(force && (time.is_some() || ctx.manner == Manner::Podman))
}

fn rm(args: RmArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.names.is_empty() && !args.all {
        return Err(Failure::new("'rcon volume rm' requires at least 1 argument"));
    }
    let users = removes_users(ctx, args.force, args.time)?;
    let mut each = Each::new(ui);
    let how = volumes::RemoveVolumes { all: args.all, force: args.force, users, timeout: args.time };
    volumes::rm(ctx.engine()?, &args.names, how, &mut |done| each.removed(done))?;
    Ok(each.exit())
}

fn prune(args: PruneArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let filters = crate::cli::client::prune_filters(ctx, args.filter);
    // podman means all by it.
    let all = args.all || ctx.manner == Manner::Podman;
    if args.dry_run {
        for name in crate::engine::prune::unused_volumes(ctx.engine()?, &filters, all)? {
            ui.line(name);
        }
        return Ok(Exit::OK);
    }
    let question = if all {
        "This will remove all volumes not used by at least one container."
    } else {
        "This will remove anonymous local volumes not used by at least one container."
    };
    if !args.force && !ui.confirm(question)? {
        return super::cancelled(ctx, "volume prune");
    }
    let pruned = crate::engine::prune::volumes(ctx.engine()?, &filters, all)?;
    super::show_list(ui, "Deleted Volumes:", &pruned.volumes);
    super::reclaimed(ui, ctx, pruned.reclaimed);
    Ok(Exit::OK)
}

fn exists(args: NameArg, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    Ok(if volumes::exists(ctx.engine()?, &args.name)? { Exit::OK } else { Exit::NO })
}

fn mount(args: NameArg, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    ui.line(volumes::mountpoint(ctx.engine()?, &args.name)?);
    Ok(Exit::OK)
}

fn unmount(args: NameArg, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    volumes::mountpoint(ctx.engine()?, &args.name)?;
    ui.line(&args.name);
    Ok(Exit::OK)
}

fn reload(_args: ReloadArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let added = volumes::reload(ctx.engine()?)?;
    super::show_list(ui, "Added:", &added);
    Ok(Exit::OK)
}

fn export(args: ExportArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    let engine = ctx.engine()?;
    super::to_output(args.output.as_deref(), |out| {
        volumes::export(engine, &args.name, out)?;
        Ok(())
    })
}

fn import(args: ImportArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    let engine = ctx.engine()?;
    super::from_input(args.file.as_deref(), |tar| {
        volumes::import(engine, &args.name, tar)?;
        Ok(())
    })
}
