//! `rcon container checkpoint` and `rcon container restore`, podman's.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::Outcome;
use crate::cli::ui::Ui;
use crate::engine::Done;
use crate::engine::checkpoint::restore::RestoreOptions;
use crate::engine::checkpoint::{self as engine, CheckpointOptions, Report};

/// Flags of `container checkpoint`.
#[derive(clap::Args)]
struct CheckpointArgs {
    /// Take all running containers
    #[arg(short, long)]
    all: bool,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Keep criu's log and statistics
    #[arg(short, long)]
    keep: bool,
    /// Let the container run on
    #[arg(short = 'R', long)]
    leave_running: bool,
    /// Keep established TCP connections
    #[arg(long)]
    tcp_established: bool,
    /// Keep file locks
    #[arg(long)]
    file_locks: bool,
    /// Write memory ahead, and let the container run on
    #[arg(short = 'P', long)]
    pre_checkpoint: bool,
    /// Do not write again what was written ahead
    #[arg(long)]
    with_previous: bool,
    /// Print what criu counted, as JSON
    #[arg(long)]
    print_stats: bool,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Flags of `container restore`.
#[derive(clap::Args)]
struct RestoreArgs {
    /// Take all containers that were checkpointed
    #[arg(short, long)]
    all: bool,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Keep the checkpoint, criu's log and statistics
    #[arg(short, long)]
    keep: bool,
    /// Keep established TCP connections
    #[arg(long)]
    tcp_established: bool,
    /// Close established TCP connections
    #[arg(long)]
    tcp_close: bool,
    /// Keep file locks
    #[arg(long)]
    file_locks: bool,
    /// Take any free address, not the one that it had
    #[arg(long)]
    ignore_static_ip: bool,
    /// Take a new MAC address
    #[arg(long)]
    ignore_static_mac: bool,
    /// Print what criu counted, as JSON
    #[arg(long)]
    print_stats: bool,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const CHECKPOINT: Def = def!(
    CheckpointArgs,
    checkpoint,
    Section::Containers,
    ["container checkpoint"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Write the processes of running containers to files"
);
pub(super) const RESTORE: Def = def!(
    RestoreArgs,
    restore,
    Section::Containers,
    ["container restore"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Run containers again from their checkpoints"
);

fn checkpoint(args: CheckpointArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let choice = SelectArgs { all: args.all, latest: args.latest, ..SelectArgs::default() };
    let which = selection(args.containers, choice, false, "container checkpoint")?;
    let options = CheckpointOptions {
        keep: args.keep,
        leave_running: args.leave_running,
        tcp_established: args.tcp_established,
        file_locks: args.file_locks,
        pre: args.pre_checkpoint,
        with_previous: args.with_previous,
    };
    let mut told = Told::new(ui, "checkpoint", args.print_stats);
    engine::checkpoint(ctx.engine()?, &which, &options, &mut |done| told.take(done))?;
    told.end()
}

fn restore(args: RestoreArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let choice = SelectArgs { all: args.all, latest: args.latest, ..SelectArgs::default() };
    let which = selection(args.containers, choice, false, "container restore")?;
    let options = RestoreOptions {
        keep: args.keep,
        tcp_established: args.tcp_established,
        tcp_close: args.tcp_close,
        file_locks: args.file_locks,
        ignore_static_ip: args.ignore_static_ip,
        ignore_static_mac: args.ignore_static_mac,
    };
    let mut told = Told::new(ui, "restore", args.print_stats);
    engine::restore::restore(ctx.engine()?, &which, &options, &mut |done| told.take(done))?;
    told.end()
}

/// Prints what was named, or with `--print-stats` one document at the end.
struct Told<'a> {
    each: Each<'a>,
    verb: &'static str,
    statistics: Option<Vec<Value>>,
    begun: Instant,
}

impl<'a> Told<'a> {
    fn new(ui: &'a mut Ui, verb: &'static str, statistics: bool) -> Self {
        Self { each: Each::new(ui), verb, statistics: statistics.then(Vec::new), begun: Instant::now() }
    }

    fn take(&mut self, done: Done<Report>) {
        if let (Ok(report), Some(all)) = (&done.result, &mut self.statistics) {
            let counted: Map<String, Value> =
                report.statistics.iter().map(|(name, n)| ((*name).to_owned(), (*n).into())).collect();
            let mut one = json!({ "Id": report.id, "criu_statistics": counted });
            one[format!("runtime_{}_duration", self.verb)] = micros(report.took);
            all.push(one);
            return;
        }
        self.each.echo(done);
    }

    fn end(mut self) -> Outcome {
        if let Some(all) = self.statistics.take() {
            let mut whole = json!({ "container_statistics": all });
            whole[format!("podman_{}_duration", self.verb)] = micros(self.begun.elapsed());
            self.each.line(super::inspect::indented(&whole));
        }
        Ok(self.each.exit())
    }
}

fn micros(time: std::time::Duration) -> Value {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).into()
}
