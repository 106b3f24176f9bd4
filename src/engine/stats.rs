//! `stats`: what running containers use, from their cgroups and network namespaces.

use std::collections::HashMap;
use std::time::Duration;

use super::context::Context;
use super::error::{Error, Kind};
use super::select::{Selection, targets};
use super::view::{self, Container};
use crate::model::container::Running;
use crate::model::id::ContainerId;
use crate::runtime::cgroup::{self, Manager};
use crate::storage::Store;

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
    pub uptime: Duration,
    /// It does not run; the rest is zero (with `--all`).
    pub stopped: bool,
}

/// Reads containers repeatedly; keeps what it needs to compute rates.
#[derive(Debug)]
pub struct Sampler<'a> {
    ctx: &'a Context,
    store: Store,
    manager: Manager,
    /// Ids asked for; none: all running ones, also those that start later.
    chosen: Vec<ContainerId>,
    stopped_too: bool,
    host_memory: u64,
    last: HashMap<ContainerId, (jiff::Timestamp, u64)>,
}

impl<'a> Sampler<'a> {
    /// Begins with these containers (none named: all running ones, also those that start later; with `all` the
    /// others too).
    ///
    /// # Errors
    /// No such container.
    pub fn new(ctx: &'a Context, which: &Selection) -> Result<Self, Error> {
        let store = ctx.store()?;
        let mut chosen = Vec::new();
        if !which.names.is_empty() || which.latest {
            for target in targets(ctx, &store, which, |_| true)? {
                chosen.push(target.found?.row.id);
            }
        }
        let manager = Manager::detect().map_err(|e| {
            Error::with_source(Kind::Internal, "looking for the cgroup file systems", e.to_string())
        })?;
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = meminfo
            .lines()
            .find_map(|l| l.strip_prefix("MemTotal:")?.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(Self {
            ctx,
            store,
            manager,
            chosen,
            stopped_too: which.all,
            host_memory: total.unwrap_or(0) * 1024,
            last: HashMap::new(),
        })
    }

    /// One reading of each.
    ///
    /// # Errors
    /// A store that cannot be read; a container that ends meanwhile is left out.
    pub fn sample(&mut self) -> Result<Vec<Stats>, Error> {
        let containers = if self.chosen.is_empty() {
            view::all(self.ctx, &self.store)?
        } else {
            let mut list = Vec::new();
            for id in &self.chosen {
                match Container::find(self.ctx, &self.store, id.as_str()) {
                    Ok(c) => list.push(c),
                    Err(e) if e.kind() == Kind::NotFound => {}
                    Err(e) => return Err(e),
                }
            }
            list
        };
        let mut all = Vec::new();
        for c in containers {
            match c.phase.running() {
                Some(running) => all.extend(self.read(&c, running)),
                None if self.stopped_too || !self.chosen.is_empty() => all.push(nothing(&c)),
                None => {}
            }
        }
        Ok(all)
    }

    /// `None` for one that ends at this moment.
    fn read(&mut self, c: &Container, running: &Running) -> Option<Stats> {
        let measured: cgroup::Stats = if running.cgroup.is_empty() {
            cgroup::Stats::default()
        } else {
            self.manager.open(&running.cgroup).and_then(|g| g.stats()).ok()?
        };
        let now = jiff::Timestamp::now();
        let uptime = Duration::try_from(now.duration_since(running.started)).unwrap_or_default();
        let usage = measured.cpu.usage;
        let average = percent(usage, uptime);
        let recent = match self.last.insert(c.row.id.clone(), (now, usage)) {
            Some((then, before)) => {
                let passed = Duration::try_from(now.duration_since(then)).unwrap_or_default();
                percent(usage.saturating_sub(before), passed)
            }
            None => average,
        };
        let (net_rx, net_tx) = network(running.init.pid);
        let (block_read, block_write) = measured.io.totals();
        let limit = measured.memory.limit;
        Some(Stats {
            id: c.row.id.clone(),
            name: c.row.name.clone(),
            read: now,
            cpu_total: usage,
            cpu_system: measured.cpu.system,
            cpu_percent: recent,
            cpu_average: average,
            memory: measured.memory.working_set(),
            memory_limit: if limit == 0 || limit > self.host_memory { self.host_memory } else { limit },
            net_rx,
            net_tx,
            block_read,
            block_write,
            pids: measured.pids.current,
            uptime,
            stopped: false,
        })
    }
}

fn percent(nanoseconds: u64, time: Duration) -> f64 {
    let whole = time.as_nanos() as f64;
    if whole < 1.0 { 0.0 } else { nanoseconds as f64 * 100.0 / whole }
}

/// Bytes in and out of all interfaces but `lo`.
fn network(pid: i32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let mut sum = (0, 0);
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let mut numbers = rest.split_whitespace().map(|n| n.parse::<u64>().unwrap_or(0));
        sum.0 += numbers.next().unwrap_or(0);
        sum.1 += numbers.nth(7).unwrap_or(0);
    }
    sum
}

fn nothing(c: &Container) -> Stats {
    Stats {
        id: c.row.id.clone(),
        name: c.row.name.clone(),
        read: jiff::Timestamp::now(),
        cpu_total: 0,
        cpu_system: 0,
        cpu_percent: 0.0,
        cpu_average: 0.0,
        memory: 0,
        memory_limit: 0,
        net_rx: 0,
        net_tx: 0,
        block_read: 0,
        block_write: 0,
        pids: 0,
        uptime: Duration::ZERO,
        stopped: true,
    }
}
