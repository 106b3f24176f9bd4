//! create, start and run.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxResources, Process};

use crate::runtime::bundle::Bundle;
use crate::runtime::cgroup::{Cgroup, Manager};
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

/// Who makes the cgroup of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroups {
    /// We do, by the files of the hierarchies.
    Files,
    /// systemd does, at our wish.
    Systemd,
    /// It has none, and stays in that of the caller.
    None,
}

/// A container that waits to be started by us.
#[derive(Debug)]
pub struct Waiting {
    created: Created,
    filter: Option<Filter>,
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
struct Undo<'a> {
    dir: &'a Path,
    cgroup: Option<&'a Cgroup>,
    armed: bool,
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
    let mut early = Undo { dir: &dir, cgroup: None, armed: true };
    atomic::create_new(&dir.join(CONFIG), &bundle.text, 0o600)?;
    let cgroup = make_cgroup(&bundle, request)?;
    early.armed = false;
    let mut undo = Undo { dir: &dir, cgroup: cgroup.as_ref(), armed: true };
    let filter =
        bundle.spec.linux().as_ref().and_then(|l| l.seccomp().as_ref()).map(seccomp::from_oci).transpose()?;
    let preserved = take_preserved(request.preserve_fds)?;
    let listener = if detached {
        Some(socket::listen(&dir.join(START_SOCKET), socket::Kind::SeqPacket, 0o600)?)
    } else {
        None
    };
    let mut created =
        clone_container(request, &bundle, cgroup.as_ref(), filter.as_ref(), &preserved, listener.as_ref())?;
    created.wait_ready()?;
    let mut console = created.take_console();
    if let (Some(path), Some(master)) = (request.console_socket, &console) {
        send_console(path, master)?;
        console = None;
    }
    if let Some(path) = request.pidfd_socket {
        send_pidfd(path, created.pidfd())?;
    }
    let state = State {
        version: 0,
        id: request.id.to_owned(),
        bundle: bundle.path.clone(),
        rootfs: bundle.rootfs.clone(),
        init: process::identity(created.pid())?,
        cgroup: cgroup.as_ref().map(|c| c.path().to_owned()).unwrap_or_default(),
        created: jiff::Timestamp::now(),
        owner: crate::sys::probe::effective_uid(),
        systemd: request.cgroups == Cgroups::Systemd,
    };
    let container = Container::save(dir.clone(), state)?;
    if let Some(file) = request.pid_file {
        atomic::write(file, created.pid().to_string().as_bytes(), 0o644, Durability::None)?;
    }
    undo.armed = false;
    drop(undo);
    Ok(Waiting { created, filter, bundle, container, console })
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

fn make_cgroup(bundle: &Bundle, request: &Request<'_>) -> Result<Option<Cgroup>, Error> {
    let linux = bundle.spec.linux().as_ref();
    let given = linux.and_then(|l| l.cgroups_path().as_ref()).map(|p| p.to_string_lossy().into_owned());
    let path_given = given.as_ref().is_some_and(|p| !p.is_empty());
    let systemd = request.cgroups == Cgroups::Systemd;
    if request.cgroups == Cgroups::None {
        return without_cgroup(linux);
    }
    if systemd && !crate::runtime::cgroup::systemd_runs() {
        return Err(Error::refused("--systemd-cgroup: systemd not running on this host, leave the flag out"));
    }
    let path = match given.filter(|p| !p.is_empty()) {
        Some(path) if systemd || path.starts_with('/') => path,
        Some(path) => format!("/{path}"),
        None if systemd => format!("system.slice:rcon:{}", request.id),
        None => format!("/{}", request.id),
    };
    let resources = linux.and_then(|l| l.resources().clone()).unwrap_or_default();
    let asked = resources != LinuxResources::default();
    let manager = match Manager::detect() {
        // Nothing is mounted, and nothing is asked for.
        Err(crate::runtime::cgroup::Error::NotMounted) if !asked => return Ok(None),
        manager => manager?,
    };
    refuse_frozen(&manager, &path)?;
    match manager.create(&path, &resources) {
        Err(e) if request.rootless && !path_given && e.is_denied() => {
            tracing::warn!("no cgroup is made: {e}");
            Ok(None)
        }
        made => Ok(Some(made?)),
    }
}

/// No cgroup was wanted; what only a cgroup can hold to is refused.
fn without_cgroup(linux: Option<&oci_spec::runtime::Linux>) -> Result<Option<Cgroup>, Error> {
    let mut resources = linux.and_then(|l| l.resources().clone()).unwrap_or_default();
    // The rules of devices are in every configuration, and whoever disables cgroups knows that they go with them.
    if resources.devices().as_ref().is_some_and(|rules| !rules.is_empty()) {
        tracing::warn!("linux.resources.devices has no effect: the cgroup manager is disabled");
        resources.set_devices(None);
    }
    if resources != LinuxResources::default() {
        return Err(Error::spec(
            "linux.resources",
            "limits need a cgroup, and the cgroup manager is disabled",
        ));
    }
    Ok(None)
}

/// A cgroup that is frozen already would never let its first process do anything.
fn refuse_frozen(manager: &Manager, path: &str) -> Result<(), Error> {
    match manager.open(path) {
        Ok(there) if there.is_frozen().unwrap_or(false) => {
            Err(Error::refused(format!("container's cgroup unexpectedly frozen: {path}")))
        }
        _ => Ok(()),
    }
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
                    tracing::warn!("descriptor {n} was to be handed on, and is not open");
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
pub(super) fn send_console(path: &Path, master: &OwnedFd) -> Result<(), Error> {
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
        let pid = self.created.pid();
        let mut started = self.created.go()?;
        if let (Some(fd), Some(filter)) = (started.seccomp_listener.take(), &self.filter) {
            hand_over_listener(filter, &self.container, &self.bundle.spec, fd, pid)?;
        }
        run_poststart(&self.container, &self.bundle.spec)?;
        Ok((started, self.container, self.console))
    }
}

/// Gives the seccomp agent its descriptor.
pub(super) fn hand_over_listener(
    filter: &Filter,
    container: &Container,
    spec: &oci_spec::runtime::Spec,
    fd: OwnedFd,
    pid: i32,
) -> Result<(), Error> {
    let Some(listener) = &filter.listener else { return Ok(()) };
    let state = hooks::state_json(&container.state.id, "creating", pid, &container.state.bundle, spec);
    Ok(seccomp::notify::send(listener, &state, pid, fd.as_fd())?)
}

/// Starts a created container.
///
/// # Errors
/// [`Error::Spec`] where it is not created; what its exec failed with.
pub fn start(store: &Store, id: &str) -> Result<(), Error> {
    let container = store.open(id)?;
    let _lock = container.lock()?;
    match container.status() {
        Status::Created => {}
        Status::Stopped => return Err(Error::refused("cannot start a container that has stopped")),
        Status::Running | Status::Paused => {
            return Err(Error::refused("cannot start an already running container"));
        }
    }
    let path: PathBuf = container.start_socket();
    let connection = socket::connect(&path, socket::Kind::SeqPacket)?;
    sync::send(&connection, sync::GO, &[])?;
    let spec = container.spec()?;
    loop {
        match sync::receive_up(&connection)? {
            Up::End => break,
            Up::Tag(sync::LISTENER, mut fds) => {
                let filter = spec
                    .linux()
                    .as_ref()
                    .and_then(|l| l.seccomp().as_ref())
                    .map(seccomp::from_oci)
                    .transpose()?;
                if let (Some(fd), Some(filter)) = (fds.pop(), filter) {
                    hand_over_listener(&filter, &container, &spec, fd, container.state.init.pid)?;
                }
            }
            Up::Tag(..) => {}
            Up::Failed(failure) => {
                let _gone = std::fs::remove_file(&path);
                return Err(failure.into());
            }
        }
    }
    std::fs::remove_file(&path)
        .map_err(|e| crate::sys::Error::from_io("unlink", path.display().to_string(), &e))?;
    run_poststart(&container, &spec).inspect_err(|_| {
        // The spec's words: an error, the container is stopped, and its life ends as any other.
        let _first_error_counts = super::delete::delete_opened(container, true);
    })
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
