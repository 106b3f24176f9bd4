//! seccomp: from a policy (docker's default, a profile in docker's form, the OCI's form) to a program
//! for the kernel.
//!
//! `profile` reads docker's form and decides what applies here (architecture, capabilities, kernel),
//! `table` is the default policy, `policy` is what both forms become: rules by name; `compile` turns it into
//! a binary search over system call numbers for each architecture. `sys::seccomp` loads it.

use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxSeccomp;

use crate::model::security::SeccompChoice;
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
    let _ = (choice, capabilities, cache);
    todo!()
}

/// Checks a profile when a container is created, so that a bad one is refused then and not at start.
///
/// # Errors
/// [`Error`].
pub fn check_profile(json: &str) -> Result<(), Error> {
    let _ = json;
    todo!()
}

/// The filter of an OCI bundle.
///
/// # Errors
/// [`Error`].
pub fn from_oci(seccomp: &LinuxSeccomp) -> Result<Filter, Error> {
    let _ = seccomp;
    todo!()
}

/// Docker's default policy for a set of capabilities, in the OCI's form (for `rcon runtime spec`, other
/// OCI runtimes and people who want to start from it).
#[must_use]
pub fn default_oci(capabilities: &[String]) -> LinuxSeccomp {
    let _ = capabilities;
    todo!()
}
