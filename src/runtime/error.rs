//! What can go wrong when a process is put into a container, and the exit code that it means.

/// A start or an exec that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spec says something that cannot be done; `field` is its place in config.json.
    #[error("{field}: {why}")]
    Spec {
        /// For example `linux.namespaces[2].path`.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// What is asked does not go with what is.
    #[error("{0}")]
    Refused(String),
    /// No container of that id.
    #[error("container {0:?} does not exist")]
    NoContainer(String),
    /// The command is not there (exit code 127).
    #[error("exec: {command:?}: {why}")]
    CommandNotFound {
        /// As given.
        command: String,
        /// "executable file not found in $PATH", "no such file or directory".
        why: String,
    },
    /// The command is there but cannot be executed (exit code 126).
    #[error("exec: {command:?}: {why}")]
    CommandNotExecutable {
        /// As given.
        command: String,
        /// "permission denied", "exec format error", "is a directory".
        why: String,
    },
    /// The command was found, and the kernel refused to execute it.
    #[error("exec {command}: {why}")]
    Exec {
        /// As given.
        command: String,
        /// "no such file or directory" (of its interpreter), "exec format error".
        why: String,
        /// 127 or 126.
        code: i32,
    },
    /// A step of the start failed in the container's process.
    #[error("{what}")]
    Step {
        /// What was being done, to which thing: `mounting "tmpfs" at "/tmp"`.
        what: String,
        /// The system call that failed.
        #[source]
        cause: Cause,
    },
    /// The container's process ended before it was ready and said nothing (killed: out of memory?).
    #[error("the container's process ended during its start ({0})")]
    Died(String),
    /// A hook failed.
    #[error("error running {kind} hook #{number}: {path}: {why}")]
    Hook {
        /// Its place in the list, from 0.
        number: usize,
        /// `prestart`, `createRuntime` and so on.
        kind: &'static str,
        /// Its program.
        path: String,
        /// What happened.
        why: String,
    },
    /// cgroups.
    #[error(transparent)]
    Cgroup(#[from] super::cgroup::Error),
    /// The seccomp policy.
    #[error(transparent)]
    Seccomp(#[from] super::seccomp::Error),
    /// The user asked for cannot be had.
    #[error(transparent)]
    User(#[from] super::user::Error),
    /// A system call of ours.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
}

/// A failed system call as the container's process told it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Cause {
    /// The call with its arguments and its reason.
    pub text: String,
    /// The number.
    pub errno: i32,
}

impl Error {
    /// 127, 126 or 125, as docker and podman use them.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::CommandNotFound { .. } => 127,
            Self::CommandNotExecutable { .. } => 126,
            Self::Exec { code, .. } => *code,
            _ => 125,
        }
    }

    /// What is asked does not go with the state of the container.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    /// A wrong or unsupported field of the spec.
    pub fn spec(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Spec { field: field.into(), why: why.into() }
    }
}
