//! exec: the process of the spec, changed by flags, or one read from a file.

use std::path::Path;

use oci_spec::runtime::{Capabilities, Process};

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::runtime::cgroup::below::Below;
use crate::runtime::manage::{enter, foreground::Foreground};
use crate::runtime::{Error, bundle};
use crate::sys::{fd, self_exe};

use super::args::Exec;
use super::{Ctx, failure, start_failure};

pub(super) fn run(args: Exec, ctx: &mut Ctx<'_>) -> Outcome {
    if let Some(outcome) = from_read_only_file() {
        return outcome;
    }
    run_to_end(&args, ctx).map_err(|trouble| {
        let failure = match trouble {
            Trouble::Asked(failure) => failure,
            Trouble::Runtime(e) => start_failure(ctx, "exec failed", &e),
        };
        failure.code(255)
    })
}

/// What was asked for cannot be, or did not work.
enum Trouble {
    Asked(Failure),
    Runtime(Error),
}

impl From<Failure> for Trouble {
    fn from(f: Failure) -> Self {
        Self::Asked(f)
    }
}

impl<E: Into<Error>> From<E> for Trouble {
    fn from(e: E) -> Self {
        Self::Runtime(e.into())
    }
}

fn run_to_end(args: &Exec, ctx: &Ctx<'_>) -> Result<Exit, Trouble> {
    let below = Below::parse(&args.cgroup)?;
    let container = ctx.store.open(&args.id)?;
    let process = process(args, container.spec()?.process().clone())?;
    let foreground = if args.detach { None } else { Some(Foreground::new()?) };
    let request = enter::Request {
        store: &ctx.store,
        id: &args.id,
        process: &process,
        console_socket: args.console_socket.as_deref(),
        pid_file: args.pid_file.as_deref(),
        below: &below,
        pidfd_socket: args.pidfd_socket.as_deref(),
        preserve_fds: args.preserve_fds,
        dies_with_us: !args.detach,
        ignore_paused: args.ignore_paused,
    };
    let executed = enter::run(&request)?;
    let Some(foreground) = foreground else { return Ok(Exit::OK) };
    let status = foreground.follow(&executed.pidfd, executed.console)?;
    Ok(Exit::Code(u8::try_from(status.code()).unwrap_or(255)))
}

/// A process inside could reach our file through `/proc/PID/exe`, so we must run from one that cannot
/// be written to (CVE-2019-5736). Returns only where that is so, or where it failed.
fn from_read_only_file() -> Option<Outcome> {
    if self_exe::is_unwritable() {
        return None;
    }
    let again = || -> crate::sys::Result<crate::sys::Error> {
        use crate::sys::process::{Strings, exec_fd};
        use std::os::unix::ffi::OsStrExt as _;
        let program = self_exe::open()?;
        let argv = Strings::new(std::env::args_os().map(|a| a.as_bytes().to_vec()))?;
        let env = Strings::environment()?;
        Ok(exec_fd(program, &argv, &env))
    };
    let error = again().unwrap_or_else(|e| e);
    Some(Err(failure("exec failed: running from a read-only copy", &error)))
}

fn process(args: &Exec, of_spec: Option<Process>) -> Result<Process, Trouble> {
    if let Some(file) = &args.process {
        let mut process = bundle::parse_process(&fd::read_file(file)?, file)?;
        if args.tty {
            process.set_terminal(Some(true));
        }
        return Ok(process);
    }
    let mut process =
        of_spec.ok_or_else(|| Failure::new("the container has no process to take settings from"))?;
    if args.command.is_empty() {
        return Err(Failure::new("exec args cannot be empty: give a command or --process").into());
    }
    process.set_args(Some(args.command.clone())).set_terminal(Some(args.tty));
    if let Some(cwd) = &args.cwd {
        process.set_cwd(Path::new(cwd).to_owned());
    }
    if !args.env.is_empty() {
        let mut env = process.env().clone().unwrap_or_default();
        env.extend(args.env.iter().cloned());
        process.set_env(Some(env));
    }
    if args.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if args.process_label.is_some() {
        process.set_selinux_label(args.process_label.clone());
    }
    if args.apparmor.is_some() {
        process.set_apparmor_profile(args.apparmor.clone());
    }
    set_user(args, &mut process)?;
    add_capabilities(args, &mut process)?;
    Ok(process)
}

fn set_user(args: &Exec, process: &mut Process) -> Result<(), Failure> {
    if let Some(user) = &args.user {
        let (uid, gid) = user.split_once(':').map_or((user.as_str(), None), |(u, g)| (u, Some(g)));
        let parse = |what: &str, text: &str| {
            text.parse::<u32>()
                .map_err(|_| Failure::new(format!("parsing {text:?} as int for {what} failed")))
        };
        process.user_mut().set_uid(parse("uid", uid)?);
        if let Some(gid) = gid {
            process.user_mut().set_gid(parse("gid", gid)?);
        }
    }
    if !args.additional_gids.is_empty() {
        let mut groups = process.user().additional_gids().clone().unwrap_or_default();
        groups.extend(&args.additional_gids);
        process.user_mut().set_additional_gids(Some(groups));
    }
    Ok(())
}

/// Into bounding, effective and permitted, and ambient where the spec has inheritable ones already;
/// inheritable stays as it is (rule R8).
fn add_capabilities(args: &Exec, process: &mut Process) -> Result<(), Failure> {
    if args.cap.is_empty() {
        return Ok(());
    }
    let mut wanted = Capabilities::new();
    for name in &args.cap {
        let parsed = serde_json::from_value(serde_json::Value::String(name.to_ascii_uppercase()));
        wanted.insert(parsed.map_err(|_| Failure::new(format!("unknown capability {name:?}")))?);
    }
    let mut sets = process.capabilities().clone().unwrap_or_default();
    let join = |set: &Option<Capabilities>| {
        let mut set = set.clone().unwrap_or_default();
        set.extend(wanted.iter().copied());
        Some(set)
    };
    let (bounding, effective, permitted) =
        (join(sets.bounding()), join(sets.effective()), join(sets.permitted()));
    let ambient = match sets.inheritable() {
        Some(inheritable) if !inheritable.is_empty() => join(sets.ambient()),
        _ => sets.ambient().clone(),
    };
    sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted).set_ambient(ambient);
    process.set_capabilities(Some(sets));
    Ok(())
}
