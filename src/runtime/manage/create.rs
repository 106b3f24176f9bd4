//! create, start and run.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Process;

use super::cgroups::{Cgroups, cgroup_owner, make_cgroup};
use crate::runtime::bundle::Bundle;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::rdt::{self, Groups};
use crate::runtime::seccomp::{self, Filter};
use crate::runtime::spawn::{self, Created, Rootfs, StartOn, Started, Stdio};
use crate::runtime::state::{CONFIG, Container, START_SOCKET, State, Status, Store};
use crate::runtime::sync::{self, Up};
use crate::runtime::{Error, hooks, user};

use crate::sys::atomic::{self, Durability};
use crate::sys::process::PidFd;
use crate::sys::{fd, process, socket};

/// What to create.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where containers are.
    pub store: &'a Store,
    /// Its id.
    pub id: &'a str,
    /// Its bundle.
    pub bundle: &'a Path,
    /// Its configuration, where that is not the bundle's `config.json`.
    pub config: Option<&'a Path>,
    /// Socket that gets the terminal's master.
    pub console_socket: Option<&'a Path>,
    /// File that gets the pid.
    pub pid_file: Option<&'a Path>,
    /// Socket that gets a pidfd of the first process.
    pub pidfd_socket: Option<&'a Path>,
    /// Descriptors from 3 that go into the container.
    pub preserve_fds: u32,
    /// Who makes its cgroup.
    pub cgroups: Cgroups,
    /// cgroups that nobody asked for and that we may not make are done without.
    pub rootless: bool,
    /// Give it an empty session keyring.
    pub new_keyring: bool,
    /// The container ends with us (run in the foreground).
    pub dies_with_us: bool,
}

/// A container that waits to be started by us.
#[derive(Debug)]
pub struct Waiting {
    created: Created,
    bundle: Bundle,
    /// Its record.
    pub container: Container,
    /// Its terminal, where no console socket took it.
    pub console: Option<OwnedFd>,
}

/// Creates a container that waits for [`start`]; it lives on without us.
///
/// # Errors
/// [`Error`]; nothing is left then.
pub fn create(request: &Request<'_>) -> Result<(), Error> {
    let waiting = prepare(request, true)?;
    let _detached = waiting.created.detach();
    Ok(())
}

/// Creates a container that [`Waiting::go`] starts.
///
/// # Errors
/// [`Error`]; nothing is left then.
pub fn create_attached(request: &Request<'_>) -> Result<Waiting, Error> {
    prepare(request, false)
}

/// Undoes what was made, unless it is kept.
pub(in crate::runtime) struct Undo<'a> {
    dir: &'a Path,
    cgroup: Option<&'a Cgroup>,
    armed: bool,
}

impl<'a> Undo<'a> {
    pub(in crate::runtime) fn new(dir: &'a Path, cgroup: Option<&'a Cgroup>) -> Self {
        Self { dir, cgroup, armed: true }
    }

    /// Nothing is to be undone any more.
    pub(in crate::runtime) fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.armed {
            let _swept_later = self.cgroup.map(Cgroup::remove);
            let _swept_later = std::fs::remove_dir_all(self.dir);
        }
    }
}

fn prepare(request: &Request<'_>, detached: bool) -> Result<Waiting, Error> {
    let mut bundle = Bundle::load(request.bundle, request.config)?;
    set_environment(&mut bundle)?;
    check_console(&bundle, request, detached)?;
    let (dir, _lock) = request.store.reserve(request.id)?;
    let mut early = Undo::new(&dir, None);
    atomic::create_new(&dir.join(CONFIG), &bundle.text, 0o600)?;
    let cgroup = make_cgroup(&bundle, request)?;
    early.disarm();
    let mut undo = Undo::new(&dir, cgroup.as_ref());
    let filter =
        bundle.spec.linux().as_ref().and_then(|l| l.seccomp().as_ref()).map(seccomp::from_oci).transpose()?;
    let shares = bundle.spec.linux().as_ref().and_then(|l| l.intel_rdt().as_ref());
    let resctrl = rdt::check(shares)?;
    let preserved = take_preserved(request.preserve_fds)?;
    let listener = if detached {
        Some(socket::listen(&dir.join(START_SOCKET), socket::Kind::SeqPacket, 0o600)?)
    } else {
        None
    };
    let mut created =
        clone_container(request, &bundle, cgroup.as_ref(), filter.as_ref(), &preserved, listener.as_ref())?;
    if let (Some(cgroup), Some(owner)) = (&cgroup, cgroup_owner(&bundle.spec)) {
        cgroup.give_to(owner)?;
    }
    let groups = Groups::joined(resctrl, shares, request.id, created.pid())?;
    created.wait_ready()?;
    let mut console = created.take_console();
    if let (Some(path), Some(master)) = (request.console_socket, &console) {
        send_console(path, master)?;
        console = None;
    }
    if let Some(path) = request.pidfd_socket {
        send_pidfd(path, created.pidfd())?;
    }
    let container = record(request, &bundle, cgroup.as_ref(), groups, created.pid())?;
    undo.disarm();
    drop(undo);
    Ok(Waiting { created, bundle, container, console })
}

/// Writes down that there is a container, and its pid where that was asked for.
pub(in crate::runtime) fn record(
    request: &Request<'_>,
    bundle: &Bundle,
    cgroup: Option<&Cgroup>,
    groups: Option<Groups>,
    pid: i32,
) -> Result<Container, Error> {
    let state = State {
        version: 0,
        id: request.id.to_owned(),
        bundle: bundle.path.clone(),
        rootfs: bundle.rootfs.clone(),
        init: process::identity(pid)?,
        cgroup: cgroup.map(|c| c.path().to_owned()).unwrap_or_default(),
        created: jiff::Timestamp::now(),
        owner: crate::sys::probe::effective_uid(),
        systemd: request.cgroups == Cgroups::Systemd,
        rdt: groups.map(Groups::keep).unwrap_or_default(),
    };
    let container = Container::save(request.store.dir(request.id)?, state)?;
    if let Some(file) = request.pid_file {
        atomic::write(file, pid.to_string().as_bytes(), 0o644, Durability::None)?;
    }
    Ok(container)
}

fn clone_container(
    request: &Request<'_>,
    bundle: &Bundle,
    cgroup: Option<&Cgroup>,
    filter: Option<&Filter>,
    preserved: &[Option<OwnedFd>],
    listener: Option<&OwnedFd>,
) -> Result<Created, Error> {
    let terminal = bundle.spec.process().as_ref().and_then(|p| p.terminal()).unwrap_or(false);
    let size = bundle.spec.process().as_ref().and_then(|p| p.console_size());
    let number = |n: u64| u16::try_from(n).unwrap_or(0);
    let stdio = if terminal {
        Stdio::Terminal {
            rows: size.map_or(0, |s| number(s.height())),
            columns: size.map_or(0, |s| number(s.width())),
            bare: request.console_socket.is_none(),
        }
    } else {
        Stdio::Fds([rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()])
    };
    let preserved = lent(preserved);
    spawn::create(spawn::Request {
        id: request.id,
        spec: &bundle.spec,
        bundle: &bundle.path,
        rootfs: Rootfs::Path(&bundle.rootfs),
        mounts: Vec::new(),
        namespaces: Vec::new(),
        cgroup,
        seccomp: filter,
        stdio,
        preserved: &preserved,
        parent_death_signal: request.dies_with_us.then_some(libc::SIGKILL),
        new_keyring: request.new_keyring,
        start_on: listener.map_or(StartOn::Go, |l| StartOn::Connection(l.as_fd())),
        init: false,
    })
}

fn check_console(bundle: &Bundle, request: &Request<'_>, detached: bool) -> Result<(), Error> {
    let terminal = bundle.spec.process().as_ref().and_then(|p| p.terminal()).unwrap_or(false);
    match (terminal, request.console_socket.is_some(), detached) {
        (true, false, true) => Err(Error::spec(
            "process.terminal",
            "cannot allocate tty if the runtime will detach without setting console socket",
        )),
        (false, true, _) => Err(Error::spec(
            "process.terminal",
            "cannot use console socket if the runtime will not detach or allocate tty",
        )),
        _ => Ok(()),
    }
}

/// HOME where the spec has none, as runc and crun set it; what socket activation tells the program.
fn set_environment(bundle: &mut Bundle) -> Result<(), Error> {
    let listen = listen_fds();
    let Some(process) = bundle.spec.process_mut() else { return Ok(()) };
    let root = fd::open_dir(&bundle.rootfs)?;
    set_home(process, root)?;
    if listen > 0 {
        let mut env = process.env().clone().unwrap_or_default();
        env.extend([format!("LISTEN_FDS={listen}"), "LISTEN_PID=1".to_owned()]);
        process.set_env(Some(env));
    }
    Ok(())
}

/// Looks HOME up in the container's own passwd file, where it is not set.
pub(super) fn set_home(process: &mut Process, root: OwnedFd) -> Result<(), Error> {
    let mut env = process.env().clone().unwrap_or_default();
    // An empty one counts as none.
    if env.iter().rev().find(|e| e.starts_with("HOME=")).is_some_and(|e| e != "HOME=") {
        return Ok(());
    }
    let home = user::lookup(root, &process.user().uid().to_string(), &[])?.home;
    env.push(format!("HOME={home}"));
    process.set_env(Some(env));
    Ok(())
}

/// Descriptors that systemd's socket activation gave us.
fn listen_fds() -> u32 {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u32>().ok());
    let ours = number("LISTEN_PID").is_none_or(|pid| pid == std::process::id());
    number("LISTEN_FDS").filter(|_| ours).unwrap_or(0)
}

/// Descriptors 3 to 2 + n. A number that is not open stays free, as crun has it.
pub(super) fn take_preserved(count: u32) -> Result<Vec<Option<OwnedFd>>, Error> {
    (3..3 + i32::try_from(count.saturating_add(listen_fds()).min(1024)).unwrap_or(0))
        .map(|n| {
            // A copy, so that the number itself stays nobody's. A number that the caller left free may be one of ours
            // by now, and ours are not for the container.
            match fd::is_inherited(n) {
                true => Ok(Some(fd::dup_number(n)?)),
                false => {
                    tracing::debug!("descriptor {n} was to be handed on, and is not open");
                    Ok(None)
                }
            }
        })
        .collect()
}

/// What is lent of them to a start.
pub(super) fn lent(preserved: &[Option<OwnedFd>]) -> Vec<Option<BorrowedFd<'_>>> {
    preserved.iter().map(|f| f.as_ref().map(AsFd::as_fd)).collect()
}

/// Sends the master of a terminal as runc does: one message, the descriptor, and its name.
pub(in crate::runtime) fn send_console(path: &Path, master: &OwnedFd) -> Result<(), Error> {
    let connection = socket::connect(path, socket::Kind::Stream)?;
    socket::send_all(&connection, b"/dev/ptmx", &[master.as_fd()])?;
    Ok(())
}

/// Sends a pidfd as runc does: the descriptor, and its name.
pub(super) fn send_pidfd(path: &Path, pidfd: &PidFd) -> Result<(), Error> {
    let connection = socket::connect(path, socket::Kind::Stream)?;
    Ok(socket::send_all(&connection, b"pidfd", &[pidfd.as_fd()])?)
}

impl Waiting {
    /// Lets it exec.
    ///
    /// # Errors
    /// [`Error`].
    pub fn go(self) -> Result<(Started, Container, Option<OwnedFd>), Error> {
        let started = self.created.go()?;
        run_poststart(&self.container, &self.bundle.spec)?;
        Ok((started, self.container, self.console))
    }
}

/// Starts a created container.
///
/// # Errors
/// [`Error::Spec`] where it is not created; what its exec failed with.
pub fn start(store: &Store, id: &str) -> Result<(), Error> {
    let container = store.open(id)?;
    let _lock = container.lock()?;
    match container.status()? {
        Status::Created => {}
        Status::Stopped => return Err(Error::refused("cannot start a container that has stopped")),
        Status::Running => return Err(Error::refused("cannot start an already running container")),
        Status::Paused => return Err(Error::refused("cannot start a container in the paused state")),
    }
    let path: PathBuf = container.start_socket();
    let connection = socket::connect(&path, socket::Kind::SeqPacket)?;
    sync::send(&connection, sync::GO, &[])?;
    let spec = container.spec()?;
    if let Err(e) = follow(&connection) {
        // It is at its end, but whoever hears of the failure may look at once.
        let _gone = super::delete::kill(&container);
        let _gone = std::fs::remove_file(&path);
        return Err(e);
    }
    std::fs::remove_file(&path)
        .map_err(|e| crate::sys::Error::from_io("unlink", path.display().to_string(), &e))?;
    run_poststart(&container, &spec).inspect_err(|_| {
        // The spec's words: an error, the container is stopped, and its life ends as any other.
        let _first_error_counts = super::delete::delete_opened(container, true);
    })
}

/// Listens to a container that was told to go, until it has executed its program.
fn follow(connection: &OwnedFd) -> Result<(), Error> {
    loop {
        match sync::receive_up(connection)? {
            Up::End => return Ok(()),
            Up::Tag(..) | Up::ListenerAt(_) => {}
            Up::Failed(failure) => return Err(failure.into()),
        }
    }
}

fn run_poststart(container: &Container, spec: &oci_spec::runtime::Spec) -> Result<(), Error> {
    let after = hooks::poststart(spec);
    if after.is_empty() {
        return Ok(());
    }
    let state = &container.state;
    let document = hooks::state_json(&state.id, "running", state.init.pid, &state.bundle, spec);
    hooks::run("poststart", after, &document)
}

/// A handle on the first process of a container that has not ended.
///
/// # Errors
/// [`Error::Spec`] where it has.
pub fn init_of(container: &Container) -> Result<PidFd, Error> {
    process::open_identity(&container.state.init).map_err(|e| match e.is(libc::ESRCH) {
        true => Error::refused("container not running"),
        false => e.into(),
    })
}
