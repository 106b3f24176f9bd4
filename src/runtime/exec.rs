//! A second process in a running container: the parent's side and the child's, with the steps of a
//! start where they are the same.
//!
//! The child becomes undumpable before it enters the container, so that no process there can reach
//! its memory, its descriptors or, through `/proc/PID/exe`, our program (rule R4); callers that run
//! from a writable file execute themselves from a read-only one first ([`crate::sys::self_exe`]).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{Linux, Process};

use super::cgroup::Cgroup;
use super::cgroup::below::Below;
use super::plan::domain::Domain;
use super::plan::process::{ProcessPlan, cpu_list};
use super::seccomp::{Filter, notify::Agent};
use super::spawn::Stdio;
use super::steps::{command, console, identity, namespaces, security};
use super::sync::{self, During, Step, Up};
use super::{Error, inside};
use crate::sys::proc::Proc;
use crate::sys::process::{self, CloneArgs, PidFd};
use crate::sys::root::Root;
use crate::sys::tty::Pty;
use crate::sys::{caps, fd, idmap, limits, ns, socket};

/// A process to put into a container.
#[derive(Debug)]
pub struct Request<'a> {
    /// The container's first process.
    pub init: &'a PidFd,
    /// Its pid, as we see it.
    pub init_pid: i32,
    /// What to run.
    pub process: &'a Process,
    /// The container's cgroup.
    pub cgroup: Option<&'a Cgroup>,
    /// Where to below it.
    pub below: &'a Below,
    /// The container's own spec: its memory policy and execution domain are each process's.
    pub linux: Option<&'a Linux>,
    /// The container's filter.
    pub seccomp: Option<&'a Filter>,
    /// The container's state document, for the agent of a filter that notifies one.
    pub state: &'a [u8],
    /// Its descriptors 0 to 2.
    pub stdio: Stdio<'a>,
    /// Its descriptors 3 and up; a number may be left free.
    pub preserved: &'a [Option<BorrowedFd<'a>>],
    /// Signal for it when the caller dies.
    pub parent_death_signal: Option<i32>,
}

/// A process that runs in a container.
#[derive(Debug)]
pub struct Executed {
    /// Its pid, as we see it.
    pub pid: i32,
    /// Handle on it; it is our child.
    pub pidfd: PidFd,
    /// The master of its terminal.
    pub console: Option<OwnedFd>,
}

/// What the child does.
struct Plan<'a> {
    request: &'a Request<'a>,
    process: ProcessPlan,
    /// Namespaces to enter, as `CLONE_NEW…` flags.
    join: u64,
    /// It runs in another user namespace than the machine's.
    user_namespace: bool,
    /// We may enter nothing but the container's user namespace: a process between does ([`inside`]).
    enters_between: bool,
    first_cpus: Option<Vec<usize>>,
    waits: bool,
    /// Files by which the child joins the cgroup itself.
    join_cgroup: Vec<OwnedFd>,
    domain: Domain,
}

/// Starts the process and waits until it has executed its program. Single-threaded callers only.
///
/// # Errors
/// [`Error`], of the same kinds as a start; nothing is left then.
pub fn exec(request: Request<'_>) -> Result<Executed, Error> {
    let below = match request.cgroup {
        Some(cgroup) if !request.below.is_own() => cgroup.target_below(request.below)?,
        _ => None,
    };
    let target = below.as_ref().map(AsFd::as_fd).or(request.cgroup.and_then(Cgroup::clone_target));
    let plan = Plan::new(&request)?;
    tracing::debug!("nsexec container setup: entering the container of pid {}", request.init_pid);
    if let Some(cpus) = &plan.first_cpus {
        let mask = cpus.iter().filter(|&&c| c < 64).fold(0_u64, |mask, cpu| mask | 1 << cpu);
        tracing::debug!("nsexec: affinity: {mask:#x}");
    }
    let mut born = plan.bear(target);
    if let (Some(cgroup), true, true) = (request.cgroup, request.below.is_unset(), is_busy(&born)) {
        // One that enabled controllers below itself, as systemd does in a container, takes no process any more. The
        // place of its first process does.
        if let Some(place) = cgroup.place_of(request.init_pid) {
            born = plan.bear(Some(place.as_fd()));
        }
    }
    let (child, socket) = born.map_err(|e| match e {
        Error::Sys(e) if e.is(libc::EBUSY) => {
            Error::refused(format!("adding pid 0 to cgroups of the container: {e}"))
        }
        e => e,
    })?;
    let agent = Agent::of(request.seccomp, || request.state.to_vec());
    let starting = Starting { child: Some(child), socket, agent };
    tracing::debug!("child process in init(): pid {}", starting.pid());
    if let Some(cgroup) = request.cgroup.filter(|_| plan.waits) {
        cgroup.attach(starting.pid())?;
        sync::send(&starting.socket, sync::PROCEED, &[])?;
    }
    starting.follow()
}

/// The new process, and our end of its socket.
type Born = (process::Child, OwnedFd);

fn is_busy<T>(made: &Result<T, Error>) -> bool {
    matches!(made, Err(Error::Sys(e)) if e.is(libc::EBUSY))
}

/// A container whose first process has ended cannot be entered.
fn gone(e: crate::sys::Error) -> Error {
    if e.is(libc::ESRCH) {
        return Error::refused("it is not running");
    }
    e.into()
}

impl<'a> Plan<'a> {
    fn new(request: &'a Request<'a>) -> Result<Self, Error> {
        let mut process = ProcessPlan::new(request.process)?;
        let lent = idmap::user_above().is_some();
        let root = caps::has("SYS_ADMIN");
        let join = namespaces_of(request.init_pid, lent || !root)?;
        let enters_between = join & ns::Kind::User.flag() != 0 && !root;
        let (join_cgroup, waits) = match request.cgroup {
            Some(cgroup) if !request.below.is_own() && cgroup.clone_target().is_none() => {
                (Some(cgroup.join_files_below(request.below)?), false)
            }
            cgroup => super::plan::way_into_cgroup(cgroup)?,
        };
        let affinity = request.process.exec_cpu_affinity().as_ref();
        let list = |text: Option<&String>| text.map(|t| cpu_list(t, "process.execCPUAffinity")).transpose();
        process.affinity = list(affinity.and_then(|a| a.cpu_affinity_final().as_ref()))?;
        Ok(Self {
            request,
            process,
            join: if enters_between { join & !BETWEEN } else { join },
            user_namespace: lent || join & ns::Kind::User.flag() != 0,
            enters_between,
            first_cpus: list(affinity.and_then(|a| a.initial().as_ref()))?,
            waits,
            join_cgroup: join_cgroup.unwrap_or_default(),
            domain: request.linux.map(Domain::new).transpose()?.unwrap_or_default(),
        })
    }

    /// Makes the process, in the container's pid namespace.
    fn bear(&self, cgroup: Option<BorrowedFd<'_>>) -> Result<Born, Error> {
        let (socket, theirs) = socket::pair(socket::Kind::SeqPacket)?;
        let args = CloneArgs { flags: 0, cgroup };
        if self.enters_between {
            let enter = || self.enter_between();
            let child = inside::sibling(&args, enter, &CloneArgs::default(), || run(self, theirs))?;
            return Ok((child, socket));
        }
        let own = ns::open_of_self(ns::Kind::Pid)?;
        ns::join_process(self.request.init, ns::Kind::Pid.flag()).map_err(gone)?;
        let child = process::clone(&args, || run(self, theirs));
        super::spawn::come_back(&own, ns::Kind::Pid)?;
        Ok((child?, socket))
    }

    /// What the process between enters: the user namespace, which gives the rights for the others, and that of pids,
    /// which is for children.
    fn enter_between(&self) -> crate::sys::Result<()> {
        if let Some(value) = &self.process.oom_score_adj {
            // Undumpable, we could not write to our own file any more.
            Proc::host()?.write(Path::new("self/oom_score_adj"), value.as_bytes())?;
        }
        process::set_dumpable(false)?;
        ns::join_process(self.request.init, BETWEEN)
    }

    fn first_free(&self) -> i32 {
        3 + i32::try_from(self.request.preserved.len()).unwrap_or(i32::MAX / 2)
    }
}

/// What a process between enters.
const BETWEEN: u64 = (libc::CLONE_NEWUSER | libc::CLONE_NEWPID) as u64;

/// All kinds but a user namespace that is our own, which cannot be entered again. Without root, or in a user namespace,
/// also but what is our own anyway: it may be the machine's, and not ours to enter.
fn namespaces_of(pid: i32, others_only: bool) -> Result<u64, Error> {
    let mut flags = 0;
    for kind in ns::Kind::ALL {
        if !((others_only || kind == ns::Kind::User) && is_ours(pid, kind)?) {
            flags |= kind.flag();
        }
    }
    Ok(flags)
}

fn is_ours(pid: i32, kind: ns::Kind) -> Result<bool, Error> {
    Ok(ns::identity_of(pid, kind)? == ns::identity(ns::open_of_self(kind)?)?)
}

/// A child that has not executed its program yet; dropped, it is killed and reaped.
struct Starting {
    child: Option<process::Child>,
    socket: OwnedFd,
    /// Who answers the notified calls of its filter.
    agent: Option<Agent>,
}

impl Starting {
    fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |c| c.pid)
    }

    /// At once, not when it has executed its program: the exec itself may be a call that is notified.
    fn hand_over(&self, sent: Vec<OwnedFd>) -> Result<(), Error> {
        let Some(agent) = &self.agent else { return Ok(()) };
        Ok(agent.take(self.pid(), sent)?)
    }

    fn fetch_listener(&self, number: i32) -> Result<(), Error> {
        let Some(child) = &self.child else { return Ok(()) };
        self.hand_over(vec![child.pidfd.get_fd(number)?])?;
        Ok(sync::send(&self.socket, sync::PROCEED, &[])?)
    }

    /// The end of the conversation is an exec, unless the child has ended without one and could say nothing.
    fn has_executed(&self) -> Result<(), Error> {
        let ended = self.child.as_ref().and_then(|c| c.pidfd.peek().ok().flatten());
        match ended {
            Some(status) if !process::has_executed(self.pid()) => {
                Err(Error::Died(format!("exit code {}", status.code())))
            }
            _ => Ok(()),
        }
    }

    /// Hears the child out until it runs its program.
    fn follow(mut self) -> Result<Executed, Error> {
        let mut console = None;
        loop {
            match sync::receive_up(&self.socket)? {
                Up::Tag(sync::READY, mut fds) => console = fds.pop(),
                Up::Tag(sync::LISTENER, fds) => self.hand_over(fds)?,
                Up::ListenerAt(number) => self.fetch_listener(number)?,
                Up::Tag(..) => {}
                Up::Failed(failure) => return Err(failure.into()),
                Up::End => {
                    tracing::debug!("setns_init: about to exec: done");
                    self.has_executed()?;
                    let child = self.child.take().expect("taken only here");
                    return Ok(Executed { pid: child.pid, pidfd: child.pidfd, console });
                }
            }
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            let _gone = child.pidfd.signal(libc::SIGKILL);
            let _reaped = child.pidfd.wait();
        }
    }
}

/// The child: returns, with the code of the process, only on failure.
fn run(plan: &Plan<'_>, socket: OwnedFd) -> i32 {
    let kept = match fd::dup(&socket, plan.first_free()).during(|| "keeping the socket".into()) {
        Ok(kept) => kept,
        Err(failure) => {
            failure.send(&socket);
            return 125;
        }
    };
    let Err(failure) = start(plan, &socket, &kept);
    failure.send(&kept);
    125
}

fn start(plan: &Plan<'_>, socket: &OwnedFd, kept: &OwnedFd) -> Step<std::convert::Infallible> {
    let process = &plan.process;
    process::set_dumpable(false).during(|| "becoming undumpable".into())?;
    die_with_parent(plan)?;
    process::setsid().during(|| "starting a session".into())?;
    process::new_session_keyring().during(|| "making a session keyring".into())?;
    namespaces::join_cgroup(&plan.join_cgroup)?;
    match &plan.first_cpus {
        Some(cpus) => limits::set_affinity(0, cpus).during(|| "setting the CPU affinity".into())?,
        None => limits::reset_affinity(),
    }
    if plan.waits {
        sync::expect(socket, sync::PROCEED)?;
    }
    // Through the host's /proc, before anything of the container's is in sight (rule R2).
    let proc = Proc::host().during(|| "opening /proc".into())?;
    if !plan.enters_between {
        identity::write_oom_score(process, &proc)?;
    }
    security::write_labels(process, &proc)?;
    if plan.user_namespace {
        // In it no hard limit can be raised, whatever we may here.
        limits::raise_hard_of(0, &process.rlimits);
    }
    give_up_groups(plan)?;
    ns::join_process(plan.request.init, plan.join).during(|| "entering the container".into())?;
    let pty = make_terminal(plan)?;
    place(plan, pty, kept)?;
    identity::set_domain(&plan.domain)?;
    identity::set_limits(process)?;
    identity::own_stdio(process.uid);
    security::limit_bounding(&process.caps)?;
    command::enter_directory(process, true)?;
    identity::become_user(process, plan.user_namespace)?;
    command::enter_directory(process, false)?;
    security::raise(&process.caps)?;
    let path = command::find(process)?;
    security::confine_told(process, plan.request.seccomp, kept)?;
    die_with_parent(plan)?;
    Err(command::execute(process, path))
}

/// Root's supplementary groups, while they can still be given up: the user namespace that is entered may deny
/// `setgroups`, and they would open in it what they open on the machine (rule R1).
fn give_up_groups(plan: &Plan<'_>) -> Step<()> {
    match plan.user_namespace && caps::has("SETGID") && plan.join & ns::Kind::User.flag() != 0 {
        true => limits::set_groups(&[]).during(|| "giving up the groups".into()),
        false => Ok(()),
    }
}

fn die_with_parent(plan: &Plan<'_>) -> Step<()> {
    match plan.request.parent_death_signal {
        Some(signal) => process::set_parent_death_signal(signal)
            .during(|| "asking for a signal on the parent's death".into()),
        None => Ok(()),
    }
}

/// A terminal in the container's devpts, its master sent up at once.
fn make_terminal(plan: &Plan<'_>) -> Step<Option<Pty>> {
    let Stdio::Terminal { rows, columns, bare } = plan.request.stdio else { return Ok(None) };
    let open = || {
        let root = Root::open_host(Path::new("/"))?;
        console::open(&root, rows, columns, bare)
    };
    open().map(Some).during(|| "making the terminal".into())
}

/// Descriptors at their numbers; the terminal's master goes up first.
fn place(plan: &Plan<'_>, pty: Option<Pty>, kept: &OwnedFd) -> Step<()> {
    let request = plan.request;
    let Some(pty) = pty else {
        let Stdio::Fds(fds) = request.stdio else { return Ok(()) };
        return command::place_descriptors(fds, request.preserved, plan.first_free());
    };
    sync::send(kept, sync::READY, &[pty.master.as_fd()]).during(|| "handing over the terminal".into())?;
    command::place_descriptors([pty.slave.as_fd(); 3], request.preserved, plan.first_free())?;
    // Its numbers may be the program's by now.
    pty.leak();
    command::take_terminal()
}
