//! Making a container real: named steps in order, each with its undo.
//!
//! The order, and why: the root first, because volumes are filled from it and the user is looked up in it;
//! host ports and addresses before any process, so that a port in use is found early; then the process is
//! cloned, and while it makes its mounts the network is set up from outside; the state is written before the
//! process may execute, so that whoever hears of the container can find it.
//!
//! Not here: what happens afterwards ([`super::serve`]) and the end ([`super::finish`]).

mod config;
mod facts;
mod files;
mod ids;
mod links;
mod marks;
mod network;
mod passwd;
mod restore;
mod root;
mod sources;
mod start;
mod subscriptions;

use std::os::fd::OwnedFd;

use super::notify::Notify;
use super::proto::{Failure, FailureKind, Handoff};
use super::undo::Undo;
use crate::model::container::{Phase, ProcessIdentity, Running};
use crate::model::id::ContainerId;
use crate::net;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::user::Error::{NoGroup, NoUser};
use crate::storage::Paths;
use crate::storage::volatile::RunDir;
use crate::sys::process::PidFd;

pub(super) use facts::{blocks, cgroup_path, host};
pub(super) use files::{network_servers, secret_variables};
pub(super) use ids::on_host;
pub(super) use links::add_unset;
pub(super) use start::at_numbers;

/// Everything of a container that lives in the kernel and must be undone, as far as it is there.
#[derive(Debug)]
pub(super) struct World {
    pub(super) paths: Paths,
    pub(super) id: ContainerId,
    /// Our run directory with its lock, until the end.
    pub(super) run_dir: Option<RunDir>,
    /// Its user namespace, where that is not the host's.
    pub(super) ids: Option<ids::Ids>,
    /// What our starter had, and what our processes are to have; `None` where we have it too.
    pub(super) oom_score_adj: Option<i32>,
    pub(super) cgroup: Option<Cgroup>,
    /// Leased addresses: network and address.
    pub(super) addresses: Vec<(String, std::net::IpAddr)>,
    /// Bound sockets that keep the published ports ours.
    pub(super) ports: Vec<net::ports::Reservation>,
    pub(super) netns: Option<OwnedFd>,
    /// Children that carry what is published on `[::1]`.
    pub(super) relays: Vec<net::relay::Relay>,
    /// A new one that nobody is in yet, for the first start.
    pub(super) fresh_netns: Option<OwnedFd>,
    pub(super) applied: Option<net::Applied>,
    /// The responder for names of other containers.
    pub(super) dns: Option<net::dns::Server>,
    /// Names of its own for the responder: what a container is called here, and its name.
    pub(super) names: Vec<(String, String)>,
    /// Variables that tell of linked containers, for `exec`.
    pub(super) links: Vec<String>,
    /// The way to the service manager.
    pub(super) notify: Option<Notify>,
    /// Servers that it asks for all other names.
    pub(super) upstream: Vec<std::net::IpAddr>,
    /// Hooks for when the process has ended, with their state document.
    pub(super) poststop: Option<(Vec<oci_spec::runtime::Hook>, Vec<u8>)>,
}

/// The running process with our ends of its stdio.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pidfd: PidFd,
    pub(super) identity: ProcessIdentity,
    pub(super) stdio: Stdio,
}

/// Our ends of the process's stdio.
#[derive(Debug, Default)]
pub(super) struct Stdio {
    /// Where its input goes.
    pub(super) stdin: Option<OwnedFd>,
    /// Its output, or its terminal (which is also where input goes).
    pub(super) stdout: Option<OwnedFd>,
    /// Its errors.
    pub(super) stderr: Option<OwnedFd>,
    /// Master of its terminal.
    pub(super) console: Option<OwnedFd>,
}

/// What the caller hands over beside the document.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// stdio for the process itself (`passthrough`).
    pub(super) stdio: Option<[OwnedFd; 3]>,
    /// Further descriptors for it.
    pub(super) preserved: Vec<OwnedFd>,
    /// A network namespace that was made ahead.
    pub(super) netns: Option<OwnedFd>,
}

/// A start in progress.
pub(super) struct Start<'a> {
    pub(super) handoff: &'a Handoff,
    pub(super) world: &'a mut World,
    pub(super) undo: &'a mut Undo<World>,
    pub(super) given: &'a Given,
    /// Called when all is made but that the command is executed; an error takes it apart again.
    pub(super) gate: Option<Gate<'a>>,
}

/// What waits between a container that is made and one that runs.
pub(super) type Gate<'a> = &'a mut dyn FnMut(&Running, &PidFd) -> Result<(), Failure>;

impl World {
    /// Writes the phase for others to see.
    pub(super) fn write_phase(&self, phase: &Phase) -> Result<(), Failure> {
        match &self.run_dir {
            Some(dir) => dir.write_phase(phase).map_err(|e| Failure::internal("writing the state", &e)),
            None => Ok(()),
        }
    }

    pub(super) fn new(handoff: &Handoff, run_dir: RunDir) -> Self {
        Self {
            paths: handoff.paths.clone(),
            id: handoff.spec.id.clone(),
            run_dir: Some(run_dir),
            ids: None,
            oom_score_adj: None,
            cgroup: None,
            addresses: Vec::new(),
            ports: Vec::new(),
            netns: None,
            relays: Vec::new(),
            fresh_netns: None,
            applied: None,
            dns: None,
            names: Vec::new(),
            links: Vec::new(),
            notify: None,
            upstream: Vec::new(),
            poststop: None,
        }
    }
}

/// Step by step for the crash tests: waits here while `<run>/stop-at` names this step, and says so in
/// `<run>/stopped-at` with our pid. Compiled only where debug assertions are.
pub(super) fn checkpoint(paths: &Paths, step: &str) {
    if cfg!(debug_assertions) {
        let wanted = || std::fs::read_to_string(paths.run.join("stop-at")).is_ok_and(|w| w.trim() == step);
        if wanted() {
            let _told = std::fs::write(paths.run.join("stopped-at"), crate::sys::process::pid().to_string());
            while wanted() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }
}

impl Start<'_> {
    /// Runs all steps. On failure what was done is undone and the failure carries the troubles of that.
    pub(super) fn run(mut self) -> Result<(Process, Running), Failure> {
        let mark = self.undo.mark();
        match self.steps() {
            Ok(made) => Ok(made),
            Err(mut failure) => {
                failure.undo = self.undo.unwind_to(self.world, mark);
                Err(failure)
            }
        }
    }

    fn steps(&mut self) -> Result<(Process, Running), Failure> {
        checkpoint(&self.world.paths, "begin");
        let spec = &self.handoff.spec;
        if self.world.ids.is_none() {
            self.world.ids = ids::Ids::open(spec, &self.world.paths)?;
        }
        let root = self.mount_root()?;
        checkpoint(&self.world.paths, "root");
        self.find_working_directory(&root)?;
        self.host_users(&root)?;
        let user = crate::runtime::user::lookup(&root, &spec.process.user, &spec.process.group_add).map_err(
            |e| {
                let failure = Failure::of(FailureKind::NotFound, "looking up the user in the image", &e);
                match e {
                    NoUser(_) | NoGroup(_) => {
                        failure.hint("use a name that the image's /etc/passwd has, or numbers: -u UID:GID")
                    }
                    _ => failure,
                }
            },
        )?;
        let sources = self.prepare_sources(&root, &user)?;
        checkpoint(&self.world.paths, "sources");
        self.lease()?;
        checkpoint(&self.world.paths, "leases");
        let files = self.write_files(&root, &user)?;
        checkpoint(&self.world.paths, "files");
        match &self.handoff.restore {
            Some(wish) => self.restore_process(wish, root, user, sources, files),
            None => self.start_process(root, user, sources, files),
        }
    }
}
