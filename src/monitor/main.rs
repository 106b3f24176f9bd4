//! The monitor's hidden entry point: takes the handoff, makes the container real, says so, and serves it until
//! it is over.

use std::os::fd::OwnedFd;
use std::process::ExitCode;

use super::health::Checker;
use super::initialized::Waiting;
use super::log::Log;
use super::proto::{Announce, BeginWish, Failure, FailureKind, Handoff, Reply, Streams, TermSize, VERSION};
use super::realise::{Gate, Given, Process, Start, World, checkpoint};
use super::restart::Restart;
use super::serve::{Heard, Keep, Parts, Server, nothing};
use super::undo::Undo;
use super::{finish, note, teardown, wire};
use crate::model::container::Running;
use crate::storage::Store;
use crate::storage::volatile::RunDir;
use crate::sys::event::SignalFd;
use crate::sys::process::PidFd;
use crate::sys::{fd, limits, ns, socket};

/// First argument that marks a monitor.
pub const ARGUMENT: &str = "__monitor";

/// Word after the id that asks for a network namespace ahead: it is made while the command still looks things up.
pub const NETWORK: &str = "net";

/// Number of the descriptor on which the handoff comes and the answer goes.
const CHANNEL: i32 = 3;

/// Signals that the monitor acts on; all others that could end it are ignored by being blocked.
const SIGNALS: &[i32] = &[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// Runs the monitor of one container: the handoff comes over descriptor 3. Called by `main` before anything
/// else when the first argument is [`ARGUMENT`].
#[must_use]
pub fn run() -> ExitCode {
    let Ok(channel) = fd::inherited(CHANNEL) else { return ExitCode::from(125) };
    let netns = if std::env::args_os().nth(3).is_some_and(|word| word == NETWORK) {
        match ns::new_net() {
            Ok(netns) => Some(netns),
            // Without the right to it there is none ahead; after any other failure we might be in it ourselves.
            Err(e) if e.is(libc::EPERM) => None,
            Err(_) => return ExitCode::from(125),
        }
    } else {
        None
    };
    let Ok(announce) = wire::receive(&channel).and_then(|packet| packet.document::<Announce>()) else {
        return ExitCode::from(125);
    };
    let (handoff, given, run_dir) = match take(&channel, &announce) {
        Ok(taken) => taken,
        Err(failure) => {
            let _nobody = wire::send_document(&channel, &Reply::Failed(failure), &[]);
            return ExitCode::from(125);
        }
    };
    let (paths, id) = (handoff.paths.clone(), handoff.spec.id.clone());
    let (log_paths, log_id) = (paths.clone(), id.clone());
    // Standard error is /dev/null: what is a bug must be found in the log.
    std::panic::set_hook(Box::new(move |info| note(&log_paths, &log_id, &info.to_string())));
    match serve(channel, handoff, Given { netns, ..given }, run_dir) {
        Ok(()) => {
            // Nobody waits for us any more: the moment to write the database's log back, once in a while.
            if let Err(e) = Store::tidy(&paths) {
                note(&paths, &id, &e.to_string());
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            note(&paths, &id, &failure.to_string());
            ExitCode::from(125)
        }
    }
}

/// The handoff with its descriptors.
#[inline(never)]
fn take(channel: &OwnedFd, announce: &Announce) -> Result<(Handoff, Given, RunDir), Failure> {
    let step = "taking the container over";
    let packet = match wire::receive(channel) {
        Ok(packet) => packet,
        Err(e) => {
            if matches!(e, wire::WireError::Closed) {
                finish::forsaken(announce);
            }
            return Err(Failure::internal(step, &e));
        }
    };
    let handoff: Handoff = packet.document().map_err(|e| Failure::of(FailureKind::Unsupported, step, &e))?;
    if handoff.version > VERSION {
        let text = format!("the monitor speaks version {VERSION}, the command version {}", handoff.version);
        return Err(Failure::plain(FailureKind::Unsupported, text));
    }
    let mut fds = packet.fds.into_iter();
    let missing = || Failure::plain(FailureKind::Invalid, "the handoff lacks descriptors");
    let lock = fds.next().ok_or_else(missing)?;
    let run_dir = RunDir::adopt(&handoff.paths, &handoff.spec.id, lock);
    let stdio = if handoff.passthrough {
        let mut next = || fds.next().ok_or_else(missing);
        Some([next()?, next()?, next()?])
    } else {
        None
    };
    Ok((handoff, Given { stdio, preserved: fds.collect(), netns: None }, run_dir))
}

/// What a start leaves to be served.
struct Made {
    parts: Parts,
    process: Process,
    attach: Option<Streams>,
    limited: bool,
    /// Who has started what was only initialized, with the size of the terminal.
    starter: Option<(OwnedFd, Option<TermSize>)>,
}

/// A start that failed, and who is to be told beside the first starter.
struct Unmade {
    failure: Failure,
    starter: Option<OwnedFd>,
    /// Nobody wants it any more: no failure of the container.
    unwanted: Option<OwnedFd>,
}

fn serve(channel: OwnedFd, handoff: Handoff, given: Given, run_dir: RunDir) -> Result<(), Failure> {
    let answer = make(handoff, given, run_dir, &channel);
    let (made, running) = match answer {
        Ok(made) => made,
        Err(unmade) => {
            if let Some(connection) = unmade.unwanted {
                let _gone = wire::send_document(&connection, &Reply::Exited(nothing()), &[]);
            }
            let channel = unmade.starter.unwrap_or(channel);
            let _gone = wire::send_document(&channel, &Reply::Failed(unmade.failure), &[]);
            return Ok(());
        }
    };
    let (channel, size) = made.starter.unwrap_or((channel, None));
    let attach = made.attach;
    let limited = made.limited;
    // First: who hears that it runs finds its start among the events.
    let mut server = Server::new(made.parts);
    if let Err(e) = server.adopt(made.process) {
        server.give_up();
        let failure = Failure::internal("following the process", &e);
        let _gone = wire::send_document(&channel, &Reply::Failed(failure), &[]);
        return Ok(());
    }
    let told = wire::send_document(&channel, &Reply::Ready(Box::new(running)), &[]);
    if limited {
        server.watch_memory();
    }
    if let Some(size) = size {
        server.resize_main(size);
    }
    match (told, attach) {
        // Who started it is gone and has not heard that it runs: nobody wants it.
        (Err(_), _) => server.abandon(),
        (Ok(()), Some(streams)) => server.foreground(channel, streams),
        (Ok(()), None) => drop(channel),
    }
    server.run().map_err(|e| {
        server.give_up();
        Failure::internal("waiting for events", &e)
    })
}

/// Makes the container real. What was handed over is let go at the end of it, and so is its part of the stack.
#[inline(never)]
fn make(
    handoff: Handoff,
    given: Given,
    run_dir: RunDir,
    channel: &OwnedFd,
) -> Result<(Made, Running), Unmade> {
    let oom_score_adj = shield();
    let alone = |failure| Unmade { failure, starter: None, unwanted: None };
    let signals =
        SignalFd::new(SIGNALS).map_err(|e| alone(Failure::internal("preparing to receive signals", &e)))?;
    let mut world = World::new(&handoff, run_dir);
    world.oom_score_adj = oom_score_adj;
    let mut undo = Undo::default();
    undo.push("removing the run directory", |world: &mut World| match world.run_dir.take() {
        None => Ok(()),
        Some(dir) => dir.remove().map_err(|e| e.to_string()),
    });
    let mut given = given;
    world.fresh_netns = given.netns.take();
    let mut later = Later::default();
    let outcome = prepare(&handoff, &given, (&mut world, &mut undo), (channel, signals, &mut later));
    let (heard, log, process, running) = match outcome {
        Ok(made) => made,
        Err(mut failure) => {
            if handoff.wait && later.begun.is_none() {
                // Before the run directory goes, or it would look like a monitor that was lost.
                failure.undo.extend(finish::unstarted(&handoff));
            }
            failure.undo = teardown::again(&handoff.paths, &handoff.spec.id, failure.undo);
            failure.undo.extend(undo.unwind_to(&mut world, 0));
            let starter = later.begun.map(|(connection, _)| connection);
            return Err(Unmade { failure, starter, unwanted: later.unwanted });
        }
    };
    // From here on the run directory goes only after the end has been recorded.
    undo.forget("removing the run directory");
    let spec = &handoff.spec;
    let mut keep = Keep::of(&handoff);
    let attach = later.begun.as_ref().map_or(handoff.attach, |(_, wish)| wish.attach);
    keep.stdin_once = spec.process.interactive && attach.is_some_and(|a| a.stdin);
    keep.name = later.renamed.unwrap_or(keep.name);
    let parts = Parts {
        keep,
        checker: Checker::of(spec),
        restart: Restart::new(spec.lifecycle.restart, handoff.restarts),
        world,
        undo,
        heard,
        log,
        running: running.clone(),
    };
    let limited = spec.resources.memory.is_some();
    let starter = later.begun.map(|(connection, wish)| (connection, wish.size));
    Ok((Made { parts, process, attach, limited, starter }, running))
}

type Prepared = (Heard, Option<Log>, Process, Running);

/// What came while a container was initialized.
#[derive(Default)]
struct Later {
    begun: Option<(OwnedFd, BeginWish)>,
    unwanted: Option<OwnedFd>,
    renamed: Option<String>,
}

fn prepare(
    handoff: &Handoff,
    given: &Given,
    (world, undo): (&mut World, &mut Undo<World>),
    (channel, signals, later): (&OwnedFd, SignalFd, &mut Later),
) -> Result<Prepared, Failure> {
    checkpoint(&handoff.paths, "unheard");
    let log = Log::open(&handoff.paths, &handoff.spec)?;
    let path = handoff.paths.control_socket(&handoff.spec.id);
    let listener = socket::listen(&path, socket::Kind::SeqPacket, 0o600)
        .map_err(|e| Failure::internal("opening the control socket", &e))?;
    let heard = Heard::new(listener, signals).map_err(|e| Failure::internal("setting the loop up", &e))?;
    let mut waiting = Waiting {
        starter: channel,
        listener: heard.listener(),
        signals: heard.signals(),
        begun: None,
        unwanted: None,
        renamed: None,
    };
    let mut wait = |running: &Running, init: &PidFd| waiting.wait(running, init);
    let gate: Option<Gate<'_>> = if handoff.wait { Some(&mut wait) } else { None };
    let started = Start { handoff, world, undo, given, gate }.run();
    let Waiting { begun, unwanted, renamed, .. } = waiting;
    *later = Later { begun, unwanted, renamed };
    let (process, running) = started?;
    Ok((heard, log, process, running))
}

/// Makes us what a monitor is: reading no terminal, hard to kill for want of memory, in nobody's way. Returns the
/// `oom_score_adj` that we had, if we have another now: a container that inherited ours could not be killed when it
/// is out of memory.
fn shield() -> Option<i32> {
    limits::set_umask(0o022);
    // Each may be refused (no right to it, no such file): a monitor without it still does its work.
    let _kept = std::env::set_current_dir("/");
    let _named = crate::sys::process::set_name(c"rcon-monitor");
    let path = std::path::Path::new("/proc/self/oom_score_adj");
    let before = String::from_utf8(fd::read_file(path).ok()?).ok()?.trim().parse().ok()?;
    fd::write_file(path, b"-1000").ok().map(|()| before)
}
