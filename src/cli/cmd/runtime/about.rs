//! features and spec: what needs no container.

use serde_json::json;

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::runtime::{bundle, features};
use crate::sys::atomic;

use super::args::Spec;
use super::{Ctx, failure};

pub(super) fn features(ctx: &mut Ctx<'_>) -> Outcome {
    let facts = features::collect();
    let document = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": crate::runtime::oci::OCI_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": facts.mount_options,
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": facts.capabilities,
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true },
            "seccomp": facts.seccomp,
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": false },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": false },
        },
        "annotations": { "org.rcon.version": env!("CARGO_PKG_VERSION") },
        "potentiallyUnsafeConfigAnnotations": [],
    });
    ctx.ui.line(format_args!("{document:#}"));
    Ok(Exit::OK)
}

pub(super) fn spec(args: &Spec) -> Outcome {
    let file = args.bundle.join("config.json");
    let rootless =
        args.rootless.then(|| (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()));
    match atomic::create_new(&file, bundle::example(rootless).as_bytes(), 0o644) {
        Ok(()) => Ok(Exit::OK),
        Err(e) if e.is(libc::EEXIST) => {
            Err(Failure::new(format!("file {} exists. Remove it first", file.display())))
        }
        Err(e) => Err(failure("", &e)),
    }
}
