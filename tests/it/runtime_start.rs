//! `rcon runtime run`: bundles on the real kernel, field by field, and attacks on the start.

use std::fs;

use serde_json::{Value, json};

use crate::support::bundle::{bundle, create, run, state};
use crate::support::{Sandbox, rootfs};

fn add_mount(spec: &mut Value, mount: Value) {
    spec["mounts"].as_array_mut().expect("mounts").push(mount);
}

#[test]
fn exit_codes_and_unknown_commands() {
    let s = Sandbox::new("rt-codes");
    run(&s, "seven", "exit 7", |_| {}).fails(7);
    let missing = run(&s, "missing", "", |spec| spec["process"]["args"] = json!(["nosuch"]));
    assert!(missing.fails(1).contains("executable file not found in $PATH"), "{missing:?}");
    let directory = run(&s, "directory", "", |spec| spec["process"]["args"] = json!(["/etc"]));
    assert!(directory.fails(1).contains("permission denied"), "{directory:?}");
    assert_eq!(s.rcon(["runtime", "--root", &state(&s), "list", "-q"]).ok(), "");
}

#[test]
fn identity_is_what_the_spec_says() {
    let s = Sandbox::new("rt-identity");
    let done = run(
        &s,
        "id",
        "id; umask; pwd; cat /proc/self/oom_score_adj; ulimit -n; hostname; grep -E 'NoNew|CapAmb|CapInh' /proc/self/status",
        |spec| {
            spec["process"]["user"] =
                json!({ "uid": 1000, "gid": 1000, "additionalGids": [2000], "umask": 0o27 });
            spec["process"]["cwd"] = "/made/here".into();
            spec["process"]["oomScoreAdj"] = 321.into();
            spec["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 64, "hard": 128 }]);
            spec["process"]["noNewPrivileges"] = true.into();
            spec["hostname"] = "inside".into();
        },
    );
    let text = done.ok();
    for part in [
        "uid=1000(web) gid=1000(web) groups=2000(extra)",
        "0027",
        "/made/here",
        "321",
        "64",
        "inside",
        "NoNewPrivs:\t1",
        "CapAmb:\t0000000000000000",
        "CapInh:\t0000000000000000",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn binds_are_as_read_only_as_asked() {
    let s = Sandbox::new("rt-binds");
    let source = s.dir().join("source");
    fs::create_dir_all(source.join("sub")).expect("source");
    fs::write(source.join("file"), "content\n").expect("file");
    nix::mount::mount(
        Some("t"),
        &source.join("sub"),
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&str>,
    )
    .expect("tmpfs");
    let done = run(
        &s,
        "binds",
        "cat /ro/file /one; touch /ro/x 2>/dev/null || echo ro; touch /ro/sub/x && echo sub-rw; touch /rro/sub/x 2>/dev/null || echo sub-ro",
        |spec| {
            for (at, options) in [("/ro", ["rbind", "ro"]), ("/rro", ["rbind", "rro"])] {
                add_mount(
                    spec,
                    json!({ "destination": at, "type": "bind", "source": source, "options": options }),
                );
            }
            add_mount(
                spec,
                json!({ "destination": "/one", "type": "bind", "source": source.join("file"), "options": ["bind"] }),
            );
        },
    );
    nix::mount::umount(&source.join("sub")).expect("umount");
    assert_eq!(done.ok(), "content\ncontent\nro\nsub-rw\nsub-ro");
    let missing = run(&s, "nosource", "true", |spec| {
        add_mount(
            spec,
            json!({ "destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"] }),
        );
    });
    assert!(missing.fails(1).contains("/no/such: No such file or directory"), "{missing:?}");
}

#[test]
fn a_tmpfs_begins_with_what_it_covers() {
    let s = Sandbox::new("rt-copyup");
    let done = run(&s, "up", "cat /etc/group | head -1; touch /etc/new && echo ok", |spec| {
        add_mount(
            spec,
            json!({ "destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "mode=755"] }),
        );
    });
    assert_eq!(done.ok(), "root:x:0:\nok");
}

#[test]
fn sysctls_of_the_host_are_refused() {
    let s = Sandbox::new("rt-sysctl");
    let done =
        run(&s, "own", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax", |spec| {
            spec["linux"]["sysctl"] =
                json!({ "net.ipv4.ip_unprivileged_port_start": "7", "kernel.msgmax": "1234" });
        });
    assert_eq!(done.ok(), "7\n1234");
    for key in ["kernel.core_pattern", "net.ipv4/../../kernel/core_pattern", "vm.swappiness"] {
        let done = run(&s, "host", "true", |spec| spec["linux"]["sysctl"] = json!({ key: "x" }));
        assert!(done.fails(1).contains("linux.sysctl"), "{done:?}");
    }
}

#[test]
fn a_user_namespace_maps_ids() {
    let s = Sandbox::new("rt-userns");
    let done = run(
        &s,
        "user",
        "id -u; cat /proc/self/uid_map | tr -s ' '; touch /dev/shm/x && ls -n /dev/shm/x | cut -c1-10; echo > /dev/null && echo null",
        |spec| {
            spec["linux"]["namespaces"].as_array_mut().expect("namespaces").push(json!({ "type": "user" }));
            for map in ["uidMappings", "gidMappings"] {
                spec["linux"][map] = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
            }
        },
    );
    assert_eq!(done.ok(), "0\n 0 100000 65536\n-rw-r--r--\nnull");
}

#[test]
fn hooks_run_in_their_places() {
    let s = Sandbox::new("rt-hooks");
    let log = s.dir().join("log");
    let script = s.dir().join("hook.sh");
    fs::write(&script, format!("#!/bin/sh\ncat > {}.$1\n", log.display())).expect("hook");
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let kinds = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    run(&s, "hooks", "true", |spec| {
        for kind in kinds {
            spec["hooks"][kind] = json!([{ "path": script, "args": ["hook", kind] }]);
        }
    })
    .ok();
    for (kind, status) in kinds.iter().zip(["creating", "creating", "creating", "running", "stopped"]) {
        let text = fs::read_to_string(format!("{}.{kind}", log.display())).expect(kind);
        let state: Value = serde_json::from_str(&text).expect("state");
        assert_eq!((&state["id"], &state["status"]), (&json!("hooks"), &json!(status)), "{kind}");
    }
    let failed =
        run(&s, "fails", "true", |spec| spec["hooks"]["createRuntime"] = json!([{ "path": "/bin/false" }]));
    assert!(failed.fails(1).contains("createRuntime hook #0: /bin/false: exit status 1"), "{failed:?}");
    let slow = run(&s, "slow", "true", |spec| {
        spec["hooks"]["createRuntime"] =
            json!([{ "path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1 }]);
    });
    assert!(slow.fails(1).contains("longer than its timeout"), "{slow:?}");
}

/// CVE-2024-21626: the working directory must not lead out by a descriptor.
#[test]
fn no_working_directory_by_descriptor() {
    let s = Sandbox::new("rt-cwd");
    for number in 3..12 {
        let done = run(&s, "cwd", "cat ../../../../etc/hostname", |spec| {
            spec["process"]["cwd"] = format!("/proc/self/fd/{number}").into();
        });
        assert!(done.fails(1).contains("working directory"), "{done:?}");
    }
}

/// R5: only stdio crosses.
#[test]
fn no_descriptor_leaks() {
    let s = Sandbox::new("rt-fds");
    let done = run(&s, "fds", "echo /proc/self/fd/*", |_| {});
    // The shell itself has opened the last one to read the folder.
    let open = done.ok().split(' ').count();
    assert!(open <= 4, "{done:?}");
}

/// CVE-2019-19921 and followers: /proc must be an ordinary directory of the root.
#[test]
fn proc_as_a_link_is_refused() {
    let s = Sandbox::new("rt-proclink");
    let root = s.dir().join("evil");
    fs::create_dir_all(root.join("other")).expect("root");
    std::os::unix::fs::symlink("other", root.join("proc")).expect("link");
    let done = run(&s, "link", "true", |spec| spec["root"]["path"] = json!(root));
    assert!(done.fails(1).contains("/proc"), "{done:?}");
}

/// CVE-2026-41579, CVE-2026-47766: an image's /dev or mount target that is a link stays inside.
#[test]
fn links_in_the_root_lead_nowhere_else() {
    let s = Sandbox::new("rt-links");
    let outside = s.dir().join("outside");
    fs::create_dir_all(&outside).expect("outside");
    let root = s.dir().join("evil");
    for dir in ["bin", "proc", "sys"] {
        fs::create_dir_all(root.join(dir)).expect("root");
    }
    fs::copy(rootfs::busybox(&s).join("bin/busybox"), root.join("bin/busybox")).expect("busybox");
    let way_out = format!("../../../../../../../../..{}", outside.display());
    std::os::unix::fs::symlink(&way_out, root.join("dev")).expect("link");
    std::os::unix::fs::symlink(&outside, root.join("data")).expect("link");
    let done = run(&s, "links", "", |spec| {
        spec["root"]["path"] = json!(root);
        spec["process"]["args"] = json!(["/bin/busybox", "ls", "/dev/null"]);
        add_mount(
            spec,
            json!({ "destination": "/data/deep", "type": "tmpfs", "source": "tmpfs", "options": [] }),
        );
    });
    assert_eq!(done.ok(), "/dev/null");
    assert_eq!(fs::read_dir(&outside).expect("outside").count(), 0, "something was made outside");
}

/// CVE-2025-31133: masked paths are covered whatever the image has at /dev/null.
#[test]
fn masks_hold() {
    let s = Sandbox::new("rt-masks");
    let root = rootfs::busybox(&s);
    std::os::unix::fs::symlink("/proc/sys/kernel/core_pattern", root.join("dev/null")).expect("link");
    let done = run(
        &s,
        "masks",
        "cat /proc/keys | wc -c; ls /sys/firmware | wc -l; echo x 2>/dev/null > /proc/sys/kernel/panic || echo ro",
        |spec| {
            spec["linux"]["maskedPaths"] = json!(["/proc/keys", "/sys/firmware", "/proc/timer_list"]);
            spec["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
        },
    );
    assert_eq!(done.ok(), "0\n0\nro");
}

/// R9: an entry without a value would be copied from whoever's environment.
#[test]
fn environment_without_value_is_refused() {
    let s = Sandbox::new("rt-env");
    let done = run(&s, "env", "true", |spec| spec["process"]["env"] = json!(["PATH=/bin", "SECRET"]));
    assert!(done.fails(1).contains("process.env[1]"), "{done:?}");
}

#[test]
fn create_start_exec_kill_delete() {
    let s = Sandbox::new("rt-life");
    let bundle = bundle(&s, "life", "sleep 60", |_| {});
    let root = state(&s);
    let rt = |args: &[&str]| s.rcon(["runtime", "--root", &root].iter().chain(args));
    let status =
        |id: &str| serde_json::from_str::<Value>(rt(&["state", id]).ok()).expect("state")["status"].clone();
    create(&s, &bundle, "life");
    assert_eq!(status("life"), "created");
    assert!(
        rt(&["create", "--bundle", &bundle.to_string_lossy(), "life"]).fails(1).contains("already exists")
    );
    rt(&["start", "life"]).ok();
    assert_eq!(status("life"), "running");
    assert!(rt(&["start", "life"]).fails(1).contains("already running"));
    assert_eq!(
        rt(&[
            "exec",
            "--cwd",
            "/tmp",
            "--env",
            "A=b",
            "--user",
            "1000:7",
            "life",
            "sh",
            "-c",
            "id -u; id -g; pwd; echo $A"
        ])
        .ok(),
        "1000\n7\n/tmp\nb"
    );
    rt(&["exec", "life", "sh", "-c", "exit 3"]).fails(3);
    assert!(rt(&["exec", "life", "nosuch"]).fails(255).contains("not found in $PATH"));
    assert!(rt(&["delete", "life"]).fails(1).contains("not stopped"));
    rt(&["pause", "life"]).ok();
    assert_eq!(status("life"), "paused");
    rt(&["resume", "life"]).ok();
    rt(&["kill", "life", "KILL"]).ok();
    crate::support::eventually("the end", || status("life") == "stopped");
    assert!(rt(&["kill", "life", "TERM"]).fails(1).contains("not running"));
    rt(&["delete", "life"]).ok();
    assert!(rt(&["state", "life"]).fails(1).contains("does not exist"));
}

/// CVE-2019-5736: what a process in the container sees of an exec is a file that it cannot open to write.
#[test]
fn our_program_is_out_of_reach() {
    let s = Sandbox::new("rt-exe");
    let bundle = bundle(
        &s,
        "exe",
        "while :; do for p in /proc/[0-9]*; do (echo x >> $p/exe) 2>/dev/null && echo $p >> /tmp/written; done; done",
        |_| {},
    );
    let root = state(&s);
    let rt = |args: &[&str]| s.rcon(["runtime", "--root", &root].iter().chain(args));
    create(&s, &bundle, "exe");
    rt(&["start", "exe"]).ok();
    for _ in 0..20 {
        rt(&["exec", "exe", "true"]).ok();
    }
    rt(&["delete", "--force", "exe"]).ok();
    assert!(!rootfs::busybox(&s).join("tmp/written").exists(), "a program was opened for writing");
}
