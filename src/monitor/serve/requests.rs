//! What clients ask, and the answers.

use std::os::fd::OwnedFd;

use super::Server;
use super::clients::Role;
use crate::model::container::{Exited, Phase};
use crate::model::lifecycle::HealthEvents;
use crate::monitor::proto::{
    CHUNK, Failure, FailureKind, Hello, INLINE, Kind, Reply, Request, StopWish, Streams, UpdateWish, VERSION,
    WaitFor,
};
use crate::monitor::wire::{self, Packet};
use crate::runtime::oci;
use crate::storage::leases;
use crate::sys::event::interest;

/// A request and what came with it.
pub(super) type Answer = Result<Option<Reply>, Failure>;

impl Server {
    /// A connection has something, or has room.
    #[inline(never)]
    pub(super) fn client_event(&mut self, slot: usize, what: u32) {
        if what & interest::WRITE != 0 && !self.clients.flush(slot) {
            return self.forget(slot);
        }
        if what & (interest::READ | interest::HANGUP | interest::ERROR) == 0 {
            return;
        }
        let Some(client) = self.clients.get(slot) else { return };
        if client.held && what & (interest::HANGUP | interest::ERROR) == 0 {
            return;
        }
        // Requests may be documents, streams come in small pieces.
        let received = if client.role == Role::New {
            wire::try_receive::<{ INLINE + 1 }>(&client.socket)
        } else {
            wire::try_receive::<{ CHUNK + 1 }>(&client.socket)
        };
        match received {
            Ok(None) => {}
            Ok(Some(packet)) => self.packet(slot, packet),
            Err(wire::WireError::Closed) => self.forget(slot),
            Err(e) => {
                let failure = Failure::of(FailureKind::Invalid, "reading the request", &e);
                self.clients.finish(slot, &Reply::Error(failure));
            }
        }
    }

    /// A client is gone.
    pub(super) fn forget(&mut self, slot: usize) {
        let Some(client) = self.clients.remove(slot) else { return };
        match client.role {
            // Its input ends with it, as a pipe's would.
            Role::Main(streams) if streams.stdin => self.typed(client.foreground, &[]),
            Role::Exec(id) => self.exec_client_gone(&id),
            _ => {}
        }
    }

    fn packet(&mut self, slot: usize, packet: Packet) {
        let Some(client) = self.clients.get(slot) else { return };
        let foreground = client.foreground;
        match (client.role.clone(), packet.kind) {
            (Role::New, Kind::Document) => self.hello(slot, packet),
            (Role::Main(Streams { stdin: true, .. }), Kind::Stdin) => self.typed(foreground, &packet.body),
            (Role::Exec(id), Kind::Stdin) => self.exec_typed(&id, &packet.body),
            _ => {
                let text = "a message that makes no sense at this point";
                let failure = Failure::plain(FailureKind::Invalid, text);
                self.clients.finish(slot, &Reply::Error(failure));
            }
        }
    }

    fn hello(&mut self, slot: usize, packet: Packet) {
        let hello: Hello = match packet.document() {
            Ok(hello) => hello,
            Err(e) => {
                let failure = Failure::of(FailureKind::Unsupported, not_understood(&packet.body), &e);
                return self.clients.finish(slot, &Reply::Error(failure));
            }
        };
        match self.request(slot, hello.request, packet.fds) {
            Ok(Some(reply)) => self.clients.finish(slot, &reply),
            Ok(None) => {}
            Err(failure) => self.clients.finish(slot, &Reply::Error(failure)),
        }
    }

    /// Does what is asked. `Ok(None)`: the answer comes later, or has been given.
    fn request(&mut self, slot: usize, request: Request, fds: Vec<OwnedFd>) -> Answer {
        match request {
            Request::Attach(streams) => {
                self.role(slot, Role::Main(streams));
                self.clients.reply(slot, &Reply::Attached { tty: self.keep.tty });
                Ok(None)
            }
            Request::Begin(_) => Err(state("it runs already")),
            Request::Exec(wish) => self.start_exec(slot, *wish, fds).map(|()| None),
            Request::Resize { exec, size } => {
                let done = match exec {
                    None => self.resize_main(size),
                    Some(id) => self.resize_exec(&id, size),
                };
                if done { Ok(Some(Reply::Done)) } else { Err(state("it has no terminal")) }
            }
            Request::Stop(wish) => self.stop(slot, wish),
            Request::Kill { signal, all, exec } => self.kill(slot, signal, all, exec.as_deref()),
            Request::Pause => self.pause(),
            Request::Unpause => self.unpause(),
            Request::Checkpoint(wish) => self.checkpoint(slot, &wish),
            Request::Wait(until) => Ok(self.wait(slot, until)),
            Request::Update(wish) => self.update(&wish),
            Request::Status => Ok(Some(Reply::Status(Box::new(self.phase())))),
            Request::Execs => Ok(Some(Reply::Execs(self.execs.iter().map(|e| e.info.clone()).collect()))),
            Request::ExecInspect(id) => match self.execs.iter().find(|e| e.info.id == id) {
                Some(exec) => Ok(Some(Reply::Execs(vec![exec.info.clone()]))),
                None => Err(Failure::plain(FailureKind::NotFound, format!("no such exec: {id}"))),
            },
            Request::HealthRun => self.health_run(slot),
            Request::Renamed(name) => {
                for attachment in &self.running.network {
                    // Where it fails the old name goes on resolving, until the next start.
                    if let Err(e) =
                        leases::rename(&self.world.paths, &attachment.network, &self.world.id, &name)
                    {
                        self.note(&format!("renaming the lease: {e}"));
                    }
                }
                self.keep.name = name;
                Ok(Some(Reply::Done))
            }
            Request::NetworkChanged => self.network_changed().map(|()| Some(Reply::Done)),
            Request::Connect(wish) => self.connect(&wish).map(|()| Some(Reply::Done)),
            Request::Disconnect(network) => self.disconnect(&network).map(|()| Some(Reply::Done)),
            Request::Remove => self.remove(slot),
        }
    }

    pub(super) fn role(&mut self, slot: usize, role: Role) {
        if let Some(client) = self.clients.get(slot) {
            client.role = role;
        }
    }

    /// A stop ends the container whatever its policy says; whether a user wants it is remembered for the boot.
    fn stop(&mut self, slot: usize, wish: StopWish) -> Answer {
        self.role(slot, Role::Removed);
        self.stopped = true;
        self.by_user |= wish.by_user;
        if !wish.by_user {
            // It is started again at once: with --rm, too, it stays.
            self.keep.auto_remove = false;
            self.keep.recorder = false;
        }
        if self.process.is_none() {
            self.give_up_restart();
        } else {
            self.begin_stop(wish.signal, wish.timeout);
        }
        Ok(None)
    }

    fn kill(&mut self, slot: usize, signal: i32, all: bool, exec: Option<&str>) -> Answer {
        if let Some(id) = exec {
            return self.kill_exec(id, signal).map(|()| Some(Reply::Done));
        }
        // As docker: who kills it, or sends the signal that stops it, does not want it restarted.
        let ends = signal == libc::SIGKILL || signal == self.keep.stop_signal;
        if ends {
            self.stopped = true;
            self.by_user = true;
        }
        let Some(process) = &self.process else {
            if self.restart_at.is_none() {
                return Err(state("it is not running"));
            }
            // Between two starts there is no process to get the signal; one that ends it ends the waiting.
            if !ends {
                return Ok(Some(Reply::Done));
            }
            self.clients.finish(slot, &Reply::Done);
            self.give_up_restart();
            return Ok(None);
        };
        // Before it ends of it.
        self.event("kill", &[("signal", signal.to_string())]);
        let sent = match (&self.world.cgroup, all) {
            (Some(cgroup), true) => {
                cgroup.signal(signal).map_err(|e| Failure::internal("sending the signal", &e))
            }
            _ => process.pidfd.signal(signal).map_err(|e| Failure::internal("sending the signal", &e)),
        };
        sent?;
        if signal == libc::SIGKILL {
            self.thaw();
        }
        Ok(Some(Reply::Done))
    }

    fn pause(&mut self) -> Answer {
        if self.process.is_none() {
            return Err(state("it is not running"));
        }
        if self.paused {
            return Err(state("it is paused already"));
        }
        let Some(cgroup) = &self.world.cgroup else { return Err(state("it has no cgroup to freeze")) };
        cgroup.freeze().map_err(|e| Failure::internal("freezing", &e))?;
        self.paused = true;
        self.publish();
        Ok(Some(Reply::Done))
    }

    fn unpause(&mut self) -> Answer {
        if !self.paused {
            return Err(state("it is not paused"));
        }
        let Some(cgroup) = &self.world.cgroup else { return Err(state("it has no cgroup to thaw")) };
        cgroup.thaw().map_err(|e| Failure::internal("thawing", &e))?;
        self.paused = false;
        self.publish();
        Ok(Some(Reply::Done))
    }

    /// Thaws without a word, so that a signal is acted on; whatever we think of it, for a freeze may have failed, and
    /// the thaw after it.
    pub(super) fn thaw(&mut self) {
        if let Some(cgroup) = &self.world.cgroup
            && (self.paused || cgroup.is_frozen().unwrap_or(false))
            && cgroup.thaw().is_ok()
        {
            self.paused = false;
        }
    }

    fn wait(&mut self, slot: usize, until: WaitFor) -> Option<Reply> {
        let health = self.checker.as_ref().map(|c| c.health().status.clone());
        let role = match until {
            // Between two starts the next end is waited for, as docker does.
            WaitFor::NotRunning if self.process.is_none() && self.restart_at.is_none() => {
                return self.last.clone().map(Reply::Exited);
            }
            WaitFor::NotRunning | WaitFor::NextExit => Role::Exit,
            WaitFor::Removed => Role::Removed,
            WaitFor::Healthy | WaitFor::Unhealthy => {
                let wanted = if until == WaitFor::Healthy { "healthy" } else { "unhealthy" };
                match health.as_deref() {
                    None => {
                        let failure = Failure::plain(FailureKind::State, "the container has no health check");
                        return Some(Reply::Error(failure));
                    }
                    Some(now) if now == wanted => return Some(Reply::Exited(nothing())),
                    Some(_) => Role::Health(wanted),
                }
            }
        };
        self.role(slot, role);
        None
    }

    fn update(&mut self, wish: &UpdateWish) -> Answer {
        if let Some(limits) = &wish.resources {
            let Some(cgroup) = &self.world.cgroup else { return Err(state("it has no cgroup")) };
            let blocks = crate::monitor::realise::blocks(limits)?;
            let limits = oci::resources(limits, &blocks)
                .map_err(|e| Failure::of(FailureKind::Invalid, "reading the limits", &e))?;
            cgroup.update(&limits).map_err(|e| Failure::internal("changing the limits", &e))?;
        }
        if let Some(policy) = wish.restart {
            self.restart.set_policy(policy);
        }
        if wish.health {
            self.health_changed()?;
        }
        self.event("update", &[]);
        Ok(Some(Reply::Done))
    }

    /// The container is to be removed: it ends now, whatever its policy says.
    fn remove(&mut self, slot: usize) -> Answer {
        self.role(slot, Role::Removed);
        self.stopped = true;
        self.removing = true;
        if self.process.is_none() {
            self.give_up_restart();
            return Ok(None);
        }
        self.kill_now();
        Ok(None)
    }

    /// Tells everyone whose condition holds.
    pub(super) fn tell(&mut self, who: impl Fn(&Role) -> bool, reply: &Reply) {
        for slot in self.clients.slots(|c| who(&c.role)) {
            self.clients.finish(slot, reply);
        }
    }

    /// The status has changed.
    pub(super) fn health_event(&self, status: &str) {
        if self.checker.as_ref().is_some_and(|c| c.log().events != HealthEvents::Changes) {
            return;
        }
        self.event(&format!("health_status: {status}"), &[("health_status", status.to_owned())]);
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase(), Phase::Running(_) | Phase::Paused(_))
    }
}

/// A refusal because of the container's state.
pub(super) fn state(why: &str) -> Failure {
    Failure::plain(FailureKind::State, format!("the container cannot do that now: {why}"))
}

/// The answer to a wait for health: nothing ended.
pub(in crate::monitor) fn nothing() -> Exited {
    let now = jiff::Timestamp::now();
    Exited {
        code: 0,
        oom: false,
        started: now,
        at: now,
        error: String::new(),
        restarts: 0,
        stopped_by_user: false,
        health: None,
    }
}

/// Names our version to a client that speaks another.
fn not_understood(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Any {
        version: u32,
    }
    match serde_json::from_slice::<Any>(body) {
        Ok(any) if any.version > VERSION => format!(
            "this container's monitor speaks version {VERSION} of the messages, the command version {}: \
             restart the container to use what is new",
            any.version
        ),
        _ => format!("the monitor (messages of version {VERSION}) does not understand the request"),
    }
}
