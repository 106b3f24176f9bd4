//! Our own program as a descriptor that no container can write through (rule R4), and starting it.
//!
//! The file is reached through a detached read-only clone of the mount that it is on: it shares the
//! page cache with every other process of ours, needs no copy, makes no visible mount, and a
//! container that finds it through `/proc/PID/exe` meets a read-only file system (CVE-2019-5736).
//! Only where mounts cannot be cloned a sealed copy in memory is made.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::OFlags;

use super::error::{Error, Result, check};
use super::process::{Child, PidFd, SpawnArgs};
use super::{fd, memfd, mount};

/// A descriptor of our own program that can be executed but not written to.
pub fn open() -> Result<OwnedFd> {
    open_program(Path::new("/proc/self/exe"))
}

/// The same for another program on the host.
pub fn open_program(path: &Path) -> Result<OwnedFd> {
    match detached(path) {
        Ok(program) => Ok(program),
        Err(_) => copy(path),
    }
}

/// Whether we run from a file that nobody can write through: one on a read-only mount, or sealed.
#[must_use]
pub fn is_unwritable() -> bool {
    let Ok(file) = fd::open(Path::new("/proc/self/exe"), OFlags::RDONLY, 0) else { return false };
    let read_only =
        rustix::fs::fstatvfs(&file).is_ok_and(|s| s.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    read_only || rustix::fs::fcntl_get_seals(&file).is_ok_and(|s| s.contains(rustix::fs::SealFlags::WRITE))
}

fn detached(path: &Path) -> Result<OwnedFd> {
    let tree = mount::open_tree_path(path, false)?;
    let wish = mount::Attributes { set: mount::attr::RDONLY, ..Default::default() };
    mount::set_attributes(&tree, &wish, false)?;
    Ok(tree)
}

fn copy(path: &Path) -> Result<OwnedFd> {
    let source = fd::open(path, OFlags::RDONLY, 0)?;
    memfd::sealed("rcon", &fd::read_all(&source, 256 << 20)?)
}

/// What the vfork'ed child needs; it lives in the suspended parent's memory.
struct Shared<'a> {
    args: &'a SpawnArgs<'a>,
    moved: Vec<RawFd>,
    errno: i32,
}

/// See [`super::process::spawn`].
pub(super) fn vfork_exec(args: &SpawnArgs<'_>) -> Result<Child> {
    const STACK: usize = 64 << 10;
    let mut stack = vec![0_u128; STACK / 16];
    let mut shared = Shared { args, moved: Vec::with_capacity(args.fds.len() + 1), errno: 0 };
    let mut pidfd: RawFd = -1;
    let mask = super::signal::block_all()?;
    // SAFETY: clone_args is plain data for which zeroes are valid.
    let mut raw: libc::clone_args = unsafe { std::mem::zeroed() };
    raw.flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
    raw.pidfd = (&raw mut pidfd) as u64;
    raw.exit_signal = libc::SIGCHLD as u64;
    let top = stack.as_mut_ptr_range().end;
    let pid = match args.cgroup {
        None => clone_legacy(&raw, &mut pidfd, top.cast(), &mut shared),
        Some(_) => clone_copying(&mut raw, &mut shared),
    };
    super::signal::restore(&mask)?;
    drop(stack);
    let pid = check(pid, "clone", || "CLONE_VM | CLONE_VFORK".into())?;
    // SAFETY: CLONE_PIDFD made the descriptor for us.
    let pidfd = PidFd::from(unsafe { OwnedFd::from_raw_fd(pidfd) });
    if shared.errno != 0 {
        let _reaped = pidfd.wait();
        return Err(Error::new("execveat", first_argument(args), shared.errno));
    }
    Ok(Child { pid, pidfd })
}

fn first_argument(args: &SpawnArgs<'_>) -> String {
    args.argv.items().first().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

/// clone(2) on a stack of its own, sharing memory while we are suspended.
fn clone_legacy(
    raw: &libc::clone_args,
    pidfd: &mut RawFd,
    top: *mut libc::c_void,
    shared: &mut Shared<'_>,
) -> i32 {
    let flags = raw.flags as i32 | libc::SIGCHLD;
    let argument: *mut libc::c_void = std::ptr::from_mut(shared).cast();
    // SAFETY: the child runs `entry` on a stack of its own that outlives it, because CLONE_VFORK
    // suspends us until it has exec'ed or exited; all signals are blocked, so no handler runs on the
    // shared memory; `argument` is a Shared that nobody else touches meanwhile.
    unsafe { libc::clone(entry, top, flags, argument, std::ptr::from_mut(pidfd)) }
}

/// With a cgroup to be born in, clone3 is needed, whose child cannot be given a stack from Rust
/// without assembly: then the memory is copied, and the errno of a failed exec comes by exit.
fn clone_copying(raw: &mut libc::clone_args, shared: &mut Shared<'_>) -> i32 {
    raw.flags = (libc::CLONE_PIDFD | libc::CLONE_VFORK) as u64 | super::process::CLONE_INTO_CGROUP;
    raw.cgroup = shared.args.cgroup.map_or(0, |c| c.as_raw_fd() as u64);
    // SAFETY: without CLONE_VM this behaves as fork; raw lives across the call.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, std::ptr::from_mut(raw), size_of::<libc::clone_args>()) };
    if pid == 0 {
        let code = child(shared);
        // SAFETY: ends the child without running our exit handlers.
        unsafe { libc::_exit(code) };
    }
    pid as i32
}

extern "C" fn entry(argument: *mut libc::c_void) -> libc::c_int {
    // SAFETY: clone_legacy passes a pointer to a Shared that lives until we have exec'ed or exited.
    let shared = unsafe { &mut *argument.cast::<Shared<'_>>() };
    child(shared)
}

/// Runs in the child: no allocation (room was reserved), no panic, system calls only.
fn child(shared: &mut Shared<'_>) -> i32 {
    let error = match prepare(shared) {
        Ok(program) => {
            // SAFETY: program is a descriptor that `prepare` has just made and nobody closes.
            let program = unsafe { std::os::fd::BorrowedFd::borrow_raw(program) };
            super::process::exec_fd_quiet(program, shared.args.argv, shared.args.env)
        }
        Err(errno) => errno,
    };
    shared.errno = error;
    127
}

fn prepare(shared: &mut Shared<'_>) -> std::result::Result<RawFd, i32> {
    let count = shared.args.fds.len() as RawFd;
    let above = count.max(3);
    if shared.args.new_session {
        // SAFETY: takes nothing.
        unsafe { libc::setsid() };
    }
    for fd in shared.args.fds.iter().chain([&shared.args.program]) {
        // SAFETY: duplicates a live descriptor to a number above those that are placed next.
        let raw = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) };
        if raw == -1 {
            return Err(super::error::errno());
        }
        shared.moved.push(raw);
    }
    for (number, &from) in shared.moved[..count as usize].iter().enumerate() {
        // SAFETY: without CLONE_FILES the child's table is a copy; our owners keep theirs.
        if unsafe { libc::dup2(from, number as RawFd) } == -1 {
            return Err(super::error::errno());
        }
    }
    // SAFETY: flags only; everything from `count` on goes at exec.
    unsafe { libc::syscall(libc::SYS_close_range, count, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    reset_signals();
    Ok(shared.moved[count as usize])
}

/// Default actions and an empty mask; without CLONE_SIGHAND the child's table is its own.
fn reset_signals() {
    for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGHUP, libc::SIGCHLD] {
        // SAFETY: SIG_DFL runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: sigset_t is plain data for which zeroes are valid.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: fills the set.
    unsafe { libc::sigemptyset(&raw mut none) };
    // SAFETY: the set lives across the call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{Strings, spawn};
    use std::os::fd::AsFd;

    #[test]
    fn spawns_from_a_descriptor() {
        let program = open_program(Path::new("/bin/cat")).unwrap();
        let (r, w) = fd::pipe().unwrap();
        let (r2, w2) = fd::pipe().unwrap();
        let argv = Strings::new(["cat"]).unwrap();
        let env = Strings::new([""; 0]).unwrap();
        let fds = [r.as_fd(), w2.as_fd(), w2.as_fd()];
        let child = spawn(&SpawnArgs {
            program: program.as_fd(),
            argv: &argv,
            env: &env,
            fds: &fds,
            new_session: false,
            cgroup: None,
        })
        .unwrap();
        drop((r, w2));
        fd::write_all(&w, b"through").unwrap();
        drop(w);
        assert_eq!(fd::read_all(&r2, 100).unwrap(), b"through");
        assert_eq!(child.pidfd.wait().unwrap().code(), 0);
    }

    #[test]
    fn a_failed_exec_is_our_error() {
        let program = fd::open_path(Path::new("/etc/hostname")).unwrap();
        let none = Strings::new(["x"]).unwrap();
        let args = SpawnArgs {
            program: program.as_fd(),
            argv: &none,
            env: &none,
            fds: &[],
            new_session: false,
            cgroup: None,
        };
        // EACCES, or ENOEXEC on a machine where that file has an execute bit.
        let error = spawn(&args).unwrap_err();
        assert!(error.is(libc::EACCES) || error.is(libc::ENOEXEC), "{error}");
    }
}
