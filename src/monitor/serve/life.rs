//! Stop, end and restart of the main process.

use std::time::{Duration, Instant};

use super::Server;
use super::clients::Role;
use crate::model::container::Exited;
use crate::monitor::proto::{CHUNK, Handoff, Kind, Recorded, Reply, VERSION};
use crate::monitor::realise::{Given, Start, checkpoint};
use crate::monitor::restart::Next;
use crate::monitor::{finish, note, teardown, wire};
use crate::storage::checkpoints;
use crate::sys::event::wait_readable;

/// How long processes that outlived the main one may take to die and let their pipes go.
const LEFTOVERS: Duration = Duration::from_millis(200);

/// How long the client that started the container may take to delete the record.
const RECORDER: Duration = Duration::from_secs(20);

impl Server {
    /// Asks the main process to end, and sets the time at which it is killed.
    pub(super) fn begin_stop(&mut self, signal: Option<i32>, timeout: Option<i64>) {
        let Some(process) = &self.process else { return };
        let signal = signal.unwrap_or(self.keep.stop_signal);
        let timeout = timeout.unwrap_or(self.keep.stop_timeout);
        if timeout == 0 {
            return self.kill_now();
        }
        self.tell_signal(signal);
        // It may have ended already; its pidfd tells.
        let _gone = process.pidfd.signal(signal);
        self.thaw();
        self.running.stopping = true;
        self.publish();
        self.kill_at = u64::try_from(timeout).ok().map(|t| Instant::now() + Duration::from_secs(t));
    }

    /// Ends the main process, and with it everything in its pid namespace.
    pub(super) fn kill_now(&mut self) {
        if let Some(process) = &self.process {
            self.tell_signal(libc::SIGKILL);
            let _gone = process.pidfd.signal(libc::SIGKILL);
        }
        self.thaw();
    }

    /// `--timeout` is over.
    pub(super) fn timed_out(&mut self) {
        self.stopped = true;
        self.timed_out = true;
        self.kill_now();
    }

    /// The main process ended.
    #[inline(never)]
    pub(super) fn process_ended(&mut self) {
        let Some(process) = &self.process else { return };
        let code = match process.pidfd.try_wait().or_else(|_| process.pidfd.try_wait()) {
            Ok(None) => return,
            // podman: its time was up, whatever the signal made of it.
            Ok(Some(_)) if self.timed_out => -1,
            // Its processes were killed when all was written: nothing has failed.
            Ok(Some(_)) if self.checkpointed => 0,
            Ok(Some(status)) => status.code(),
            Err(_) => 255,
        };
        let _told = self.epoll.remove(&process.pidfd);
        self.kill_at = None;
        self.end_at = None;
        self.last_words();
        self.end_execs();
        self.probe = None;
        if let Some((hooks, state)) = self.world.poststop.take()
            && let Err(e) = crate::runtime::hooks::run("poststop", &hooks, &state)
        {
            // As the runtime specification has it: told, and life goes on.
            self.note(&e.to_string());
        }
        self.running.stopping = false;
        let ran = self.began.elapsed();
        let oom = self.world.cgroup.as_ref().is_some_and(|c| c.oom_kills().is_ok_and(|n| n > 0));
        let next = self.restart.ended(code, ran, self.stopped);
        let exited = Exited {
            code,
            oom,
            started: self.running.started,
            at: jiff::Timestamp::now(),
            error: String::new(),
            restarts: self.restart.count(),
            stopped_by_user: self.by_user,
            health: self.checker.as_ref().map(|c| c.health().clone()),
        };
        if oom && self.oom.take().is_some() {
            self.event("oom", &[]);
        }
        self.tell_end(code, ran.as_secs());
        self.process = None;
        self.input = Vec::new();
        self.input_ends = false;
        self.last = Some(exited.clone());
        match next {
            Next::Rest => self.finish(exited),
            Next::Again(wait) => {
                self.restart_at = Some(Instant::now() + wait);
                self.publish();
                self.tell(|role| matches!(role, Role::Exit | Role::Main(_)), &Reply::Exited(exited));
            }
        }
    }

    /// Takes all output that is left. What outlived the main process (with the host's pid namespace) is killed
    /// first, or it would hold the pipes open for ever.
    fn last_words(&mut self) {
        self.drain_output();
        let open = |server: &Self| {
            server.process.as_ref().is_some_and(|p| p.stdio.stdout.is_some() || p.stdio.stderr.is_some())
        };
        if !open(self) {
            return;
        }
        if let Some(cgroup) = &self.world.cgroup {
            let _gone = cgroup.kill();
        }
        let patience = Instant::now() + LEFTOVERS;
        while open(self) && Instant::now() < patience {
            for errors in [false, true] {
                let source = self
                    .process
                    .as_ref()
                    .and_then(|p| if errors { p.stdio.stderr.as_ref() } else { p.stdio.stdout.as_ref() });
                let ready = source
                    .is_some_and(|s| wait_readable(s, Some(Duration::from_millis(20))).unwrap_or(false));
                if ready {
                    self.read_output(errors);
                }
            }
        }
        self.drain_output();
    }

    /// The end: taken apart, recorded, told.
    fn finish(&mut self, exited: Exited) {
        // Nobody new comes in from here on.
        let _told = self.epoll.remove(&self.listener);
        // Whoever removes it deletes the record; when they are gone the record says how it ended.
        let removing = self.removing && self.clients.any(|c| c.role == Role::Removed);
        checkpoint(&self.world.paths, "ended");
        let recorder = if removing { None } else { self.ask_recorder(&exited) };
        let mut troubles = self.undo.unwind_watched(&mut self.world, 0, |world, step| {
            checkpoint(&world.paths, step);
        });
        troubles = teardown::again(&self.world.paths, &self.world.id, troubles);
        checkpoint(&self.world.paths, "unwound");
        let recorded = removing || recorder.is_some_and(|slot| self.recorded(slot));
        let end = finish::End { exited: &exited, keep: &self.keep, recorded };
        troubles.extend(finish::record(&mut self.world, &end));
        checkpoint(&self.world.paths, "recorded");
        for trouble in troubles {
            note(&self.world.paths, &self.world.id, &trouble);
        }
        if self.keep.auto_remove {
            self.event("destroy", &[]);
        }
        let reply = Reply::Exited(exited);
        self.tell(
            |role| matches!(role, Role::Exit | Role::Main(_) | Role::Removed | Role::Health(_) | Role::Probe),
            &reply,
        );
        self.over = true;
    }

    /// Tells the client that started the container to delete the record meanwhile. `None` where there is none, or it
    /// does not keep up.
    fn ask_recorder(&mut self, exited: &Exited) -> Option<usize> {
        let fits =
            |c: &super::clients::Client| c.foreground && matches!(c.role, Role::Main(_)) && c.queued() == 0;
        let slot = *self.clients.slots(|c| self.keep.recorder && fits(c)).first()?;
        self.clients.reply(slot, &Reply::Ending(exited.clone()));
        self.clients.get(slot).is_some_and(|c| fits(c)).then_some(slot)
    }

    /// Whether it did.
    fn recorded(&mut self, slot: usize) -> bool {
        let Some(client) = self.clients.get(slot) else { return false };
        let until = Instant::now() + RECORDER;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !wait_readable(&client.socket, Some(left)).unwrap_or(false) {
                return false;
            }
            match wire::try_receive::<{ CHUNK + 1 }>(&client.socket) {
                Ok(Some(packet)) if packet.kind == Kind::Document => {
                    return packet.document::<Recorded>().is_ok_and(|answer| answer.done);
                }
                // Input that came too late for the process.
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// A stop while the next start is awaited: there will be none.
    pub(super) fn give_up_restart(&mut self) {
        self.restart_at = None;
        if let Some(mut exited) = self.last.clone() {
            exited.stopped_by_user = self.by_user;
            self.finish(exited);
        }
    }

    /// The restart policy's next start: everything is made anew but the root mount, the network and the leases.
    #[inline(never)]
    pub(super) fn start_again(&mut self) {
        match self.try_start_again() {
            Ok(()) => self.publish(),
            Err(failure) => {
                note(&self.world.paths, &self.world.id, &failure.to_string());
                let code = failure.code;
                let mut exited = self.last.clone().unwrap_or_else(super::requests::nothing);
                exited.error = failure.to_string();
                exited.code = code;
                exited.at = jiff::Timestamp::now();
                // A start that fails counts as an end: the policy decides, with its growing wait.
                match self.restart.ended(code, Duration::ZERO, self.stopped) {
                    Next::Rest => self.finish(exited),
                    Next::Again(wait) => {
                        self.last = Some(exited);
                        self.restart_at = Some(Instant::now() + wait);
                    }
                }
            }
        }
    }

    fn try_start_again(&mut self) -> Result<(), crate::monitor::proto::Failure> {
        use crate::monitor::proto::Failure;
        if let Some(cgroup) = self.world.cgroup.take() {
            cgroup
                .kill()
                .and_then(|()| cgroup.remove())
                .map_err(|e| Failure::internal("removing the old cgroup", &e))?;
        }
        if self.world.netns.is_none() {
            // Nothing was kept for a restart (the policy came later): all is made anew.
            let troubles = self.undo.unwind_to(&mut self.world, 0);
            for trouble in teardown::again(&self.world.paths, &self.world.id, troubles) {
                note(&self.world.paths, &self.world.id, &trouble);
            }
        }
        let spec = self.document()?;
        let (networks, volumes) = finish::definitions(&self.world.paths, &spec)?;
        let handoff = Handoff {
            version: VERSION,
            paths: self.world.paths.clone(),
            networks,
            volumes,
            attach: None,
            size: None,
            restarts: self.restart.count(),
            extra_hosts: Vec::new(),
            addresses: Vec::new(),
            passthrough: false,
            preserved: 0,
            notify_socket: None,
            recorder: false,
            wait: false,
            restore: None,
            spec,
        };
        let start = Start {
            handoff: &handoff,
            world: &mut self.world,
            undo: &mut self.undo,
            given: &Given::default(),
            gate: None,
        };
        let (process, running) = start.run()?;
        self.keep.began_as = "start";
        if let Err(e) = checkpoints::forget(&self.world.paths, &self.world.id) {
            self.note(&e.to_string());
        }
        self.checker = crate::monitor::health::Checker::of(&handoff.spec);
        self.running = running;
        if let Err(e) = self.adopt(process) {
            // The next try removes its cgroup.
            let _reaped = self.process.take().map(|process| process.pidfd.try_wait());
            return Err(Failure::internal("following the process", &e));
        }
        self.oom = None;
        if handoff.spec.resources.memory.is_some() {
            self.watch_memory();
        }
        Ok(())
    }
}
