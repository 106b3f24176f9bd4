//! Security choices: seccomp, LSM labels, masked and read-only paths, privileged.

use serde::{Deserialize, Serialize};

/// What the caller said; `None` and empty mean "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityOptions {
    /// `--security-opt seccomp=…`.
    pub seccomp: Option<SeccompChoice>,
    /// `--security-opt apparmor=…`.
    pub apparmor: Option<String>,
    /// `--security-opt label=…`, each as typed after `label=`.
    pub labels: Vec<String>,
    /// `--security-opt no-new-privileges`.
    pub no_new_privileges: bool,
    /// `--security-opt mask=/a:/b`.
    pub mask: Vec<String>,
    /// `--security-opt unmask=ALL|/a:/b` (globs allowed).
    pub unmask: Vec<String>,
    /// `--security-opt proc-opts=…`.
    pub proc_opts: Vec<String>,
    /// `--security-opt systempaths=unconfined`.
    pub systempaths_unconfined: bool,
}

/// Which seccomp policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeccompChoice {
    /// Docker's default policy, from our own table.
    Default,
    /// No filter.
    Unconfined,
    /// A profile in docker's JSON form, read at create so that the container does not depend on the file.
    Profile {
        /// Path as typed, for `inspect`.
        path: String,
        /// Its text.
        json: String,
    },
}

/// Security as it will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecuritySpec {
    /// All devices, all capabilities, no masks.
    pub privileged: bool,
    /// seccomp policy.
    pub seccomp: SeccompChoice,
    /// AppArmor profile where the kernel has AppArmor.
    #[serde(default)]
    pub apparmor: Option<String>,
    /// SELinux process label where the kernel has SELinux.
    #[serde(default)]
    pub selinux_label: Option<String>,
    /// Paths hidden in the container.
    pub masked_paths: Vec<String>,
    /// Paths read-only in the container.
    pub readonly_paths: Vec<String>,
    /// Options of the proc mount (`hidepid=2`, `subset=pid`).
    #[serde(default)]
    pub proc_opts: Vec<String>,
    /// `--security-opt` values as typed, for `inspect`.
    #[serde(default)]
    pub as_typed: Vec<String>,
}

/// A device given to the container (`--device HOST[:CTR[:rwm]]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// Node (or directory of nodes) on the host, or a CDI name `vendor.com/class=name`.
    pub host: String,
    /// Path in the container.
    pub container: String,
    /// `r`, `w`, `m` in any combination.
    pub permissions: String,
}
