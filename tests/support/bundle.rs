//! Bundles for `rcon runtime`: a spec over a busybox root, changed by a closure, and the commands to run it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Done, Sandbox, rootfs};

/// A bundle over a busybox root, changed by a closure, run to its end.
pub fn run(sandbox: &Sandbox, id: &str, script: &str, change: impl FnOnce(&mut Value)) -> Done {
    let bundle = bundle(sandbox, id, script, change);
    sandbox.rcon(["runtime", "--root", &state(sandbox), "run", "--bundle", &bundle.to_string_lossy(), id])
}

/// Folder of the containers.
#[must_use]
pub fn state(sandbox: &Sandbox) -> String {
    sandbox.dir().join("runtime").to_string_lossy().into_owned()
}

/// Writes the bundle.
pub fn bundle(sandbox: &Sandbox, id: &str, script: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let dir = sandbox.dir().join(format!("bundle-{id}"));
    fs::create_dir_all(&dir).expect("bundle");
    // `spec` does not overwrite; a second bundle of the same name may.
    fs::remove_file(dir.join("config.json")).ok();
    sandbox.rcon(["runtime", "spec", "--bundle", &dir.to_string_lossy()]).ok();
    let text = fs::read(dir.join("config.json")).expect("config.json");
    let mut spec: Value = serde_json::from_slice(&text).expect("json");
    spec["root"] = json!({ "path": rootfs::busybox(sandbox), "readonly": false });
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = json!(["/bin/sh", "-c", script]);
    change(&mut spec);
    fs::write(dir.join("config.json"), spec.to_string()).expect("config.json");
    dir
}

/// A folder that belongs to a user without root, with a folder `run` and a copy of the binary, `rcon`.
#[must_use]
pub fn of_user(sandbox: &Sandbox, id: u32) -> PathBuf {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let own = sandbox.dir().join("own");
    fs::create_dir_all(own.join("run")).expect("folder");
    for one in [own.clone(), own.join("run")] {
        chown(&one, Some(id), Some(id)).expect("owner");
    }
    for above in sandbox.dir().ancestors().take(2) {
        fs::set_permissions(above, fs::Permissions::from_mode(0o755)).expect("mode");
    }
    fs::copy(super::rcon_binary(), own.join("rcon")).expect("a copy that the user may read");
    own
}

/// `create`, whose container keeps the streams that it is given: not the pipes of a test that waits for their end.
pub fn create(sandbox: &Sandbox, bundle: &std::path::Path, id: &str) {
    let mut command = sandbox.command();
    command.args(["runtime", "--root", &state(sandbox), "create", "--bundle"]).arg(bundle).arg(id);
    let null = std::process::Stdio::null;
    assert!(command.stdout(null()).stderr(null()).status().expect("rcon starts").success());
}

/// `rcon runtime` with a folder of containers and these words.
pub fn runtime<const N: usize>(sandbox: &Sandbox, words: [&str; N]) -> Done {
    let root = state(sandbox);
    let mut all = vec!["runtime", "--root", &root];
    all.extend(words);
    sandbox.rcon(all)
}

/// `run --detach` with the bundle's output in its file `out`.
pub fn run_detached(sandbox: &Sandbox, bundle: &std::path::Path, id: &str) {
    let mut command = sandbox.command();
    command.args(["runtime", "--root", &state(sandbox), "run", "-d", "--bundle"]).arg(bundle).arg(id);
    let out = fs::File::create(bundle.join("out")).expect("out");
    let errors = fs::File::create(bundle.join("err")).expect("err");
    let status = command.stdin(std::process::Stdio::null()).stdout(out).stderr(errors).status();
    assert!(
        status.expect("rcon starts").success(),
        "{}",
        fs::read_to_string(bundle.join("err")).expect("err")
    );
}
