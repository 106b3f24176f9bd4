//! The health check: runs its probes when they are due and acts on what they say.

use std::os::fd::OwnedFd;
use std::time::Instant;

use super::clients::Role;
use super::requests::{Answer, nothing, state};
use super::{CLIENTS, Server};
use crate::model::container::HealthResult;
use crate::model::lifecycle::HealthAction;
use crate::monitor::health::{OUTPUT, Verdict};
use crate::monitor::proto::{ExecRequest, Failure, FailureKind, Reply};
use crate::sys::fd;

/// A probe that runs.
#[derive(Debug)]
pub(super) struct Probe {
    id: String,
    output: OwnedFd,
    start: jiff::Timestamp,
    kill_at: Instant,
    late: bool,
}

impl Server {
    pub(super) fn health_deadline(&self) -> Option<Instant> {
        if let Some(probe) = &self.probe {
            return (!probe.late).then_some(probe.kill_at);
        }
        self.process.as_ref()?;
        Some(self.began + self.checker.as_ref()?.due()?)
    }

    pub(super) fn health_tick(&mut self, now: Instant) {
        if self.health_deadline().is_none_or(|at| at > now) {
            return;
        }
        if let Some(probe) = &mut self.probe {
            probe.late = true;
            let id = probe.id.clone();
            let _gone = self.kill_exec(&id, libc::SIGKILL);
        } else if !self.paused {
            self.start_probe();
        } else if let Some(checker) = &mut self.checker {
            checker.postpone(now.duration_since(self.began));
        }
    }

    #[inline(never)]
    fn start_probe(&mut self) {
        let Some(checker) = &mut self.checker else { return };
        checker.started();
        let wish =
            ExecRequest { argv: checker.argv().to_vec(), stdio_passed: true, ..ExecRequest::default() };
        let (timeout, start) = (checker.timeout(), jiff::Timestamp::now());
        if let Err(failure) = self.launch_probe(wish, timeout, start) {
            self.probe_result(HealthResult {
                start,
                end: jiff::Timestamp::now(),
                exit_code: failure.code,
                output: failure.to_string(),
            });
        }
    }

    fn launch_probe(
        &mut self,
        wish: ExecRequest,
        timeout: std::time::Duration,
        start: jiff::Timestamp,
    ) -> Result<(), Failure> {
        let failed = |e| Failure::internal("making a pipe", &e);
        let (output, theirs) = fd::pipe().map_err(failed)?;
        fd::set_nonblocking(&output, true).map_err(failed)?;
        let errors = fd::dup(&theirs, 3).map_err(failed)?;
        let null = fd::open_null(false).map_err(failed)?;
        let spec = self.document()?;
        let made = self.spawn_exec(&spec, &wish, &[null, theirs, errors])?;
        let id = super::execs::new_id();
        self.follow(id.clone(), wish, made)?;
        self.probe = Some(Probe { id, output, start, kill_at: Instant::now() + timeout, late: false });
        Ok(())
    }

    /// Whether this exec is the probe that runs: those make no events, or the journal would hold nothing else.
    pub(super) fn is_probe(&self, id: &str) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.id == id)
    }

    /// An exec ended: if it was the probe, its result counts.
    #[inline(never)]
    pub(super) fn probe_ended(&mut self, id: &str, code: i32) {
        let Some(probe) = self.probe.take_if(|p| p.id == id) else { return };
        let mut output = Vec::new();
        let mut buffer = [0; OUTPUT];
        while output.len() < OUTPUT {
            match fd::read(&probe.output, &mut buffer) {
                Ok(n) if n > 0 => output.extend_from_slice(&buffer[..n]),
                _ => break,
            }
        }
        output.truncate(OUTPUT);
        let mut text = String::from_utf8_lossy(&output).into_owned();
        if probe.late {
            text = format!("Health check exceeded timeout: {text}");
        }
        let exit_code = if probe.late { -1 } else { code };
        self.probe_result(HealthResult {
            start: probe.start,
            end: jiff::Timestamp::now(),
            exit_code,
            output: text,
        });
    }

    fn probe_result(&mut self, result: HealthResult) {
        let now = self.began.elapsed();
        let Some(checker) = &mut self.checker else { return };
        let verdict = checker.ended(now, result.clone());
        let health = checker.health().clone();
        self.running.health = Some(health.clone());
        self.publish();
        self.tell(|role| *role == Role::Probe, &Reply::Health { result, health });
        match verdict {
            Verdict::Same => {}
            Verdict::Healthy => {
                self.health_event("healthy");
                self.world.notify.iter().for_each(crate::monitor::notify::Notify::healthy);
                self.tell(|role| *role == Role::Health("healthy"), &Reply::Exited(nothing()));
            }
            Verdict::Failed => {
                // podman: what does not come up is started anew.
                self.restart.force();
                self.begin_stop(None, None);
            }
            Verdict::Unhealthy => {
                self.health_event("unhealthy");
                self.tell(|role| *role == Role::Health("unhealthy"), &Reply::Exited(nothing()));
                self.unhealthy();
            }
        }
    }

    /// `--health-on-failure`.
    fn unhealthy(&mut self) {
        match self.keep.on_unhealthy {
            HealthAction::None => {}
            HealthAction::Kill => self.kill_now(),
            HealthAction::Stop => {
                self.stopped = true;
                self.begin_stop(None, None);
            }
            HealthAction::Restart => {
                self.restart.force();
                self.begin_stop(None, None);
            }
        }
    }

    /// A request to run the check now.
    pub(super) fn health_run(&mut self, slot: usize) -> Answer {
        if self.checker.is_none() {
            return Err(Failure::plain(FailureKind::State, "the container has no health check"));
        }
        if !self.is_running() || self.paused {
            return Err(state("it is not running"));
        }
        self.role(slot, Role::Probe);
        if self.probe.is_none() {
            self.start_probe();
        }
        self.clients.arm(&self.epoll, slot, CLIENTS);
        Ok(None)
    }
}
