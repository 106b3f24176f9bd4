//! Fields of config.json as other runtimes and their suites take them: environment, capabilities, hooks, mounts,
//! namespaces that are joined, memory policy, affinity.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::bundle::{bundle, run, run_detached, runtime};
use crate::support::{Sandbox, rootfs};

#[test]
fn variables_are_there_once_and_home_is_set() {
    let s = Sandbox::new("rt-env");
    let env = |list: Value| move |spec: &mut Value| spec["process"]["env"] = list;
    let done = run(&s, "env", "env | sort", env(json!(["A=1", "PATH=/bin", "A=2", "HOME="])));
    let text = done.ok().to_owned();
    assert!(text.contains("A=2") && !text.contains("A=1") && text.contains("HOME=/root"), "{text}");
    let done = run(&s, "env", "echo $HOME", env(json!(["HOME=/a", "PATH=/bin", "HOME=/b"])));
    assert_eq!(done.ok(), "/b");
}

#[test]
fn an_unknown_capability_is_a_warning() {
    let s = Sandbox::new("rt-caps");
    let done = run(&s, "caps", "grep CapAmb /proc/self/status", |spec| {
        let all = json!(["CAP_KILL", "CAP_CHOWN", "CAP_LUCK"]);
        spec["process"]["capabilities"] = json!({
            "bounding": all, "effective": all, "permitted": all,
            "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL", "CAP_CHOWN"],
        });
    });
    assert_eq!(done.ok(), "CapAmb:\t0000000000000020");
    assert!(done.stderr.contains("ignoring unknown or unavailable capabilities: [CAP_LUCK]"), "{done:?}");
    assert!(done.stderr.contains("can't raise ambient capability CAP_CHOWN: "), "{done:?}");
}

#[test]
fn capabilities_of_the_program_let_it_be_executed() {
    let s = Sandbox::new("rt-override");
    let change = |caps: Value| {
        move |spec: &mut Value| {
            let root = spec["root"]["path"].as_str().expect("root").to_owned();
            fs::write(format!("{root}/only-roots"), "#!/bin/sh\necho run\n").expect("script");
            fs::set_permissions(
                format!("{root}/only-roots"),
                std::os::unix::fs::PermissionsExt::from_mode(0o700),
            )
            .expect("mode");
            spec["process"]["args"] = json!(["/only-roots"]);
            spec["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
            spec["process"]["capabilities"] = json!({ "bounding": caps, "permitted": caps, "effective": caps, "inheritable": caps, "ambient": caps });
        }
    };
    run(&s, "with", "", change(json!(["CAP_DAC_OVERRIDE"]))).ok();
    assert!(run(&s, "without", "", change(json!([]))).fails(1).contains("permission denied"));
}

#[test]
fn hooks_stand_where_their_programs_expect() {
    let s = Sandbox::new("rt-hookplace");
    // A hook that enters the mount namespace finds the root at its path of the host.
    let enter = "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); nsenter -m -t $pid touch \"$ROOT/by-runtime\"";
    let done = run(&s, "hooks", "ls /by-runtime /by-container; echo $1", |spec| {
        let root = spec["root"]["path"].clone();
        let env = json!([format!("ROOT={}", root.as_str().expect("root")), "PATH=/usr/bin:/bin"]);
        spec["hooks"] = json!({
            "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", enter], "env": env }],
            "createContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", "touch ./by-container"] }],
            "startContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", "test \"$ONE\" = two"] }],
        });
        spec["process"]["env"] = json!(["PATH=/bin", "ONE=two"]);
    });
    assert!(done.ok().contains("/by-container") && done.stdout.contains("/by-runtime"), "{done:?}");
}

#[test]
fn start_hooks_are_confined_as_the_program_is() {
    let s = Sandbox::new("rt-hookfilter");
    let filter = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL" },
            // As docker's default: the older call must do.
            { "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 },
        ],
    });
    let with = |script: &'static str, filter: Value| {
        move |spec: &mut Value| {
            spec["linux"]["seccomp"] = filter;
            spec["hooks"]["startContainer"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }]);
        }
    };
    run(&s, "good", "true", with("test -d /tmp", filter.clone())).ok();
    let done = run(&s, "bad", "true", with("exec mkdir /tmp/foo", filter));
    let text = done.fails(1);
    assert!(text.contains("startContainer hook #0") && text.contains("bad system call"), "{text}");
}

#[test]
fn tmpfs_has_the_mode_of_what_it_covers() {
    let s = Sandbox::new("rt-tmpfsmode");
    let mounted = |options: Value| {
        move |spec: &mut Value| {
            let mounts = spec["mounts"].as_array_mut().expect("mounts");
            for at in ["/covered", "/new"] {
                mounts.push(
                    json!({ "destination": at, "type": "tmpfs", "source": "tmpfs", "options": options }),
                );
            }
        }
    };
    let covered = rootfs::busybox(&s).join("covered");
    fs::create_dir_all(&covered).expect("directory");
    fs::set_permissions(&covered, std::os::unix::fs::PermissionsExt::from_mode(0o710)).expect("mode");
    let script = "stat -c %a /covered /new";
    assert_eq!(run(&s, "inherited", script, mounted(json!(["nosuid"]))).ok(), "710\n1777");
    assert_eq!(run(&s, "asked", script, mounted(json!(["mode=1500"]))).ok(), "1500\n1500");
}

#[test]
fn mount_points_are_made_behind_dangling_links() {
    let s = Sandbox::new("rt-dangling");
    let root = rootfs::busybox(&s);
    symlink("/tmp/far", root.join("jump")).expect("link");
    symlink("/jump/file", root.join("etc/hosts")).expect("link");
    let source = s.dir().join("source");
    fs::write(&source, "content\n").expect("source");
    let done = run(&s, "dangling", "cat /tmp/far/file", |spec| {
        let mount = json!({ "destination": "/etc/hosts", "source": source, "options": ["bind"] });
        spec["mounts"].as_array_mut().expect("mounts").push(mount);
    });
    assert_eq!(done.ok(), "content");
}

#[test]
fn a_bind_may_come_from_an_earlier_mount_of_the_container() {
    let s = Sandbox::new("rt-ownsource");
    let root = rootfs::busybox(&s);
    let source = s.dir().join("source");
    fs::create_dir_all(source.join("deep")).expect("source");
    fs::write(source.join("deep/file"), "content\n").expect("file");
    let done = run(&s, "own", "cat /final/file", |spec| {
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        mounts.push(json!({ "destination": "/mnt", "source": source, "options": ["bind"] }));
        mounts.push(json!({ "destination": "/final", "source": root.join("mnt/deep"), "options": ["bind"] }));
    });
    assert_eq!(done.ok(), "content");
}

#[test]
fn ids_of_an_own_mount_are_shifted_from_outside_the_user_namespace() {
    let s = Sandbox::new("rt-ownshift");
    let root = rootfs::busybox(&s);
    // The container's root may make no directories in a root that is not its own.
    for place in ["mnt", "final"] {
        fs::create_dir_all(root.join(place)).expect("place");
    }
    let map = |host: u32| json!([{ "containerID": 0, "hostID": host, "size": 65536 }]);
    for above in root.ancestors().take(3) {
        fs::set_permissions(above, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    }
    let done = run(&s, "ownshift", "touch /mnt/a; stat -c %u /mnt/a /final/a", |spec| {
        spec["linux"]["namespaces"].as_array_mut().expect("namespaces").push(json!({ "type": "user" }));
        (spec["linux"]["uidMappings"], spec["linux"]["gidMappings"]) = (map(100_000), map(100_000));
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        mounts.push(json!({ "destination": "/mnt", "type": "tmpfs", "source": "tmpfs" }));
        mounts.push(json!({
            "destination": "/final", "source": root.join("mnt"), "options": ["bind"],
            // Its root becomes the container's fifth.
            "uidMappings": [{ "containerID": 0, "hostID": 100_005, "size": 1 }],
            "gidMappings": [{ "containerID": 0, "hostID": 100_005, "size": 1 }],
        }));
    });
    assert_eq!(done.ok(), "0\n5", "{done:?}");
}

#[test]
fn many_mounts_do_not_meet_a_small_limit_of_descriptors() {
    let s = Sandbox::new("rt-manyfds");
    let done = run(&s, "many", "ls -d /m/* | wc -l", |spec| {
        for n in 0..40 {
            let mount = json!({ "destination": format!("/m/{n}"), "source": "/tmp", "options": ["bind"] });
            spec["mounts"].as_array_mut().expect("mounts").push(mount);
        }
        spec["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 16, "hard": 16 }]);
    });
    assert_eq!(done.ok(), "40");
}

#[test]
fn all_namespaces_of_another_can_be_joined() {
    let s = Sandbox::new("rt-join");
    let userns = |spec: &mut Value| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.push(json!({ "type": "user" }));
        namespaces.push(json!({ "type": "time" }));
        spec["linux"]["timeOffsets"] = json!({ "monotonic": { "secs": 7881, "nanosecs": 1 } });
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
        spec["linux"]["uidMappings"] = map.clone();
        spec["linux"]["gidMappings"] = map;
        spec["process"]["args"] = json!(["/bin/sleep", "1000"]);
        spec["root"]["readonly"] = true.into();
    };
    let first = bundle(&s, "first", "", userns);
    run_detached(&s, &first, "first");
    let state: Value = serde_json::from_str(runtime(&s, ["state", "first"]).ok()).expect("state");
    let pid = state["pid"].clone();
    let script =
        "cat /proc/self/uid_map; grep monotonic /proc/self/timens_offsets; ps | grep -c 'sleep 100[0]'";
    let join = |new_pid: bool| {
        let pid = pid.clone();
        move |spec: &mut Value| {
            userns(spec);
            spec["process"]["args"] = json!(["/bin/sh", "-c", script]);
            for one in spec["linux"]["namespaces"].as_array_mut().expect("namespaces") {
                let kind = one["type"].as_str().expect("type").to_owned();
                let file = if kind == "network" { "net" } else { &kind };
                if kind != "mount" && !(new_pid && kind == "pid") {
                    one["path"] = format!("/proc/{pid}/ns/{file}").into();
                }
            }
            let linux = spec["linux"].as_object_mut().expect("linux");
            for key in ["uidMappings", "gidMappings", "timeOffsets"] {
                linux.remove(key);
            }
        }
    };
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let done = run(&s, "second", "", join(false));
    assert_eq!(words(done.ok()), ["0", "100000", "65536", "monotonic", "7881", "1", "1"]);
    // A pid namespace of its own, owned by the user namespace of the other.
    let done = run(&s, "third", "", join(true));
    assert_eq!(words(&done.stdout), ["0", "100000", "65536", "monotonic", "7881", "1", "0"], "{done:?}");
    runtime(&s, ["delete", "--force", "first"]).ok();
}

#[test]
fn the_hosts_mount_namespace_can_be_kept() {
    let s = Sandbox::new("rt-hostmounts");
    let done = run(&s, "host", "ls /; test -e /proc/self && echo proc", |spec| {
        spec["linux"]["namespaces"].as_array_mut().expect("namespaces").retain(|n| n["type"] != "mount");
    });
    assert!(done.ok().contains("proc") && !done.stdout.contains("boot"), "{done:?}");
    // What was mounted is unmounted.
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains(&*rootfs::busybox(&s).to_string_lossy()), "{mounts}");
}

#[test]
fn an_exec_has_the_memory_policy_and_the_domain_too() {
    let s = Sandbox::new("rt-domain");
    let dir = bundle(&s, "domain", "sleep 1000", |spec| {
        spec["linux"]["memoryPolicy"] = json!({ "mode": "MPOL_BIND", "nodes": "0" });
        spec["linux"]["personality"] = json!({ "domain": "LINUX32" });
    });
    run_detached(&s, &dir, "domain");
    assert_eq!(runtime(&s, ["exec", "domain", "uname", "-m"]).ok(), "i686");
    let first = runtime(&s, ["exec", "domain", "head", "-n", "1", "/proc/self/numa_maps"]);
    assert!(first.ok().contains("bind:0"), "{first:?}");
    runtime(&s, ["delete", "--force", "domain"]).ok();
    let wrong = |policy: Value| {
        run(&s, "wrong", "true", move |spec| spec["linux"]["memoryPolicy"] = policy).fails(1).to_owned()
    };
    assert!(
        wrong(json!({ "mode": "MPOL_DEFAULT", "nodes": "0-7" })).contains("mode requires 0 nodes but got 8")
    );
    assert!(
        wrong(json!({ "mode": "MPOL_BIND", "nodes": "0-9876543210" })).contains("invalid memory policy node")
    );
}

#[test]
fn the_cpus_are_those_of_the_cgroup_not_of_the_caller() {
    let s = Sandbox::new("rt-affinity");
    let dir = bundle(&s, "cpus", "grep Cpus_allowed_list /proc/self/status", |_| {});
    let all = fs::read_to_string("/proc/self/status").expect("status");
    let all =
        all.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).expect("a line").trim().to_owned();
    let mut command = std::process::Command::new("taskset");
    command.args(["-c", "0"]).arg(crate::support::rcon_binary());
    command
        .args(["runtime", "--root", &crate::support::bundle::state(&s), "run", "--bundle"])
        .arg(&dir)
        .arg("c");
    let output = command.output().expect("taskset");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.trim().ends_with(&all), "{text} {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_process_file_need_not_name_a_user() {
    let s = Sandbox::new("rt-procfile");
    let dir = bundle(&s, "pf", "sleep 1000", |_| {});
    run_detached(&s, &dir, "pf");
    let file = s.dir().join("process.json");
    let process = json!({
        "args": ["/bin/sh", "-c", "id -u; echo $HOME"], "cwd": "/",
        "scheduler": { "policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_RESET_ON_FORK"] },
    });
    fs::write(&file, process.to_string()).expect("file");
    assert_eq!(runtime(&s, ["exec", "--process", &file.to_string_lossy(), "pf"]).ok(), "0\n/root");
    runtime(&s, ["delete", "--force", "pf"]).ok();
}

#[test]
fn a_terminal_without_a_console_socket_writes_plain_newlines() {
    let s = Sandbox::new("rt-newlines");
    let done = run(&s, "nl", "echo a; echo b", |spec| spec["process"]["terminal"] = true.into());
    assert_eq!(done.stdout, "a\nb\n");
}

#[test]
fn a_cgroup_that_is_in_use_or_frozen_is_refused() {
    let s = Sandbox::new("rt-busycg");
    let path = format!("/rcon-test-busycg-{}", std::process::id());
    let dir = bundle(&s, "one", "sleep 1000", |spec| spec["linux"]["cgroupsPath"] = path.clone().into());
    run_detached(&s, &dir, "one");
    let dir = dir.to_string_lossy();
    let again = || runtime(&s, ["run", "--bundle", &dir, "two"]);
    assert!(again().fails(1).contains("container's cgroup is not empty"));
    runtime(&s, ["pause", "one"]).ok();
    assert!(again().fails(1).contains("container's cgroup unexpectedly frozen"));
    runtime(&s, ["delete", "--force", "one"]).ok();
}

#[test]
fn groups_of_cache_that_the_machine_has_not_are_refused_by_name() {
    let s = Sandbox::new("rt-rdt");
    // The sandbox's own /sys has no resctrl on it, whatever the machine has.
    let done =
        run(&s, "rdt", "true", |spec| spec["linux"]["intelRdt"] = json!({ "l3CacheSchema": "L3:0=f" }));
    assert!(done.fails(1).contains("linux.intelRdt"), "{done:?}");
    assert!(!std::path::Path::new(&crate::support::bundle::state(&s)).join("rdt").exists());
    let dir = bundle(&s, "later", "sleep 1000", |_| {});
    run_detached(&s, &dir, "later");
    let done = runtime(&s, ["update", "--mem-bw-schema", "MB:0=50", "--pids-limit", "77", "later"]);
    assert!(done.fails(1).contains("linux.intelRdt"), "{done:?}");
    runtime(&s, ["delete", "--force", "later"]).ok();
}

#[test]
fn paths_to_be_hidden_are_absolute() {
    let s = Sandbox::new("rt-relmask");
    for field in ["maskedPaths", "readonlyPaths"] {
        let done = run(&s, "rel", "true", |spec| spec["linux"][field] = json!(["../proc/kcore"]));
        assert!(
            done.fails(1).contains(&format!("linux.{field}: \"../proc/kcore\" is not absolute")),
            "{done:?}"
        );
    }
}

#[test]
fn a_label_of_mounts_without_selinux_means_nothing() {
    let s = Sandbox::new("rt-label");
    let done = run(&s, "label", "grep -c context= /proc/self/mounts", |spec| {
        spec["linux"]["mountLabel"] = "system_u:object_r:container_file_t:s0".into();
    });
    assert_eq!(done.stdout.trim(), "0", "{done:?}");
}

#[test]
fn a_shared_root_is_a_peer_group_of_its_own() {
    let s = Sandbox::new("rt-shared");
    let root = rootfs::busybox(&s);
    crate::support::sh(&format!("mount --bind {0} {0} && mount --make-shared {0}", root.display()));
    let peers = "grep -E '^[0-9]+ [0-9]+ [^ ]+ [^ ]+ / ' /proc/self/mountinfo";
    for (word, shared, receives) in
        [("shared", true, false), ("slave", false, true), ("private", false, false)]
    {
        let done = run(&s, word, peers, |spec| spec["linux"]["rootfsPropagation"] = word.into());
        let said = (done.ok().contains(" shared:"), done.stdout.contains(" master:"));
        assert_eq!(said, (shared, receives), "{word}: {done:?}");
    }
    crate::support::sh(&format!("umount {}", root.display()));
}
