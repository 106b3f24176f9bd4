//! `exec`: a further process in a running container.

use std::time::{Duration, Instant};

use super::attach::{AttachOptions, Attached, Streams};
use super::context::Context;
use super::error::{Error, Kind};
use super::resolve::env_merge;
use super::view::Container;
use crate::model::container::{ContainerSpec, Phase};
use crate::model::process::ProcessOptions;
use crate::monitor::client::{self, ExecOutcome, ExecStdio};
use crate::monitor::proto::{self, ExecRequest, TermSize};

/// How to run it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExecOptions {
    /// argv, environment, user, workdir, tty, privileged.
    pub process: ProcessOptions,
    /// `None`: detached (`-d`).
    pub attach: Option<AttachOptions>,
}

/// A process that was started.
#[derive(Debug)]
pub enum ExecHandle {
    /// It runs on its own; the id of the exec session.
    Detached(String),
    /// Its streams wait to be relayed.
    Attached(Box<Attached>),
}

/// How often [`wait_until_running`] looks. There may be no container yet, so nothing that could be watched.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until a container runs, which need not exist yet (`--wait`).
///
/// # Errors
/// It does not run in time; a store that cannot be read.
pub fn wait_until_running(ctx: &Context, name: &str, limit: Duration) -> Result<(), Error> {
    let began = Instant::now();
    let store = ctx.store()?;
    loop {
        match Container::find(ctx, &store, name) {
            Ok(container) if matches!(container.phase, Phase::Running(_)) => return Ok(()),
            Ok(_) => {}
            Err(e) if e.kind() == Kind::NotFound => {}
            Err(e) => return Err(e),
        }
        if began.elapsed() >= limit {
            return Err(Error::new(Kind::Conflict, format!("timed out waiting for container: {name}")));
        }
        std::thread::sleep(LOOK);
    }
}

/// Starts a process in a running container. Without a terminal it may get the caller's own `streams`.
///
/// # Errors
/// No such container, not running or paused, a command that cannot be started (126, 127).
pub fn exec(
    ctx: &Context,
    name: &str,
    options: &ExecOptions,
    streams: Streams<'_>,
) -> Result<ExecHandle, Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    container.active()?;
    let spec = container.spec(&store)?;
    let request = request(options, &without_terminal(&spec))?;
    let tty = request.tty;
    let stdio = match (&options.attach, tty) {
        (None, _) => ExecStdio::Null,
        (Some(_), true) => ExecStdio::Terminal,
        (Some(a), false) => {
            let [stdin, stdout, stderr] = super::stdio::copies(streams)?;
            ExecStdio::Inherit {
                stdin: a.stdin.then_some(stdin),
                stdout: a.stdout.then_some(stdout),
                stderr: a.stderr.then_some(stderr),
            }
        }
    };
    let preserved = super::stdio::preserved(&request.preserved_at)?;
    let started = client::exec(&ctx.paths, container.id(), request, stdio, preserved)
        .map_err(|e| as_podman(ctx, e.into()))?;
    let id = container.id().clone();
    Ok(match started.outcome {
        ExecOutcome::Detached => ExecHandle::Detached(started.id),
        ExecOutcome::Terminal(relay) => {
            ExecHandle::Attached(Box::new(Attached::main(id, relay, options.attach.as_ref())))
        }
        ExecOutcome::Waiting(wait) => {
            let attach = options.attach.clone().unwrap_or_default();
            ExecHandle::Attached(Box::new(Attached::wait(id, wait, &attach)))
        }
    })
}

/// Podman's exit code where the working directory is not there: that of a command that is not.
fn as_podman(ctx: &Context, e: Error) -> Error {
    let text = e.chain();
    let missing = text.contains("working directory") && text.contains("No such file");
    if ctx.podman && missing { e.exit(127) } else { e }
}

/// The container's environment without the terminal type that only its main process has a terminal for.
fn without_terminal(spec: &ContainerSpec) -> Vec<String> {
    let asked = spec.options.process.env.iter().any(|(name, _)| name == "TERM");
    let unasked = |e: &&String| spec.process.tty && !asked && *e == "TERM=xterm";
    spec.process.env.iter().filter(|e| !unasked(e)).cloned().collect()
}

fn request(options: &ExecOptions, container_env: &[String]) -> Result<ExecRequest, Error> {
    let ProcessOptions {
        args,
        entrypoint: _,
        env,
        env_merge: _,
        unset_env,
        unset_env_all,
        user,
        group_add,
        workdir,
        tty,
        interactive: _,
        cap_add,
        cap_drop,
        privileged,
        rlimits,
        umask,
        oom_score_adj,
        init: _,
        preserve_fds,
        preserve_fd,
    } = &options.process;
    if args.is_empty() {
        return Err(Error::new(Kind::Invalid, "must provide a non-empty command to start an exec session"));
    }
    let other = !cap_add.is_empty()
        || !cap_drop.is_empty()
        || !rlimits.is_empty()
        || umask.is_some()
        || oom_score_adj.is_some();
    if other {
        return Err(Error::new(
            Kind::Unsupported,
            "an exec has the container's capabilities, limits and umask; only --privileged changes them",
        ));
    }
    let workdir = workdir.as_deref().filter(|d| !d.is_empty());
    if let Some(dir) = workdir.filter(|d| !d.starts_with('/')) {
        return Err(Error::new(
            Kind::Invalid,
            format!("the working directory '{dir}' is invalid, it needs to be an absolute path"),
        ));
    }
    let mut all = if *unset_env_all { Vec::new() } else { container_env.to_vec() };
    all.retain(|e| !unset_env.iter().any(|u| e.split_once('=').is_some_and(|(n, _)| n == u)));
    if *tty && !all.iter().any(|e| e.starts_with("TERM=")) {
        all.push("TERM=xterm".to_owned());
    }
    let own: Vec<String> = env.iter().map(|(n, v)| format!("{n}={v}")).collect();
    env_merge(&mut all, own.iter().map(String::as_str));
    let streams = options.attach.as_ref().map_or_else(proto::Streams::default, |a| proto::Streams {
        stdin: a.stdin,
        stdout: a.stdout,
        stderr: a.stderr,
    });
    let size = options.attach.as_ref().and_then(|a| a.size).map(|(rows, cols)| TermSize { rows, cols });
    Ok(ExecRequest {
        argv: args.clone(),
        env: all,
        user: user.clone().filter(|u| !u.is_empty()),
        group_add: group_add.clone(),
        cwd: workdir.map(str::to_owned),
        tty: *tty,
        size,
        privileged: *privileged,
        detach: options.attach.is_none(),
        streams,
        stdio_passed: options.attach.is_some() && !tty,
        preserved_at: crate::model::process::preserved(*preserve_fds, preserve_fd),
        id: None,
    })
}
