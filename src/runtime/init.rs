//! The child's side of a start: the steps in their order, each with the reason why it stands where
//! it stands. It runs in a copy of the parent's memory, logs nothing, and reports over its socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::netdev;
use super::plan::Plan;
use super::plan::mounts::What;
use super::spawn::{StartOn, Stdio};
use super::steps::mounts::Given;
use super::steps::{command, console, devices, identity, masks, mounts, namespaces, rootfs, security};
use super::sync::{self, During, Failure, Kind, Step};
use crate::sys::event::{Epoll, Events, Received, SignalFd, interest};
use crate::sys::proc::Proc;
use crate::sys::root::Root;
use crate::sys::tty::Pty;
use crate::sys::{self, fd, limits, mount, ns, process, socket};

/// Runs everything; returns (with the code of the process) only on failure.
pub(super) fn run(plan: &Plan<'_>, socket: OwnedFd) -> i32 {
    let told = fd::dup(&socket, first_free(plan)).during(|| "keeping the socket".into());
    let mut told = match told {
        Ok(told) => told,
        Err(failure) => {
            failure.send(&socket);
            return 125;
        }
    };
    let Err(failure) = start(plan, socket, &mut told);
    failure.send(&told);
    match failure.kind {
        Kind::NotFound => 127,
        Kind::NotExecutable => 126,
        Kind::Exec if failure.errno == libc::ENOENT => 127,
        Kind::Exec => 126,
        Kind::Step | Kind::Spec => 125,
    }
}

/// The first number that no descriptor of the program has.
fn first_free(plan: &Plan<'_>) -> i32 {
    3 + i32::try_from(plan.preserved.len()).unwrap_or(i32::MAX / 2)
}

fn start(plan: &Plan<'_>, socket: OwnedFd, told: &mut OwnedFd) -> Step<std::convert::Infallible> {
    // First, because a dead parent must take us along whatever we are doing.
    die_with_parent(plan)?;
    // Before anything is allocated, so that it is counted where it belongs.
    namespaces::join_cgroup(&plan.join_cgroup)?;
    // The CPUs of the cgroup, not those of whoever called us.
    limits::reset_affinity();
    process::setsid().during(|| "starting a session".into())?;
    if plan.new_keyring {
        process::new_session_keyring().during(|| "making a session keyring".into())?;
    }
    let keep_groups = plan.process.groups.is_none();
    // Of a process in a user namespace the files in /proc are soon those of the host's root.
    let scored = plan.namespaces.in_user_namespace()
        && Proc::host().is_ok_and(|host| identity::write_oom_score(&plan.process, &host).is_ok());
    if plan.namespaces.maps.is_some() && plan.namespaces.is_new(ns::Kind::Time) {
        // While our files in /proc are still our own to write to.
        namespaces::make_time(&plan.namespaces)?;
    }
    namespaces::join(&plan.namespaces, keep_groups)?;
    let mut waited = false;
    if plan.namespaces.maps.is_some() {
        // Until the parent has written the maps nothing can be owned by us.
        wait(plan, &socket, &mut waited)?;
        namespaces::become_root_of_user_namespace(&plan.namespaces, keep_groups)?;
    }
    limits::set_umask(0);
    // Host names before the mounts: a hook may look at them.
    namespaces::set_names(plan)?;
    if plan.namespaces.is_new(ns::Kind::Net) {
        netdev::loopback_up()?;
    }
    if !plan.net_devices.is_empty() {
        // Kernel parameters may be theirs.
        wait(plan, &socket, &mut waited)?;
    }
    // Made and written to before it is attached anywhere: nobody can have put anything over it. In a
    // user namespace it must be made while the host's /proc is still there to be compared with.
    let proc = trusted_proc(plan)?;
    if !scored {
        identity::write_oom_score(&plan.process, &proc)?;
    }
    identity::write_sysctls(plan, &proc)?;
    if plan.own_mounts {
        namespaces::cut_propagation()?;
    }
    let root = rootfs::attach(plan)?;
    let pty = build_root(plan, &socket, &root, &proc, &mut waited)?;
    wait(plan, &socket, &mut waited)?;
    let process = &plan.process;
    identity::set_domain(&plan.domain)?;
    security::write_labels(process, &proc)?;
    let kept = Kept::new(plan, &socket, pty.as_ref())?;
    let stdio = stdio_of(plan, pty.as_ref());
    let own = command::nulls_of(&root, stdio);
    let stdio = [0, 1, 2].map(|i: usize| own[i].as_ref().map_or(stdio[i], AsFd::as_fd));
    command::place_descriptors(stdio, plan.preserved, first_free(plan))?;
    drop(own);
    // Numbers that are the program's by now, or closed.
    pty.into_iter().for_each(Pty::leak);
    fd::leak([socket, proc.into_fd(), root.into_fd()]);
    kept.close_others(plan, told)?;
    finish(plan, kept, told)
}

/// Mounts, devices, terminal, pivot and what can only follow it.
fn build_root(
    plan: &Plan<'_>,
    socket: &OwnedFd,
    root: &Root,
    proc: &Proc,
    waited: &mut bool,
) -> Step<Option<Pty>> {
    let mut given = Given { root, proc, late: Vec::new(), socket };
    for one in &plan.mounts {
        if matches!(one.what, What::Cgroup(_)) {
            // The view needs its root, and that is our cgroup.
            wait(plan, socket, waited)?;
        }
        mounts::mount_one(one, &mut given)?;
    }
    wait(plan, socket, waited)?;
    let late = given.late;
    // After the mounts: /dev is one of them.
    devices::set_up(plan, root)?;
    // The terminal lives in the devpts just mounted.
    let pty = console::make(plan, root)?;
    rootfs::make_working_directory(plan, root)?;
    run_creation_hooks(plan, socket, root)?;
    mounts::make_read_only(&late)?;
    let null = masks::null(plan)?;
    rootfs::enter(plan, root)?;
    // Masks last: what is mounted after could uncover them; read-only paths before masks, so that a
    // mask below one is not cloned with it.
    masks::make_read_only(plan, root)?;
    masks::mask(plan, root, null)?;
    rootfs::finish(plan, root)?;
    Ok(pty)
}

/// The process part: from root of the container to the program.
fn finish(plan: &Plan<'_>, kept: Kept, told: &mut OwnedFd) -> Step<std::convert::Infallible> {
    let process = &plan.process;
    if kept.console.is_some() {
        command::take_terminal()?;
    }
    // A limit on descriptors must not hinder placing them.
    identity::set_limits(process)?;
    identity::own_stdio(process.uid);
    become_confined_user(plan)?;
    // With the rights that the program will have: they may let it execute what its user may not.
    security::raise(&process.caps)?;
    let path = command::find(process)?;
    // Who waits to be started is the first process of its pid namespace, which no signal ends but those that it
    // takes; from the moment on that anybody knows of it.
    let signals = kept.listener.is_some().then(|| SignalFd::new(&ENDING)).transpose();
    let signals = signals.during(|| "taking signals".into())?;
    // An agent hears at creation, so its filter is there from now on, and the wait is under it, too.
    let notifies = plan.seccomp.is_some_and(|f| f.listener.is_some());
    if notifies {
        security::confine_told(process, plan.seccomp, &kept.socket)?;
    }
    let console = kept.console.as_ref().map(AsFd::as_fd);
    sync::send(&kept.socket, sync::READY, console.as_slice()).during(|| "reporting".into())?;
    // The other side of the terminal is not ours: held here, its end would never be seen.
    drop(kept.console);
    // Held until the program runs: its end says so.
    let socket = wait_for_go(plan, kept.socket, kept.listener, signals, told)?;
    if !notifies {
        security::confine_told(process, plan.seccomp, &socket)?;
    }
    // Programs of the container's: confined as it is.
    run_start_hooks(plan)?;
    // A change of ids has cleared it.
    die_with_parent(plan)?;
    Err(match &kept.reaper {
        Some(program) => super::reaper::execute(program, process, first_free(plan)),
        None => command::execute(process, path),
    })
}

/// Descriptors that are used after those of the program have taken their numbers, so these are
/// copies above them.
struct Kept {
    socket: OwnedFd,
    console: Option<OwnedFd>,
    listener: Option<OwnedFd>,
    reaper: Option<OwnedFd>,
}

impl Kept {
    fn new(plan: &Plan<'_>, socket: &OwnedFd, pty: Option<&Pty>) -> Step<Self> {
        let up = |f: BorrowedFd<'_>| fd::dup(f, first_free(plan)).during(|| "keeping a descriptor".into());
        let listener = match plan.start_on {
            StartOn::Go => None,
            StartOn::Connection(listener) => Some(up(listener)?),
        };
        Ok(Self {
            socket: up(socket.as_fd())?,
            console: pty.map(|p| up(p.master.as_fd())).transpose()?,
            listener,
            reaper: plan.reaper.as_ref().map(|r| up(r.as_fd())).transpose()?,
        })
    }

    /// Closes all that neither the program nor we need any more (rule R5). A container that waits to be
    /// started holds nothing of the host, and its own limit of descriptors does not hinder us.
    fn close_others(&self, plan: &Plan<'_>, told: &OwnedFd) -> Step<()> {
        let others = [self.console.as_ref(), self.listener.as_ref(), self.reaper.as_ref()];
        let kept: Vec<BorrowedFd<'_>> =
            others.into_iter().flatten().chain([&self.socket, told]).map(AsFd::as_fd).collect();
        fd::close_all_but(first_free(plan), &kept).during(|| "closing descriptors".into())
    }
}

fn become_confined_user(plan: &Plan<'_>) -> Step<()> {
    let process = &plan.process;
    security::limit_bounding(&process.caps)?;
    command::enter_directory(process, true)?;
    identity::become_user(process, plan.namespaces.in_user_namespace())?;
    command::enter_directory(process, false)
}

/// The signal comes when the thread that cloned us ends. If that was before we asked for it, the
/// socket has hung up, which the next message shows.
fn die_with_parent(plan: &Plan<'_>) -> Step<()> {
    match plan.parent_death_signal {
        Some(signal) => process::set_parent_death_signal(signal)
            .during(|| "asking for a signal on the parent's death".into()),
        None => Ok(()),
    }
}

/// Waits, once, until the parent has put us into our cgroup (and written id maps).
fn wait(plan: &Plan<'_>, socket: &OwnedFd, waited: &mut bool) -> Step<()> {
    if *waited {
        return Ok(());
    }
    *waited = true;
    if plan.waits {
        sync::expect(socket, sync::PROCEED)?;
    }
    namespaces::unshare_cgroup(&plan.namespaces)
}

fn trusted_proc(plan: &Plan<'_>) -> Step<Proc> {
    let attributes = plan.mounts.iter().find(|m| mounts::is_plain_proc(m)).map_or(0, |m| m.options.set);
    match Proc::private_with(attributes) {
        // In a user namespace with the host's pids there can be none. Until the root is attached, /proc is the host's.
        Err(e) if e.is(libc::EPERM) && !plan.mounts.iter().any(mounts::is_plain_proc) => Proc::host(),
        made => made,
    }
    .during(|| "making a procfs of the container".into())
}

fn run_creation_hooks(plan: &Plan<'_>, socket: &OwnedFd, root: &Root) -> Step<()> {
    if plan.hooks_outside {
        sync::send(socket, sync::HOOKS, &[]).during(|| "asking for hooks".into())?;
        sync::expect(socket, sync::PROCEED)?;
    }
    if plan.hooks.create_container.is_empty() {
        return Ok(());
    }
    // They find the container's files below their working directory, the host's below the root.
    mount::change_directory(root).during(|| "entering the root file system for hooks".into())?;
    run_hooks("createContainer", plan.hooks.create_container, plan, "creating")
}

fn run_start_hooks(plan: &Plan<'_>) -> Step<()> {
    run_hooks("startContainer", plan.hooks.start_container, plan, "created")
}

fn run_hooks(
    kind: &'static str,
    hooks: &[oci_spec::runtime::Hook],
    plan: &Plan<'_>,
    status: &str,
) -> Step<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let env = (kind == "startContainer").then_some(&plan.process.env);
    let state = plan.hooks.state(status, process::pid());
    super::hooks::run_with(kind, hooks, &state, env).map_err(|e| Failure {
        kind: Kind::Spec,
        what: "hooks".into(),
        why: e.to_string(),
        errno: 0,
    })
}

fn stdio_of<'a>(plan: &'a Plan<'_>, pty: Option<&'a Pty>) -> [BorrowedFd<'a>; 3] {
    match (pty, &plan.stdio) {
        (Some(pty), _) => [pty.slave.as_fd(); 3],
        (None, Stdio::Fds(fds)) => *fds,
        (None, Stdio::Terminal { .. }) => {
            unreachable!("a terminal was asked for and is made by console::make")
        }
    }
}

/// Signals that end a container that was created and not started.
const ENDING: [i32; 7] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM];

/// Waits for a connection, or for a signal, which comes back.
fn which(listener: &OwnedFd, signals: &SignalFd) -> sys::Result<Option<Received>> {
    let epoll = Epoll::new()?;
    epoll.add(listener, 0, interest::READ)?;
    epoll.add(signals, 1, interest::READ)?;
    let mut events = Events::default();
    loop {
        let came: Vec<u64> = epoll.wait(&mut events, None)?.iter().map(|e| e.token).collect();
        if came.contains(&1)
            && let Some(received) = signals.read()?
        {
            return Ok(Some(received));
        }
        if came.contains(&0) {
            return Ok(None);
        }
    }
}

/// Waits for the word, from our parent or from whoever connects to the start socket. Returns the
/// socket on which the end, or a failure, will be seen.
fn wait_for_go(
    plan: &Plan<'_>,
    socket: OwnedFd,
    listener: Option<OwnedFd>,
    signals: Option<SignalFd>,
    told: &mut OwnedFd,
) -> Step<OwnedFd> {
    let Some(listener) = listener else {
        sync::expect(&socket, sync::GO)?;
        return Ok(socket);
    };
    drop(socket);
    let failed = || "waiting to be started".into();
    let keep = |from: &OwnedFd| fd::dup(from, first_free(plan)).during(|| "keeping the connection".into());
    loop {
        if let Some(signals) = &signals
            && let Some(received) = which(&listener, signals).during(failed)?
        {
            process::end_child(128 + received.signal);
        }
        let connection = socket::accept(&listener).during(failed)?;
        // Whoever asks and goes away again has not started us.
        if sync::expect(&connection, sync::GO).is_ok() {
            *told = keep(&connection)?;
            return keep(&connection);
        }
    }
}

/// Kinds of namespaces whose joining is the parent's, around the clone.
pub(super) fn joined_by_parent(kind: ns::Kind, user_namespace: bool) -> bool {
    user_namespace || matches!(kind, ns::Kind::Pid | ns::Kind::Time)
}
