//! The real kernel: a cgroup is made, used and removed; limits are seen to act. Says so and does nothing
//! where cgroups cannot be written.

use std::process::{Child, Command, Stdio};

use oci_spec::runtime as oci;

use super::*;

/// A cgroup that is removed at the end, whatever happens.
struct Scratch(Cgroup);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.0.kill());
        self.0.remove().expect("the test's cgroup can be removed");
    }
}

fn scratch(name: &str, limits: &oci::LinuxResources) -> Option<Scratch> {
    let path = format!("/rcon-test/{}-{name}", std::process::id());
    let manager = Manager::detect().unwrap();
    match manager.create(&path, limits) {
        Ok(cgroup) => Some(Scratch(cgroup)),
        Err(Error::Make { path, source }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            eprintln!("skipped: {} cannot be made: {source}", path.display());
            None
        }
        Err(e) => panic!("{e}: {:?}", std::error::Error::source(&e)),
    }
}

/// Starts a shell that waits for a line, is put into the cgroup, and then runs the command.
fn inside(cgroup: &Cgroup, command: &str) -> Child {
    use std::io::Write as _;
    let mut child = Command::new("sh")
        .args(["-c", &format!("read go; {command}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    cgroup.attach(i32::try_from(child.id()).unwrap()).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    child
}

fn output(child: Child) -> (Option<i32>, String) {
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    (out.status.code(), text.into_owned())
}

fn json(text: &str) -> oci::LinuxResources {
    serde_json::from_str(text).unwrap()
}

#[test]
fn made_used_removed() {
    let Some(s) = scratch("plain", &json("{}")) else { return };
    let cg = &s.0;
    let mut child = inside(cg, "exec sleep 100");
    let pid = i32::try_from(child.id()).unwrap();
    assert_eq!(cg.pids().unwrap(), [pid]);
    assert_eq!(cg.stats().unwrap().pids.current, 1);
    let again = Manager::detect().unwrap().create(cg.path(), &json("{}"));
    assert!(matches!(&again, Err(Error::Busy { pids, .. }) if *pids == [pid]), "{again:?}");
    assert!(!cg.is_frozen().unwrap());
    cg.freeze().unwrap();
    assert!(cg.is_frozen().unwrap());
    // Killed although frozen.
    cg.kill().unwrap();
    child.wait().unwrap();
    let path = cg.path().to_owned();
    let dirs = cg.directories();
    drop(s);
    assert!(dirs.iter().all(|(_, d)| !Path::new(d).exists()), "{dirs:?}");
    let gone = Manager::detect().unwrap().open(&path);
    assert!(matches!(gone, Err(Error::Gone { .. })));
    Manager::detect().unwrap().remove(&path).unwrap();
}

#[test]
fn thawed_processes_go_on() {
    let Some(s) = scratch("thaw", &json("{}")) else { return };
    let child = inside(&s.0, "sleep 0.1; echo done");
    s.0.freeze().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(!s.0.pids().unwrap().is_empty());
    s.0.thaw().unwrap();
    assert_eq!(output(child), (Some(0), "done\n".to_owned()));
}

#[test]
fn killed_with_children_and_grandchildren() {
    let Some(s) = scratch("kill", &json("{}")) else { return };
    let mut child = inside(&s.0, "for i in 1 2 3; do (sleep 100 & sleep 100) & done; wait");
    // A shell, three subshells or what they became, three more: until all are there.
    for _ in 0..400 {
        if s.0.pids().unwrap().len() >= 7 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    s.0.kill().unwrap();
    child.wait().unwrap();
    s.0.remove().unwrap();
}

#[test]
fn memory_limit_kills_and_is_noted() {
    let Some(s) = scratch("memory", &json(r#"{"memory":{"limit":16777216,"swap":16777216}}"#)) else {
        return;
    };
    let watch = s.0.watch_oom().unwrap();
    let child = inside(&s.0, "exec awk 'BEGIN { s = \"x\"; while (1) s = s s }'");
    let (code, _) = output(child);
    assert_ne!(code, Some(0));
    assert_eq!(s.0.oom_kills().unwrap(), 1);
    assert!(sys_readable(&watch));
    watch.drain();
    assert!(!sys_readable(&watch));
    let stats = s.0.stats().unwrap().memory;
    assert_eq!((stats.limit, stats.oom_kills), (16_777_216, 1));
    assert!(stats.max_usage > 8_000_000, "{stats:?}");
}

fn sys_readable(watch: &OomWatch) -> bool {
    let fd = watch.as_fd();
    let mut set = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let none = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut set, Some(&none)).unwrap() == 1
}

#[test]
fn pids_limit_refuses_a_fork() {
    let Some(s) = scratch("pids", &json(r#"{"pids":{"limit":2}}"#)) else { return };
    assert_eq!(s.0.stats().unwrap().pids.limit, 2);
    let (code, text) = output(inside(&s.0, "sleep 1 & sleep 1 & sleep 1 & wait"));
    assert_ne!(code, Some(0));
    assert!(text.contains("ork"), "{text}");
    s.0.update(&json(r#"{"pids":{"limit":-1}}"#)).unwrap();
    assert_eq!(s.0.stats().unwrap().pids.limit, u64::MAX);
}

#[test]
fn cpu_quota_slows_down() {
    let Some(s) = scratch("cpu", &json(r#"{"cpu":{"quota":10000,"period":100000,"shares":512}}"#)) else {
        return;
    };
    let mut child = inside(&s.0, "while :; do :; done");
    std::thread::sleep(Duration::from_millis(1500));
    let cpu = s.0.stats().unwrap().cpu;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(cpu.throttled_periods > 2 && cpu.throttled > 0, "{cpu:?}");
    // A tenth of 1.5 s, with room for what the first period gives.
    assert!(cpu.usage > 10_000_000 && cpu.usage < 400_000_000, "{cpu:?}");
}

#[test]
fn devices_are_denied_and_allowed() {
    // 1:11 is the kernel log: there on every machine, and no default device.
    let node = std::env::temp_dir().join(format!("rcon-dev-{}", std::process::id()));
    let made = Command::new("mknod").arg(&node).args(["c", "1", "11"]).status().unwrap().success();
    let Some(s) = scratch("devices", &json("{}")).filter(|_| made) else { return };
    let read = format!("dd if={} of=/dev/null count=0", node.display());
    let (code, text) = output(inside(&s.0, &read));
    assert_ne!(code, Some(0), "{text}");
    assert!(text.contains("not permitted"), "{text}");
    // A rule that is given replaces what was there; the default nodes stay.
    let allow = r#"{"devices":[{"allow":false,"access":"rwm"},
        {"allow":true,"type":"c","major":1,"minor":11,"access":"rw"}]}"#;
    s.0.update(&json(allow)).unwrap();
    assert_eq!(output(inside(&s.0, &format!("{read} && head -c1 /dev/zero >/dev/null"))).0, Some(0));
    s.0.update(&json(r#"{"devices":[{"allow":true,"access":"rwm"}]}"#)).unwrap();
    assert_eq!(output(inside(&s.0, &read)).0, Some(0));
    s.0.update(&json(r#"{"devices":[{"allow":false,"access":"rwm"}]}"#)).unwrap();
    assert_ne!(output(inside(&s.0, &read)).0, Some(0));
    std::fs::remove_file(&node).unwrap();
}

#[test]
fn limits_are_changed_both_ways() {
    let Some(s) = scratch("update", &json(r#"{"memory":{"limit":67108864,"swap":134217728}}"#)) else {
        return;
    };
    for (limit, both) in [(268_435_456_i64, 536_870_912_i64), (33_554_432, 67_108_864), (-1, -1)] {
        s.0.update(&json(&format!(r#"{{"memory":{{"limit":{limit},"swap":{both}}}}}"#))).unwrap();
        let wanted = u64::try_from(limit).unwrap_or(u64::MAX);
        assert_eq!(s.0.stats().unwrap().memory.limit, wanted);
    }
    s.0.update(&json(r#"{"cpu":{"cpus":"0","shares":100,"quota":50000}}"#)).unwrap();
}

#[test]
fn a_failed_create_leaves_nothing() {
    let path = format!("/rcon-test/{}-bad", std::process::id());
    let manager = Manager::detect().unwrap();
    let bad = manager.create(&path, &json(r#"{"cpu":{"cpus":"9999"}}"#));
    assert!(
        matches!(&bad, Err(Error::Write { .. } | Error::NoController { .. } | Error::Make { .. })),
        "{bad:?}"
    );
    assert!(matches!(manager.open(&path), Err(Error::Gone { .. })));
}

#[test]
fn a_scope_of_systemd() {
    let manager = Manager::detect().unwrap();
    let limits =
        json(r#"{"memory":{"limit":67108864,"swap":67108864},"cpu":{"quota":50000,"period":100000}}"#);
    let path = format!("machine.slice:rcon-test:{}", std::process::id());
    if manager.layout() != Layout::Unified || !systemd::booted() {
        eprintln!("skipped: systemd does not run here with cgroup v2 alone");
        return;
    }
    let s = Scratch(manager.create(&path, &limits).unwrap());
    assert!(s.0.clone_target().is_none());
    let mut child = inside(&s.0, "exec sleep 100");
    let unit = format!("rcon-test-{}.scope", std::process::id());
    assert_eq!(s.0.path(), format!("/machine.slice/{unit}"));
    assert_eq!(s.0.pids().unwrap(), [i32::try_from(child.id()).unwrap()]);
    assert!(s.0.clone_target().is_some());
    let systemctl = |args: &[&str]| {
        let out = Command::new("systemctl").args(args).output().unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    };
    assert_eq!(systemctl(&["show", "-p", "MemoryMax,Delegate,CPUQuotaPerSecUSec", &unit]).lines().count(), 3);
    systemctl(&["daemon-reload"]);
    assert_eq!(s.0.stats().unwrap().memory.limit, 64 << 20);
    let mut second = inside(&Manager::detect().unwrap().open(s.0.path()).unwrap(), "exec sleep 100");
    assert_eq!(s.0.pids().unwrap().len(), 2);
    s.0.update(&json(r#"{"memory":{"limit":134217728},"pids":{"limit":7}}"#)).unwrap();
    systemctl(&["daemon-reload"]);
    let stats = s.0.stats().unwrap();
    assert_eq!((stats.memory.limit, stats.pids.limit), (128 << 20, 7));
    s.0.kill().unwrap();
    child.wait().unwrap();
    second.wait().unwrap();
    s.0.remove().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(systemctl(&["is-active", &unit]) != "active");
    assert_eq!(systemctl(&["list-units", "--all", "--no-legend", &unit]), "");
}

#[test]
fn a_slice_where_systemd_does_not_run() {
    let manager = Manager::detect().unwrap();
    if systemd::booted() {
        return;
    }
    let path = format!("rcontest-a.slice:rcon:{}", std::process::id());
    let s = Scratch(manager.create(&path, &json("{}")).unwrap());
    let plain = format!("/rcontest.slice/rcontest-a.slice/rcon-{}.scope", std::process::id());
    assert_eq!(s.0.path(), plain);
    assert_eq!(manager.open(&path).unwrap().path(), plain);
    s.0.remove().unwrap();
    manager.remove("/rcontest.slice").unwrap();
}

#[test]
fn paths() {
    for bad in ["", "/", "/a/../b", "../x", "/a//b", "/a/./b", "a\nb"] {
        assert!(matches!(relative(bad), Err(Error::Path { .. })), "{bad:?}");
    }
    assert_eq!(relative("/rcon/x").unwrap(), "rcon/x");
    assert_eq!(relative("rcon/x").unwrap(), "rcon/x");
}
