//! What is due by time: how long the loop may sleep, and what it does when it wakes for that.

use std::time::{Duration, Instant};

use super::Server;
use crate::sys::memory::Reclaimable;

/// Quiet time after which memory is given back.
pub(super) const REST: Duration = Duration::from_millis(800);

impl Server {
    /// How long to sleep at most.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let next = [
            self.restart_at,
            self.kill_at,
            self.end_at,
            self.health_deadline(),
            self.names_deadline(),
            self.patience,
            self.rest_at,
        ]
        .into_iter()
        .flatten()
        .min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// What is due by time.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        if self.rest_at.is_some_and(|at| at <= now) {
            self.rest_at = None;
            self.rest();
        }
        if self.names_deadline().is_some_and(|at| at <= now) {
            self.answer_names();
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.kill_now();
        }
        if self.end_at.is_some_and(|at| at <= now) {
            self.end_at = None;
            self.timed_out();
        }
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart_at = None;
            self.start_again();
        }
        self.health_tick(now);
    }

    /// Nothing has happened for a while: what is not needed for waiting goes.
    #[inline(never)]
    fn rest(&mut self) {
        if self.reclaimable.is_none() {
            // Without /proc nothing is given back, and nothing else is the worse for it.
            self.reclaimable = Reclaimable::find().ok();
        }
        if let Some(found) = &self.reclaimable {
            found.release();
        }
    }
}
