//! The true phase of a container, made of three things that may disagree: the row, what the monitor wrote last, and
//! whether the monitor lives.

use super::container_rows::Summary;
use super::containers::{MONITOR_LOST, Stored};
use super::db::Store;
use super::error::Result;
use super::volatile;
use crate::model::container::{Exited, Phase};

impl Store {
    /// The true phase: the durable one, or for a started container what its monitor last said. A started
    /// container whose monitor is gone shows as exited (137, "monitor lost" or "host restarted").
    ///
    /// # Errors
    /// What the kernel says, or a damaged state file.
    pub fn phase(&self, container: &Summary) -> Result<Phase> {
        let Stored::Started { boot, at } = &container.stored else { return Ok(container.stored.settled()) };
        let last = volatile::read_phase(&self.paths, &container.id)?;
        if volatile::monitor_alive(&self.paths, &container.id) {
            // Locked without a state: between the starter's lock and the monitor's first word.
            return Ok(last.unwrap_or(Phase::Created));
        }
        // The monitor may have written its last words between our reading of the row and of the lock.
        let now = self.container(&container.id)?;
        if now.stored != container.stored {
            return Ok(now.stored.settled());
        }
        let same_boot = volatile::boot_id()? == *boot;
        Ok(Phase::Exited(lost(last.as_ref(), *at, same_boot)))
    }
}

impl Stored {
    /// The phase of a container that is not running. `Started` is not settled; it shows as created.
    fn settled(&self) -> Phase {
        match self {
            Self::Created | Self::Started { .. } => Phase::Created,
            Self::Failed { code, error, at } => Phase::Failed { code: *code, error: error.clone(), at: *at },
            Self::Exited(exited) => Phase::Exited(exited.clone()),
            Self::Removing => Phase::Removing,
        }
    }
}

/// How a container ended whose monitor can no longer tell.
fn lost(last: Option<&Phase>, start: jiff::Timestamp, same_boot: bool) -> Exited {
    let running = last.and_then(Phase::running);
    Exited {
        code: 137,
        oom: false,
        started: running.map_or(start, |r| r.started),
        at: jiff::Timestamp::now(),
        error: if same_boot { MONITOR_LOST } else { "host restarted" }.to_owned(),
        restarts: running.map_or(0, |r| r.restarts),
        stopped_by_user: false,
        health: running.and_then(|r| r.health.clone()),
    }
}
