//! `rcon container checkpoint` and `rcon container restore`, podman's.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::progress::PullProgress;
use crate::engine::Done;
use crate::engine::checkpoint::restore::RestoreOptions;
use crate::engine::checkpoint::{self as engine, CheckpointOptions, Export, ImportOptions, Report};
use crate::model::network::PortRequest;

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
    /// Write an archive too, of which another machine can make the container
    #[arg(short, long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Pack the archive: none, gzip, zstd (default)
    #[arg(short, long, value_name = "ALGORITHM")]
    compress: Option<String>,
    /// Leave the changes of the root file system out of the archive
    #[arg(long)]
    ignore_rootfs: bool,
    /// Leave the content of volumes out of the archive
    #[arg(long)]
    ignore_volumes: bool,
    /// Make an image of it, of which another machine can make the container
    #[arg(long, value_name = "NAME")]
    create_image: Option<String>,
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
    /// Make the container of the archive of a checkpoint
    #[arg(short, long, value_name = "FILE")]
    import: Option<PathBuf>,
    /// The archive of its pre-checkpoint
    #[arg(long, value_name = "FILE")]
    import_previous: Option<PathBuf>,
    /// With --import or an image: another name, and another id
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    /// With --import or an image: publish these ports instead
    #[arg(short, long, value_name = "[[IP:]PORT:]PORT[/PROTOCOL]")]
    publish: Vec<PortRequest>,
    /// With --import or an image: without the changes of the root file system
    #[arg(long)]
    ignore_rootfs: bool,
    /// With --import or an image: without the content of volumes
    #[arg(long)]
    ignore_volumes: bool,
    /// Restore it into a pod
    #[arg(long, value_name = "POD", hide = true)]
    pod: Option<String>,
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
    "[OPTIONS] CONTAINER|IMAGE [CONTAINER|IMAGE...]",
    "Run containers again from their checkpoints"
);

/// What goes into an archive; flags about it make no sense without one.
fn export(args: &CheckpointArgs) -> Result<Option<(PathBuf, Export)>, Failure> {
    let compression = args.compress.as_deref().map(str::parse).transpose()?;
    if args.pre_checkpoint && args.leave_running {
        return Err(Failure::usage("--leave-running cannot be used with --pre-checkpoint"));
    }
    let Some(file) = args.export.clone() else {
        let flags = [
            (compression.is_some(), "compress"),
            (args.ignore_rootfs, "ignore-rootfs"),
            (args.ignore_volumes, "ignore-volumes"),
        ];
        return match flags.into_iter().find(|(given, _)| *given) {
            Some((_, flag)) => Err(Failure::usage(format!("--{flag} can only be used with --export"))),
            None => Ok(None),
        };
    };
    let export = Export {
        compression: compression.unwrap_or_default(),
        ignore_rootfs: args.ignore_rootfs,
        ignore_volumes: args.ignore_volumes,
    };
    Ok(Some((file, export)))
}

fn checkpoint(mut args: CheckpointArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let export = export(&args)?;
    let choice = SelectArgs { all: args.all, latest: args.latest, ..SelectArgs::default() };
    let which = selection(std::mem::take(&mut args.containers), choice, false, "container checkpoint")?;
    let options = CheckpointOptions {
        export,
        image: args.create_image,
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
    if let Some(pod) = args.pod {
        return Err(Failure::usage(format!("--pod {pod} is not supported: pods are not there yet")));
    }
    let options = RestoreOptions {
        keep: args.keep,
        tcp_established: args.tcp_established,
        tcp_close: args.tcp_close,
        file_locks: args.file_locks,
        ignore_static_ip: args.ignore_static_ip,
        ignore_static_mac: args.ignore_static_mac,
    };
    let import = ImportOptions {
        name: args.name,
        publish: args.publish,
        ignore_rootfs: args.ignore_rootfs,
        ignore_volumes: args.ignore_volumes,
        previous: args.import_previous,
    };
    if import.name.is_some() && options.tcp_established {
        return Err(Failure::usage("--tcp-established cannot be used with --name"));
    }
    if let Some(file) = &args.import {
        if args.all || args.latest || !args.containers.is_empty() {
            return Err(Failure::usage("--import takes no containers: one is made of the archive"));
        }
        let mut told = Told::new(ui, "restore", args.print_stats);
        let progress = PullProgress::new(false).speaking(ctx.manner);
        let done = engine::import(ctx.engine()?, file, &import, &options, &progress);
        progress.finish();
        let report = done?;
        told.take(Done { given: report.id.to_string(), result: Ok(report) });
        return told.end();
    }
    let choice = SelectArgs { all: args.all, latest: args.latest, ..SelectArgs::default() };
    let which = selection(args.containers, choice, false, "container restore")?;
    let mut told = Told::new(ui, "restore", args.print_stats);
    let progress = PullProgress::new(false).speaking(ctx.manner);
    let all = (&import, &options);
    engine::restore::restore(ctx.engine()?, &which, all, &progress, &mut |done| told.take(done))?;
    progress.finish();
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
