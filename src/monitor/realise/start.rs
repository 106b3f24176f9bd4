//! The last steps: OCI spec, cgroup, system call filter, process, network, state, go.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::facts::{self, Joined};
use super::files::Files;
use super::sources::Sources;
use super::{Process, Start, Stdio, checkpoint, network};
use crate::model::container::{Phase, ProcessIdentity, Running};
use crate::model::namespace::{NsMode, UserNsMode};
use crate::monitor::proto::{Failure, FailureKind};
use crate::runtime::cdi;
use crate::runtime::cgroup::Manager;
use crate::runtime::hooks;
use crate::runtime::oci::{self, ResolvedFacts};
use crate::runtime::rdt;
use crate::runtime::seccomp;
use crate::runtime::spawn::{self, Created, Rootfs, StartOn};
use crate::runtime::user::User;
use crate::sys::{fd, process, root, tty, visit};

/// The container's ends of its stdio, while it is made.
pub(super) struct Ends {
    theirs: Option<[OwnedFd; 3]>,
    ours: Stdio,
}

impl Ends {
    /// Theirs, where there are pipes, and ours.
    pub(super) fn split(self) -> (Option<[OwnedFd; 3]>, Stdio) {
        (self.theirs, self.ours)
    }
}

/// What a container is going to be.
pub(super) struct Planned {
    pub(super) document: oci_spec::runtime::Spec,
    /// Its cgroup's path, empty for none.
    pub(super) cgroup: String,
    /// Namespaces of others, held until they are joined.
    pub(super) joined: Joined,
}

impl Start<'_> {
    pub(super) fn start_process(
        &mut self,
        root: OwnedFd,
        user: User,
        mut sources: Sources,
        files: Files,
    ) -> Result<(Process, Running), Failure> {
        let spec = &self.handoff.spec;
        let manager = Manager::detect().map_err(|e| Failure::internal("looking at the cgroups", &e))?;
        let owner = super::on_host(self.world.ids.as_ref(), user.uid, user.gid);
        let Planned { document, cgroup, joined } = self.plan(&manager, user, &mut sources, files)?;
        let filter = seccomp::for_container(
            &spec.security.seccomp,
            &spec.process.capabilities,
            Some(&self.world.paths.run),
        )
        .map_err(|e| Failure::of(FailureKind::Invalid, "compiling the seccomp policy", &e))?;
        self.make_cgroup(&manager, &cgroup, &document)?;
        checkpoint(&self.world.paths, "cgroup");
        let ends = self.stdio(owner)?;
        let preserved = at_numbers(&spec.process.preserved(), &self.given.preserved);
        let (id, bundle) = (self.world.id.clone(), self.bundle());
        let mut created = spawn::create(spawn::Request {
            id: id.as_str(),
            spec: &document,
            bundle: &bundle,
            rootfs: Rootfs::Mount(root.as_fd()),
            mounts: sources,
            namespaces: Vec::new(),
            cgroup: self.world.cgroup.as_ref(),
            seccomp: filter.as_ref(),
            stdio: self.child_stdio(ends.theirs.as_ref()),
            preserved: &preserved,
            parent_death_signal: Some(libc::SIGKILL),
            new_keyring: true,
            start_on: StartOn::Go,
            init: spec.process.init && spec.process.init_path.is_none(),
        })
        .map_err(|e| Failure::runtime("starting the container's process", &e))?;
        drop((root, joined));
        checkpoint(&self.world.paths, "created");
        if let Err(network) = self.set_up_network(created.pid()) {
            // A process that has failed meanwhile has no namespace any more: what it says is the reason.
            let told = created.wait_ready();
            return Err(
                told.map_or_else(|e| Failure::runtime("starting the container's process", &e), |()| network)
            );
        }
        checkpoint(&self.world.paths, "network");
        let made = self
            .go(&mut created, ends)
            .and_then(|(running, stdio)| Ok((self.hold(running, &created)?, stdio)))
            .and_then(|(running, stdio)| self.executed(created, running, stdio))?;
        self.hooks_of_life(&document, made.0.identity.pid)?;
        Ok(made)
    }

    /// What is to be made: the OCI document, with all that had to be looked up for it.
    pub(super) fn plan(
        &mut self,
        manager: &Manager,
        user: User,
        sources: &mut Sources,
        files: Files,
    ) -> Result<Planned, Failure> {
        let spec = &self.handoff.spec;
        let joined = self.join(sources)?;
        let host = facts::host(spec, &spec.process.rlimits, manager.layout(), self.world.oom_score_adj)?;
        let resolved = ResolvedFacts {
            rootfs: PathBuf::from("/"),
            user,
            files,
            join: joined.paths.clone(),
            shm: sources.iter().any(|(at, _)| at == "/dev/shm").then(|| PathBuf::from("/dev/shm")),
            sources: sources.iter().map(|(at, _)| (at.clone(), PathBuf::from("/"))).collect(),
            devices: facts::devices(spec)?,
            blocks: facts::blocks(&spec.resources)?,
            cgroup: facts::cgroup_path(spec),
        };
        let mut document = oci::build(spec, &host, &resolved)
            .map_err(|e| Failure::of(FailureKind::Invalid, "putting the container's plan together", &e))?;
        let names: Vec<&str> =
            spec.devices.iter().map(|d| d.host.as_str()).filter(|d| cdi::is_name(d)).collect();
        let dirs: Vec<PathBuf> = spec.cdi_dirs.iter().map(PathBuf::from).collect();
        cdi::inject(&mut document, &names, &dirs)
            .map_err(|e| Failure::of(FailureKind::NotFound, "adding devices", &e))?;
        self.world.links = self.link_variables()?;
        if let Some(env) = document.process_mut().as_mut().and_then(|p| p.env_mut().as_mut()) {
            env.extend(super::secret_variables(&self.world.paths, spec)?);
            super::add_unset(env, &self.world.links);
        }
        if self.world.notify.as_ref().is_some_and(|n| n.fd().is_some())
            && let Some(env) = document.process_mut().as_mut().and_then(|p| p.env_mut().as_mut())
        {
            env.push(format!("NOTIFY_SOCKET={}", crate::monitor::notify::INSIDE));
        }
        self.write_config(&mut document)?;
        // The monitor is in the class itself, and so is all that it starts or restores, and what is executed there.
        rdt::enter_class(
            document.linux().as_ref().and_then(|l| l.intel_rdt().as_ref()),
            self.world.id.as_str(),
        )
        .map_err(|e| Failure::of(FailureKind::Unsupported, "sharing out the cache", &e))?;
        Ok(Planned { document, cgroup: resolved.cgroup, joined })
    }

    /// Namespaces of others, and the shared memory that belongs to a shared IPC namespace.
    fn join(&mut self, sources: &mut Sources) -> Result<Joined, Failure> {
        let spec = &self.handoff.spec;
        let mut joined = Joined::open(spec, &self.world.paths)?;
        let fits = network::owns_namespace(&spec.network.mode) && spec.namespaces.user == UserNsMode::Host;
        if !fits {
            self.world.fresh_netns = None;
        }
        if let Some(ours) = self.world.netns.as_ref().or(self.world.fresh_netns.as_ref()) {
            joined.paths.net = Some(fd::proc_path(ours));
        }
        if let NsMode::Container(text) = &spec.namespaces.ipc {
            let step = || format!("sharing /dev/shm of container {text}");
            let id = text.parse().map_err(|e| Failure::of(FailureKind::Invalid, step(), &e))?;
            let init = facts::running(&id, &self.world.paths)?;
            if !spec.mounts.iter().any(|m| m.target == "/dev/shm") {
                let shared = visit::clone_mount(&init, Path::new("dev/shm"))
                    .map_err(|e| Failure::internal(step(), &e))?;
                sources.push(("/dev/shm".to_owned(), shared));
            }
        }
        Ok(joined)
    }

    pub(super) fn make_cgroup(
        &mut self,
        manager: &Manager,
        path: &str,
        document: &oci_spec::runtime::Spec,
    ) -> Result<(), Failure> {
        if path.is_empty() {
            return Ok(());
        }
        let limits = document.linux().as_ref().and_then(|l| l.resources().clone()).unwrap_or_default();
        self.undo.push("removing the cgroup", |world| match world.cgroup.take() {
            None => Ok(()),
            // Whatever is still in it must go first; removing waits until it has.
            Some(cgroup) => cgroup.kill().and_then(|()| cgroup.remove()).map_err(|e| e.to_string()),
        });
        let cgroup = manager.create(path, &limits).map_err(|e| Failure::internal("making the cgroup", &e))?;
        self.world.cgroup = Some(cgroup);
        Ok(())
    }

    /// Pipes for the process. They belong to its user, so that it may open /dev/stdout again by name.
    pub(super) fn stdio(&self, (uid, gid): (u32, u32)) -> Result<Ends, Failure> {
        let spec = &self.handoff.spec.process;
        if spec.tty || self.given.stdio.is_some() {
            return Ok(Ends { theirs: None, ours: Stdio::default() });
        }
        let failed = |e| Failure::internal("making pipes for the container's output", &e);
        let own = |end: OwnedFd| {
            if uid != 0 || gid != 0 {
                root::chown(&end, uid, gid)?;
            }
            Ok(end)
        };
        let (stdin, stdin_ours) = if spec.interactive {
            let (read, write) = fd::pipe().map_err(failed)?;
            (own(read).map_err(failed)?, Some(write))
        } else {
            (fd::open_null(false).map_err(failed)?, None)
        };
        let (stdout_ours, stdout) = fd::pipe().map_err(failed)?;
        let (stderr_ours, stderr) = fd::pipe().map_err(failed)?;
        for ours in stdin_ours.iter().chain([&stdout_ours, &stderr_ours]) {
            fd::set_nonblocking(ours, true).map_err(failed)?;
        }
        let theirs = [stdin, own(stdout).map_err(failed)?, own(stderr).map_err(failed)?];
        let ours =
            Stdio { stdin: stdin_ours, stdout: Some(stdout_ours), stderr: Some(stderr_ours), console: None };
        Ok(Ends { theirs: Some(theirs), ours })
    }

    fn child_stdio<'f>(&'f self, pipes: Option<&'f [OwnedFd; 3]>) -> spawn::Stdio<'f> {
        match pipes.or(self.given.stdio.as_ref()) {
            Some(fds) if !self.handoff.spec.process.tty => {
                spawn::Stdio::Fds(std::array::from_fn(|i| fds[i].as_fd()))
            }
            _ => {
                let size = self.handoff.size.unwrap_or_default();
                spawn::Stdio::Terminal { rows: size.rows, columns: size.cols, bare: false }
            }
        }
    }

    /// Waits for the process to be ready.
    fn go(&mut self, created: &mut Created, ends: Ends) -> Result<(Running, Stdio), Failure> {
        let init = process::identity(created.pid());
        created.wait_ready().map_err(|e| Failure::runtime("preparing the container", &e))?;
        checkpoint(&self.world.paths, "ready");
        let mut stdio = ends.ours;
        if self.handoff.spec.process.tty {
            let console = created.take_console();
            if let Some(console) = &console {
                fd::set_nonblocking(console, true)
                    .map_err(|e| Failure::internal("preparing the terminal", &e))?;
            }
            stdio.console = console;
        }
        Ok((self.running(init)?, stdio))
    }

    /// The running details of its first process.
    pub(super) fn running(
        &self,
        init: Result<ProcessIdentity, crate::sys::Error>,
    ) -> Result<Running, Failure> {
        let failed = |e| Failure::internal("reading the identity of the container's process", &e);
        Ok(Running {
            init: init.map_err(failed)?,
            monitor: process::identity(process::pid()).map_err(failed)?,
            started: jiff::Timestamp::now(),
            network: self.world.applied.as_ref().map(|a| a.attachments.clone()).unwrap_or_default(),
            ports: self.world.ports.iter().map(|p| p.mapping).collect(),
            cgroup: self.world.cgroup.as_ref().map(|c| c.path().to_owned()).unwrap_or_default(),
            health: crate::monitor::health::Checker::of(&self.handoff.spec).map(|c| c.health().clone()),
            restarts: self.handoff.restarts,
            stopping: false,
        })
    }

    /// Writes the state; with a gate, waits there first.
    fn hold(&mut self, running: Running, created: &Created) -> Result<Running, Failure> {
        let mut running = running;
        if let Some(gate) = &mut self.gate {
            self.world.write_phase(&Phase::Initialized(running.clone()))?;
            gate(&running, created.pidfd())?;
            running.started = jiff::Timestamp::now();
        }
        self.world.write_phase(&Phase::Running(running.clone()))?;
        checkpoint(&self.world.paths, "state");
        Ok(running)
    }

    /// `poststart` runs now; what it needs to run when the process has ended is kept for `poststop`.
    pub(super) fn hooks_of_life(
        &mut self,
        document: &oci_spec::runtime::Spec,
        pid: i32,
    ) -> Result<(), Failure> {
        let id = self.world.id.clone();
        let bundle = self.bundle();
        let state = |status, pid| hooks::state_json(id.as_str(), status, pid, &bundle, document);
        let after = hooks::poststop(document);
        if !after.is_empty() {
            self.world.poststop = Some((after.to_vec(), state("stopped", 0)));
        }
        let first = hooks::poststart(document);
        if first.is_empty() {
            return Ok(());
        }
        hooks::run("poststart", first, &state("running", pid))
            .map_err(|e| Failure::internal("running the hooks after the start", &e))
    }

    fn executed(
        &self,
        created: Created,
        running: Running,
        stdio: Stdio,
    ) -> Result<(Process, Running), Failure> {
        let started = created.go().map_err(|e| Failure::runtime("starting the command", &e))?;
        if let (Some(console), Some(size)) = (&stdio.console, self.handoff.size) {
            // Also where the runtime did: the process may be quick and ask at once.
            let _gone = tty::set_size(console, size.rows, size.cols);
        }
        checkpoint(&self.world.paths, "started");
        let process = Process { pidfd: started.pidfd, identity: running.init, stdio };
        Ok((process, running))
    }
}

/// Descriptors by the numbers that they shall have, 3 first; numbers between them stay free.
pub(in crate::monitor) fn at_numbers<'f>(numbers: &[u32], fds: &'f [OwnedFd]) -> Vec<Option<BorrowedFd<'f>>> {
    let mut out = Vec::new();
    for (number, fd) in numbers.iter().zip(fds) {
        let at = usize::try_from(number.saturating_sub(3)).unwrap_or(0);
        out.resize(out.len().max(at + 1), None);
        out[at] = Some(fd.as_fd());
    }
    out
}
