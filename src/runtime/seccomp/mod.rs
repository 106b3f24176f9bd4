//! seccomp: from a policy (docker's default, a profile in docker's form, the OCI's form) to a program
//! for the kernel.
//!
//! `profile` reads docker's form and picks what applies here (architecture, capabilities, kernel), `table` is
//! the default policy, `policy` is what all forms become: rules by name; `compile` turns it into a binary
//! search over system call numbers for each architecture; `cache` keeps the default's program.
//! `sys::seccomp` loads it.
//!
//! Names that this program does not know are ignored, as libseccomp ignores them: a profile may be newer or
//! for more machines.

mod cache;
mod compile;
pub mod notify;
mod numbers;
mod policy;
mod profile;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use oci_spec::runtime as oci;

use policy::{Action, Operator, Policy};

use crate::model::security::SeccompChoice;
use crate::sys::seccomp as sys;
use crate::sys::seccomp::Instruction;

/// A program ready to be loaded by [`crate::sys::seccomp::load`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The program.
    pub program: Vec<Instruction>,
    /// Flags of seccomp(2), SECCOMP_FILTER_FLAG_…; NEW_LISTENER is among them where [`Filter::listener`] is set.
    pub flags: u32,
    /// Where the notify descriptor goes, if the policy has notify rules.
    pub listener: Option<Listener>,
}

/// A seccomp agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its unix socket.
    pub path: PathBuf,
    /// Text for it.
    pub metadata: String,
    /// `sendmsg` is notified, so the descriptor cannot be sent to who tells the agent, but is fetched from the process.
    pub by_number: bool,
}

/// A policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a profile.
    #[error("the seccomp profile is not valid")]
    Json(#[source] serde_json::Error),
    /// A word or number in it.
    #[error("seccomp profile: {what}: {why}")]
    Invalid {
        /// Where.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// No command could be executed.
    #[error("the seccomp profile forbids execve, so that no command can be started")]
    Exec,
    /// An architecture that this program has no system call table of.
    #[error("seccomp profile: system calls of architecture {0} are not supported")]
    Architecture(String),
    /// More than the kernel takes.
    #[error("the seccomp program has {0} instructions, the kernel takes 4096")]
    TooLong(usize),
}

/// The filter of a container: `None` where it is unconfined. The default policy is taken from `cache` (a
/// directory on tmpfs) when it is there, else compiled and put there.
///
/// # Errors
/// [`Error`], for a profile only.
pub fn for_container(
    choice: &SeccompChoice,
    capabilities: &[String],
    cache: Option<&Path>,
) -> Result<Option<Filter>, Error> {
    match choice {
        SeccompChoice::Unconfined => Ok(None),
        SeccompChoice::Profile { path: _, json } => {
            let release = rustix::system::uname().release().to_string_lossy().into_owned();
            let here = profile::Here { capabilities, kernel: &release };
            let document = profile::to_oci(json, &here)?;
            // The child could say nothing of it any more.
            if Policy::from_oci(&document).is_ok_and(|policy| policy.forbids_call("execve")) {
                return Err(Error::Exec);
            }
            from_oci(&document).map(Some)
        }
        SeccompChoice::Default => {
            let file = cache.map(|dir| cache::file(dir, capabilities));
            let cached = file.as_deref().and_then(cache::load);
            let program = cached.unwrap_or_else(|| {
                let program = compile::compile(&table::policy(capabilities));
                if let Some(file) = &file {
                    cache::store(file, &program);
                }
                program
            });
            Ok(Some(Filter { program, flags: sys::FLAG_SPEC_ALLOW, listener: None }))
        }
    }
}

/// Checks a profile when a container is created, so that a bad one is refused then and not at start.
///
/// # Errors
/// [`Error`].
pub fn check_profile(json: &str) -> Result<(), Error> {
    // Every rule is looked at for what can be wrong with it, whichever capabilities there will be.
    for capabilities in [&[][..], &crate::runtime::defaults::ALL_CAPABILITIES.map(str::to_owned)] {
        let here = profile::Here { capabilities, kernel: "999.0" };
        from_oci(&profile::to_oci(json, &here)?)?;
    }
    Ok(())
}

/// The filter of an OCI bundle.
///
/// # Errors
/// [`Error`].
pub fn from_oci(seccomp: &oci::LinuxSeccomp) -> Result<Filter, Error> {
    let policy = Policy::from_oci(seccomp)?;
    let program = compile::compile(&policy);
    if program.len() > sys::MAX_INSTRUCTIONS {
        return Err(Error::TooLong(program.len()));
    }
    let mut flags = flags(seccomp);
    let path = seccomp.listener_path().clone().filter(|p| !p.as_os_str().is_empty());
    let listener = match (policy.notifies(), path) {
        (false, _) => None,
        (true, Some(path)) => {
            flags |= sys::FLAG_NEW_LISTENER;
            if flags & sys::FLAG_TSYNC != 0 {
                flags |= sys::FLAG_TSYNC_ESRCH;
            }
            let metadata = seccomp.listener_metadata().clone().unwrap_or_default();
            Some(Listener { path, metadata, by_number: policy.notifies_call("sendmsg") })
        }
        (true, None) => {
            return Err(Error::Invalid {
                what: "listenerPath".to_owned(),
                why: "SCMP_ACT_NOTIFY needs it".to_owned(),
            });
        }
    };
    if listener.is_none() {
        // The kernel refuses it without a listener; it changes nothing then.
        flags &= !sys::FLAG_WAIT_KILLABLE_RECV;
    }
    Ok(Filter { program, flags, listener })
}

/// The flags of a document. Without any, the slow mitigation of speculative store bypass is left off, as
/// runc has it: kernels since 5.16 do not couple it to seccomp any more.
fn flags(seccomp: &oci::LinuxSeccomp) -> u32 {
    use oci::LinuxSeccompFilterFlag as F;
    let Some(given) = seccomp.flags() else { return sys::FLAG_SPEC_ALLOW };
    given.iter().fold(0, |flags, f| {
        flags
            | match f {
                F::SeccompFilterFlagLog => sys::FLAG_LOG,
                F::SeccompFilterFlagTsync => sys::FLAG_TSYNC,
                F::SeccompFilterFlagSpecAllow => sys::FLAG_SPEC_ALLOW,
                F::SeccompFilterFlagWaitKillableRecv => sys::FLAG_WAIT_KILLABLE_RECV,
            }
    })
}

/// Docker's default policy for a set of capabilities, in the OCI's form (for `rcon runtime spec`, other
/// OCI runtimes and people who want to start from it).
///
/// The OCI's form compares whole arguments, so that its rules for `socket` are docker's own ones.
#[must_use]
pub fn default_oci(capabilities: &[String]) -> oci::LinuxSeccomp {
    let policy = table::policy(capabilities);
    let mut calls = Vec::new();
    for rule in &policy.rules {
        let mut call = oci::LinuxSyscall::default();
        call.set_names(rule.names.iter().map(|n| n.clone().into_owned()).collect());
        match rule.action {
            Action::Errno(errno) => {
                call.set_action(oci::LinuxSeccompAction::ScmpActErrno).set_errno_ret(Some(errno.into()));
            }
            _ => {
                call.set_action(oci::LinuxSeccompAction::ScmpActAllow);
            }
        }
        if rule.names == ["socket"] {
            for (op, value) in table::SOCKET_FAMILIES {
                calls.push(call.clone().with_args(vec![argument(0, *op, *value, None)]));
            }
            continue;
        }
        let args: Vec<_> = rule.conditions.iter().map(from_condition).collect();
        if !args.is_empty() {
            call.set_args(Some(args));
        }
        calls.push(call);
    }
    let mut out = oci::LinuxSeccomp::default();
    out.set_default_action(oci::LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(table::EPERM.into()))
        .set_architectures(Some(policy.architectures.iter().map(|a| profile::oci_arch(*a)).collect()))
        .set_syscalls(Some(calls));
    out
}

trait WithArgs {
    fn with_args(self, args: Vec<oci::LinuxSeccompArg>) -> Self;
}

impl WithArgs for oci::LinuxSyscall {
    fn with_args(mut self, args: Vec<oci::LinuxSeccompArg>) -> Self {
        self.set_args(Some(args));
        self
    }
}

fn from_condition(c: &policy::Condition) -> oci::LinuxSeccompArg {
    use oci::LinuxSeccompOperator as O;
    let index = usize::from(c.argument);
    match c.operator {
        Operator::Eq if c.mask != u64::MAX => argument(index, O::ScmpCmpMaskedEq, c.mask, Some(c.value)),
        Operator::Eq => argument(index, O::ScmpCmpEq, c.value, None),
        Operator::Ne => argument(index, O::ScmpCmpNe, c.value, None),
        Operator::Lt => argument(index, O::ScmpCmpLt, c.value, None),
        Operator::Le => argument(index, O::ScmpCmpLe, c.value, None),
        Operator::Gt => argument(index, O::ScmpCmpGt, c.value, None),
        Operator::Ge => argument(index, O::ScmpCmpGe, c.value, None),
    }
}

fn argument(
    index: usize,
    op: oci::LinuxSeccompOperator,
    value: u64,
    two: Option<u64>,
) -> oci::LinuxSeccompArg {
    let mut made = oci::LinuxSeccompArgBuilder::default().index(index).op(op).value(value);
    if let Some(two) = two {
        made = made.value_two(two);
    }
    made.build().expect("every part has a default")
}
