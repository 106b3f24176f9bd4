//! Further processes in the container: started on request, listed, their ends told.

use std::os::fd::{AsFd, OwnedFd};

use super::clients::Role;
use super::requests::state;
use super::{CONSOLES, EXECS, Server};
use crate::model::container::{ContainerSpec, Exited};
use crate::monitor::proto::{ExecInfo, ExecRequest, Failure, FailureKind, Kind, Reply, TermSize};
use crate::monitor::realise;
use crate::runtime::cgroup::below::Below;
use crate::runtime::{exec, oci, seccomp, spawn, user};
use crate::sys::event::interest;
use crate::sys::process::PidFd;
use crate::sys::root::Root;
use crate::sys::{fd, tty};

/// Ended sessions that stay listed.
const KEPT: usize = 32;
/// Bytes that may wait for a client of a terminal before the terminal is not read.
const STALL: usize = 64 * 1024;

/// One session.
#[derive(Debug)]
pub(super) struct Exec {
    pub(super) info: ExecInfo,
    /// Handle while it runs.
    pidfd: Option<PidFd>,
    console: Option<OwnedFd>,
    stalled: bool,
    input: Vec<u8>,
}

impl Server {
    pub(super) fn start_exec(
        &mut self,
        slot: usize,
        mut wish: ExecRequest,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Failure> {
        if self.process.is_none() {
            return Err(state("it is not running"));
        }
        if self.paused {
            return Err(state("it is paused, unpause it first"));
        }
        let id = wish.id.take().unwrap_or_else(new_id);
        let spec = self.document()?;
        // docker's words: the program, a blank, its arguments.
        let what = match wish.argv.as_slice() {
            [program] => format!("{program} "),
            all => all.join(" "),
        };
        self.dockers_event(&format!("exec_create: {what}"), &[("execID", id.clone())]);
        let made = self.spawn_exec(&spec, &wish, &fds)?;
        drop((fds, spec));
        self.event(&format!("exec_start: {what}"), &[("execID", id.clone())]);
        let started = Reply::ExecStarted { id: id.clone(), pid: made.pid };
        let detach = wish.detach;
        self.follow(id.clone(), wish, made)?;
        if detach {
            self.clients.finish(slot, &started);
        } else {
            self.clients.reply(slot, &started);
            self.role(slot, Role::Exec(id));
        }
        Ok(())
    }

    /// The container's document, read again: it is not kept in memory.
    pub(super) fn document(&self) -> Result<ContainerSpec, Failure> {
        let path = self.world.paths.spec(&self.world.id);
        let step = "reading the container's document";
        let bytes = fd::read_file(&path).map_err(|e| Failure::internal(step, &e))?;
        serde_json::from_slice(&bytes).map_err(|e| Failure::internal(step, &e))
    }

    /// Starts a process in the container as `wish` and the container's document say.
    pub(super) fn spawn_exec(
        &self,
        spec: &ContainerSpec,
        wish: &ExecRequest,
        fds: &[OwnedFd],
    ) -> Result<exec::Executed, Failure> {
        let Some(main) = &self.process else { return Err(state("it is not running")) };
        let mut words = spec.process.clone();
        words.argv.clone_from(&wish.argv);
        if !wish.env.is_empty() {
            words.env.clone_from(&wish.env);
        }
        realise::add_unset(&mut words.env, &realise::secret_variables(&self.world.paths, spec)?);
        realise::add_unset(&mut words.env, &self.world.links);
        words.tty = wish.tty;
        words.group_add.extend(wish.group_add.iter().cloned());
        if let Some(cwd) = &wish.cwd {
            words.cwd.clone_from(cwd);
        }
        if wish.privileged {
            words.capabilities = crate::sys::caps::all_names().collect();
            words.no_new_privileges = false;
        }
        if wish.user.is_some() {
            // They were asked for for the container's own.
            words.ambient.clear();
        }
        let who = wish.user.as_deref().unwrap_or(&spec.process.user);
        let root = Root::open_host(std::path::Path::new(&format!("/proc/{}/root", main.identity.pid)))
            .map_err(|e| Failure::internal("opening the container's root", &e))?;
        let user = user::lookup(&root, who, &words.group_add).map_err(|e| Failure {
            // As docker: an exec that cannot become what was asked for ends with 126.
            code: 126,
            ..Failure::of(FailureKind::NotFound, "looking up the user in the container", &e)
        })?;
        // How cgroups are mounted matters to mounts only, and an exec makes none.
        let host = realise::host(
            spec,
            &words.rlimits,
            crate::runtime::cgroup::Layout::None,
            self.world.oom_score_adj,
        )?;
        let process = oci::process_of(&words, &spec.security, &host, &user)
            .map_err(|e| Failure::of(FailureKind::Invalid, "putting the process together", &e))?;
        let filter = if wish.privileged || spec.security.privileged {
            None
        } else {
            seccomp::for_container(
                &spec.security.seccomp,
                &spec.process.capabilities,
                Some(&self.world.paths.run),
            )
            .map_err(|e| Failure::of(FailureKind::Invalid, "compiling the seccomp policy", &e))?
        };
        let null = fd::open_null(true).map_err(|e| Failure::internal("opening /dev/null", &e))?;
        let given = if wish.stdio_passed { fds.get(..3) } else { None };
        let stdio = match given {
            _ if wish.tty => {
                let size = wish.size.unwrap_or_default();
                spawn::Stdio::Terminal { rows: size.rows, columns: size.cols, bare: false }
            }
            Some(given) => {
                for (end, _) in given.iter().zip(0..3).filter(|_| user.uid != 0 || self.world.ids.is_some()) {
                    own_pipe(end, realise::on_host(self.world.ids.as_ref(), user.uid, user.gid));
                }
                spawn::Stdio::Fds(std::array::from_fn(|i| given[i].as_fd()))
            }
            None => spawn::Stdio::Fds([null.as_fd(), null.as_fd(), null.as_fd()]),
        };
        let rest = fds.get(given.map_or(0, <[OwnedFd]>::len)..).unwrap_or_default();
        let preserved = realise::at_numbers(&wish.preserved_at, rest);
        let state = serde_json::json!({
            "ociVersion": oci::OCI_VERSION,
            "id": spec.id,
            "status": "running",
            "pid": main.identity.pid,
            "bundle": "/",
        });
        exec::exec(exec::Request {
            init: &main.pidfd,
            init_pid: main.identity.pid,
            process: &process,
            cgroup: self.world.cgroup.as_ref(),
            below: &Below::default(),
            linux: None,
            seccomp: filter.as_ref(),
            state: state.to_string().as_bytes(),
            stdio,
            preserved: &preserved,
            parent_death_signal: Some(libc::SIGKILL),
        })
        .map_err(|e| {
            let failure = Failure::runtime("starting the process", &e);
            // As docker: whatever keeps it from starting, but for a command that is not there.
            Failure { code: if failure.code == 127 { 127 } else { 126 }, ..failure }
        })
    }

    /// Lists a session and follows its process.
    pub(super) fn follow(
        &mut self,
        id: String,
        wish: ExecRequest,
        made: exec::Executed,
    ) -> Result<(), Failure> {
        let info = ExecInfo {
            id,
            argv: wish.argv,
            pid: Some(made.pid),
            exit_code: None,
            tty: wish.tty,
            user: wish.user,
            started: jiff::Timestamp::now(),
        };
        let (pidfd, console) = (Some(made.pidfd), made.console);
        self.follow_exec(Exec { info, pidfd, console, stalled: false, input: Vec::new() })
            .map_err(|e| Failure::internal("following the process", &e))
    }

    fn follow_exec(&mut self, exec: Exec) -> Result<(), crate::sys::Error> {
        self.forget_old_execs();
        let listening = self.listen_to(&exec);
        match (&listening, &exec.pidfd) {
            // Nobody would hear of its end: it is not left to run, and it is reaped.
            (Err(_), Some(pidfd)) => {
                let _gone = pidfd.signal(libc::SIGKILL);
                let _reaped = pidfd.wait();
            }
            _ => self.execs.push(exec),
        }
        listening
    }

    /// Has the events of the next session told.
    fn listen_to(&self, exec: &Exec) -> Result<(), crate::sys::Error> {
        let slot = self.execs.len() as u64;
        if let Some(pidfd) = &exec.pidfd {
            self.epoll.add(pidfd, EXECS + slot, interest::READ)?;
        }
        if let Some(console) = &exec.console {
            fd::set_nonblocking(console, true)?;
            self.epoll.add(console, CONSOLES + slot, interest::READ)?;
        }
        Ok(())
    }

    /// Drops ended sessions at the end of the list (slots of the others must not move).
    fn forget_old_execs(&mut self) {
        let ended = self.execs.iter().filter(|e| e.pidfd.is_none()).count();
        if ended <= KEPT {
            return;
        }
        while self.execs.last().is_some_and(|e| e.pidfd.is_none()) {
            self.execs.pop();
        }
        if self.execs.is_empty() {
            self.execs.shrink_to(0);
        }
    }

    /// An exec's process ended.
    pub(super) fn exec_ended(&mut self, slot: usize) {
        let Some(exec) = self.execs.get_mut(slot) else { return };
        let Some(pidfd) = &exec.pidfd else { return };
        // Once more where it fails: one that is not reaped holds the pid namespace, and the container could not end.
        let status = match pidfd.try_wait().or_else(|_| pidfd.try_wait()) {
            Ok(None) => return,
            Ok(Some(status)) => status.code(),
            Err(_) => 255,
        };
        exec.pidfd = None;
        exec.info.pid = None;
        exec.info.exit_code = Some(status);
        let (id, started) = (exec.info.id.clone(), exec.info.started);
        while self.read_console(slot) {}
        if let Some(exec) = self.execs.get_mut(slot) {
            exec.console = None;
            exec.input = Vec::new();
        }
        if !self.is_probe(&id) {
            self.event("exec_die", &[("execID", id.clone()), ("exitCode", status.to_string())]);
        }
        let exited = Exited { code: status, started, ..super::requests::nothing() };
        let reply = Reply::Exited(exited);
        self.tell(|role| matches!(role, Role::Exec(of) if *of == id), &reply);
        self.probe_ended(&id, status);
    }

    /// Every exec still running ends with the container.
    pub(super) fn end_execs(&mut self) {
        for slot in 0..self.execs.len() {
            if let Some(pidfd) = self.execs[slot].pidfd.as_ref() {
                let _gone = pidfd.signal(libc::SIGKILL);
                let _reaped = pidfd.wait();
                let Some(exec) = self.execs.get_mut(slot) else { continue };
                exec.pidfd = None;
                exec.info.pid = None;
                exec.info.exit_code = Some(137);
                let id = exec.info.id.clone();
                let exited = Exited { code: 137, ..super::requests::nothing() };
                self.tell(|role| matches!(role, Role::Exec(of) if *of == id), &Reply::Exited(exited));
            }
        }
        self.execs.clear();
    }

    pub(super) fn console_event(&mut self, slot: usize, what: u32) {
        if what & interest::WRITE != 0 {
            self.flush_console(slot);
        }
        if what & (interest::READ | interest::HANGUP | interest::ERROR) != 0 {
            self.read_console(slot);
        }
        self.balance_console(slot);
    }

    #[inline(never)]
    fn read_console(&mut self, slot: usize) -> bool {
        let Some(exec) = self.execs.get_mut(slot) else { return false };
        let Some(console) = &exec.console else { return false };
        let mut buffer = [0; crate::monitor::proto::CHUNK];
        match fd::read(console, &mut buffer) {
            Err(e) if e.is(libc::EAGAIN) => false,
            Ok(0) | Err(_) => {
                let _closed = self.epoll.remove(console);
                exec.console = None;
                false
            }
            Ok(n) => {
                let id = exec.info.id.clone();
                for client in self.clients.slots(|c| matches!(&c.role, Role::Exec(of) if *of == id)) {
                    self.clients.stream(client, Kind::Stdout, &buffer[..n]);
                }
                true
            }
        }
    }

    /// Stops reading a terminal whose only client does not keep up; resumes when it does.
    fn balance_console(&mut self, slot: usize) {
        let Some(exec) = self.execs.get_mut(slot) else { return };
        let id = exec.info.id.clone();
        let full = self.clients.any(|c| matches!(&c.role, Role::Exec(of) if *of == id) && c.queued() > STALL);
        if full == exec.stalled {
            return;
        }
        exec.stalled = full;
        let Some(console) = &exec.console else { return };
        let _told = if full {
            self.epoll.remove(console)
        } else {
            self.epoll.add(console, CONSOLES + slot as u64, interest::READ)
        };
    }

    /// After each round, because room at a client is no event of the terminal.
    pub(super) fn balance_consoles(&mut self) {
        for slot in 0..self.execs.len() {
            if self.execs[slot].stalled {
                self.balance_console(slot);
            }
        }
    }

    pub(super) fn exec_typed(&mut self, id: &str, bytes: &[u8]) {
        let Some(slot) = self.execs.iter().position(|e| e.info.id == id) else { return };
        self.execs[slot].input.extend_from_slice(bytes);
        self.flush_console(slot);
    }

    fn flush_console(&mut self, slot: usize) {
        let Some(exec) = self.execs.get_mut(slot) else { return };
        let Some(console) = &exec.console else { return exec.input.clear() };
        if !exec.input.is_empty() {
            match fd::write(console, &exec.input) {
                Ok(n) => drop(exec.input.drain(..n)),
                Err(e) if e.is(libc::EAGAIN) => {}
                Err(_) => exec.input.clear(),
            }
        }
        let blocked = !exec.input.is_empty();
        let id = exec.info.id.clone();
        let wants = interest::READ | if blocked { interest::WRITE } else { 0 };
        if !exec.stalled {
            let _told = self.epoll.modify(console, CONSOLES + slot as u64, wants);
        }
        for client in self.clients.slots(|c| matches!(&c.role, Role::Exec(of) if *of == id)) {
            if let Some(client) = self.clients.get(client) {
                client.held = blocked;
            }
        }
    }

    /// The client of an exec is gone: a process with a terminal is hung up, as when a terminal is closed.
    pub(super) fn exec_client_gone(&mut self, id: &str) {
        let Some(slot) = self.execs.iter().position(|e| e.info.id == id) else { return };
        let exec = &mut self.execs[slot];
        if let Some(console) = exec.console.take() {
            let _closed = self.epoll.remove(&console);
        }
    }

    pub(super) fn resize_exec(&self, id: &str, size: TermSize) -> bool {
        let console = self.execs.iter().find(|e| e.info.id == id).and_then(|e| e.console.as_ref());
        console.is_some_and(|console| tty::set_size(console, size.rows, size.cols).is_ok())
    }

    pub(super) fn kill_exec(&self, id: &str, signal: i32) -> Result<(), Failure> {
        let found = self.execs.iter().find(|e| e.info.id == id);
        let Some(exec) = found else {
            return Err(Failure::plain(FailureKind::NotFound, format!("no such exec: {id}")));
        };
        let Some(pidfd) = &exec.pidfd else { return Err(state("the process has ended")) };
        pidfd.signal(signal).map_err(|e| Failure::internal("sending the signal", &e))
    }
}

/// 64 random hex digits.
pub(super) fn new_id() -> String {
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[at..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => at += n,
            Err(e) if e == rustix::io::Errno::INTR => {}
            // Older than any kernel we run on; uniqueness here only needs the time then.
            Err(_) => break,
        }
    }
    crate::model::id::ContainerId::from_bytes(bytes).as_str().to_owned()
}

/// A pipe that was made for the process belongs to its user, so that it may open /dev/stdout by name.
fn own_pipe(end: &OwnedFd, (uid, gid): (u32, u32)) {
    let is_pipe = fd::stat(end).is_ok_and(|st| st.st_mode & libc::S_IFMT == libc::S_IFIFO);
    if is_pipe {
        // Where it is refused only opening by name fails.
        let _kept = crate::sys::root::chown(end, uid, gid);
    }
}
