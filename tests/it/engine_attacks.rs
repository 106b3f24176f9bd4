//! Attacks on the engine from within a container or by an image, each the mechanism of a CVE of docker or podman
//! (docs/security.md): links that are swapped while files are copied, programs of the image that stand where the host
//! would look, doors that other users of the machine could use. Attacks on a start are in `runtime_attacks`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::support::bundle::{bundle, create, run, runtime};
use crate::support::{Sandbox, sh};

/// CVE-2018-15664, CVE-2019-10152, CVE-2019-18466: a folder becomes a link to the host and back while it is copied.
#[test]
fn copies_are_not_led_out_by_links_that_come_and_go() {
    let s = Sandbox::with_images("eat-cp", &["busybox"]);
    let outside = s.dir().join("outside");
    fs::create_dir_all(&outside).expect("outside");
    fs::write(outside.join("secret"), "of the host").expect("secret");
    let swap = format!(
        "mkdir /real; echo inside > /real/secret; while :; do ln -sfn {} /way; rm /way; mv /real /way; mv /way /real; done",
        outside.display()
    );
    s.rcon(["run", "-d", "--network", "none", "--name", "cp", "busybox", "sh", "-c", &swap]).ok();
    let plant = s.dir().join("plant");
    fs::write(&plant, "planted").expect("plant");
    for _ in 0..40 {
        // Whatever comes of it, nothing of the host comes out and nothing gets there.
        s.rcon(["cp", &plant.to_string_lossy(), "cp:/way/"]);
        let out = s.dir().join("got");
        let _none_yet = fs::remove_file(&out);
        s.rcon(["cp", "cp:/way/secret", &out.to_string_lossy()]);
        if let Ok(text) = fs::read_to_string(&out) {
            assert_eq!(text, "inside\n");
        }
    }
    s.rcon(["rm", "-f", "-t", "0", "cp"]).ok();
    let names: Vec<_> =
        fs::read_dir(&outside).expect("outside").filter_map(|e| Some(e.ok()?.file_name())).collect();
    assert_eq!(names, ["secret"], "something was planted on the host");
    assert_eq!(fs::read_to_string(outside.join("secret")).expect("secret"), "of the host");
}

/// CVE-2022-1227: no program of the image runs on the host's side.
#[test]
fn top_runs_nothing_of_the_image() {
    let s = Sandbox::with_images("eat-top", &["busybox"]);
    let evil = "for p in ps nsenter top; do rm -f /bin/$p; printf '#!/bin/sh\\ntouch /ran\\n' > /bin/$p; chmod +x /bin/$p; done; \
        touch /ready; exec sleep 1000";
    s.rcon(["run", "-d", "--network", "none", "--name", "top", "busybox", "sh", "-c", evil]).ok();
    crate::support::eventually("the image is evil", || {
        s.rcon(["exec", "top", "test", "-e", "/ready"]).code == 0
    });
    assert!(s.rcon(["top", "top"]).ok().contains("sleep 1000"));
    assert!(s.rcon(["top", "top", "pid", "comm"]).ok().contains("sleep"));
    s.rcon(["exec", "top", "test", "-e", "/ran"]).fails(1);
    s.rcon(["rm", "-f", "-t", "0", "top"]).ok();
}

/// CVE-2020-15257, CVE-2021-41091, CVE-2024-25621: other users of the machine find no socket to talk to, and no way
/// to programs of images that would run with their owner's rights.
#[test]
fn other_users_of_the_machine_find_no_way_in() {
    let s = Sandbox::with_images("eat-modes", &["busybox"]);
    let before = abstract_sockets();
    s.rcon(["run", "-d", "--network", "none", "--name", "door", "busybox", "sleep", "1000"]).ok();
    assert_eq!(abstract_sockets(), before);
    let as_other = |script: &str| {
        sh(&format!("setpriv --reuid 4242 --regid 4242 --clear-groups sh -c '{script}' 2>&1 || true"))
    };
    for root in [s.root(), s.run_root()] {
        // The sandbox's own folder may be closed as well; what is looked at is the mode of ours.
        let reached = reachable(&root);
        assert!(reached.is_empty(), "{reached:?} of {} are open to others", root.display());
    }
    assert!(!as_other(&format!("ls {}/layers/*", s.root().display())).contains("diff"));
    s.rcon(["rm", "-f", "-t", "0", "door"]).ok();
}

/// Sockets and programs with owner's rights that somebody without rights could reach, by modes alone.
fn reachable(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut look = vec![root.to_owned()];
    while let Some(path) = look.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let mode = meta.permissions().mode();
        if meta.is_dir() && mode & 0o001 != 0 {
            look.extend(fs::read_dir(&path).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())));
        }
        let socket = mode & libc_mode::FMT == libc_mode::SOCKET && mode & 0o002 != 0;
        if socket || meta.is_file() && mode & 0o6000 != 0 {
            found.push(path.display().to_string());
        }
    }
    found
}

mod libc_mode {
    pub(super) const FMT: u32 = 0o170_000;
    pub(super) const SOCKET: u32 = 0o140_000;
}

fn abstract_sockets() -> usize {
    fs::read_to_string("/proc/net/unix").expect("sockets").lines().filter(|l| l.contains(" @")).count()
}

/// CVE-2026-55686: a working directory behind a link of the image is made in the container, not on the host.
#[test]
fn a_working_directory_behind_a_link_is_not_made_on_the_host() {
    let s = Sandbox::new("eat-cwd");
    let outside = s.dir().join("outside");
    fs::create_dir_all(&outside).expect("outside");
    let done = run(&s, "cwd", "pwd", |spec| {
        let root = spec["root"]["path"].as_str().expect("root").to_owned();
        std::os::unix::fs::symlink(&outside, format!("{root}/link")).expect("link");
        spec["process"]["cwd"] = "/link/deep/er".into();
    });
    assert!(done.code == 1 || done.stdout.contains("deep"), "{done:?}");
    assert_eq!(fs::read_dir(&outside).expect("outside").count(), 0, "something was made on the host");
}

/// CVE-2026-30892, CVE-2024-40635: what is no user is refused, and is never root.
#[test]
fn what_is_no_user_is_not_root() {
    let s = Sandbox::new("eat-user");
    let dir = bundle(&s, "user", "sleep 1000", |spec| {
        spec["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    });
    create(&s, &dir, "user");
    runtime(&s, ["start", "user"]).ok();
    for wrong in [
        "",
        ":",
        "x",
        "-1",
        "1x",
        "0x0",
        " 0",
        "4294967296",
        "18446744073709551616",
        "1:",
        "1:x",
        "1:-1",
        "1:2:3",
    ] {
        let done = runtime(&s, ["exec", "--user", wrong, "user", "id", "-u"]);
        assert!(done.code != 0 && done.stdout.is_empty(), "{wrong:?}: {done:?}");
    }
    assert_eq!(
        runtime(&s, ["exec", "--user", "1:2", "user", "sh", "-c", "echo $(id -u):$(id -g)"]).ok(),
        "1:2"
    );
    // Left out, the group is the spec's.
    assert_eq!(
        runtime(&s, ["exec", "--user", "1", "user", "sh", "-c", "echo $(id -u):$(id -g)"]).ok(),
        "1:1000"
    );
    runtime(&s, ["delete", "--force", "user"]).ok();
}

/// A limit of memory that holds a process and hardly more still lets it start: the runtime takes next to nothing.
#[test]
fn a_limit_of_two_mebibytes_still_starts() {
    let s = Sandbox::new("eat-small");
    let done = run(&s, "small", "echo small", |spec| {
        spec["linux"]["resources"]["memory"] = json!({ "limit": 2 << 20 });
    });
    assert_eq!(done.ok(), "small");
}
