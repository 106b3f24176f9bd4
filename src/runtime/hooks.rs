//! Hooks of the OCI spec: programs run at six moments, with the container's state on stdin.
//!
//! `prestart` and `createRuntime` run outside once the namespaces exist, `createContainer` in the
//! container's namespaces before the root changes, `startContainer` in the container just before the
//! program, `poststart` outside after it, `poststop` outside when it is deleted.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_spec::runtime::{Hook, Spec};

use super::Error;
use super::spawn::Request;
use crate::sys::process::{self, CloneArgs, ExitStatus, PidFd, Strings};
use crate::sys::{self, event, fd, signal};

/// Hooks that the child runs, with what their state document needs.
#[derive(Debug)]
pub(crate) struct InContainer<'a> {
    pub create_container: &'a [Hook],
    pub start_container: &'a [Hook],
    id: &'a str,
    bundle: PathBuf,
    spec: &'a Spec,
}

impl<'a> InContainer<'a> {
    pub(crate) fn new(request: &Request<'a>) -> Self {
        let hooks = request.spec.hooks().as_ref();
        Self {
            create_container: hooks.and_then(|h| h.create_container().as_deref()).unwrap_or_default(),
            start_container: hooks.and_then(|h| h.start_container().as_deref()).unwrap_or_default(),
            id: request.id,
            bundle: request.bundle.to_owned(),
            spec: request.spec,
        }
    }

    /// The state document as the child sees it.
    pub(crate) fn state(&self, status: &str, pid: i32) -> Vec<u8> {
        state_json(self.id, status, pid, &self.bundle, self.spec)
    }
}

/// Whether hooks run outside before the root changes, for which the child must wait.
pub(crate) fn any_outside(spec: &Spec) -> bool {
    !prestart(spec).is_empty() || !create_runtime(spec).is_empty()
}

/// The deprecated first kind.
#[allow(deprecated, reason = "the spec still demands that they run")]
#[must_use]
pub fn prestart(spec: &Spec) -> &[Hook] {
    spec.hooks().as_ref().and_then(|h| h.prestart().as_deref()).unwrap_or_default()
}

/// Hooks outside, before the root changes.
#[must_use]
pub fn create_runtime(spec: &Spec) -> &[Hook] {
    spec.hooks().as_ref().and_then(|h| h.create_runtime().as_deref()).unwrap_or_default()
}

/// Hooks outside, after the program runs.
#[must_use]
pub fn poststart(spec: &Spec) -> &[Hook] {
    spec.hooks().as_ref().and_then(|h| h.poststart().as_deref()).unwrap_or_default()
}

/// Hooks outside, after the container is deleted.
#[must_use]
pub fn poststop(spec: &Spec) -> &[Hook] {
    spec.hooks().as_ref().and_then(|h| h.poststop().as_deref()).unwrap_or_default()
}

/// The state document of the runtime spec.
#[must_use]
pub fn state_json(id: &str, status: &str, pid: i32, bundle: &Path, spec: &Spec) -> Vec<u8> {
    let annotations = spec.annotations().clone().unwrap_or_default();
    let mut state = serde_json::json!({
        "ociVersion": spec.version(),
        "id": id,
        "status": status,
        "bundle": bundle,
        "annotations": annotations.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    });
    // Not the specification's, but crun has it, and hooks are written that look for it.
    if let Some(root) = spec.root() {
        state["root"] = root.path().display().to_string().into();
    }
    if pid > 0 {
        state["pid"] = pid.into();
    }
    state.to_string().into_bytes()
}

/// Runs hooks in order; the first that fails ends it.
///
/// # Errors
/// [`Error::Hook`].
pub fn run(kind: &'static str, hooks: &[Hook], state: &[u8]) -> Result<(), Error> {
    if !hooks.is_empty() {
        tracing::debug!("running {} {kind} hooks", hooks.len());
    }
    run_with(kind, hooks, state, None)
}

/// Runs all hooks in order; one that fails is worth a warning, as the spec has it for those after the end.
pub fn run_each(kind: &'static str, hooks: &[Hook], state: &[u8]) {
    for (number, hook) in hooks.iter().enumerate() {
        if let Err(why) = run_one(hook, state, None) {
            let path = hook.path().display().to_string();
            tracing::warn!("{}", Error::Hook { kind, number, path, why });
        }
    }
}

/// [`run`] for hooks that say nothing of their environment and get this one, or ours.
pub(crate) fn run_with(
    kind: &'static str,
    hooks: &[Hook],
    state: &[u8],
    env: Option<&Strings>,
) -> Result<(), Error> {
    for (number, hook) in hooks.iter().enumerate() {
        let path = || hook.path().display().to_string();
        run_one(hook, state, env).map_err(|why| Error::Hook { kind, number, path: path(), why })?;
    }
    Ok(())
}

fn run_one(hook: &Hook, state: &[u8], env: Option<&Strings>) -> Result<(), String> {
    if !hook.path().is_absolute() {
        return Err("the path is not absolute".to_owned());
    }
    let deadline = match hook.timeout() {
        Some(t) if t <= 0 => return Err(format!("a timeout of {t} s")),
        other => other.map(|t| Instant::now() + Duration::from_secs(t.unsigned_abs())),
    };
    let (child, stdin, output) = spawn(hook, env).map_err(|e| e.to_string())?;
    // A hook need not read its stdin.
    let _unread = signal::ignore(libc::SIGPIPE).and_then(|()| fd::write_all(&stdin, state));
    drop(stdin);
    let said = read_until(&output, deadline);
    let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
    if !event::wait_readable(&child, left).map_err(|e| e.to_string())? {
        let _gone = child.signal(libc::SIGKILL);
        let _reaped = child.wait();
        return Err("it took longer than its timeout and was killed".to_owned());
    }
    let said = String::from_utf8_lossy(&said);
    match child.wait().map_err(|e| e.to_string())? {
        ExitStatus::Exited(0) => Ok(()),
        ExitStatus::Exited(code) => Err(format!("exit status {code}, output: {}", said.trim())),
        // The kernel's word for a call that a filter forbids.
        ExitStatus::Signaled { signal: libc::SIGSYS, .. } => {
            Err(format!("signal: bad system call, output: {}", said.trim()))
        }
        ExitStatus::Signaled { signal, .. } => {
            Err(format!("killed by {}, output: {}", signal::name(signal), said.trim()))
        }
    }
}

/// What it writes, 4 KiB at most kept, until the end or the deadline.
fn read_until(output: &impl AsFd, deadline: Option<Instant>) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        if !event::wait_readable(output, left).unwrap_or(false) {
            return kept;
        }
        match fd::read(output, &mut buffer) {
            Ok(n) if n > 0 => kept.extend_from_slice(&buffer[..n.min(4096_usize.saturating_sub(kept.len()))]),
            _ => return kept,
        }
    }
}

fn spawn(
    hook: &Hook,
    given: Option<&Strings>,
) -> sys::Result<(PidFd, std::os::fd::OwnedFd, std::os::fd::OwnedFd)> {
    let path = fd::c_path(hook.path())?;
    let own_name = [hook.path().to_string_lossy().into_owned()];
    let args = hook.args().as_deref().filter(|a| !a.is_empty()).unwrap_or(&own_name);
    let argv = Strings::new(args)?;
    let own = match (hook.env(), given) {
        (Some(env), _) => Some(Strings::new(env)?),
        (None, None) => Some(Strings::environment()?),
        (None, Some(_)) => None,
    };
    let env = own.as_ref().or(given).expect("one of the two is there");
    let (stdin, to_stdin) = fd::pipe()?;
    let (from_output, output) = fd::pipe()?;
    let child = process::clone(&CloneArgs::default(), || {
        let placed =
            fd::dup(&stdin, 10).and_then(|i| fd::dup(&output, 10).map(|o| (i, o))).and_then(|(i, o)| {
                fd::place(i.as_fd(), 0)?;
                fd::place(o.as_fd(), 1)?;
                fd::place(o.as_fd(), 2)?;
                fd::cloexec_from(3)?;
                signal::reset_for_exec(&[libc::SIGPIPE])
            });
        let error = placed.err().unwrap_or_else(|| process::exec(&path, &argv, env));
        let _told = fd::write_all(&output, error.to_string().as_bytes());
        127
    })?;
    Ok((child.pidfd, to_stdin, from_output))
}
