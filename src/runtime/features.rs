//! What this runtime can do, for `features`.

use serde_json::{Value, json};

use crate::sys::caps;

/// The parts of the answer that are lists.
#[derive(Debug)]
pub struct Facts {
    /// Words in a mount's options.
    pub mount_options: Vec<String>,
    /// Capabilities, `CAP_…`.
    pub capabilities: Vec<String>,
    /// seccomp: actions, operators, architectures, flags.
    pub seccomp: Value,
}

/// Collects them.
#[must_use]
pub fn collect() -> Facts {
    Facts {
        mount_options: super::plan::options::words(),
        capabilities: caps::all_names().collect(),
        seccomp: json!({
            "enabled": true,
            "actions": [
                "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
                "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
            ],
            "operators": [
                "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
            ],
            "archs": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
            "knownFlags": [
                "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
            ],
            "supportedFlags": [
                "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
            ],
        }),
    }
}
