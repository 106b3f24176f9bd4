//! exec.

use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::{Process, Spec};

use crate::runtime::cgroup::Manager;
use crate::runtime::cgroup::below::Below;
use crate::runtime::exec::{self, Executed};
use crate::runtime::spawn::Stdio;
use crate::runtime::state::{Status, Store};
use crate::runtime::{Error, hooks, seccomp};
use crate::sys::atomic::{self, Durability};
use crate::sys::fd;

/// What to run in a container.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where containers are.
    pub store: &'a Store,
    /// The container.
    pub id: &'a str,
    /// The process, from [`Container::spec`]'s or a file, changed by flags.
    pub process: &'a Process,
    /// Socket that gets the terminal's master.
    pub console_socket: Option<&'a Path>,
    /// cgroup below the container's.
    pub below: &'a Below,
    /// Socket that gets a pidfd of the process.
    pub pidfd_socket: Option<&'a Path>,
    /// File that gets the pid.
    pub pid_file: Option<&'a Path>,
    /// Descriptors from 3 that go into the container.
    pub preserve_fds: u32,
    /// The process ends with us.
    pub dies_with_us: bool,
    /// Run in a paused container, where it will wait.
    pub ignore_paused: bool,
}

/// Starts the process; the terminal comes back where no console socket took it.
///
/// # Errors
/// [`Error`].
pub fn run(request: &Request<'_>) -> Result<Executed, Error> {
    let container = request.store.open(request.id)?;
    match container.status()? {
        Status::Running => {}
        Status::Created => {}
        Status::Paused if request.ignore_paused => {}
        Status::Paused => {
            return Err(Error::refused(
                "cannot exec in a paused container (use --ignore-paused to override)",
            ));
        }
        Status::Stopped => return Err(Error::refused("cannot exec in a stopped container")),
    }
    let init = super::create::init_of(&container)?;
    let spec = container.spec()?;
    let filter = filter_of(&spec)?;
    let cgroup = match container.cgroup()? {
        // It moved itself elsewhere, and its own was removed: ours is no place for what runs in it.
        None if !container.state.cgroup.is_empty() => {
            Manager::detect()?.of_process(container.state.init.pid).ok()
        }
        own => own,
    };
    let preserved = super::create::take_preserved(request.preserve_fds)?;
    let preserved = super::create::lent(&preserved);
    let mut process = request.process.clone();
    // Only a file of the container is read beneath it, through descriptors.
    let root = fd::open_dir(Path::new(&format!("/proc/{}/root", container.state.init.pid)))?;
    super::create::set_home(&mut process, root)?;
    let terminal = request.process.terminal().unwrap_or(false);
    let size = request.process.console_size();
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
    // A child has the groups of its parent.
    container.state.rdt.enter()?;
    let mut executed = exec::exec(exec::Request {
        init: &init,
        init_pid: container.state.init.pid,
        process: &process,
        cgroup: cgroup.as_ref(),
        below: request.below,
        linux: spec.linux().as_ref(),
        seccomp: filter.as_ref(),
        state: &hooks::state_json(
            &container.state.id,
            "running",
            container.state.init.pid,
            &container.state.bundle,
            &spec,
        ),
        stdio,
        preserved: &preserved,
        parent_death_signal: request.dies_with_us.then_some(libc::SIGKILL),
    })?;
    if let Err(e) = finish(request, &mut executed) {
        // Whoever asked for it hears of a failure, and must find none of it.
        let _gone = executed.pidfd.signal(libc::SIGKILL);
        let _reaped = executed.pidfd.wait();
        return Err(e);
    }
    Ok(executed)
}

/// Whoever has to get something of the new process gets it.
fn finish(request: &Request<'_>, executed: &mut Executed) -> Result<(), Error> {
    if let (Some(path), Some(master)) = (request.console_socket, executed.console.as_ref()) {
        super::create::send_console(path, master)?;
        let _sent: Option<OwnedFd> = executed.console.take();
    }
    if let Some(path) = request.pidfd_socket {
        super::create::send_pidfd(path, &executed.pidfd)?;
    }
    if let Some(file) = request.pid_file {
        atomic::write(file, executed.pid.to_string().as_bytes(), 0o644, Durability::None)?;
    }
    Ok(())
}

fn filter_of(spec: &Spec) -> Result<Option<seccomp::Filter>, Error> {
    Ok(spec.linux().as_ref().and_then(|l| l.seccomp().as_ref()).map(seccomp::from_oci).transpose()?)
}
