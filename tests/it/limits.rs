//! Limits as a user gives them, seen to act: memory, processes, CPU; at start, by update, in stats.

use std::process::Stdio;

use serde_json::json;

use crate::support::{Sandbox, bundle, eventually};

/// A value of the container's own cgroup, v2's file or v1's.
fn value(s: &Sandbox, container: &str, v2: &str, v1: &str) -> String {
    let script = format!("cat /sys/fs/cgroup/{v2} 2>/dev/null || cat /sys/fs/cgroup/{v1}");
    s.rcon(["exec", container, "sh", "-c", &script]).ok().to_owned()
}

#[test]
fn limits_are_set_and_changed() {
    let s = Sandbox::with_images("limits", &["busybox"]);
    s.rcon([
        "run",
        "-d",
        "--name",
        "c",
        "--network",
        "none",
        "-m",
        "64m",
        "--pids-limit",
        "50",
        "--cpus",
        "0.5",
        "--cpu-shares",
        "512",
        "busybox",
        "sleep",
        "100",
    ])
    .ok();
    assert_eq!(value(&s, "c", "memory.max", "memory/memory.limit_in_bytes"), "67108864");
    assert_eq!(value(&s, "c", "pids.max", "pids/pids.max"), "50");
    let quota = value(&s, "c", "cpu.max", "cpu/cpu.cfs_quota_us");
    assert!(quota == "50000 100000" || quota == "50000", "{quota}");
    s.rcon(["update", "-m", "128m", "--pids-limit", "7", "c"]).ok();
    assert_eq!(value(&s, "c", "memory.max", "memory/memory.limit_in_bytes"), "134217728");
    assert_eq!(value(&s, "c", "pids.max", "pids/pids.max"), "7");
    let stats = s.rcon(["stats", "--no-stream", "--format", "{{.MemUsage}}", "c"]).ok().to_owned();
    assert!(stats.contains("128MiB"), "{stats}");
    s.rcon(["rm", "-f", "c"]).ok();
}

#[test]
fn too_much_memory_is_killed_and_noted() {
    let s = Sandbox::with_images("oom", &["busybox"]);
    let eat = "exec awk 'BEGIN { s = \"x\"; while (1) s = s s }'";
    let run = ["run", "--name", "c", "--network", "none", "-m", "16m", "--memory-swap", "16m"];
    let done = s.rcon(run.iter().copied().chain(["busybox", "sh", "-c", eat]));
    assert_eq!(done.code, 137, "{done:?}");
    eventually("it is recorded", || s.inspect("c", "{{.State.Status}}") == "exited");
    assert_eq!(s.inspect("c", "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137");
    s.rcon(["rm", "c"]).ok();
}

/// The monitor makes itself hard to kill for want of memory; what it starts must not inherit that (where it may not,
/// because the machine withholds the right, this only says that nothing changes).
#[test]
fn the_monitor_keeps_its_oom_score_to_itself() {
    let s = Sandbox::with_images("oomscore", &["busybox"]);
    let ours = std::fs::read_to_string("/proc/self/oom_score_adj").expect("our own");
    let show = ["cat", "/proc/self/oom_score_adj"];
    let run = ["run", "-d", "--name", "c", "--network", "none", "busybox", "sleep", "100"];
    s.rcon(run).ok();
    assert_eq!(s.rcon(["exec", "c"].into_iter().chain(show)).ok(), ours.trim());
    let once = ["run", "--rm", "--network", "none", "busybox"];
    assert_eq!(s.rcon(once.into_iter().chain(show)).ok(), ours.trim());
    let more = ["run", "--rm", "--network", "none", "--oom-score-adj", "500", "busybox"];
    assert_eq!(s.rcon(more.into_iter().chain(show)).ok(), "500");
    s.rcon(["rm", "-f", "-t", "0", "c"]).ok();
}

#[test]
fn too_many_processes_are_refused() {
    let s = Sandbox::with_images("pids", &["busybox"]);
    let fork = "for i in 1 2 3 4 5 6; do sleep 1 & done; wait";
    let done = s.rcon(["run", "--rm", "--network", "none", "--pids-limit", "3", "busybox", "sh", "-c", fork]);
    assert!(done.stderr.contains("can't fork"), "{done:?}");
}

#[test]
fn a_share_of_a_cpu_is_not_exceeded() {
    let s = Sandbox::with_images("cpus", &["busybox"]);
    let spin = ["sh", "-c", "while :; do :; done"];
    let run = ["run", "-d", "--name", "c", "--network", "none", "--cpus", "0.1", "busybox"];
    s.rcon(run.into_iter().chain(spin)).ok();
    eventually("it is throttled", || {
        let told = value(&s, "c", "cpu.stat", "cpu/cpu.stat");
        let periods = told.lines().find_map(|l| l.strip_prefix("nr_throttled ")).unwrap_or("0");
        periods.parse::<u64>().is_ok_and(|n| n > 3)
    });
    s.rcon(["rm", "-f", "-t", "0", "c"]).ok();
}

/// The first containers beneath a new parent enable controllers there for each other: none may find its own files
/// missing, or go without a limit.
#[test]
fn limits_hold_for_the_first_of_many() {
    let s = Sandbox::with_images("first", &["busybox"]);
    let limit = |v1: &str, v2: &str| format!("cat /sys/fs/cgroup/{v2} /sys/fs/cgroup/{v1} 2>/dev/null");
    let look = format!(
        "{}; {}; true",
        limit("memory/memory.limit_in_bytes", "memory.max"),
        limit("pids/pids.max", "pids.max")
    );
    for round in 0..4 {
        let parent = format!("/rcon-first-{}-{round}", std::process::id());
        let started: Vec<_> = (0..6)
            .map(|_| {
                let mut command = s.command();
                command.args(["run", "--rm", "--network", "none", "--cgroup-parent", &parent]);
                command.args([
                    "--cpus",
                    "0.5",
                    "--memory",
                    "64m",
                    "--pids-limit",
                    "50",
                    "busybox",
                    "sh",
                    "-c",
                ]);
                command.arg(&look).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().expect("rcon starts")
            })
            .collect();
        for child in started {
            let done = child.wait_with_output().expect("rcon ends");
            assert!(done.status.success(), "{done:?}");
            assert_eq!(String::from_utf8_lossy(&done.stdout), "67108864\n50\n");
        }
        // Looked for by name: a walk would meet the cgroups of other tests coming and going.
        crate::support::sh(&format!(
            "for d in /sys/fs/cgroup{parent} /sys/fs/cgroup/*{parent}; do if [ -d $d ]; then rmdir $d; fi; done"
        ));
    }
}

#[test]
fn a_wish_beyond_the_machine_is_an_error() {
    let s = Sandbox::with_images("beyond", &["busybox"]);
    let hard = crate::support::sh("ulimit -Hn");
    let Ok(hard) = hard.trim().parse::<u64>() else { return };
    if crate::support::sh("grep CapEff /proc/self/status").trim().ends_with("1ffffffffff") {
        // With CAP_SYS_RESOURCE nothing is beyond.
        return;
    }
    let wish = format!("nofile={}:{}", hard + 1, hard + 1);
    let done = s.rcon(["run", "--rm", "--network", "none", "--ulimit", &wish, "busybox", "true"]);
    assert!(done.fails(125).contains("RLIMIT_NOFILE"), "{done:?}");
    s.rcon(["run", "--rm", "--network", "none", "--ulimit", "nofile=512:512", "busybox", "true"]).ok();
}

/// In a user namespace nobody may raise a hard limit, so it is raised before.
#[test]
fn an_exec_into_a_user_namespace_may_have_more_than_we() {
    let s = Sandbox::with_images("beyond-exec", &["busybox"]);
    let hard = crate::support::sh("ulimit -Hn");
    let Ok(hard) = hard.trim().parse::<u64>() else { return };
    if !crate::support::sh("grep CapEff /proc/self/status").trim().ends_with("1ffffffffff") {
        eprintln!("skipped: needs CAP_SYS_RESOURCE to raise a limit");
        return;
    }
    let dir = bundle::bundle(&s, "more", "sleep 1000", |spec| {
        spec["linux"]["namespaces"].as_array_mut().expect("namespaces").push(json!({ "type": "user" }));
        let map = json!([{ "containerID": 0, "hostID": 0, "size": 1000 }]);
        (spec["linux"]["uidMappings"], spec["linux"]["gidMappings"]) = (map.clone(), map);
    });
    bundle::run_detached(&s, &dir, "more");
    let process = s.dir().join("process.json");
    let limit = json!([{ "type": "RLIMIT_NOFILE", "soft": hard + 1, "hard": hard + 1 }]);
    let text = json!({ "cwd": "/", "args": ["sh", "-c", "ulimit -Hn"], "rlimits": limit, "user": { "uid": 0, "gid": 0 } });
    std::fs::write(&process, text.to_string()).expect("process");
    let done = bundle::runtime(&s, ["exec", "--process", &process.to_string_lossy(), "more"]);
    assert_eq!(done.ok(), (hard + 1).to_string());
    bundle::runtime(&s, ["delete", "--force", "more"]).ok();
}

#[test]
fn a_container_that_waits_for_memory_tells_so() {
    let s = Sandbox::with_images("oomwait", &["busybox"]);
    if !std::path::Path::new("/sys/fs/cgroup/memory/memory.oom_control").exists() {
        eprintln!("no memory controller of cgroup v1: nothing waits for memory here");
        return;
    }
    let eat = "x=a; while true; do x=$x$x$x$x; done";
    s.rcon(["run", "-d", "--name", "c", "--oom-kill-disable", "-m", "10m", "busybox", "sh", "-c", eat]).ok();
    eventually("the journal tells of it", || {
        s.rcon(["events", "--since", "0", "--until", "0s", "--filter", "event=oom"])
            .stdout
            .contains("container oom")
    });
    assert_eq!(s.inspect("c", "{{.State.Status}}"), "running");
    s.rcon(["rm", "-f", "-t", "0", "c"]).ok();
}
