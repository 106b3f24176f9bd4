//! The monitor's loop: bytes and events between the kernel and the state machines. One thread, one epoll, no
//! timer but the timeout of its wait.
//!
//! `clients` are the connections, `requests` what they ask, `streams` the main process's stdio, `execs` further
//! processes, `probes` the health check, `life` stop, end and restart, `checkpoint` what its name says, `clock` what is due by time. Each file adds methods to [`Server`].

mod checkpoint;
mod clients;
mod clock;
mod execs;
mod keep;
mod life;
mod names;
mod networks;
mod probes;
mod requests;
mod streams;
mod told;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::health::Checker;
use super::log::Log;
use super::notify::Notify;
use super::proto::{Failure, FailureKind, Reply, Streams as Wanted};
use super::realise::{Process, World};
use super::restart::Restart;
use super::undo::Undo;
use crate::model::container::{Exited, Phase, Running};
use crate::runtime::cgroup::{Cgroup, OomWatch};
use crate::sys::event::{Epoll, Events, SignalFd, interest};
use crate::sys::memory::Reclaimable;
use crate::sys::{socket, tty};
use clients::{Clients, Role};
use clock::REST;
pub(super) use keep::Keep;
pub(super) use requests::nothing;

const LISTENER: u64 = 1;
const SIGNALS: u64 = 2;
const INIT: u64 = 3;
const STDIN: u64 = 4;
const STDOUT: u64 = 5;
const STDERR: u64 = 6;
const OOM: u64 = 7;
const DNS: u64 = 8;
const WATCH: u64 = 9;
const NOTIFY: u64 = 10;
const PROBE: u64 = 11;
const CLIENTS: u64 = 1 << 32;
const EXECS: u64 = 2 << 32;
const CONSOLES: u64 = 3 << 32;
const RELAYS: u64 = 4 << 32;
const KIND: u64 = !0 << 32;

/// The monitor while its container runs.
pub(super) struct Server {
    pub(super) world: World,
    pub(super) undo: Undo<World>,
    pub(super) keep: Keep,
    epoll: Epoll,
    listener: OwnedFd,
    signals: SignalFd,
    clients: Clients,
    /// The main process; `None` between an end and the next start.
    process: Option<Process>,
    running: Running,
    began: Instant,
    paused: bool,
    log: Option<Log>,
    /// Bytes for the process's input that it does not take yet.
    input: Vec<u8>,
    /// Close the process's input when those bytes are through.
    input_ends: bool,
    /// Output is not read because a client does not keep up.
    stalled: bool,
    /// When the first of those who do not keep up is too slow.
    patience: Option<Instant>,
    execs: Vec<execs::Exec>,
    checker: Option<Checker>,
    probe: Option<probes::Probe>,
    restart: Restart,
    restart_at: Option<Instant>,
    kill_at: Option<Instant>,
    end_at: Option<Instant>,
    /// It is to end and not to be restarted.
    stopped: bool,
    /// A user wants that.
    by_user: bool,
    /// `--timeout` ended it.
    timed_out: bool,
    /// Its processes have ended because they are in a checkpoint.
    checkpointed: bool,
    removing: bool,
    last: Option<Exited>,
    oom: Option<OomWatch>,
    /// Children that carry what came in by IPv6.
    carriers: Vec<crate::net::relay::Relay>,
    watcher: Option<crate::net::Watcher>,
    /// When nothing has happened until then, memory is given back.
    rest_at: Option<Instant>,
    reclaimable: Option<Reclaimable>,
    pub(super) over: bool,
}

/// What is heard of apart from the container. Made before its process, so that a failure is one of the start.
pub(super) struct Heard {
    epoll: Epoll,
    listener: OwnedFd,
    signals: SignalFd,
}

impl Heard {
    pub(super) fn new(listener: OwnedFd, signals: SignalFd) -> Result<Self, crate::sys::Error> {
        let epoll = Epoll::new()?;
        epoll.add(&listener, LISTENER, interest::READ)?;
        epoll.add(&signals, SIGNALS, interest::READ)?;
        Ok(Self { epoll, listener, signals })
    }

    pub(super) fn listener(&self) -> &OwnedFd {
        &self.listener
    }

    pub(super) fn signals(&self) -> &SignalFd {
        &self.signals
    }
}

/// What the monitor is made of at the moment when the container runs.
pub(super) struct Parts {
    pub(super) world: World,
    pub(super) undo: Undo<World>,
    pub(super) keep: Keep,
    pub(super) heard: Heard,
    pub(super) log: Option<Log>,
    pub(super) running: Running,
    pub(super) checker: Option<Checker>,
    pub(super) restart: Restart,
}

impl Server {
    /// Who started the container never heard that it runs: it is ended as by a stop without patience.
    pub(super) fn abandon(&mut self) {
        self.stopped = true;
        self.kill_now();
    }

    pub(super) fn new(parts: Parts) -> Self {
        let Heard { epoll, listener, signals } = parts.heard;
        Self {
            world: parts.world,
            undo: parts.undo,
            keep: parts.keep,
            epoll,
            listener,
            signals,
            clients: Clients::default(),
            process: None,
            running: parts.running,
            began: Instant::now(),
            paused: false,
            log: parts.log,
            input: Vec::new(),
            input_ends: false,
            stalled: false,
            patience: None,
            execs: Vec::new(),
            checker: parts.checker,
            probe: None,
            restart: parts.restart,
            restart_at: None,
            kill_at: None,
            end_at: None,
            stopped: false,
            by_user: false,
            timed_out: false,
            checkpointed: false,
            removing: false,
            last: None,
            oom: None,
            carriers: Vec::new(),
            watcher: None,
            rest_at: None,
            reclaimable: None,
            over: false,
        }
    }

    /// Takes a process that was just started. On failure it has ended: nothing would be heard of it.
    pub(super) fn adopt(&mut self, process: Process) -> Result<(), crate::sys::Error> {
        self.began = Instant::now();
        let heard = self.hear(process);
        if heard.is_err() {
            self.kill_and_wait();
        }
        heard
    }

    /// The main process ends now, whatever it is in.
    fn kill_and_wait(&mut self) {
        /// What the kernel does not end in that time hangs in it.
        const PATIENCE: Duration = Duration::from_secs(10);
        self.kill_now();
        if let Some(process) = &self.process {
            let _ended = crate::sys::event::wait_readable(&process.pidfd, Some(PATIENCE));
        }
    }

    /// The loop cannot go on: the container ends, is taken apart and recorded.
    pub(super) fn give_up(&mut self) {
        self.stopped = true;
        self.kill_and_wait();
        self.process_ended();
    }

    fn hear(&mut self, process: Process) -> Result<(), crate::sys::Error> {
        let process = self.process.insert(process);
        self.epoll.add(&process.pidfd, INIT, interest::READ)?;
        let stdio = &process.stdio;
        if let Some(out) = stdio.console.as_ref().or(stdio.stdout.as_ref()) {
            self.epoll.add(out, STDOUT, interest::READ)?;
        }
        if let Some(err) = &stdio.stderr {
            self.epoll.add(err, STDERR, interest::READ)?;
        }
        self.rest_at = Some(self.began + REST);
        self.end_at = (self.keep.timeout > 0).then(|| self.began + Duration::from_secs(self.keep.timeout));
        if let Some(notify) = &self.world.notify {
            notify.started();
            if let Some(inside) = notify.fd() {
                // Over a restart it is followed already.
                let _again = self.epoll.add(inside, NOTIFY, interest::READ);
            }
        }
        self.follow_network()?;
        self.stalled = false;
        self.paused = false;
        self.tell_start();
        Ok(())
    }

    /// Watches for running out of memory; only where there is a limit to run into.
    pub(super) fn watch_memory(&mut self) {
        let Some(cgroup) = &self.world.cgroup else { return };
        // Without it the event comes late, with the end: no reason to fail.
        if let Ok(watch) = cgroup.watch_oom()
            && self.epoll.add(&watch, OOM, interest::READ | interest::PRIORITY).is_ok()
        {
            self.oom = Some(watch);
        }
    }

    /// The client that started the container and wants its streams.
    pub(super) fn foreground(&mut self, connection: OwnedFd, streams: Wanted) {
        self.clients.add(connection, Role::Main(streams), true);
        self.balance();
    }

    /// Until the container is over and everyone has been told.
    ///
    /// Kept apart from what comes before and after, so that its frame is small: what lies below it is given
    /// back while it waits.
    #[inline(never)]
    pub(super) fn run(&mut self) -> Result<(), crate::sys::Error> {
        let mut events = Events::default();
        while !self.over {
            let timeout = self.timeout();
            // Copied out: handlers need all of the server.
            let mut came = [crate::sys::event::Event { token: 0, what: 0 }; 32];
            let ready = self.epoll.wait(&mut events, timeout)?;
            let count = ready.len();
            if count > 0 {
                self.rest_at = Some(Instant::now() + REST);
            }
            came[..count].copy_from_slice(ready);
            for event in &came[..count] {
                self.handle(event.token, event.what);
            }
            self.tick();
            self.balance();
            self.balance_consoles();
        }
        self.deliver(&mut events)
    }

    #[inline(never)]
    fn handle(&mut self, token: u64, what: u32) {
        let slot = usize::try_from(token & !KIND).unwrap_or(usize::MAX);
        match token & KIND {
            CLIENTS => self.client_event(slot, what),
            EXECS => self.exec_ended(slot),
            CONSOLES => self.console_event(slot, what),
            RELAYS => self.carry_port(slot),
            _ => match token {
                LISTENER => self.accept(),
                SIGNALS => self.signalled(),
                INIT => self.process_ended(),
                STDIN => self.flush_input(),
                STDOUT => {
                    if what & interest::WRITE != 0 {
                        self.flush_input();
                    }
                    self.output(false);
                }
                STDERR => self.output(true),
                OOM => self.out_of_memory(),
                DNS => self.answer_names(),
                WATCH => self.firewall_changed(),
                PROBE => self.probe_output(),
                NOTIFY => self.world.notify.iter().for_each(Notify::pass_on),
                _ => {}
            },
        }
    }

    fn accept(&mut self) {
        let Ok(connection) = socket::accept(&self.listener) else { return };
        // The file's mode keeps others out already; this holds even where someone changed it (rule R13).
        let own = crate::sys::probe::effective_uid();
        if !socket::peer(&connection).is_ok_and(|peer| peer.uid == 0 || peer.uid == own) {
            return;
        }
        let slot = self.clients.add(connection, Role::New, false);
        if !self.clients.arm(&self.epoll, slot, CLIENTS) {
            let failure =
                Failure::plain(FailureKind::Internal, "the monitor cannot listen to you now: try again");
            self.clients.finish(slot, &Reply::Error(failure));
            self.clients.remove(slot);
        }
    }

    /// A polite end of the machine or the session: the container is stopped as by `stop`, but not as by a user,
    /// so that it comes back at the next boot.
    fn signalled(&mut self) {
        while let Ok(Some(received)) = self.signals.read() {
            if received.signal == libc::SIGTERM || received.signal == libc::SIGINT {
                self.stopped = true;
                if self.process.is_none() {
                    self.give_up_restart();
                } else {
                    self.begin_stop(None, None);
                }
            }
        }
    }

    fn out_of_memory(&mut self) {
        let Some(watch) = &self.oom else { return };
        watch.drain();
        let kills = self.world.cgroup.as_ref().and_then(|c| c.oom_kills().ok()).unwrap_or(0);
        if kills == 0 && !self.world.cgroup.as_ref().is_some_and(Cgroup::waits_for_memory) {
            // The limit was met, nobody was killed (yet).
            return;
        }
        self.event("oom", &[]);
        // Once is told; a container that lives on at its limit would tell for ever.
        if let Some(watch) = self.oom.take() {
            let _closed = self.epoll.remove(&watch);
        }
    }

    /// The phase as others see it.
    fn phase(&self) -> Phase {
        match (&self.process, &self.last) {
            (None, Some(exited)) if self.restart_at.is_some() => Phase::Restarting(exited.clone()),
            (None, Some(exited)) => Phase::Exited(exited.clone()),
            _ if self.paused => Phase::Paused(self.running.clone()),
            _ => Phase::Running(self.running.clone()),
        }
    }

    fn publish(&self) {
        if let Err(e) = self.world.write_phase(&self.phase()) {
            self.note(&e.to_string());
        }
    }

    /// A trouble that no client is there to hear.
    fn note(&self, text: &str) {
        super::note(&self.world.paths, &self.world.id, text);
    }

    pub(super) fn resize_main(&self, size: super::proto::TermSize) -> bool {
        let console = self.process.as_ref().and_then(|p| p.stdio.console.as_ref());
        console.is_some_and(|console| tty::set_size(console, size.rows, size.cols).is_ok())
    }

    /// After the container: sends what waits. The foreground client may take its time; the others get a few
    /// seconds.
    fn deliver(&mut self, events: &mut Events) -> Result<(), crate::sys::Error> {
        let patience = Instant::now() + Duration::from_secs(10);
        while self.clients.pending() {
            let late = Instant::now() >= patience;
            for slot in self.clients.slots(|c| c.queued() == 0 || (late && !c.foreground)) {
                self.clients.remove(slot);
            }
            if !self.clients.pending() {
                break;
            }
            let came: Vec<_> = self.epoll.wait(events, Some(Duration::from_secs(1)))?.to_vec();
            for event in came {
                if event.token & KIND == CLIENTS {
                    let slot = usize::try_from(event.token & !KIND).unwrap_or(usize::MAX);
                    if !(self.clients.flush(slot) && self.clients.arm(&self.epoll, slot, CLIENTS)) {
                        self.clients.remove(slot);
                    }
                }
            }
        }
        Ok(())
    }
}
