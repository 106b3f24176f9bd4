//! `--init`: a small first process that starts the command, forwards signals to it, reaps orphans
//! and ends with the command's code. It is our own program, executed through the read-only
//! descriptor (rule R4), so that nothing of the monitor's memory is in the container.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::plan::process::ProcessPlan;
use super::sync::{Failure, Kind};
use crate::sys::process::{self, CloneArgs, ExitStatus, Strings};
use crate::sys::{self, event, signal};

/// First argument that leads here; `main` looks for it before anything else.
pub const ENTRY: &str = "__init";

/// Executes our own program as the container's first process.
pub(super) fn execute(program: &OwnedFd, plan: &ProcessPlan, first_free: i32) -> Failure {
    let args = [b"rcon-init".as_slice(), ENTRY.as_bytes(), b"--"];
    let command = plan.argv.items().iter().map(|a| a.to_bytes());
    let argv = match Strings::new(args.into_iter().chain(command)) {
        Ok(argv) => argv,
        Err(e) => return failure(&e),
    };
    // What comes before the init listens waits for it: a first process loses signals that it has no handler for.
    if let Err(e) = signal::default_action(libc::SIGPIPE).and_then(|()| signal::block(&handed_on())) {
        return failure(&e);
    }
    let error = process::exec_fd(program, &argv, &plan.env);
    if !error.is(libc::ENOENT) {
        return failure(&error);
    }
    // A build that is linked dynamically (never a release) finds no interpreter in the container: then
    // this very process is the init. What it still has open goes, as it would have at the exec.
    let args: Vec<_> =
        plan.argv.items().iter().map(|a| std::ffi::OsStr::from_bytes(a.to_bytes()).to_owned()).collect();
    sys::fd::close_from(first_free.unsigned_abs());
    process::end_child(told(run_with(&args, &plan.env)))
}

fn failure(e: &sys::Error) -> Failure {
    Failure { kind: Kind::Step, what: "executing the init".into(), why: e.to_string(), errno: e.errno }
}

/// The init itself: `args` is the command. Returns its exit code.
#[must_use]
pub fn main(args: &[std::ffi::OsString]) -> i32 {
    told(run(args))
}

fn told(end: sys::Result<i32>) -> i32 {
    match end {
        Ok(code) => code,
        Err(e) => {
            let text = format!("rcon-init: {e}\n");
            let _unseen = sys::fd::write_all(rustix::stdio::stderr(), text.as_bytes());
            if e.is(libc::ENOENT) { 127 } else { 126 }
        }
    }
}

fn run(args: &[std::ffi::OsString]) -> sys::Result<i32> {
    run_with(args, &Strings::environment()?)
}

fn run_with(args: &[std::ffi::OsString], env: &Strings) -> sys::Result<i32> {
    let argv = Strings::new(args.iter().map(|a| a.as_bytes()))?;
    let signals = event::SignalFd::new(&handed_on())?;
    let child = process::clone(&CloneArgs::default(), || become_command(args, &argv, env))?;
    loop {
        event::wait_readable(&signals, None::<Duration>)?;
        while let Some(received) = signals.read()? {
            if received.signal != libc::SIGCHLD {
                // The whole group: what the command started in it hears it too, as on a terminal.
                let _gone = signal::kill(-child.pid, received.signal)
                    .or_else(|_| child.pidfd.signal(received.signal));
            }
        }
        if let Some(status) = reap(child.pid)? {
            return Ok(status.code());
        }
    }
}

/// Signals that are for the command.
fn handed_on() -> Vec<i32> {
    (1..=signal::max()).filter(|s| !unblockable(*s)).collect()
}

/// Faults of our own, and what cannot be blocked.
fn unblockable(s: i32) -> bool {
    matches!(
        s,
        libc::SIGKILL
            | libc::SIGSTOP
            | libc::SIGSEGV
            | libc::SIGBUS
            | libc::SIGFPE
            | libc::SIGILL
            | libc::SIGTRAP
    ) || s >= 32 && s < libc::SIGRTMIN()
}

/// Reaps all that ended; the command's status if it is among them.
fn reap(command: i32) -> sys::Result<Option<ExitStatus>> {
    let mut found = None;
    loop {
        match process::reap_any(false) {
            Ok(Some((pid, status))) if pid == command => found = Some(status),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(found),
            Err(e) if e.is(libc::ECHILD) => return Ok(found),
            Err(e) => return Err(e),
        }
    }
}

fn become_command(args: &[std::ffi::OsString], argv: &Strings, env: &Strings) -> i32 {
    let error = prepare().err().unwrap_or_else(|| execute_by_path(args, argv, env));
    let name = args.first().map(|a| a.to_string_lossy().into_owned()).unwrap_or_default();
    let text = format!("rcon-init: {name}: {}\n", error.reason());
    let _unseen = sys::fd::write_all(rustix::stdio::stderr(), text.as_bytes());
    if error.is(libc::ENOENT) { 127 } else { 126 }
}

/// A process group of its own, in the foreground of the terminal if there is one.
fn prepare() -> sys::Result<()> {
    use sys::error::Context;
    rustix::process::setpgid(None, None).call("setpgid", String::new)?;
    if rustix::termios::isatty(rustix::stdio::stdin()) {
        // SIGTTOU is blocked here, so the change from the background is allowed.
        let _not_ours = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
    }
    signal::reset_for_exec(&[libc::SIGPIPE])
}

fn execute_by_path(args: &[std::ffi::OsString], argv: &Strings, env: &Strings) -> sys::Error {
    let missing = sys::Error::new("execve", "no command", libc::ENOENT);
    let Some(command) = args.first() else { return missing };
    let path = env.items().iter().find_map(|e| e.to_bytes().strip_prefix(b"PATH=")).unwrap_or_default();
    let path = std::ffi::OsStr::from_bytes(path);
    let dirs: Vec<_> = if command.as_bytes().contains(&b'/') {
        vec![std::path::PathBuf::new()]
    } else {
        std::env::split_paths(path).filter(|d| !d.as_os_str().is_empty()).collect()
    };
    let mut worst = missing;
    for dir in dirs {
        let Ok(path) = sys::fd::c_path(&dir.join(command)) else { continue };
        let error = process::exec(&path, argv, env);
        if !error.is(libc::ENOENT) && !error.is(libc::ENOTDIR) {
            worst = error;
        }
    }
    worst
}
