//! What this runtime can do on this machine, for `features`: what depends on the kernel is asked of it.

use std::path::Path;

use serde_json::{Value, json};

use super::cgroup;
use crate::sys::mount::{self, Attributes};
use crate::sys::{caps, idmap, seccomp, selinux};

/// Actions of a seccomp rule and the kernel's numbers; `KILL` is an older word for the thread's.
const ACTIONS: [(&str, u32); 9] = [
    ("SCMP_ACT_ALLOW", 0x7fff_0000),
    ("SCMP_ACT_ERRNO", 0x0005_0000),
    ("SCMP_ACT_KILL", 0),
    ("SCMP_ACT_KILL_PROCESS", 0x8000_0000),
    ("SCMP_ACT_KILL_THREAD", 0),
    ("SCMP_ACT_LOG", 0x7ffc_0000),
    ("SCMP_ACT_NOTIFY", 0x7fc0_0000),
    ("SCMP_ACT_TRACE", 0x7ff0_0000),
    ("SCMP_ACT_TRAP", 0x0003_0000),
];

const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", seccomp::FLAG_TSYNC),
    ("SECCOMP_FILTER_FLAG_LOG", seccomp::FLAG_LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", seccomp::FLAG_SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", seccomp::FLAG_WAIT_KILLABLE_RECV),
];

/// The document.
#[must_use]
pub fn document() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": super::oci::OCI_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": super::plan::options::words(),
        "linux": {
            "namespaces": namespaces(),
            "capabilities": caps::all_names().collect::<Vec<_>>(),
            "cgroup": cgroups(),
            "seccomp": filters(),
            "apparmor": { "enabled": Path::new("/sys/kernel/security/apparmor/profiles").exists()
                || Path::new("/sys/module/apparmor/parameters/enabled").exists() },
            "selinux": { "enabled": selinux::enabled() },
            "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
            "memoryPolicy": {
                "modes": ["MPOL_BIND", "MPOL_DEFAULT", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED",
                    "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"],
                "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
            },
            "mountExtensions": { "idmap": { "enabled": maps_ids() } },
            "netDevices": { "enabled": true },
        },
        "annotations": { "org.rcon.version": env!("CARGO_PKG_VERSION") },
        "potentiallyUnsafeConfigAnnotations": [],
    })
}

fn namespaces() -> Vec<&'static str> {
    let all = [
        ("cgroup", "cgroup"),
        ("ipc", "ipc"),
        ("mount", "mnt"),
        ("network", "net"),
        ("pid", "pid"),
        ("time", "time"),
        ("user", "user"),
        ("uts", "uts"),
    ];
    let there = |file: &str| Path::new("/proc/self/ns").join(file).exists();
    all.into_iter().filter(|(_, file)| there(file)).map(|(word, _)| word).collect()
}

/// What the code can do holds everywhere; systemd must run to be asked.
fn cgroups() -> Value {
    let systemd = cgroup::systemd_runs();
    json!({ "v1": true, "v2": true, "systemd": systemd, "systemdUser": systemd, "rdma": true })
}

fn filters() -> Value {
    let enabled = seccomp::knows_action(0x7fff_0000);
    let actions = ACTIONS.iter().filter(|(_, number)| seccomp::knows_action(*number));
    let known: Vec<_> = FLAGS.iter().map(|(word, _)| *word).collect();
    let supported = FLAGS.iter().filter(|(_, bit)| seccomp::knows_flag(*bit));
    json!({
        "enabled": enabled,
        "actions": actions.map(|(word, _)| *word).collect::<Vec<_>>(),
        "operators": [
            "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
            "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
        ],
        "archs": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
        "knownFlags": known,
        "supportedFlags": supported.map(|(word, _)| *word).collect::<Vec<_>>(),
    })
}

/// Tries it on a file system of our own, which nobody sees. A user without root cannot try, nor use it.
fn maps_ids() -> bool {
    use std::os::fd::AsFd as _;
    let range = [idmap::Range { inside: 0, outside: 100_000, count: 1 }];
    let attempt = || {
        let made = mount::FsContext::new("tmpfs")?.mount(0)?;
        let userns = idmap::namespace(&range, &range)?;
        mount::set_attributes(
            &made,
            &Attributes { userns: Some(userns.as_fd()), ..Default::default() },
            false,
        )
    };
    attempt().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_this_kernel_has() {
        let document = document();
        let actions = document["linux"]["seccomp"]["actions"].as_array().unwrap();
        assert!(actions.contains(&"SCMP_ACT_NOTIFY".into()));
        assert_eq!(document["linux"]["selinux"]["enabled"], Path::new("/sys/fs/selinux/enforce").exists());
        assert_eq!(document["linux"]["cgroup"]["systemd"], Path::new("/run/systemd/system").exists());
        assert_eq!(document["linux"]["netDevices"]["enabled"], true);
    }
}
