//! The life of a container from `create` to `rm`, where its steps meet: copies before the first start, waits between two
//! starts, what a commit leaves out, two storage roots on one machine.

use crate::support::{Sandbox, eventually};

/// A second storage root on the machine of `s`, with its image of busybox.
fn other_root(s: &Sandbox, args: &[&str]) -> String {
    let mut command = s.command();
    let root = s.dir().join("root2");
    let run = s.dir().join("run2");
    command.args(["--root", root.to_str().expect("a path"), "--runroot", run.to_str().expect("a path")]);
    command.args(args);
    s.finish(command).ok().to_owned()
}

#[test]
fn a_digest_is_taken_away_and_the_tags_stay() {
    let s = Sandbox::with_images("rmi-digest", &["busybox"]);
    s.rcon(["tag", "busybox", "mine:1"]).ok();
    let digest = s.rcon(["image", "inspect", "-f", "{{index .RepoDigests 0}}", "busybox"]).ok().to_owned();
    assert_eq!(s.rcon(["rmi", &digest]).ok(), format!("Untagged: {digest}"));
    let names =
        s.rcon(["image", "inspect", "-f", "{{.RepoTags}} {{.RepoDigests}}", "busybox"]).ok().to_owned();
    assert_eq!(names, "[busybox:latest mine:1] []");
    s.rcon(["rmi", &digest]).fails(1);
    // One tag and its digest are one reference, which a container keeps.
    s.rcon(["rmi", "mine:1"]).ok();
    s.rcon(["pull", "-q", "busybox"]).ok();
    s.rcon(["create", "--name", "c", "busybox"]).ok();
    assert!(s.rcon(["rmi", &digest]).fails(1).contains("must force"));
    assert_eq!(s.rcon(["rmi", "-f", &digest]).ok(), format!("Untagged: {digest}"));
    assert_eq!(s.rcon(["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok(), "busybox:latest");
    s.rcon(["rm", "c"]).ok();
    // The last name of an image takes it along, be it a digest.
    s.rcon(["rmi", "busybox"]).ok();
    s.rcon(["pull", "-q", &digest]).ok();
    assert!(s.rcon(["rmi", &digest]).ok().contains("\nDeleted: sha256:"));
    assert_eq!(s.rcon(["images", "-q"]).ok(), "");
}

#[test]
fn a_commit_and_a_diff_know_nothing_of_secrets() {
    let s = Sandbox::with_images("secret-commit", &["busybox"]);
    s.rcon_with_input(["secret", "create", "db", "-"], b"hunter2").ok();
    s.rcon([
        "run",
        "--name",
        "c",
        "--network",
        "none",
        "--secret",
        "db",
        "--secret",
        "source=db,target=/etc/db",
        "busybox",
        "sh",
        "-c",
        "echo x >/etc/mine; cat /run/secrets/db /etc/db",
    ])
    .ok();
    let changed = s.rcon(["diff", "c"]).ok().to_owned();
    assert!(
        changed.contains("A /etc/mine") && !changed.contains("db") && !changed.contains("secrets"),
        "{changed}"
    );
    s.rcon(["commit", "c", "img"]).ok();
    let look = "ls /etc/mine /etc/db /run/secrets 2>/dev/null; true";
    assert_eq!(s.rcon(["run", "--rm", "--network", "none", "img", "sh", "-c", look]).ok(), "/etc/mine");
}

#[test]
fn the_whole_root_of_a_running_container_is_copied() {
    let s = Sandbox::with_images("cp-root", &["busybox"]);
    s.rcon([
        "run",
        "-d",
        "--name",
        "c",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo x >/mine; sleep 1000",
    ])
    .ok();
    eventually("it is written", || s.rcon(["exec", "c", "cat", "/mine"]).stdout == "x\n");
    let out = s.dir().join("out");
    std::fs::create_dir(&out).expect("a folder");
    s.rcon(["cp", "c:/", out.to_str().expect("a path")]).ok();
    assert_eq!(std::fs::read_to_string(out.join("mine")).expect("the copy"), "x\n");
    assert!(out.join("bin/busybox").exists() && out.join("etc/hosts").exists());
    for kernels in ["proc", "sys"] {
        let inside = std::fs::read_dir(out.join(kernels)).expect("a folder").count();
        assert_eq!(inside, 0, "/{kernels} came along");
    }
    // What is asked for by name is copied from there, too.
    let release = s.dir().join("release");
    s.rcon(["cp", "c:/proc/sys/kernel/osrelease", release.to_str().expect("a path")]).ok();
    assert!(release.exists());
}

#[test]
fn a_copy_before_the_first_start_finds_the_volume_filled() {
    let s = Sandbox::with_images("cp-volume", &["busybox"]);
    let file = s.dir().join("file");
    std::fs::write(&file, "x").expect("a file");
    let file = file.to_str().expect("a path");
    s.rcon([
        "create",
        "--name",
        "c",
        "--network",
        "none",
        "-v",
        "vol:/etc",
        "busybox",
        "cat",
        "/etc/mine",
        "/etc/group",
    ])
    .ok();
    s.rcon(["cp", file, "c:/etc/mine"]).ok();
    assert!(s.rcon(["start", "-a", "c"]).ok().starts_with("xroot:x:0:"));
    s.rcon([
        "create",
        "--name",
        "n",
        "--network",
        "none",
        "-v",
        "bare:/etc:nocopy",
        "busybox",
        "ls",
        "/etc/group",
    ])
    .ok();
    s.rcon(["cp", file, "n:/etc/mine"]).ok();
    s.rcon(["start", "-a", "n"]).fails(1);
}

#[test]
fn between_two_starts_the_next_end_is_waited_for() {
    let s = Sandbox::with_images("wait-restart", &["busybox"]);
    let dir = s.dir().join("v");
    std::fs::create_dir(&dir).expect("a folder");
    let bind = format!("{}:/v", dir.display());
    let script = "echo x >>/v/starts; exit 3";
    s.rcon([
        "run",
        "-d",
        "--name",
        "c",
        "--restart",
        "always",
        "--network",
        "none",
        "-v",
        &bind,
        "busybox",
        "sh",
        "-c",
        script,
    ])
    .ok();
    let starts = || std::fs::read_to_string(dir.join("starts")).unwrap_or_default().lines().count();
    // Counted first, looked at then: whatever ends after this began after this.
    let mut before = 0;
    eventually("it waits for its next start", || {
        before = starts();
        before > 2 && s.rcon(["inspect", "-f", "{{.State.Status}}", "c"]).stdout == "restarting\n"
    });
    assert_eq!(s.rcon(["wait", "c"]).ok(), "3");
    assert!(starts() > before, "{} starts, {before} before", starts());
    // A stop while it waits ends the wait, too.
    let mut waiting = s.command();
    waiting.args(["wait", "c"]);
    let waiting = std::thread::scope(|scope| {
        let waits = scope.spawn(|| s.finish(waiting));
        s.rcon(["stop", "-t", "0", "c"]).ok();
        waits.join().expect("it returns")
    });
    waiting.ok();
}

#[test]
fn two_storage_roots_have_networks_of_their_own() {
    let s = Sandbox::with_images("two-roots", &["busybox"]);
    let image = s.dir().join("image.tar");
    let image = image.to_str().expect("a path");
    s.rcon(["save", "-o", image, "busybox"]).ok();
    other_root(&s, &["load", "-q", "-i", image]);
    let reach = "ip route | sed -n 's/^default via \\([0-9.]*\\) .*/\\1/p' | xargs ping -c 1 -W 20 >/dev/null && ip route";
    let first = s.rcon(["run", "--rm", "busybox", "sh", "-c", reach]).ok().to_owned();
    let second = other_root(&s, &["run", "--rm", "busybox", "sh", "-c", reach]);
    assert_ne!(first, second);
    let interface = |text: &str| {
        let at = text.find("com.docker.network.bridge.name").expect("the name of the bridge");
        text[at..].lines().next().unwrap_or_default().to_owned()
    };
    let ones = interface(s.rcon(["network", "inspect", "bridge"]).ok());
    assert_ne!(ones, interface(&other_root(&s, &["network", "inspect", "bridge"])));
}

#[test]
fn a_filter_narrows_the_names_that_a_start_is_given() {
    let s = Sandbox::with_images("start-filter", &["busybox"]);
    for name in ["a", "b"] {
        s.rcon(["create", "--name", name, "--network", "none", "busybox", "sleep", "1000"]).ok();
    }
    assert_eq!(s.rcon(["start", "--filter", "name=^a$", "a", "b"]).ok(), "a");
    assert_eq!(s.rcon(["start", "--filter", "status=exited", "b"]).ok(), "");
    assert_eq!(s.rcon(["inspect", "-f", "{{.State.Status}}", "a", "b"]).ok(), "running\ncreated");
    s.rcon(["start", "--filter", "name=a", "nobody"]).fails(1);
}

#[test]
fn volumes_are_borrowed_to_read_or_to_write_but_not_both() {
    let s = Sandbox::with_images("volumes-from", &["busybox"]);
    s.rcon(["create", "--name", "c", "-v", "v:/v", "busybox"]).ok();
    for (mode, code) in [("ro", 1), ("rw", 0), ("ro,z", 1)] {
        let from = format!("c:{mode}");
        let done = s.rcon([
            "run",
            "--rm",
            "--network",
            "none",
            "--volumes-from",
            &from,
            "busybox",
            "touch",
            "/v/file",
        ]);
        assert_eq!(done.code, code, "{mode}: {}", done.stderr);
    }
    let both = s.rcon(["run", "--rm", "--volumes-from", "c:ro,rw", "busybox", "true"]);
    assert!(both.fails(125).contains("invalid mode: rw"), "{}", both.stderr);
}
