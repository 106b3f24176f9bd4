//! Called as root of a user namespace that a user without root made, as podman calls its runtime.

use std::path::Path;
use std::process::Command;

use crate::support::Sandbox;
use crate::support::bundle::{bundle, of_user};

#[test]
fn the_root_of_a_users_namespace_needs_no_more_than_the_user_may() {
    let s = Sandbox::new("rt-lent");
    let script = "echo made > /dev/null && ls -l /dev/null | cut -c1; id -u";
    let dir = bundle(&s, "lent", script, |spec| {
        // No group 5 is mapped, and no cgroup may be made, nor was one asked for.
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        for options in mounts.iter_mut().filter_map(|m| m["options"].as_array_mut()) {
            options.retain(|o| o != "gid=5");
        }
        mounts.retain(|m| m["type"] != "cgroup");
        spec["linux"].as_object_mut().expect("linux").remove("resources");
    });
    let own = of_user(&s, 1000);
    // Made by root, for a user without root may be kept from it; who is in it is user 1000 outside.
    let script = "unshare --user --mount sleep 1000 & holder=$!; trap \"kill $holder\" EXIT
        until [ \"$(readlink /proc/$holder/ns/user)\" != \"$(readlink /proc/$$/ns/user)\" ]; do sleep 0.01; done
        echo '0 1000 1' >/proc/$holder/uid_map; echo '0 1000 1' >/proc/$holder/gid_map
        nsenter --target $holder --user --mount --setuid 0 --setgid 0 \"$@\"";
    let mut command = Command::new("sh");
    command
        .args(["-euc", script, "sh"])
        .arg(own.join("rcon"))
        .args(["runtime", "run", "--bundle"])
        .arg(&dir)
        .arg("lent");
    command.env("XDG_RUNTIME_DIR", own.join("run")).env("USER", "somebody");
    let done = command.stdin(std::process::Stdio::null()).output().expect("sh");
    assert!(done.status.success(), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "c\n0\n", "{done:?}");
    assert!(
        Path::new(&own.join("run/rcon-runtime")).exists(),
        "its containers are where the user's things are"
    );
}
