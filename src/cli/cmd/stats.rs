//! `rcon stats`.

use std::time::Duration;

use serde_json::json;

use crate::cli::Ctx;
use crate::cli::client::{self, Listing};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::listing::{self, Layout, Style};
use crate::cli::ui::template::Data;
use crate::engine::Selection;
use crate::engine::stats::{Sampler, Stats};
use crate::model::units::{binary_size, human_duration, human_size};

/// Flags of `stats`.
#[derive(clap::Args)]
struct StatsArgs {
    /// Show all containers, not only running ones
    #[arg(short, long)]
    all: bool,
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show one reading and end
    #[arg(long)]
    no_stream: bool,
    /// Do not clear the screen between two readings
    #[arg(long)]
    no_reset: bool,
    /// Do not cut ids
    #[arg(long)]
    no_trunc: bool,
    /// Seconds between two readings
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1)]
    interval: u64,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Containers; none for all that run
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    StatsArgs,
    run,
    Section::Everyday,
    ["stats", "container stats"],
    "[OPTIONS] [CONTAINER...]",
    "Show what containers use, live"
);

const LAYOUT: Layout = Layout {
    titles: &[
        ("BlockIO", "BLOCK I/O"),
        ("CPUPerc", "CPU %"),
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("MemPerc", "MEM %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("Name", "NAME"),
        ("NetIO", "NET I/O"),
        ("PIDs", "PIDS"),
    ],
    further: &[
        "AVGCPU",
        "AvgCPU",
        "CPU",
        "MemUsageBytes",
        "MemLimit",
        "PIDS",
        "UpTime",
        "CPUNano",
        "CPUSystemNano",
    ],
    columns: &["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
};

fn run(mut args: StatsArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    args.format = client::format(ctx, Listing::Stats, args.format.take(), false);
    if args.all && !args.containers.is_empty() {
        return Err(Failure::usage("conflicting options: --all and names of containers"));
    }
    if ctx.manner == Manner::Podman && args.interval == 0 {
        return Err(Failure::usage("invalid interval, must be a positive number greater zero"));
    }
    let which = Selection {
        names: args.containers.clone(),
        all: args.all,
        latest: args.latest,
        ..Selection::default()
    };
    let mut sampler = Sampler::new(ctx.engine()?, &which)?;
    let pause = Duration::from_secs(args.interval.max(1));
    let style = Style { format: args.format.as_deref(), no_heading: false };
    let clear = !args.no_reset && args.format.is_none() && ui.stdout_is_terminal();
    if args.no_stream {
        // A rate needs two readings; docker takes a second between them too.
        sampler.sample()?;
        std::thread::sleep(Duration::from_millis(500));
    }
    loop {
        let rows: Vec<Data> =
            sampler.sample()?.iter().map(|s| row(s, &args.containers, !args.no_trunc)).collect();
        if clear && !args.no_stream {
            ui.text("\x1b[H\x1b[2J");
        }
        listing::show(ui, &LAYOUT, style, &rows)?;
        ui.flush();
        if args.no_stream || ui.closed() {
            return Ok(Exit::OK);
        }
        std::thread::sleep(pause);
    }
}

fn row(s: &Stats, asked_for: &[String], cut: bool) -> Data {
    let id = if cut { s.id.short() } else { s.id.as_str() };
    // docker's field says what was asked for.
    let given = asked_for.iter().find(|g| **g == s.name || s.id.as_str().starts_with(g.as_str()));
    let percent = match s.memory_limit {
        0 => 0.0,
        limit => s.memory as f64 / limit as f64 * 100.0,
    };
    let dash = |text: String| if s.stopped { "--".to_owned() } else { text };
    let pair = |a: String, b: String| if s.stopped { "-- / --".to_owned() } else { format!("{a} / {b}") };
    let value = json!({
        "BlockIO": pair(human_size(s.block_read), human_size(s.block_write)),
        "CPUPerc": dash(format!("{:.2}%", s.cpu_percent)),
        "Container": given.map_or(id, String::as_str),
        "ID": id,
        "MemPerc": dash(format!("{percent:.2}%")),
        "MemUsage": pair(binary_size(s.memory), binary_size(s.memory_limit)),
        "Name": s.name,
        "NetIO": pair(human_size(s.net_rx), human_size(s.net_tx)),
        "PIDs": dash(s.pids.to_string()),
        // podman's further fields
        "AVGCPU": format!("{:.2}%", s.cpu_average),
        "AvgCPU": format!("{:.2}%", s.cpu_average),
        "CPU": s.cpu_percent,
        "MemLimit": s.memory_limit,
        "PIDS": dash(s.pids.to_string()),
        "MemUsageBytes": pair(binary_size(s.memory), binary_size(s.memory_limit)),
        "UpTime": human_duration(s.uptime),
        "CPUNano": s.cpu_total,
        "CPUSystemNano": s.cpu_system,
    });
    Data::from(value)
}
