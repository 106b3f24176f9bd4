//! Commands that exist as `rcon container …` mainly: exists, prune, init, cleanup, clone, mount, unmount, and
//! `rcon healthcheck run`.

use serde_json::json;

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::resources::ResourceArgs;
use crate::cli::args::select::{LatestArg, SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::progress::PullProgress;
use crate::engine::Selection;
use crate::engine::clone::CloneOptions;
use crate::engine::reconcile::CleanupOptions;

/// Flags of `container exists`.
#[derive(clap::Args)]
struct ExistsArgs {
    /// Look among containers of other tools too: there are none in rcon's store
    #[arg(long, hide = true)]
    external: bool,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

/// Flags of `container prune`.
#[derive(clap::Args)]
struct PruneArgs {
    /// Only those that match (until=, label=, label!=)
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Flags of `init`.
#[derive(clap::Args)]
struct InitArgs {
    #[command(flatten)]
    choice: SelectArgs,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Flags of `container cleanup`.
#[derive(clap::Args)]
struct CleanupArgs {
    /// Remove the container too
    #[arg(long)]
    rm: bool,
    /// Remove its image too, if nothing else uses it
    #[arg(long)]
    rmi: bool,
    /// Only this session of exec, which must have ended
    #[arg(long, value_name = "ID")]
    exec: Option<String>,
    /// Leave alone what was never started
    #[arg(long, hide = true)]
    stopped_only: bool,
    #[command(flatten)]
    choice: SelectArgs,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Flags of `container clone`.
#[derive(clap::Args)]
struct CloneArgs {
    #[command(flatten)]
    resources: ResourceArgs,
    /// Name of the clone (default NAME-clone)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Remove the original
    #[arg(long)]
    destroy: bool,
    /// With --destroy: even if it runs
    #[arg(short, long)]
    force: bool,
    /// Start the clone
    #[arg(long)]
    run: bool,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
    /// Name of the clone
    #[arg(value_name = "NAME", hide = true)]
    second: Option<String>,
    /// Another image
    #[arg(value_name = "IMAGE", hide = true)]
    image: Option<String>,
}

/// Flags of `mount`.
#[derive(clap::Args)]
struct MountArgs {
    /// Take all containers
    #[arg(short, long)]
    all: bool,
    /// Only json
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
    /// Do not cut ids
    #[arg(long, alias = "notruncate")]
    no_trunc: bool,
    #[command(flatten)]
    latest: LatestArg,
    /// Containers; none shows what is mounted
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Flags of `unmount`.
#[derive(clap::Args)]
struct UnmountArgs {
    /// Take all containers
    #[arg(short, long)]
    all: bool,
    /// As without it: a mount that is in use goes when its last user does
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    latest: LatestArg,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Flags of `healthcheck run`.
#[derive(clap::Args)]
struct HealthArgs {
    /// End with exit code 0 whatever the check says
    #[arg(long)]
    ignore_result: bool,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

pub(super) const EXISTS: Def = def!(
    ExistsArgs,
    exists,
    Section::Containers,
    ["container exists"],
    "CONTAINER",
    "Tell by the exit code whether a container exists"
);
pub(super) const PRUNE: Def = def!(
    PruneArgs,
    prune,
    Section::Containers,
    ["container prune"],
    "[OPTIONS]",
    "Remove all stopped containers"
);
pub(super) const INIT: Def = def!(
    InitArgs,
    init,
    Section::Containers,
    ["init", "container init"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Prepare containers up to the point where their command would run"
);
pub(super) const CLEANUP: Def = def!(
    CleanupArgs,
    cleanup,
    Section::Containers,
    ["container cleanup"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Sweep what a crash left of containers"
);
pub(super) const CLONE: Def = def!(
    CloneArgs,
    clone,
    Section::Containers,
    ["container clone"],
    "[OPTIONS] CONTAINER [NAME] [IMAGE]",
    "Make a new container with the options of another"
);
pub(super) const MOUNT: Def = def!(
    MountArgs,
    mount,
    Section::Containers,
    ["mount", "container mount"],
    "[OPTIONS] [CONTAINER...]",
    "Mount the file system of containers on the host"
);
pub(super) const UNMOUNT: Def = def!(
    UnmountArgs,
    unmount,
    Section::Containers,
    ["unmount", "umount", "container unmount", "container umount"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Take such mounts away"
);
pub(super) const HEALTH: Def = def!(
    HealthArgs,
    health,
    Section::Containers,
    ["healthcheck run"],
    "[OPTIONS] CONTAINER",
    "Run a container's health check now"
);

fn exists(args: ExistsArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    let _podman_only = args.external;
    let there = crate::engine::inspect::exists(ctx.engine()?, &args.container)?;
    Ok(if there { Exit::OK } else { Exit::NO })
}

fn prune(args: PruneArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let filters = crate::cli::client::prune_filters(ctx, args.filter);
    if !args.force && !ui.confirm("This will remove all stopped containers.")? {
        return super::cancelled(ctx, "container prune");
    }
    let pruned = crate::engine::prune::containers(ctx.engine()?, &filters)?;
    super::show_list(ui, "Deleted Containers:", &pruned.containers);
    super::reclaimed(ui, ctx, pruned.reclaimed);
    Ok(Exit::OK)
}

fn init(args: InitArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let which = selection(args.containers, args.choice, false, "init")?;
    let mut each = Each::new(ui);
    crate::engine::init::init(ctx.engine()?, &which, &mut |done| each.echo(done))?;
    Ok(each.exit())
}

fn cleanup(args: CleanupArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    // podman's cleanup may come when the container is gone already.
    let ignore = ctx.manner == Manner::Podman;
    if args.exec.is_some() {
        let clash = match () {
            () if args.choice.all => Some("--all and --exec cannot be set together"),
            () if args.containers.len() > 1 => {
                Some("cannot use exec option when more than one container is given")
            }
            () if args.rmi => Some("--exec and --rmi cannot be set together"),
            () => None,
        };
        if let Some(clash) = clash {
            return Err(Failure::usage(clash));
        }
    }
    let options = CleanupOptions {
        remove: args.rm,
        remove_image: args.rmi,
        exec: args.exec,
        stopped_only: args.stopped_only,
    };
    let which = selection(args.containers, args.choice, ignore, "container cleanup")?;
    let mut each = Each::new(ui);
    crate::engine::reconcile::cleanup(ctx.engine()?, &which, &options, &mut |done| each.echo(done))?;
    Ok(each.exit())
}

fn clone(args: CloneArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.name.is_some() && args.second.is_some() {
        return Err(Failure::usage("conflicting options: --name and a second argument both name the clone"));
    }
    let options = CloneOptions {
        name: args.name.or(args.second),
        image: args.image,
        resources: args.resources.into_options()?,
        destroy: args.destroy,
        force: args.force,
        run: args.run,
    };
    let progress = PullProgress::new(false).speaking(ctx.manner);
    let created = crate::engine::clone::clone(ctx.engine()?, &args.container, &options, &progress);
    progress.finish();
    let created = created?;
    for warning in &created.warnings {
        ui.warn(warning);
    }
    ui.line(created.id);
    Ok(Exit::OK)
}

fn mount(args: MountArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let which = Selection {
        names: args.containers,
        all: args.all,
        latest: args.latest.latest,
        ..Selection::default()
    };
    let listing = which == Selection::default();
    let single = which.names.len() == 1;
    let mut all = Vec::new();
    let mut each = Each::new(ui);
    crate::engine::mounts::mount(ctx.engine()?, &which, &mut |done| match (
        &done.result,
        args.format.is_some(),
    ) {
        (Ok(m), true) => {
            all.push(json!({"Id": m.id, "Names": [m.name], "mountpoint": m.path}));
        }
        _ => each.show(done, |_, m| match (single && !listing, args.no_trunc) {
            (true, _) => m.path.clone(),
            (false, true) => format!("{}  {}", m.id, m.path),
            (false, false) => format!("{}  {}", m.id.short(), m.path),
        }),
    })?;
    let exit = each.exit();
    if args.format.is_some() {
        ui.line(super::inspect::indented(&all.into()));
    }
    Ok(exit)
}

fn unmount(args: UnmountArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let choice = SelectArgs { all: args.all, latest: args.latest.latest, ..SelectArgs::default() };
    let which = selection(args.containers, choice, false, "unmount")?;
    let mut each = Each::new(ui);
    crate::engine::mounts::unmount(ctx.engine()?, &which, &mut |done| each.echo(done))?;
    Ok(each.exit())
}

fn health(args: HealthArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let result = crate::engine::health::run(ctx.engine()?, &args.container)?;
    if result.exit_code == 0 {
        return Ok(Exit::OK);
    }
    // The monitor's mark of a check that took too long.
    if ctx.manner == Manner::Podman && result.exit_code == -1 && !args.ignore_result {
        let limit = crate::engine::health::timeout(ctx.engine()?, &args.container)?;
        return Err(Failure::new(format!("healthcheck command exceeded timeout of {limit}")));
    }
    ui.line("unhealthy");
    Ok(if args.ignore_result { Exit::OK } else { Exit::NO })
}
