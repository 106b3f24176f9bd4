//! A root directory made by hand, for tests that need no image.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::Sandbox;

/// Directory of a root with a static busybox and links for its applets; made once per sandbox.
#[must_use]
pub fn busybox(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.dir().join("busybox");
    if root.exists() {
        return root;
    }
    for dir in ["bin", "etc", "tmp", "root", "proc", "sys", "dev"] {
        fs::create_dir_all(root.join(dir)).expect("root directory");
    }
    let program = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| fs::metadata(path).is_ok())
        .expect("busybox-static is installed");
    fs::copy(program, root.join("bin/busybox")).expect("busybox");
    let applets = super::sh(&format!("{program} --list"));
    for applet in applets.lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).expect("applet");
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n")
        .expect("passwd");
    fs::write(root.join("etc/group"), "root:x:0:\nweb:x:1000:\nextra:x:2000:web\n").expect("group");
    root
}
