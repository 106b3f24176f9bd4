//! `rcon ps`.

use std::time::Duration;

use serde_json::{Map, Value};

use super::podman_json;
use crate::cli::Ctx;
use crate::cli::client::{self, Listing};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::listing::{self, Layout, Style, ellipsis, tame};
use crate::cli::ui::template::Data;
use crate::cli::ui::{Ui, ports};
use crate::engine::Error;
use crate::engine::ps::{ContainerListing, ListOptions, ListedSize, Listings};
use crate::model::units::{human_duration, human_size};

/// Flags of `ps`.
#[derive(clap::Args)]
pub(super) struct PsArgs {
    /// Show all containers, not only running ones
    #[arg(short, long)]
    all: bool,
    /// Show those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the N created last, whatever their state
    #[arg(short = 'n', long, value_name = "N", allow_hyphen_values = true)]
    last: Option<i64>,
    /// Show the one created last
    #[arg(short, long)]
    latest: bool,
    /// Do not cut ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// Do not print the titles
    #[arg(long)]
    noheading: bool,
    /// Show only ids
    #[arg(short, long)]
    quiet: bool,
    /// Show sizes
    #[arg(short, long)]
    size: bool,
    /// Sort by command, created, id, image, names, runningfor, size, status
    #[arg(long, value_name = "KEY", value_parser =
        ["command", "created", "id", "image", "names", "runningfor", "size", "status"])]
    sort: Option<String>,
    /// Show namespaces
    #[arg(long, alias = "ns")]
    namespace: bool,
    /// Repeat every N seconds
    #[arg(short, long, value_name = "SECONDS")]
    watch: Option<u64>,
    /// Read the state anew: always so
    #[arg(long, hide = true)]
    sync: bool,
    /// Containers of other tools: there are none in rcon's store
    #[arg(long, hide = true)]
    external: bool,
}

pub(super) const DEF: Def = def!(
    PsArgs,
    run,
    Section::Everyday,
    ["ps", "container ls", "container list", "container ps"],
    "[OPTIONS]",
    "List containers"
);

const LAYOUT: Layout = Layout {
    titles: &[
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Labels", "LABELS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Mounts", "MOUNTS"),
        ("Names", "NAMES"),
        ("Networks", "NETWORKS"),
        ("Platform", "PLATFORM"),
        ("Ports", "PORTS"),
        ("RunningFor", "CREATED"),
        ("Size", "SIZE"),
        ("State", "STATE"),
        ("Status", "STATUS"),
    ],
    further: &[
        "AutoRemove",
        "Created",
        "CreatedHuman",
        "Exited",
        "ExitedAt",
        "ExitCode",
        "Health",
        "ImageID",
        "Pid",
        "Pod",
        "PodName",
        "Restarts",
        "StartedAt",
        "CGROUPNS",
        "IPC",
        "MNT",
        "Namespaces",
        "NET",
        "PIDNS",
        "USERNS",
        "UTS",
    ],
    columns: &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
};
const WITH_SIZE: Layout = Layout {
    titles: LAYOUT.titles,
    further: LAYOUT.further,
    columns: &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"],
};
const WITH_NAMESPACES: Layout = Layout {
    titles: LAYOUT.titles,
    further: LAYOUT.further,
    columns: &["ID", "Names", "Pid", "CGROUPNS", "IPC", "MNT", "NET", "PIDNS", "USERNS", "UTS"],
};

fn run(mut args: PsArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if ctx.manner == Manner::Podman {
        if args.quiet && (args.size || args.namespace) {
            return Err(Failure::usage("quiet conflicts with size and namespace"));
        }
        if args.size && args.namespace {
            return Err(Failure::usage("size and namespace options conflict"));
        }
    }
    args.format = client::format(ctx, Listing::Ps, args.format.take(), args.quiet);
    let Some(seconds) = args.watch else {
        list(&args, ctx, ui)?;
        return Ok(Exit::OK);
    };
    while !ui.closed() {
        if ui.stdout_is_terminal() {
            ui.text("\x1b[H\x1b[2J");
        }
        list(&args, ctx, ui)?;
        ui.flush();
        std::thread::sleep(Duration::from_secs(seconds.max(1)));
    }
    Ok(Exit::OK)
}

fn list(args: &PsArgs, ctx: &Ctx, ui: &mut Ui) -> Result<(), Failure> {
    let format_wants_size = args.format.as_deref().is_some_and(|f| f.contains(".Size"));
    if format_wants_size && !args.size && ctx.manner == Manner::Podman {
        ui.warn("Size format requires --size option");
    }
    let options = ListOptions {
        all: args.all,
        filters: args.filter.clone(),
        last: args.last.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0),
        latest: args.latest,
        size: args.size || format_wants_size || args.sort.as_deref() == Some("size"),
        namespaces: args.namespace,
    };
    let engine = ctx.engine()?;
    // Of many containers each is made, shown and dropped before the next, unless they are to be sorted.
    let mut listings: Box<dyn Iterator<Item = Result<ContainerListing, Error>>> = match &args.sort {
        Some(key) => {
            let mut all = crate::engine::ps::ps(engine, &options)?;
            sort(&mut all, key);
            Box::new(all.into_iter().map(Ok))
        }
        None => Box::new(Listings::of(engine, &options)?),
    };
    if args.quiet && args.format.is_none() {
        for c in listings {
            let c = c?;
            ui.line(if args.no_trunc { c.id.as_str() } else { c.id.short() });
        }
        return Ok(());
    }
    let now = jiff::Timestamp::now();
    let podman = ctx.manner == Manner::Podman;
    if podman_json::is_wanted(ctx, args.format.as_deref()) {
        let rows = listings.map(|c| c.map(|c| podman_json::container(&c, age(&c, now))));
        podman_json::show(ui, rows.collect::<Result<_, _>>()?);
        return Ok(());
    }
    let layout = match (args.namespace, args.size) {
        (true, _) => &WITH_NAMESPACES,
        (false, true) => &WITH_SIZE,
        (false, false) => &LAYOUT,
    };
    let style = Style { format: args.format.as_deref(), no_heading: args.noheading };
    // Of thirty fields the plain table shows seven: of many containers only these are made.
    let wanted = style.is_plain().then_some(layout.columns);
    let mut failed = None;
    let rows = std::iter::from_fn(|| {
        let c = listings.next()?.map_err(|e| failed = Some(e)).ok()?;
        let mut row = row(&c, now, !args.no_trunc, wanted);
        if podman {
            as_podman(&mut row, &c, !args.no_trunc);
        }
        Some(row)
    });
    listing::show_each(ui, layout, style, rows)?;
    failed.map_or(Ok(()), |e| Err(e.into()))
}

/// Where podman shows the same field otherwise: a command without quotes, and cut earlier.
fn as_podman(row: &mut Data, c: &ContainerListing, cut: bool) {
    let mut command = tame(&c.command.join(" "));
    if cut && command.chars().count() > 17 {
        command = command.chars().take(17).chain("...".chars()).collect();
    }
    row.value["Command"] = command.into();
    if c.state == "paused" {
        row.value["Status"] = "Paused".into();
    }
    if let Some(all) = row.value.as_object_mut().filter(|all| all.contains_key("Namespaces")) {
        all.insert("ImageID".to_owned(), c.image_id.trim_start_matches("sha256:").into());
    }
}

fn sort(all: &mut [ContainerListing], key: &str) {
    match key {
        "command" => all.sort_by(|a, b| a.command.cmp(&b.command)),
        "id" => all.sort_by(|a, b| a.id.cmp(&b.id)),
        "image" => all.sort_by(|a, b| a.image.cmp(&b.image)),
        "names" => all.sort_by(|a, b| a.name.cmp(&b.name)),
        "size" => all.sort_by_key(|c| c.size.map(|s| s.rw)),
        "status" => all.sort_by(|a, b| a.state.cmp(b.state)),
        "runningfor" => all.sort_by_key(|c| std::cmp::Reverse(c.started)),
        _ => all.sort_by_key(|c| c.created),
    }
}

/// A row with all fields, or with those that are wanted.
fn row(c: &ContainerListing, now: jiff::Timestamp, cut: bool, wanted: Option<&[&'static str]>) -> Data {
    let every = LAYOUT.titles.iter().map(|(name, _)| *name).chain(LAYOUT.further.iter().copied());
    let of = |name: &'static str| (name.to_owned(), field(c, name, now, cut));
    match wanted {
        Some(names) => Data { value: names.iter().map(|n| of(n)).collect(), lookups: Map::new() },
        None => Data { value: every.map(of).collect(), lookups: listing::label_lookup(&c.labels) },
    }
}

/// One field of [`LAYOUT`].
fn field(c: &ContainerListing, name: &str, now: jiff::Timestamp, cut: bool) -> Value {
    match name {
        "Command" => quote(&command(c, cut)).into(),
        "CreatedAt" => created_at(c.created).into(),
        "ID" => (if cut { c.id.short() } else { c.id.as_str() }).into(),
        "Image" => tame(image(c, cut)).into(),
        "Labels" => tame(&listing::labels_text(&c.labels)).into(),
        "LocalVolumes" => c.mounts.iter().filter(|m| m.volume).count().to_string().into(),
        "Mounts" => {
            let shown = |source: &str| if cut { ellipsis(source, 15) } else { source.to_owned() };
            c.mounts.iter().map(|m| shown(&m.source)).collect::<Vec<_>>().join(",").into()
        }
        "Names" => c.name.as_str().into(),
        "Networks" => c.networks.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(",").into(),
        "Platform" => c.platform.as_str().into(),
        "Ports" => ports::ports(&c.ports, &c.exposed).into(),
        "RunningFor" | "Created" | "CreatedHuman" => age(c, now).into(),
        "Size" => c.size.map_or_else(|| "0B".to_owned(), size_text).into(),
        "State" => c.state.into(),
        "Status" => c.status.as_str().into(),
        _ => further(c, name),
    }
}

/// podman's fields, see [`LAYOUT`].
fn further(c: &ContainerListing, name: &str) -> Value {
    let namespace = |kind: &str| {
        c.namespaces.iter().find(|(n, _)| *n == kind).map_or("", |(_, inode)| inode.as_str()).into()
    };
    match name {
        "AutoRemove" => c.auto_remove.into(),
        "Exited" => (c.state == "exited").into(),
        "ExitedAt" => c.exited_at.map_or(0, jiff::Timestamp::as_second).into(),
        "ExitCode" => c.exit_code.into(),
        "Health" => c.health.clone().unwrap_or_default().into(),
        "ImageID" => c.image_id.as_str().into(),
        "Pid" => c.pid.into(),
        "Restarts" => c.restarts.into(),
        "StartedAt" => c.started.map_or(0, jiff::Timestamp::as_second).into(),
        "CGROUPNS" => namespace("cgroup"),
        "IPC" => namespace("ipc"),
        "MNT" => namespace("mnt"),
        "Namespaces" => podman_json::namespaces(c),
        "NET" => namespace("net"),
        "PIDNS" => namespace("pid"),
        "USERNS" => namespace("user"),
        "UTS" => namespace("uts"),
        // `Pod`, `PodName`: in none.
        _ => "".into(),
    }
}

fn command(c: &ContainerListing, cut: bool) -> String {
    let command = tame(&spoken(&c.command));
    if cut { ellipsis(&command, 20) } else { command }
}

fn image(c: &ContainerListing, cut: bool) -> &str {
    match c.image.strip_prefix("sha256:").and_then(|id| id.get(..12)) {
        Some(short) if cut => short,
        _ => &c.image,
    }
}

fn age(c: &ContainerListing, now: jiff::Timestamp) -> String {
    let seconds = now.as_second() - c.created.as_second();
    format!("{} ago", human_duration(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
}

fn size_text(s: ListedSize) -> String {
    match s.root_fs {
        0 => human_size(s.rw),
        all => format!("{} (virtual {})", human_size(s.rw), human_size(all)),
    }
}

/// The command as docker shows it: arguments with a space in single quotes.
fn spoken(argv: &[String]) -> String {
    let word = |(n, arg): (usize, &String)| match n > 0 && arg.contains(' ') {
        true => format!("'{arg}'"),
        false => arg.clone(),
    };
    argv.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
}

/// Go's quoting, as docker shows commands.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `2026-11-21 13:00:00 +0000 UTC`, as docker's `.CreatedAt`.
pub(super) fn created_at(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}
