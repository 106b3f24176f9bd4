//! Processes: pidfds, clone3, waiting, identity, and the cheap spawn of a program from a descriptor.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use super::error::{Error, Result, check, errno};
use super::fd;
use crate::model::container::ProcessIdentity;

/// A handle on a process that stays the same process.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By exit, with this code.
    Exited(i32),
    /// By a signal.
    Signaled {
        /// Its number.
        signal: i32,
        /// Whether it dumped core.
        core: bool,
    },
}

impl ExitStatus {
    /// The shell's way to say it: the code, or 128 + signal.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled { signal, .. } => 128 + signal,
        }
    }
}

impl PidFd {
    /// Opens a handle on a process by pid. To be sure that the pid was not reused, compare
    /// [`identity`] after opening, or use [`open_identity`].
    pub fn open(pid: i32) -> Result<Self> {
        // SAFETY: takes two integers.
        let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let raw = check(raw, "pidfd_open", || format!("{pid}")).map_err(|e| {
            // Of a process that is gone while its number still names a session or a process group, kernels before
            // 6.15 or so say that the number is not valid.
            if e.is(libc::EINVAL) && pid > 0 { Error { errno: libc::ESRCH, ..e } } else { e }
        })?;
        // SAFETY: the kernel has just made it for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(raw as RawFd) }))
    }

    /// Waits for a child to end and reaps it.
    pub fn wait(&self) -> Result<ExitStatus> {
        loop {
            match self.waitid(libc::WEXITED) {
                Err(e) if e.is(libc::EINTR) => {}
                Ok(Some(status)) => return Ok(status),
                Ok(None) => return Err(Error::new("waitid", "P_PIDFD gave nothing", libc::EAGAIN)),
                Err(e) => return Err(e),
            }
        }
    }

    /// Reaps a child if it has ended.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.waitid(libc::WEXITED | libc::WNOHANG)
    }

    /// How a child has ended, without reaping it; `None` while it runs.
    pub fn peek(&self) -> Result<Option<ExitStatus>> {
        self.waitid(libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
    }

    /// Sends a signal (0 only asks).
    pub fn signal(&self, signal: i32) -> Result<()> {
        // SAFETY: no siginfo is given; integers otherwise.
        let r = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        check(r, "pidfd_send_signal", || format!("{signal}")).map(drop)
    }

    /// Whether the process has not ended yet (a zombie has).
    pub fn is_running(&self) -> Result<bool> {
        Ok(!super::event::wait_readable(&self.0, Some(std::time::Duration::ZERO))?)
    }

    /// A copy of a descriptor of that process (needs ptrace permission).
    pub fn get_fd(&self, number: RawFd) -> Result<OwnedFd> {
        // SAFETY: integers only.
        let raw = unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.0.as_raw_fd(), number, 0) };
        let raw = check(raw, "pidfd_getfd", || format!("{number}"))?;
        // SAFETY: the kernel has just made it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
    }

    fn waitid(&self, flags: i32) -> Result<Option<ExitStatus>> {
        // SAFETY: siginfo_t is plain data for which zeroes are valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: info lives across the call.
        let r =
            unsafe { libc::waitid(libc::P_PIDFD, self.0.as_raw_fd() as libc::id_t, &raw mut info, flags) };
        check(r, "waitid", || format!("P_PIDFD, {}", self.0.as_raw_fd()))?;
        Ok(status_of(&info))
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for PidFd {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<PidFd> for OwnedFd {
    fn from(p: PidFd) -> Self {
        p.0
    }
}

fn status_of(info: &libc::siginfo_t) -> Option<ExitStatus> {
    // SAFETY: waitid fills the SIGCHLD members, or leaves the zeroes.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return None;
    }
    Some(match info.si_code {
        libc::CLD_EXITED => ExitStatus::Exited(status),
        code => ExitStatus::Signaled { signal: status, core: code == libc::CLD_DUMPED },
    })
}

/// Reaps any child that has ended: (pid, how). `None` when none has; `ECHILD` when there are no
/// children at all.
pub fn reap_any(block: bool) -> Result<Option<(i32, ExitStatus)>> {
    // SAFETY: siginfo_t is plain data for which zeroes are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | if block { 0 } else { libc::WNOHANG };
    // SAFETY: info lives across the call.
    let r = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) };
    check(r, "waitid", || "P_ALL".into())?;
    // SAFETY: waitid has filled the SIGCHLD members, or left the zeroes.
    let pid = unsafe { info.si_pid() };
    Ok(status_of(&info).map(|s| (pid, s)))
}

/// Who a process is: pid and start time. `ESRCH` when there is none.
pub fn identity(pid: i32) -> Result<ProcessIdentity> {
    let text = match fd::read_file(Path::new(&format!("/proc/{pid}/stat"))) {
        Ok(text) => text,
        Err(e) if e.is(libc::ENOENT) || e.is(libc::ESRCH) => {
            return Err(Error::new("identity", format!("{pid}"), libc::ESRCH));
        }
        Err(e) => return Err(e),
    };
    let start = stat_field(&text, 22).and_then(|f| f.parse().ok());
    let start = start.ok_or_else(|| Error::new("identity", format!("/proc/{pid}/stat"), libc::EPROTO))?;
    Ok(ProcessIdentity { pid, start })
}

/// Field `n` (counted from 1, above 2) of /proc/PID/stat, whose second field may hold anything.
#[must_use]
pub fn stat_field(stat: &[u8], n: usize) -> Option<&str> {
    let close = stat.iter().rposition(|&b| b == b')')?;
    std::str::from_utf8(&stat[close + 1..]).ok()?.split_ascii_whitespace().nth(n.checked_sub(3)?)
}

/// Whether a process, which may be a zombie, has executed a program since it was forked.
#[must_use]
pub fn has_executed(pid: i32) -> bool {
    // PF_FORKNOEXEC of the kernel's task flags, field 9.
    const FORKED_ONLY: u64 = 0x40;
    let stat = fd::read_file(Path::new(&format!("/proc/{pid}/stat"))).unwrap_or_default();
    stat_field(&stat, 9).and_then(|f| f.parse::<u64>().ok()).is_none_or(|flags| flags & FORKED_ONLY == 0)
}

/// Whether that very process is there and has not ended (a zombie has). Where that cannot be found out, it
/// counts as alive: what it holds must not be taken for free.
#[must_use]
pub fn is_alive(who: &ProcessIdentity) -> bool {
    match open_identity(who) {
        Ok(handle) => handle.is_running().unwrap_or(true),
        Err(e) => !e.is(libc::ESRCH),
    }
}

/// A handle on that very process; `ESRCH` when the pid is another's now.
pub fn open_identity(who: &ProcessIdentity) -> Result<PidFd> {
    let handle = PidFd::open(who.pid)?;
    if identity(who.pid)? == *who {
        Ok(handle)
    } else {
        Err(Error::new("pidfd_open", format!("{} (reused)", who.pid), libc::ESRCH))
    }
}

/// Makes orphaned descendants ours to reap.
pub fn set_subreaper() -> Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")
}

/// A signal for us when our parent dies. The parent may already be gone: the caller checks.
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong, "PR_SET_PDEATHSIG")
}

/// Whether others of our user may trace us and read our /proc files.
pub fn set_dumpable(on: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(on), "PR_SET_DUMPABLE")
}

/// No more privileges by exec, for us and all descendants.
pub fn set_no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")
}

/// The name in `ps` (15 bytes).
pub fn set_name(name: &CStr) -> Result<()> {
    // SAFETY: name is NUL-terminated and the kernel copies it.
    let r = unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
    check(r, "prctl", || format!("PR_SET_NAME, {name:?}")).map(drop)
}

fn prctl(option: i32, value: libc::c_ulong, name: &'static str) -> Result<()> {
    // SAFETY: the options used here take integers only.
    let r = unsafe { libc::prctl(option, value, 0 as libc::c_ulong, 0 as libc::c_ulong, 0 as libc::c_ulong) };
    check(r, "prctl", || format!("{name}, {value}")).map(drop)
}

/// Starts a session of its own.
pub fn setsid() -> Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { libc::setsid() }, "setsid", String::new).map(drop)
}

/// Leaves the keyring of the session for an empty one of its own; a kernel without keys has none to leave.
pub fn new_session_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: no name is given: an anonymous keyring.
    let r =
        unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    match check(r, "keyctl", || "JOIN_SESSION_KEYRING".into()) {
        // Without keys; or inside a container whose filter forbids them, where the session's keyring is not the host's.
        Err(e) if e.is(libc::ENOSYS) || e.is(libc::EPERM) => Ok(()),
        other => other.map(drop),
    }
}

/// Our pid.
#[must_use]
pub fn pid() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::getpid() }
}

/// The parent's pid.
#[must_use]
pub fn parent_pid() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::getppid() }
}

/// As in linux/sched.h; the constant of `libc` has too narrow a type.
pub(super) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What a clone makes.
#[derive(Debug, Default, Clone, Copy)]
pub struct CloneArgs<'a> {
    /// `CLONE_NEW…` flags, `CLONE_PARENT` and the like; `CLONE_PIDFD` is added.
    pub flags: u64,
    /// Directory of a v2 cgroup to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// A cloned child.
#[derive(Debug)]
pub struct Child {
    /// Its pid as we see it.
    pub pid: i32,
    /// Handle on it.
    pub pidfd: PidFd,
}

/// clone3: runs `child` in a new process with a copy of our memory, which ends with the code that
/// `child` returns. No handler of `atexit` and no destructor of the caller's frames runs there.
///
/// The caller must not have started threads: the copy would inherit whatever lock one of them held.
pub fn clone(args: &CloneArgs<'_>, child: impl FnOnce() -> i32) -> Result<Child> {
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain data for which zeroes are valid.
    let mut raw: libc::clone_args = unsafe { std::mem::zeroed() };
    raw.flags = args.flags | libc::CLONE_PIDFD as u64;
    raw.pidfd = (&raw mut pidfd) as u64;
    // A sibling has the signal of the one that makes it, and must name none.
    let sibling = args.flags & libc::CLONE_PARENT as u64 != 0;
    raw.exit_signal = if sibling { 0 } else { libc::SIGCHLD as u64 };
    if let Some(cgroup) = args.cgroup {
        raw.flags |= CLONE_INTO_CGROUP;
        raw.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child has its own copy of everything, the stack included, so this
    // behaves as fork; raw lives across the call.
    let mut pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut raw, size_of::<libc::clone_args>()) };
    if pid < 0 && errno() == libc::ENOSYS && args.cgroup.is_none() {
        // In a container: seccomp cannot look into clone3's argument, so profiles say that there is no such call.
        let flags = raw.flags | raw.exit_signal;
        // SAFETY: as above; no stack of its own, and pidfd, which CLONE_PIDFD fills, lives across the call.
        pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    }
    if pid == 0 {
        let code = child();
        // SAFETY: ends this process without running the parent's exit handlers.
        unsafe { libc::_exit(code) };
    }
    let pid = check(pid, "clone3", || format!("{:#x}, cgroup {}", args.flags, args.cgroup.is_some()))?;
    // SAFETY: CLONE_PIDFD made the descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid: pid as i32, pidfd: PidFd(pidfd) })
}

/// Ends a cloned child at once, without the exit handlers of the program that it is a copy of.
pub fn end_child(code: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// Replaces this program by the file behind a descriptor. Returns only on failure.
pub fn exec_fd(file: impl AsFd, argv: &Strings, env: &Strings) -> Error {
    let raw = file.as_fd().as_raw_fd();
    // SAFETY: both arrays are NULL-terminated lists of C strings that live across the call.
    unsafe {
        libc::syscall(libc::SYS_execveat, raw, c"".as_ptr(), argv.as_ptr(), env.as_ptr(), libc::AT_EMPTY_PATH)
    };
    Error::last("execveat", format!("{raw}"))
}

/// [`exec_fd`] that gives the errno only: allocates nothing, for a child that shares our memory.
pub(super) fn exec_fd_quiet(file: BorrowedFd<'_>, argv: &Strings, env: &Strings) -> i32 {
    // SAFETY: both arrays are NULL-terminated lists of C strings that live across the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    errno()
}

/// Replaces this program by a path. Returns only on failure.
pub fn exec(path: &CStr, argv: &Strings, env: &Strings) -> Error {
    // SAFETY: path and both NULL-terminated arrays live across the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    Error::last("execve", path.to_string_lossy())
}

/// A list of C strings with its NULL-terminated array of pointers, made before a clone so that
/// nothing is allocated after it.
#[derive(Debug)]
pub struct Strings {
    owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    /// Copies the strings; one with a NUL byte inside is `EINVAL`.
    pub fn new<S: AsRef<[u8]>>(items: impl IntoIterator<Item = S>) -> Result<Self> {
        let owned = items.into_iter().map(fd::c_string).collect::<Result<Vec<_>>>()?;
        let pointers = owned.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Self { owned, pointers })
    }

    /// The environment of this process.
    pub fn environment() -> Result<Self> {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        Self::new(std::env::vars_os().map(|(k, v)| {
            let mut one = k.into_vec();
            one.push(b'=');
            one.extend_from_slice(v.as_bytes());
            one
        }))
    }

    /// The strings.
    #[must_use]
    pub fn items(&self) -> &[CString] {
        &self.owned
    }

    fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// What [`spawn`] starts.
#[derive(Debug)]
pub struct SpawnArgs<'a> {
    /// The program.
    pub program: BorrowedFd<'a>,
    /// Its arguments, the name first.
    pub argv: &'a Strings,
    /// Its environment.
    pub env: &'a Strings,
    /// Descriptors of the child: `fds[i]` becomes number `i`. All others are closed.
    pub fds: &'a [BorrowedFd<'a>],
    /// Start a session of its own.
    pub new_session: bool,
    /// A v2 cgroup to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Starts a program from a descriptor without copying our memory (the way posix_spawn does):
/// we are suspended until the child has exec'ed, so a failed exec is our error.
pub fn spawn(args: &SpawnArgs<'_>) -> Result<Child> {
    super::self_exe::vfork_exec(args)
}

/// Waits for a child by pid alone; used where no pidfd was asked for.
pub fn wait_pid(pid: i32) -> Result<ExitStatus> {
    loop {
        let mut status = 0;
        // SAFETY: status lives across the call.
        let r = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if r == -1 && errno() == libc::EINTR {
            continue;
        }
        check(r, "waitpid", || format!("{pid}"))?;
        return Ok(if libc::WIFEXITED(status) {
            ExitStatus::Exited(libc::WEXITSTATUS(status))
        } else {
            ExitStatus::Signaled { signal: libc::WTERMSIG(status), core: libc::WCOREDUMP(status) }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_parentheses_in_the_name() {
        let text = b"12 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(stat_field(text, 22), Some("4242"));
        assert_eq!(stat_field(b"garbage", 22), None);
    }

    #[test]
    fn identity_of_self_is_alive() {
        let me = identity(pid()).unwrap();
        assert!(is_alive(&me));
        assert!(!is_alive(&ProcessIdentity { start: me.start + 1, ..me }));
    }

    #[test]
    fn status_is_told_apart() {
        let child = clone(&CloneArgs::default(), || 7).unwrap();
        assert_eq!(child.pidfd.wait().unwrap(), ExitStatus::Exited(7));
        let child = clone(&CloneArgs::default(), || {
            let _unused = super::super::signal::kill(pid(), libc::SIGKILL);
            0
        })
        .unwrap();
        assert_eq!(child.pidfd.wait().unwrap().code(), 137);
    }

    #[test]
    fn a_leader_of_others_that_is_gone_is_gone() {
        let (ours, theirs) = super::super::socket::pair(super::super::socket::Kind::SeqPacket).unwrap();
        let child = clone(&CloneArgs::default(), || {
            let _made = setsid();
            // Stays in the session until it is told: the other end is open here too, a copy.
            let stays = clone(&CloneArgs::default(), || {
                let _ended = super::super::socket::receive(&theirs, &mut [0; 1]);
                0
            });
            i32::from(stays.is_err())
        })
        .unwrap();
        assert_eq!(child.pidfd.wait().unwrap(), ExitStatus::Exited(0));
        assert!(PidFd::open(child.pid).unwrap_err().is(libc::ESRCH));
        super::super::socket::send(&ours, b"x", &[]).unwrap();
    }
}
