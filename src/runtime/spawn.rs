//! The parent's side of a container's start: clone, id maps, cgroup, handshake.
//!
//! [`create`] returns as soon as the process is there and in its cgroup, so that the caller can set
//! up its network while it makes its mounts. [`Created::wait_ready`] waits until all is done but the
//! exec; [`Created::go`] lets it exec. A [`Created`] that is dropped is killed and reaped.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{Hook, Spec};

use super::cgroup::Cgroup;
use super::plan::Plan;
use super::plan::mounts::shift_ids;
use super::plan::namespaces::NamespacePlan;
use super::seccomp::{Filter, notify::Agent};
use super::sync::Up;
use super::{Error, init, inside, maps, netdev, sync};
use crate::sys::process::{self, CloneArgs, ExitStatus, PidFd};
use crate::sys::{idmap, limits, ns, socket};

/// Where the container's root is.
#[derive(Debug)]
pub enum Rootfs<'a> {
    /// A detached mount, attached in the container's mount namespace only.
    Mount(BorrowedFd<'a>),
    /// A host directory, bound onto itself.
    Path(&'a Path),
}

/// What becomes descriptors 0, 1 and 2.
#[derive(Debug, Clone, Copy)]
pub enum Stdio<'a> {
    /// These.
    Fds([BorrowedFd<'a>; 3]),
    /// A terminal made in the container's own devpts; its master comes back in the [`Created`].
    Terminal {
        /// Rows; 0 leaves the size unset.
        rows: u16,
        /// Columns.
        columns: u16,
        /// Newlines come out as they are, not as carriage return and newline: where who reads the master is no
        /// terminal emulator but hands on what it reads.
        bare: bool,
    },
}

/// What brings the exec about.
#[derive(Debug, Clone, Copy)]
pub enum StartOn<'a> {
    /// [`Created::go`].
    Go,
    /// A connection to this listening `SOCK_SEQPACKET` socket, which may come long after the creator
    /// has gone (`rcon runtime start`).
    Connection(BorrowedFd<'a>),
}

/// A container to start.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its id, for hooks and messages.
    pub id: &'a str,
    /// What it is. `root.path` is not used; seccomp is not taken from here but from `seccomp`.
    pub spec: &'a Spec,
    /// The bundle, for hooks; `/` where there is none.
    pub bundle: &'a Path,
    /// Its root.
    pub rootfs: Rootfs<'a>,
    /// Detached mounts by destination, taken instead of the source of the spec's mount there.
    pub mounts: Vec<(String, OwnedFd)>,
    /// Namespaces to join, before those that the spec names by path.
    pub namespaces: Vec<(ns::Kind, BorrowedFd<'a>)>,
    /// Its cgroup, limits in force.
    pub cgroup: Option<&'a Cgroup>,
    /// Its filter.
    pub seccomp: Option<&'a Filter>,
    /// Its descriptors 0 to 2.
    pub stdio: Stdio<'a>,
    /// Its descriptors 3 and up; a number may be left free.
    pub preserved: &'a [Option<BorrowedFd<'a>>],
    /// Signal for it when the caller dies.
    pub parent_death_signal: Option<i32>,
    /// Give it an empty session keyring instead of the caller's.
    pub new_keyring: bool,
    /// What brings the exec about.
    pub start_on: StartOn<'a>,
    /// Run a small init as its first process, which forwards signals and reaps ([`super::reaper`]).
    pub init: bool,
}

/// A container whose process is there and has not executed its program yet.
#[derive(Debug)]
pub struct Created {
    pid: i32,
    pidfd: Option<PidFd>,
    socket: OwnedFd,
    console: Option<OwnedFd>,
    /// State document for hooks outside, and the hooks.
    hooks: OutsideHooks,
    /// Who answers the notified calls of its filter.
    agent: Option<Agent>,
}

/// A container that runs.
#[derive(Debug)]
pub struct Started {
    /// Pid of its first process, as we see it.
    pub pid: i32,
    /// Handle on it.
    pub pidfd: PidFd,
}

#[derive(Debug, Default)]
struct OutsideHooks {
    prestart: Vec<Hook>,
    create_runtime: Vec<Hook>,
    state: Vec<u8>,
}

/// Clones the container's process and puts it into its cgroup. Single-threaded callers only.
///
/// # Errors
/// [`Error`]; nothing is left then.
pub fn create(mut request: Request<'_>) -> Result<Created, Error> {
    let plan = Plan::new(&mut request)?;
    let (socket, theirs) = socket::pair(socket::Kind::SeqPacket)?;
    // We join another's cgroup namespace around the clone for a new user namespace, and reach no cgroup outside then.
    let around_cgroup = plan.namespaces.maps.is_some() && plan.namespaces.joins_cgroup();
    let target = request.cgroup.filter(|_| !around_cgroup).and_then(Cgroup::clone_target);
    let args = CloneArgs { flags: plan.namespaces.new & !ns::Kind::Time.flag(), cgroup: target };
    tracing::debug!("nsexec container setup: new namespaces {:#x}", plan.namespaces.new);
    if let Some(filter) = request.seccomp {
        // TSYNC synchronises threads, of which there is one.
        tracing::debug!("seccomp filter flags: {}", filter.flags & !crate::sys::seccomp::FLAG_TSYNC);
    }
    let child = if plan.namespaces.joined_user().is_some() {
        inside::clone(&plan, &args, theirs)?
    } else {
        let around = Around::enter(&plan.namespaces)?;
        let child = process::clone(&args, || init::run(&plan, theirs));
        around.leave()?;
        child?
    };
    tracing::debug!("child process in init(): pid {}", child.pid);
    let mut created = Created {
        pid: child.pid,
        pidfd: Some(child.pidfd),
        socket,
        console: None,
        hooks: OutsideHooks::new(&request, child.pid, plan.hooks_outside),
        agent: Agent::of(request.seccomp, || {
            super::hooks::state_json(request.id, "creating", child.pid, request.bundle, request.spec)
        }),
    };
    let by_parent = request.cgroup.filter(|_| target.is_none() && plan.join_cgroup.is_empty());
    created.let_go_on(&plan, by_parent)?;
    Ok(created)
}

impl Created {
    /// Its pid, as we see it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Handle on it.
    #[must_use]
    pub fn pidfd(&self) -> &PidFd {
        self.pidfd.as_ref().expect("taken only by go and detach, which consume the value")
    }

    /// Cgroup and id maps, for which the child waits.
    fn let_go_on(&mut self, plan: &Plan<'_>, cgroup: Option<&Cgroup>) -> Result<(), Error> {
        if let Some(cgroup) = cgroup {
            cgroup.attach(self.pid)?;
        }
        if let Some((uids, gids)) = &plan.namespaces.maps {
            // In its user namespace the child may not raise a hard limit, whatever we may.
            limits::raise_hard_of(self.pid, &plan.process.rlimits);
            maps::write(self.pid, uids, gids)?;
        }
        netdev::move_all(&plan.net_devices, self.pid, &plan.namespaces)?;
        if plan.waits {
            self.say(sync::PROCEED)?;
        }
        Ok(())
    }

    /// Waits until everything is done but the exec (hooks of creation included).
    ///
    /// # Errors
    /// What the process reports: the step, the thing, the call.
    pub fn wait_ready(&mut self) -> Result<(), Error> {
        loop {
            match sync::receive_up(&self.socket)? {
                Up::Tag(sync::READY, mut fds) => {
                    tracing::debug!("init: ready to execute the program");
                    self.console = fds.pop();
                    return Ok(());
                }
                Up::Tag(sync::HOOKS, _) => {
                    let hooks = &self.hooks;
                    super::hooks::run("prestart", &hooks.prestart, &hooks.state)?;
                    super::hooks::run("createRuntime", &hooks.create_runtime, &hooks.state)?;
                    self.say(sync::PROCEED)?;
                }
                Up::Tag(tag @ (sync::SHIFT | sync::SHIFT_DEEP), fds) => {
                    if let [tree, userns] = &fds[..] {
                        shift_ids(tree, userns, tag == sync::SHIFT_DEEP)?;
                    }
                    self.say(sync::PROCEED)?;
                }
                Up::Tag(sync::LISTENER, fds) => self.hand_over(fds)?,
                Up::ListenerAt(number) => {
                    self.hand_over(vec![self.pidfd().get_fd(number)?])?;
                    self.say(sync::PROCEED)?;
                }
                Up::Tag(..) => {}
                Up::Failed(failure) => return Err(failure.into()),
                Up::End => return Err(self.died()),
            }
        }
    }

    /// The master of its terminal, once after [`Created::wait_ready`].
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }

    /// Lets it exec, and waits until it has.
    ///
    /// # Errors
    /// [`Error::CommandNotFound`], [`Error::CommandNotExecutable`] and others; it is reaped then.
    pub fn go(mut self) -> Result<Started, Error> {
        self.say(sync::GO)?;
        loop {
            match sync::receive_up(&self.socket)? {
                Up::End => {
                    tracing::debug!("init: closing the pipe to signal completion");
                    return self.ended();
                }
                Up::Tag(..) | Up::ListenerAt(_) => {}
                Up::Failed(failure) => return Err(failure.into()),
            }
        }
    }

    /// At once, before it says that it is ready: that itself may be a call that is notified.
    fn hand_over(&self, sent: Vec<OwnedFd>) -> Result<(), Error> {
        let Some(agent) = &self.agent else { return Ok(()) };
        Ok(agent.take(self.pid, sent)?)
    }

    /// Lets it live on without us ([`StartOn::Connection`]).
    #[must_use]
    pub fn detach(mut self) -> Started {
        let pidfd = self.pidfd.take().expect("present until the value is consumed");
        Started { pid: self.pid, pidfd }
    }

    /// The end of the conversation: it runs, or has run and ended already, for a failed start says so. But one that
    /// was killed before its exec could say nothing.
    fn ended(mut self) -> Result<Started, Error> {
        let killed =
            self.pidfd.as_ref().is_some_and(|p| matches!(p.peek(), Ok(Some(ExitStatus::Signaled { .. }))));
        if killed && !process::has_executed(self.pid) {
            return Err(self.died());
        }
        let pidfd = self.pidfd.take().expect("present until the value is consumed");
        Ok(Started { pid: self.pid, pidfd })
    }

    /// A child that is gone cannot be told; why, it has said or will be seen in its status.
    fn say(&mut self, tag: u8) -> Result<(), Error> {
        match sync::send(&self.socket, tag, &[]) {
            Err(e) if e.is(libc::EPIPE) || e.is(libc::ECONNRESET) => match sync::receive_up(&self.socket)? {
                Up::Failed(failure) => Err(failure.into()),
                Up::Tag(..) | Up::ListenerAt(_) | Up::End => Err(self.died()),
            },
            other => Ok(other?),
        }
    }

    fn died(&mut self) -> Error {
        let status = self.pidfd.take().map(|p| {
            let _gone = p.signal(libc::SIGKILL);
            p.wait()
        });
        Error::Died(match status {
            Some(Ok(ExitStatus::Signaled { signal, .. })) => {
                format!("killed by {}", crate::sys::signal::name(signal))
            }
            Some(Ok(ExitStatus::Exited(code))) => format!("exit code {code}"),
            Some(Err(e)) => e.to_string(),
            None => "unknown".to_owned(),
        })
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            let _gone = pidfd.signal(libc::SIGKILL);
            let _reaped = pidfd.wait();
        }
    }
}

impl OutsideHooks {
    fn new(request: &Request<'_>, pid: i32, any: bool) -> Self {
        if !any {
            return Self::default();
        }
        Self {
            prestart: super::hooks::prestart(request.spec).to_vec(),
            create_runtime: super::hooks::create_runtime(request.spec).to_vec(),
            state: super::hooks::state_json(request.id, "creating", pid, request.bundle, request.spec),
        }
    }
}

/// Namespaces that only children enter (pid, time) and those of the host's user namespace that a
/// process in a new one could not join any more: we join them around the clone, and come back.
struct Around {
    back: Vec<(ns::Kind, OwnedFd)>,
}

impl Around {
    fn enter(plan: &NamespacePlan) -> Result<Self, Error> {
        let mut around = Self { back: Vec::new() };
        let entered = around.enter_all(plan);
        match entered {
            Ok(()) => Ok(around),
            Err(e) => {
                around.leave()?;
                Err(e)
            }
        }
    }

    fn enter_all(&mut self, plan: &NamespacePlan) -> Result<(), Error> {
        for (kind, file) in &plan.joined {
            if init::joined_by_parent(*kind, plan.maps.is_some()) {
                self.back.push((*kind, ns::open_of_self(*kind)?));
                ns::join(file, *kind)?;
            }
        }
        // Of a new user namespace its own root makes it (`steps::namespaces`).
        if plan.is_new(ns::Kind::Time) && plan.maps.is_none() {
            self.back.push((ns::Kind::Time, ns::open_of_self(ns::Kind::Time)?));
            plan.unshare_time()?;
        }
        Ok(())
    }

    fn leave(self) -> Result<(), Error> {
        for (kind, file) in self.back.iter().rev() {
            come_back(file, *kind)?;
        }
        Ok(())
    }
}

/// Back to a namespace that was ours. In a user namespace those of pids and of time may be the machine's, which cannot
/// be entered from there. They are for children only, and without root we make no other child.
pub(super) fn come_back(own: &OwnedFd, kind: ns::Kind) -> Result<(), Error> {
    match ns::join(own, kind) {
        Err(e)
            if e.is(libc::EPERM)
                && matches!(kind, ns::Kind::Pid | ns::Kind::Time)
                && idmap::user_above().is_some() =>
        {
            Ok(())
        }
        other => Ok(other?),
    }
}
