//! `ps`: the listing of containers, true at the moment it is made.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::context::Context;
use super::error::Error;
use super::filter::{ContainerFilter, health_word};
use super::view::{self, Container};
use crate::model::container::{Phase, Running};
use crate::model::digest::Digest;
use crate::model::id::ContainerId;
use crate::model::image::Image;
use crate::model::network::{ExposedPort, PortMapping};
use crate::model::units::human_duration;
use crate::storage::Store;
use crate::storage::container_rows::Summary;

/// Which containers, and what about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// `-a`: not only running ones.
    pub all: bool,
    /// `--filter` as typed.
    pub filters: Vec<String>,
    /// `-n`: the last N created, whatever state.
    pub last: Option<usize>,
    /// `--latest`.
    pub latest: bool,
    /// `-s`: compute sizes.
    pub size: bool,
    /// `--namespace`: read the namespace inodes.
    pub namespaces: bool,
}

/// One container of a listing, with all that docker's and podman's formats can show.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerListing {
    /// Id.
    pub id: ContainerId,
    /// Name.
    pub name: String,
    /// Image as typed at create.
    pub image: String,
    /// Image id, `sha256:…`; empty with `--rootfs`.
    pub image_id: String,
    /// argv.
    pub command: Vec<String>,
    /// When it was created.
    pub created: jiff::Timestamp,
    /// When it last started.
    pub started: Option<jiff::Timestamp>,
    /// When it ended.
    pub exited_at: Option<jiff::Timestamp>,
    /// Exit code; 0 while it has none.
    pub exit_code: i32,
    /// `created`, `running`, `paused`, `restarting`, `exited`, `removing`, `dead`.
    pub state: &'static str,
    /// "Up 3 minutes (healthy)", "Exited (0) 5 seconds ago", …
    pub status: String,
    /// `starting`, `healthy`, `unhealthy`; `None` without a check.
    pub health: Option<String>,
    /// Published ports in force (none while it does not run).
    pub ports: Vec<PortMapping>,
    /// Exposed ports.
    pub exposed: Vec<ExposedPort>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Mounts.
    pub mounts: Vec<ListedMount>,
    /// Networks with the address in force.
    pub networks: Vec<(String, Option<IpAddr>)>,
    /// Pid of init; 0 if it does not run.
    pub pid: i32,
    /// Restarts by the policy.
    pub restarts: u32,
    /// `--rm`.
    pub auto_remove: bool,
    /// Platform, `linux/amd64`.
    pub platform: String,
    /// Sizes, if asked for.
    pub size: Option<ListedSize>,
    /// Namespace inodes by name (`cgroup`, `ipc`, `mnt`, `net`, `pid`, `user`, `uts`), if asked for.
    pub namespaces: Vec<(&'static str, String)>,
}

/// A mount as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMount {
    /// Volume name or host path.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// It is a volume (docker's LocalVolumes counts these).
    pub volume: bool,
}

/// Sizes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedSize {
    /// Bytes in the writable layer.
    pub rw: u64,
    /// Bytes of image and writable layer.
    pub root_fs: u64,
}

/// Lists containers, newest first.
///
/// # Errors
/// An unknown filter, or a store that cannot be read.
pub fn ps(ctx: &Context, options: &ListOptions) -> Result<Vec<ContainerListing>, Error> {
    Listings::of(ctx, options)?.collect()
}

/// The containers of a listing, each made when its turn comes: ten thousand need no more memory than ten.
pub struct Listings<'a> {
    ctx: &'a Context,
    options: &'a ListOptions,
    store: Store,
    rows: Box<dyn Iterator<Item = crate::storage::Result<Summary>>>,
    filter: ContainerFilter,
    /// Not only those that run.
    all: bool,
    /// How many may come still.
    left: usize,
    now: jiff::Timestamp,
    moved: Moved,
}

impl<'a> Listings<'a> {
    /// Those that the options pick, newest first.
    ///
    /// # Errors
    /// An unknown filter, or a store that cannot be read.
    pub fn of(ctx: &'a Context, options: &'a ListOptions) -> Result<Self, Error> {
        let store = ctx.store()?;
        let filter = ContainerFilter::compile(ctx, &store, &options.filters)?;
        // A filter on the state (or on an exit code, or a number of containers) means all of them.
        let asks_state = options.filters.iter().any(|f| f.starts_with("status=") || f.starts_with("exited="));
        let last = if options.latest { Some(1) } else { options.last.filter(|n| *n > 0) };
        Ok(Self {
            rows: Box::new(store.each_container()?),
            all: options.all || asks_state || options.last.is_some() || options.latest,
            left: last.unwrap_or(usize::MAX),
            now: jiff::Timestamp::now(),
            moved: Moved::default(),
            ctx,
            options,
            store,
            filter,
        })
    }

    /// What is shown of a row; `None` where it is not wanted, or gone.
    fn listed(&mut self, row: Summary) -> Result<Option<ContainerListing>, Error> {
        let Some(container) = Container::of(self.ctx, &self.store, row)? else { return Ok(None) };
        // docker counts those that are paused or wait for their restart as running, podman does not.
        let shown = match self.ctx.podman {
            true => matches!(container.phase, Phase::Running(_)),
            false => container.alive(),
        };
        if !((self.all || shown) && self.filter.wants(&container)) {
            return Ok(None);
        }
        let image = self.moved.shown(&self.store, &container.row);
        let mut entry = ContainerListing {
            image,
            ..listing((&self.store, self.ctx.podman), container, self.options, self.now)?
        };
        for (network, _) in &mut entry.networks {
            *network = self.ctx.network_name(network).to_owned();
        }
        Ok(Some(entry))
    }
}

impl Iterator for Listings<'_> {
    type Item = Result<ContainerListing, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            let row = self.rows.next()?;
            if let Some(entry) = row.map_err(Error::from).and_then(|row| self.listed(row)).transpose() {
                self.left -= 1;
                return Some(entry);
            }
        }
        None
    }
}

/// Which names still mean the image that a container was made from; each is looked up once.
#[derive(Default)]
struct Moved(HashMap<(Digest, String), bool>);

impl Moved {
    /// The image as it was typed, or its id where the name has gone over to another image, or is gone.
    fn shown(&mut self, store: &Store, row: &Summary) -> String {
        let typed = &row.image_name;
        let Some(id) = &row.image_id else { return typed.clone() };
        let named = || store.image(id).is_ok_and(|image| still_named(&image, typed));
        let named = *self.0.entry((id.clone(), typed.clone())).or_insert_with(named);
        if named { typed.clone() } else { id.as_str().to_owned() }
    }
}

fn still_named(image: &Image, typed: &str) -> bool {
    if let Some((_, digest)) = typed.split_once('@') {
        return image.digests.iter().any(|d| d.ends_with(digest));
    }
    let typed = typed.strip_prefix("docker://").unwrap_or(typed);
    let tagged = format!("{typed}:latest");
    let fits = |name: &String| {
        [typed, tagged.as_str()]
            .iter()
            .any(|t| name.strip_suffix(t).is_some_and(|rest| rest.is_empty() || rest.ends_with('/')))
    };
    image.names.iter().any(fits) || image.id.hex().starts_with(typed.strip_prefix("sha256:").unwrap_or(typed))
}

fn listing(
    (store, podman): (&Store, bool),
    container: Container,
    options: &ListOptions,
    now: jiff::Timestamp,
) -> Result<ContainerListing, Error> {
    let Container { row, phase } = container;
    let size = if options.size { Some(size(store, &row)?) } else { None };
    let running = phase.running();
    let (started, exited_at, exit_code) = times(&phase);
    let health = row.has_health.then(|| health_word(&phase, true).to_owned());
    Ok(ContainerListing {
        status: status(&phase, health.as_deref(), now),
        state: if podman { phase.podmans_status() } else { phase.status() },
        // A container of docker's that does not run has no ports, one of podman's has those that were chosen for it.
        ports: match running {
            Some(running) => running.ports.clone(),
            None if podman => row.ports,
            None => Vec::new(),
        },
        networks: networks(&row.networks, running),
        pid: running.map_or(0, |r| r.init.pid),
        restarts: restarts(&phase),
        namespaces: match running {
            Some(r) if options.namespaces => namespaces(r.init.pid),
            _ => Vec::new(),
        },
        mounts: row.mounts.iter().map(mount).collect(),
        id: row.id,
        name: row.name,
        image: row.image_name,
        image_id: row.image_id.map(|d| d.as_str().to_owned()).unwrap_or_default(),
        command: row.command,
        created: row.created,
        started,
        exited_at,
        exit_code,
        health,
        exposed: if running.is_some() || podman { row.exposed } else { Vec::new() },
        labels: row.labels,
        auto_remove: row.auto_remove,
        platform: super::system::platform(),
        size,
    })
}

fn mount((source, target): &(String, String)) -> ListedMount {
    let volume = !source.is_empty() && !source.starts_with('/');
    ListedMount { source: source.clone(), target: target.clone(), volume }
}

fn size(store: &Store, row: &Summary) -> Result<ListedSize, Error> {
    let rw = store.container_size(&row.id)?;
    let image = match &row.image_id {
        Some(id) => store.image(id).map_or(0, |i| i.size),
        None => 0,
    };
    Ok(ListedSize { rw, root_fs: rw + image })
}

fn networks(names: &[String], running: Option<&Running>) -> Vec<(String, Option<IpAddr>)> {
    let address = |name: &str| {
        let state = running?.network.iter().find(|a| a.network == name)?;
        state.ip.map(|(ip, _)| IpAddr::V4(ip)).or_else(|| state.ip6.map(|(ip, _)| IpAddr::V6(ip)))
    };
    // `network connect` may have added one that the row does not list yet.
    let live = running.map(|r| r.network.as_slice()).unwrap_or_default();
    let further = live.iter().map(|a| &a.network).filter(|n| !names.contains(n));
    names.iter().chain(further).map(|n| (n.clone(), address(n))).collect()
}

fn times(phase: &Phase) -> (Option<jiff::Timestamp>, Option<jiff::Timestamp>, i32) {
    match phase {
        Phase::Running(r) | Phase::Paused(r) => (Some(r.started), None, 0),
        Phase::Exited(e) | Phase::Restarting(e) => (Some(e.started), Some(e.at), e.code),
        Phase::Failed { code, .. } => (None, None, *code),
        Phase::Created | Phase::Initialized(_) | Phase::Removing => (None, None, 0),
    }
}

fn restarts(phase: &Phase) -> u32 {
    match phase {
        Phase::Running(r) | Phase::Paused(r) => r.restarts,
        Phase::Exited(e) | Phase::Restarting(e) => e.restarts,
        Phase::Created | Phase::Initialized(_) | Phase::Failed { .. } | Phase::Removing => 0,
    }
}

/// docker's STATUS column.
pub(crate) fn status(phase: &Phase, health: Option<&str>, now: jiff::Timestamp) -> String {
    let since = |t: jiff::Timestamp| {
        human_duration(Duration::try_from(now.duration_since(t)).unwrap_or(Duration::ZERO))
    };
    match phase {
        Phase::Running(r) => {
            let up = format!("Up {}", since(r.started));
            match health {
                None => up,
                Some("starting") => format!("{up} (health: starting)"),
                Some(word) => format!("{up} ({word})"),
            }
        }
        Phase::Paused(r) => format!("Up {} (Paused)", since(r.started)),
        Phase::Restarting(e) => format!("Restarting ({}) {} ago", e.code, since(e.at)),
        Phase::Exited(e) => format!("Exited ({}) {} ago", e.code, since(e.at)),
        Phase::Created | Phase::Failed { .. } => "Created".to_owned(),
        Phase::Initialized(_) => "Initialized".to_owned(),
        Phase::Removing => "Removal In Progress".to_owned(),
    }
}

/// Inode of each namespace, as podman's `ps --ns` shows them.
fn namespaces(pid: i32) -> Vec<(&'static str, String)> {
    ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
        .into_iter()
        .map(|kind| {
            // `net:[4026531840]`; a process that just ended has none.
            let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap_or_default();
            let text = link.to_string_lossy();
            let inode = text.split_once('[').map_or("", |(_, rest)| rest.trim_end_matches(']'));
            (kind, inode.to_owned())
        })
        .collect()
}

/// How many containers are in which state: running, paused, stopped.
pub(crate) fn counts(ctx: &Context, store: &Store) -> Result<(usize, usize, usize), Error> {
    let mut counts = (0, 0, 0);
    for c in view::all(ctx, store)? {
        match c.phase {
            Phase::Running(_) | Phase::Restarting(_) => counts.0 += 1,
            Phase::Paused(_) => counts.1 += 1,
            _ => counts.2 += 1,
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::container::Exited;

    #[test]
    fn status_says_what_docker_says() {
        let now: jiff::Timestamp = "2026-11-21T12:00:00Z".parse().expect("time");
        let at: jiff::Timestamp = "2026-11-21T11:59:55Z".parse().expect("time");
        let exited = Exited {
            code: 137,
            oom: false,
            started: at,
            at,
            error: String::new(),
            restarts: 0,
            stopped_by_user: false,
            health: None,
        };
        assert_eq!(status(&Phase::Created, None, now), "Created");
        assert_eq!(status(&Phase::Exited(exited.clone()), None, now), "Exited (137) 5 seconds ago");
        assert_eq!(status(&Phase::Restarting(exited), None, now), "Restarting (137) 5 seconds ago");
    }
}
