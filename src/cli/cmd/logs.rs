//! `rcon logs`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::engine::logs::{LogLine, LogsOptions};

/// Flags of `logs`.
#[derive(clap::Args)]
struct LogsArgs {
    /// Go on as it is written
    #[arg(short, long)]
    follow: bool,
    /// Only from this time on (2026-11-21T10:00:00Z, 10m)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Lines from the end (default all)
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<String>,
    /// Show times
    #[arg(short, long)]
    timestamps: bool,
    /// Show the name of the container before each line
    #[arg(long)]
    names: bool,
    /// Colour the names
    #[arg(long)]
    color: bool,
    /// Show the labels and variables that --log-opt named
    #[arg(long)]
    details: bool,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    LogsArgs,
    run,
    Section::Everyday,
    ["logs", "container logs"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Show what a container wrote"
);

fn run(args: LogsArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let mut names = args.containers.clone();
    if args.latest && !names.is_empty() {
        return Err(Failure::usage("conflicting options: --latest and names of containers"));
    }
    if args.latest {
        names.push(super::latest(ctx)?);
    }
    if names.is_empty() {
        return Err(Failure::new("'rcon logs' requires at least 1 argument"));
    }
    let options = LogsOptions {
        follow: args.follow,
        tail: tail(args.tail.as_deref(), ctx.manner)?,
        since: args.since.as_deref().map(super::time).transpose()?,
        until: args.until.as_deref().map(|text| super::until(text, ctx)).transpose()?,
    };
    // podman: lines of several containers are told apart by id, or by name if asked for.
    let by_name = args.names || args.color;
    let follow = args.follow;
    crate::engine::logs::logs(ctx.engine()?, &names, &options, &mut |line| {
        let prefix = match by_name {
            true => Some(names[line.container].as_str()),
            false if names.len() > 1 => Some(&*line.id),
            false => None,
        };
        show(ui, &line, prefix, &args);
        if follow {
            ui.flush();
        }
        !ui.closed()
    })?;
    Ok(Exit::OK)
}

/// A number. `all`, a negative one and, as for docker, any other word mean all; podman refuses words.
fn tail(text: Option<&str>, manner: Manner) -> Result<Option<u64>, Failure> {
    match text {
        None | Some("all" | "") => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Err(_) if manner == Manner::Podman => Err(Failure::usage(format!(
                "invalid argument {text:?} for \"-n, --tail\" flag: want a number or all"
            ))),
            number => Ok(number.ok().and_then(|n| u64::try_from(n).ok())),
        },
    }
}

fn show(ui: &mut Ui, line: &LogLine, name: Option<&str>, args: &LogsArgs) {
    let mut bytes = Vec::with_capacity(line.bytes.len() + 48);
    if let Some(name) = name {
        let colour = args.color.then(|| 31 + line.container % 6);
        match colour {
            Some(c) => bytes.extend_from_slice(format!("\x1b[{c}m{name}\x1b[0m ").as_bytes()),
            None => bytes.extend_from_slice(format!("{name} ").as_bytes()),
        }
    }
    if args.timestamps {
        bytes.extend_from_slice(format!("{:.9} ", line.time).as_bytes());
    }
    if args.details {
        bytes.extend_from_slice(format!("{} ", line.details).as_bytes());
    }
    bytes.extend_from_slice(&line.bytes);
    if line.stderr {
        ui.error_bytes(&bytes);
    } else {
        ui.bytes(&bytes);
    }
}
