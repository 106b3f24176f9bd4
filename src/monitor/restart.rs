//! The restart policy as a state machine: what happens after an end, and how long to wait before. No I/O, no
//! clock. The numbers are docker's: 100 ms, doubled each time, at most a minute, forgotten after ten seconds
//! of running.

use std::time::Duration;

use crate::model::lifecycle::RestartPolicy;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
const GOOD_RUN: Duration = Duration::from_secs(10);

/// What to do after the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Let it be ended.
    Rest,
    /// Start again after this time.
    Again(Duration),
}

/// Memory of a restart policy.
#[derive(Debug, Clone)]
pub struct Restart {
    policy: RestartPolicy,
    wait: Option<Duration>,
    count: u32,
    forced: bool,
}

impl Restart {
    /// A policy with so many restarts behind it.
    #[must_use]
    pub fn new(policy: RestartPolicy, count: u32) -> Self {
        Self { policy, wait: None, count, forced: false }
    }

    /// Starts by the policy so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// `update --restart`: the count goes on.
    pub fn set_policy(&mut self, policy: RestartPolicy) {
        self.policy = policy;
    }

    /// The next end is followed by a start whatever the policy says (`--health-on-failure=restart`).
    pub fn force(&mut self) {
        self.forced = true;
    }

    /// The process ended with `code` after running for `ran`. `stopped`: a user or a removal wanted it.
    pub fn ended(&mut self, code: i32, ran: Duration, stopped: bool) -> Next {
        let forced = std::mem::take(&mut self.forced);
        let again = !stopped
            && match self.policy {
                _ if forced => true,
                RestartPolicy::No => false,
                RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
                RestartPolicy::OnFailure { max } => code != 0 && (max == 0 || self.count < max),
            };
        if !again {
            return Next::Rest;
        }
        let wait = match self.wait {
            Some(last) if ran < GOOD_RUN => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.wait = Some(wait);
        self.count += 1;
        Next::Again(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_restarts() {
        use RestartPolicy::{Always, No, OnFailure, UnlessStopped};
        // policy, restarts behind it, exit code, stopped by the user, starts again
        let table = [
            (No, 0, 1, false, false),
            (Always, 0, 0, false, true),
            (Always, 0, 0, true, false),
            (UnlessStopped, 0, 137, false, true),
            (UnlessStopped, 0, 137, true, false),
            (OnFailure { max: 0 }, 1000, 1, false, true),
            (OnFailure { max: 0 }, 0, 0, false, false),
            (OnFailure { max: 3 }, 2, 1, false, true),
            (OnFailure { max: 3 }, 3, 1, false, false),
            (OnFailure { max: 3 }, 0, 1, true, false),
        ];
        for (policy, count, code, stopped, again) in table {
            let mut machine = Restart::new(policy, count);
            let next = machine.ended(code, Duration::ZERO, stopped);
            assert_eq!(next != Next::Rest, again, "{policy:?} {count} {code} {stopped}");
            assert_eq!(machine.count(), count + u32::from(again));
        }
    }

    #[test]
    fn waits_double_up_to_a_minute_and_are_forgotten_after_a_good_run() {
        let mut machine = Restart::new(RestartPolicy::Always, 0);
        let mut waits = Vec::new();
        for _ in 0..12 {
            match machine.ended(1, Duration::from_millis(5), false) {
                Next::Again(wait) => waits.push(wait.as_millis()),
                Next::Rest => panic!("always restarts"),
            }
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(machine.ended(1, Duration::from_secs(11), false), Next::Again(FIRST));
    }
}
