//! `rcon ps`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::Ctx;
use crate::cli::client::{self, Listing};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::ui::listing::{self, Layout, Style, ellipsis, tame};
use crate::cli::ui::template::Data;
use crate::cli::ui::{Ui, ports};
use crate::engine::ps::{ContainerListing, ListOptions};
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
    let options = ListOptions {
        all: args.all,
        filters: args.filter.clone(),
        last: args.last.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0),
        latest: args.latest,
        size: args.size || format_wants_size || args.sort.as_deref() == Some("size"),
        namespaces: args.namespace,
    };
    let mut all = crate::engine::ps::ps(ctx.engine()?, &options)?;
    if let Some(key) = &args.sort {
        sort(&mut all, key);
    }
    if args.quiet && args.format.is_none() {
        for c in &all {
            ui.line(if args.no_trunc { c.id.as_str() } else { c.id.short() });
        }
        return Ok(());
    }
    let now = jiff::Timestamp::now();
    let rows: Vec<Data> = all.iter().map(|c| row(c, now, !args.no_trunc)).collect();
    let layout = match (args.namespace, args.size) {
        (true, _) => &WITH_NAMESPACES,
        (false, true) => &WITH_SIZE,
        (false, false) => &LAYOUT,
    };
    let style = Style { format: args.format.as_deref(), no_heading: args.noheading };
    listing::show(ui, layout, style, &rows)
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

fn row(c: &ContainerListing, now: jiff::Timestamp, cut: bool) -> Data {
    let seconds = now.as_second() - c.created.as_second();
    let age = human_duration(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    let command = tame(&spoken(&c.command));
    let command = if cut { ellipsis(&command, 20) } else { command };
    let mounts: Vec<String> =
        c.mounts.iter().map(|m| if cut { ellipsis(&m.source, 15) } else { m.source.clone() }).collect();
    let networks: Vec<&str> = c.networks.iter().map(|(name, _)| name.as_str()).collect();
    let size = c.size.map_or_else(
        || "0B".to_owned(),
        |s| match s.root_fs {
            0 => human_size(s.rw),
            all => format!("{} (virtual {})", human_size(s.rw), human_size(all)),
        },
    );
    let image = match c.image.strip_prefix("sha256:").and_then(|id| id.get(..12)) {
        Some(short) if cut => short,
        _ => &c.image,
    };
    let mut value = json!({
        "Command": quote(&command),
        "CreatedAt": created_at(c.created),
        "ID": if cut { c.id.short() } else { c.id.as_str() },
        "Image": tame(image),
        "Labels": tame(&listing::labels_text(&c.labels)),
        "LocalVolumes": c.mounts.iter().filter(|m| m.volume).count().to_string(),
        "Mounts": mounts.join(","),
        "Names": c.name,
        "Networks": networks.join(","),
        "Platform": c.platform,
        // As docker: a container that does not run has no ports.
        "Ports": ports::ports(&c.ports, if c.pid == 0 { &[] } else { &c.exposed }),
        "RunningFor": format!("{age} ago"),
        "Size": size,
        "State": c.state,
        "Status": c.status,
        // podman's fields, see LAYOUT.further
        "AutoRemove": c.auto_remove,
        "Created": format!("{age} ago"),
        "CreatedHuman": format!("{age} ago"),
        "Exited": c.state == "exited",
        "ExitedAt": c.exited_at.map_or(0, jiff::Timestamp::as_second),
        "ExitCode": c.exit_code,
        "Health": c.health.clone().unwrap_or_default(),
        "ImageID": c.image_id,
        "Pid": c.pid,
        "Pod": "",
        "PodName": "",
        "Restarts": c.restarts,
        "StartedAt": c.started.map_or(0, jiff::Timestamp::as_second),
    });
    if let Value::Object(map) = &mut value {
        for (title, name) in [
            ("CGROUPNS", "cgroup"),
            ("IPC", "ipc"),
            ("MNT", "mnt"),
            ("NET", "net"),
            ("PIDNS", "pid"),
            ("USERNS", "user"),
            ("UTS", "uts"),
        ] {
            let inode = c.namespaces.iter().find(|(n, _)| *n == name).map_or("", |(_, i)| i.as_str());
            map.insert(title.to_owned(), inode.into());
        }
    }
    Data { value, lookups: listing::label_lookup(&c.labels) }
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
