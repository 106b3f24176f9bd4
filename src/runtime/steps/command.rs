//! The last steps: working directory, finding the command, placing descriptors, exec.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Access, AtFlags, OFlags};

use crate::runtime::plan::process::ProcessPlan;
use crate::runtime::sync::{During, Failure, Kind, Step};
use crate::sys::root::Root;
use crate::sys::{fd, mount, process, signal, tty};

/// Goes to the working directory, as the user that we became or, where that is not allowed, as we
/// were able to before. Magic links are no way (`/proc/self/fd/N` of ours may lead anywhere), and where
/// we come out must be inside the root (rule R5, CVE-2024-21626).
pub(in crate::runtime) fn enter_directory(plan: &ProcessPlan, before: bool) -> Step<()> {
    let what = || format!("changing to the working directory {:?}", plan.cwd.to_string_lossy());
    match change_directory(&plan.cwd) {
        // Tried again as the user: a file system may let only them in.
        Err(e) if before && e.is(libc::EACCES) => return Ok(()),
        Err(e) if !before && e.is(libc::EACCES) && current_is(&plan.cwd) => {}
        other => other.during(what)?,
    }
    mount::current_directory()
        .map(drop)
        .during(|| format!("{}: it is outside of the container's root", what()))
}

fn change_directory(path: &CStr) -> crate::sys::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let root = Root::open_host(Path::new("/"))?;
    let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
    mount::change_directory(root.open(path, OFlags::PATH | OFlags::DIRECTORY)?)
}

fn current_is(path: &CStr) -> bool {
    mount::current_directory().is_ok_and(|now| now == path.to_bytes())
}

/// The container's own /dev/null for each stream that is the host's: a handle on a file of a mount that it does not
/// have is a way out of it for nobody, but labels are checked by path, and a checkpoint has no other name for it.
pub(in crate::runtime) fn nulls_of(root: &Root, stdio: [BorrowedFd<'_>; 3]) -> [Option<OwnedFd>; 3] {
    stdio.map(|stream| {
        fd::verify_null(stream).ok()?;
        let mode = rustix::fs::fcntl_getfl(stream).ok()? & OFlags::ACCMODE;
        let own = root.open(Path::new("dev/null"), mode | OFlags::CLOEXEC).ok()?;
        fd::verify_null(&own).ok()?;
        Some(own)
    })
}

/// The first candidate that can be executed.
pub(in crate::runtime) fn find(plan: &ProcessPlan) -> Step<&CString> {
    let mut denied = false;
    for path in &plan.candidates {
        match rustix::fs::accessat(rustix::fs::CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) if is_directory(path) => denied = true,
            Ok(()) => return Ok(path),
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => denied = true,
            Err(_) => {}
        }
    }
    let (kind, why, errno) = if denied {
        (Kind::NotExecutable, "permission denied".to_owned(), libc::EACCES)
    } else if plan.command.contains('/') {
        (Kind::NotFound, format!("stat {}: no such file or directory", plan.command), libc::ENOENT)
    } else {
        (Kind::NotFound, "executable file not found in $PATH".to_owned(), libc::ENOENT)
    };
    Err(Failure { kind, what: plan.command.clone(), why, errno })
}

fn is_directory(path: &CStr) -> bool {
    rustix::fs::stat(path).is_ok_and(|s| s.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// Stdio and preserved descriptors at their numbers; everything from `first_free` on goes at the exec
/// (rule R5). What the caller still needs must be above.
pub(in crate::runtime) fn place_descriptors(
    stdio: [BorrowedFd<'_>; 3],
    preserved: &[Option<BorrowedFd<'_>>],
    first_free: i32,
) -> Step<()> {
    let what = || "placing descriptors".into();
    // All are moved above the range first, so that placing one never covers another.
    let all = stdio.iter().map(Some).chain(preserved.iter().map(Option::as_ref));
    let moved = all
        .map(|f| f.map(|f| fd::dup(f, first_free)).transpose())
        .collect::<Result<Vec<_>, _>>()
        .during(what)?;
    for (number, from) in moved.iter().enumerate() {
        match from {
            Some(from) => fd::place(from.as_fd(), number as i32).during(what)?,
            None => fd::cloexec_at(number as i32),
        }
    }
    fd::cloexec_from(first_free.unsigned_abs()).during(what)
}

/// Makes the terminal (descriptor 0) the controlling one of our session.
pub(in crate::runtime) fn take_terminal() -> Step<()> {
    tty::set_controlling(rustix::stdio::stdin()).during(|| "taking the terminal".into())
}

/// Becomes the program. Returns why it did not.
pub(in crate::runtime) fn execute(plan: &ProcessPlan, path: &CStr) -> Failure {
    if let Err(e) = signal::reset_for_exec(&[libc::SIGPIPE]) {
        return Failure {
            kind: Kind::Step,
            what: "resetting signals".into(),
            why: e.to_string(),
            errno: e.errno,
        };
    }
    let error = process::exec(path, &plan.argv, &plan.env);
    let command = path.to_string_lossy().into_owned();
    let (kind, what, why) = match error.errno {
        // The file was found: what is missing is its interpreter.
        libc::ENOENT => (Kind::Exec, command, "no such file or directory"),
        libc::EACCES | libc::EPERM => (Kind::NotExecutable, plan.command.clone(), "permission denied"),
        libc::ENOEXEC => (Kind::Exec, command, "exec format error"),
        _ => (Kind::Exec, command, error.reason()),
    };
    Failure { kind, what, why: why.to_owned(), errno: error.errno }
}
