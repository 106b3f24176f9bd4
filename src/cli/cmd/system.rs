//! `rcon system df` and `rcon system prune`.

use serde_json::{Value, json};

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::listing::{self, Layout, Style};
use crate::cli::ui::progress::PullProgress;
use crate::cli::ui::table::Table;
use crate::cli::ui::template::{Data, Template};
use crate::engine::prune::{PruneOptions, Pruned};
use crate::engine::system::{CheckOptions, DiskUsage, Usage, service};
use crate::model::units::human_size;

/// Flags of `system df`.
#[derive(clap::Args)]
struct DfArgs {
    /// Show each image, container and volume
    #[arg(short, long)]
    verbose: bool,
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Flags of `system check`.
#[derive(clap::Args)]
struct CheckArgs {
    /// Only whether everything is there, not whether it is what it was
    #[arg(short, long)]
    quick: bool,
    /// Repair what can be: fetch damaged images again, save what a broken database holds
    #[arg(short, long)]
    repair: bool,
    /// Repair, and remove what cannot be: damaged images, and containers that need them or are damaged themselves
    #[arg(short, long)]
    force: bool,
    /// Take layers that nothing uses for damage when they are older
    #[arg(short, long, value_name = "DURATION")]
    max: Option<String>,
}

/// Flags of `system prune`.
#[derive(clap::Args)]
struct PruneArgs {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Only what matches (until=, label=, label!=)
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Volumes too
    #[arg(long)]
    volumes: bool,
    /// Containers of a builder too: there is no builder, so there are none
    #[arg(long, hide = true)]
    build: bool,
    /// Only what killed commands left in the store, and nothing that it knows
    #[arg(long)]
    external: bool,
}

/// Flags of `system reset`.
#[derive(clap::Args)]
struct ResetArgs {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Flags of `system install-service`.
#[derive(clap::Args)]
struct ServiceArgs {
    /// Directory of the unit
    #[arg(long, value_name = "DIR", default_value = service::DIRECTORY, hide_default_value = true)]
    dir: std::path::PathBuf,
    /// Print the unit instead
    #[arg(long, conflicts_with = "remove")]
    print: bool,
    /// Take the unit away again
    #[arg(long)]
    remove: bool,
}

pub(super) const DF: Def =
    def!(DfArgs, df, Section::System, ["system df"], "[OPTIONS]", "Show what the store takes");
pub(super) const CHECK: Def = def!(
    CheckArgs,
    check,
    Section::System,
    ["system check"],
    "[OPTIONS]",
    "Look for damage in the store, and repair it"
);
pub(super) const PRUNE: Def =
    def!(PruneArgs, prune, Section::System, ["system prune"], "[OPTIONS]", "Remove what nothing uses");

pub(super) const RESET: Def = def!(
    ResetArgs,
    reset,
    Section::System,
    ["system reset"],
    "[OPTIONS]",
    "Remove all containers, images, volumes, networks and secrets"
);
pub(super) const SERVICE: Def = def!(
    ServiceArgs,
    install_service,
    Section::System,
    ["system install-service"],
    "[OPTIONS]",
    "Install the systemd unit that starts containers at boot"
);

const LAYOUT: Layout = Layout {
    titles: &[
        ("Active", "ACTIVE"),
        ("Reclaimable", "RECLAIMABLE"),
        ("Size", "SIZE"),
        ("TotalCount", "TOTAL"),
        ("Type", "TYPE"),
    ],
    further: &["Total"],
    columns: &["Type", "TotalCount", "Active", "Size", "Reclaimable"],
};

fn check(args: CheckArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let max_age = args.max.as_deref().map(crate::model::units::parse_duration).transpose().map_err(|e| {
        Failure::usage(format!("invalid argument {:?} for \"-m, --max\" flag: {e}", args.max.as_deref()))
    })?;
    let repair = args.repair || args.force;
    let options = CheckOptions { quick: args.quick, repair, force: args.force, max_age };
    let progress = PullProgress::new(true);
    let found = crate::engine::system::check(ctx.engine()?, options, &progress)?;
    let mut left = 0;
    for finding in &found {
        ui.line(format_args!("{}: {}", finding.what, finding.why));
        match &finding.repaired {
            Some(Ok(how)) => ui.line(format_args!("  repaired: {how}")),
            Some(Err(why)) => {
                left += 1;
                ui.line(format_args!("  not repaired: {why}"));
            }
            None => left += 1,
        }
    }
    if left == 0 {
        return Ok(Exit::OK);
    }
    let failure = Failure::new(format!("damage detected in local storage ({left})"));
    Err(if repair { failure } else { failure.hint("rcon system check --repair") })
}

fn df(args: DfArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let DiskUsage { images, containers, volumes } = crate::engine::system::df(ctx.engine()?, args.verbose)?;
    let all = [("Images", images), ("Containers", containers), ("Local Volumes", volumes)];
    if let Some(format) = args.format.as_deref().filter(|_| args.verbose) {
        if ctx.manner == Manner::Podman {
            let text = "conflicting options: --verbose and --format cannot be used together";
            return Err(Failure::usage(text));
        }
        // docker's: one document with a list of each kind.
        let [images, containers, volumes] = all.map(|(_, usage)| usage.items);
        let value =
            json!({ "Images": images, "Containers": containers, "Volumes": volumes, "BuildCache": [] });
        ui.line(match format.trim() {
            "json" => value.to_string(),
            text => Template::parse(text)?.execute(&Data::from(value))?,
        });
        return Ok(Exit::OK);
    }
    if args.verbose {
        for (title, usage) in &all {
            ui.line(format_args!("{title} space usage:\n"));
            ui.text(&items(usage));
            ui.line("");
        }
        return Ok(Exit::OK);
    }
    let rows: Vec<Data> = all.iter().map(|(title, usage)| Data::from(row(title, usage))).collect();
    let style = Style { format: args.format.as_deref(), no_heading: false };
    listing::show(ui, &LAYOUT, style, &rows)?;
    Ok(Exit::OK)
}

fn row(title: &str, usage: &Usage) -> Value {
    let reclaimable = match usage.size {
        0 => human_size(usage.reclaimable),
        size => {
            format!("{} ({}%)", human_size(usage.reclaimable), usage.reclaimable.saturating_mul(100) / size)
        }
    };
    json!({
        "Active": usage.active.to_string(),
        "Reclaimable": reclaimable,
        "Size": human_size(usage.size),
        // podman's word for it
        "Total": usage.total,
        "TotalCount": usage.total.to_string(),
        "Type": title,
    })
}

/// A table of whatever columns the items have; sizes in bytes become human ones.
fn items(usage: &Usage) -> String {
    let Some(Value::Object(first)) = usage.items.first() else { return String::new() };
    let columns: Vec<&String> = first.keys().collect();
    let mut table = Table::new(columns.iter().map(|c| c.to_uppercase()));
    for item in &usage.items {
        table.row(columns.iter().map(|c| match item.get(c.as_str()) {
            Some(Value::Number(n)) if c.to_ascii_lowercase().contains("size") => {
                human_size(n.as_u64().unwrap_or(0))
            }
            Some(Value::String(s)) => listing::tame(s),
            Some(other) => other.to_string(),
            None => String::new(),
        }));
    }
    table.render()
}

fn prune(args: PruneArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.external {
        if args.all || args.volumes || args.build || !args.filter.is_empty() {
            return Err(Failure::usage("--external cannot be combined with other options"));
        }
        let bytes = crate::engine::prune::leftovers(ctx.engine()?)?;
        super::reclaimed(ui, ctx, bytes);
        return Ok(Exit::OK);
    }
    let mut question = String::from(
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n",
    );
    if args.volumes {
        question.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    question.push_str(match args.all {
        true => "  - all images without at least one container associated to them\n",
        false => "  - all dangling images\n",
    });
    if !args.force && !ui.confirm(&question)? {
        return super::cancelled(ctx, "system prune");
    }
    let options = PruneOptions {
        filters: crate::cli::client::prune_filters(ctx, args.filter),
        all: args.all,
        volumes: args.volumes,
    };
    let pruned = crate::engine::prune::system(ctx.engine()?, &options)?;
    show(ui, &pruned);
    Ok(Exit::OK)
}

fn show(ui: &mut Ui, pruned: &Pruned) {
    super::show_list(ui, "Deleted Containers:", &pruned.containers);
    super::show_list(ui, "Deleted Networks:", &pruned.networks);
    super::show_list(ui, "Deleted Volumes:", &pruned.volumes);
    super::show_list(ui, "Deleted Images:", &super::image::removals(&pruned.images));
    ui.line(format_args!("Total reclaimed space: {}", human_size(pruned.reclaimed)));
}

fn reset(args: ResetArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let question = "WARNING! This will remove:\n  - all containers\n  - all images\n  - all networks\n  - all volumes\n  \
                    - all secrets\n";
    if !args.force && !ui.confirm(question)? {
        return super::cancelled(ctx, "system reset");
    }
    crate::engine::system::reset(ctx.engine()?)?;
    Ok(Exit::OK)
}

fn install_service(args: ServiceArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.remove {
        for path in service::remove(&args.dir)? {
            ui.line(format_args!("removed {}", path.display()));
        }
        return Ok(Exit::OK);
    }
    let program =
        std::env::current_exe().map_err(|e| Failure::new(format!("finding rcon's own program: {e}")))?;
    let paths = &ctx.engine()?.paths;
    let mut globals = Vec::new();
    for (flag, path, usual) in
        [("--root", &paths.root, "/var/lib/rcon"), ("--runroot", &paths.run, "/run/rcon")]
    {
        if path != std::path::Path::new(usual) {
            globals.extend([flag.to_owned(), path.display().to_string()]);
        }
    }
    let text = service::unit(&program, &globals);
    if args.print {
        ui.text(&text);
        return Ok(Exit::OK);
    }
    for path in service::install(&args.dir, &text)? {
        ui.line(format_args!("made {}", path.display()));
    }
    if std::path::Path::new("/run/systemd/system").exists() {
        ui.line("it acts at the next boot; to begin now: systemctl daemon-reload && systemctl start rcon");
    }
    Ok(Exit::OK)
}
