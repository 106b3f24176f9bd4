//! `stats`: what running containers use, from their cgroups and network namespaces.

use super::context::Context;
use super::error::Error;
use super::select::Selection;
use crate::model::id::ContainerId;

/// One reading of one container.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Id.
    pub id: ContainerId,
    /// Name.
    pub name: String,
    /// When it was read.
    pub read: jiff::Timestamp,
    /// CPU time used, nanoseconds.
    pub cpu_total: u64,
    /// CPU time in the kernel, nanoseconds.
    pub cpu_system: u64,
    /// Percent of one CPU since the last reading (since the start for the first one).
    pub cpu_percent: f64,
    /// Average percent since the start.
    pub cpu_average: f64,
    /// Memory used without the page cache that can go, bytes.
    pub memory: u64,
    /// Memory limit (the host's memory without one), bytes.
    pub memory_limit: u64,
    /// Bytes received over all interfaces.
    pub net_rx: u64,
    /// Bytes sent.
    pub net_tx: u64,
    /// Bytes read from block devices.
    pub block_read: u64,
    /// Bytes written.
    pub block_write: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Time since the start.
    pub uptime: std::time::Duration,
    /// It does not run; the rest is zero (with `--all`).
    pub stopped: bool,
}

/// Reads containers repeatedly; keeps what it needs to compute rates.
#[derive(Debug)]
pub struct Sampler<'a> {
    _ctx: &'a Context,
}

impl<'a> Sampler<'a> {
    /// Begins with these containers (none named: all running ones, also those that start later).
    ///
    /// # Errors
    /// No such container.
    pub fn new(_ctx: &'a Context, _which: &Selection) -> Result<Self, Error> {
        todo!()
    }

    /// One reading of each.
    ///
    /// # Errors
    /// A store that cannot be read; a container that ends meanwhile is left out.
    pub fn sample(&mut self) -> Result<Vec<Stats>, Error> {
        todo!()
    }
}
