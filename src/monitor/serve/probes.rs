//! The health check: runs its probes when they are due and acts on what they say.

use std::os::fd::OwnedFd;
use std::time::Instant;

use serde_json::json;

use super::clients::Role;
use super::requests::{Answer, nothing, state};
use super::{PROBE, Server};
use crate::model::container::{Health, HealthResult};
use crate::model::lifecycle::{HealthAction, HealthEvents, HealthLog};
use crate::monitor::health::{Checker, Verdict};
use crate::monitor::proto::{ExecRequest, Failure, FailureKind, Reply};
use crate::sys::event::interest;
use crate::sys::{atomic, fd};

/// A probe that runs.
#[derive(Debug)]
pub(super) struct Probe {
    id: String,
    output: OwnedFd,
    /// What it has written so far, as much as is kept.
    text: Vec<u8>,
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
        if let Err(e) = self.epoll.add(&output, PROBE, interest::READ) {
            // Unheard it would block at a full pipe; its end is told as any exec's.
            let _gone = self.kill_exec(&id, libc::SIGKILL);
            return Err(failed(e));
        }
        let kill_at = Instant::now() + timeout;
        self.probe = Some(Probe { id, output, text: Vec::new(), start, kill_at, late: false });
        Ok(())
    }

    /// The probe has written something: it is read at once, for a full pipe would hold the probe up.
    #[inline(never)]
    pub(super) fn probe_output(&mut self) {
        let room = self.checker.as_ref().map_or(0, Checker::room);
        let Some(probe) = &mut self.probe else { return };
        let mut buffer = [0; 4096];
        loop {
            match fd::read(&probe.output, &mut buffer) {
                Ok(n) if n > 0 => {
                    let left = room.saturating_sub(probe.text.len());
                    probe.text.extend_from_slice(&buffer[..n.min(left)]);
                }
                Err(e) if e.is(libc::EAGAIN) => return,
                // The end, or nothing that can be read: level-triggered readiness would never rest.
                _ => {
                    let _told = self.epoll.remove(&probe.output);
                    return;
                }
            }
        }
    }

    /// Whether this exec is the probe that runs: those make no events, or the journal would hold nothing else.
    pub(super) fn is_probe(&self, id: &str) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.id == id)
    }

    /// An exec ended: if it was the probe, its result counts.
    #[inline(never)]
    pub(super) fn probe_ended(&mut self, id: &str, code: i32) {
        if !self.is_probe(id) {
            return;
        }
        self.probe_output();
        let Some(probe) = self.probe.take() else { return };
        let mut text = String::from_utf8_lossy(&probe.text).into_owned();
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
        self.log_health(&result, &health);
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

    /// `--health-log-destination`: to whom the result goes beside the container's state.
    fn log_health(&self, result: &HealthResult, health: &Health) {
        let Some(log) = self.checker.as_ref().map(Checker::log) else { return };
        if log.events == HealthEvents::Each && log.destination != HealthLog::EVENTS {
            self.event("health_status", &[("health_status", health.status.clone())]);
        }
        match log.destination.as_str() {
            HealthLog::LOCAL => {}
            HealthLog::EVENTS => {
                let attributes = [
                    ("health_status", health.status.clone()),
                    ("health_failing_streak", health.failing_streak.to_string()),
                    ("health_log", result.output.clone()),
                ];
                self.event("health_status", &attributes);
            }
            directory => {
                let path = std::path::Path::new(directory).join(format!("{}-healthcheck.log", self.world.id));
                let all: Vec<_> = health
                    .log
                    .iter()
                    .map(|r| {
                        let (start, end) = (r.start.to_string(), r.end.to_string());
                        json!({"Start": start, "End": end, "ExitCode": r.exit_code, "Output": r.output})
                    })
                    .collect();
                let text = json!({
                    "Status": health.status,
                    "FailingStreak": health.failing_streak,
                    "Log": all,
                });
                let bytes = format!("{text}\n").into_bytes();
                if let Err(e) = atomic::write(&path, &bytes, 0o644, atomic::Durability::None) {
                    self.note(&format!("writing {}: {e}", path.display()));
                }
            }
        }
    }

    /// The document says something new about the check. What was found before is kept; a probe that runs counts
    /// for the new one.
    pub(super) fn health_changed(&mut self) -> Result<(), Failure> {
        let spec = self.document()?;
        let now = self.began.elapsed();
        let mut checker = Checker::of(&spec);
        if let (Some(new), Some(before)) = (&mut checker, &self.checker) {
            new.go_on(before, now);
        }
        if checker.is_none() && self.probe.take().is_some() {
            let gone = Failure::plain(FailureKind::State, "the health check was taken away");
            self.tell(|role| *role == Role::Probe, &Reply::Error(gone));
        }
        self.keep.on_unhealthy = spec.lifecycle.health_on_failure;
        self.running.health = checker.as_ref().map(|c| c.health().clone());
        self.checker = checker;
        self.publish();
        Ok(())
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
        Ok(None)
    }
}
