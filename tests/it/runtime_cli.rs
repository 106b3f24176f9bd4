//! The command line of `rcon runtime` as others drive it: names, logs, sockets, exit codes, kill and delete.

use std::fs;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::bundle::{bundle, create, run, run_detached, runtime, state};
use crate::support::{Sandbox, rcon_binary, wait_until};

/// Called by another name.
fn called(name: &str, words: &[&str]) -> (i32, String) {
    let done = Command::new(rcon_binary()).arg0(name).args(words).output().expect("rcon starts");
    let text = [done.stdout, done.stderr].concat();
    (done.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn it_goes_by_the_name_that_it_is_called() {
    for name in ["runc", "/usr/bin/rcon-runtime"] {
        let plain = name.rsplit('/').next().expect("a name");
        let (code, version) = called(name, &["--version"]);
        assert_eq!(code, 0);
        let lines: Vec<&str> = version.lines().collect();
        assert_eq!(lines[0], format!("{plain} version {}", env!("CARGO_PKG_VERSION")));
        assert!(lines[1].starts_with("commit: ") && lines[2].starts_with("spec: 1."), "{lines:?}");
        for command in ["create", "exec", "update", "checkpoint"] {
            let (code, help) = called(name, &[command, "--help"]);
            assert_eq!(code, 0);
            assert!(help.starts_with(&format!("NAME:\n   {plain} {command} - ")), "{help}");
        }
    }
    let (code, text) = called("runc", &["foo", "-h"]);
    assert!(code != 0 && text.contains("No help topic for 'foo'"), "{text}");
}

#[test]
fn debug_writes_steps_to_the_log() {
    let s = Sandbox::new("rt-log");
    let bundle = bundle(&s, "log", "true", |_| {});
    let bundle = bundle.to_string_lossy();
    for (format, mark) in [("text", "level=debug msg="), ("json", "\"level\":\"debug\"")] {
        let log = s.dir().join(format);
        let log = log.to_string_lossy();
        let words = ["--debug", "--log", &log, "--log-format", format, "run", "--bundle", &bundle, "log"];
        assert!(!runtime(&s, words).stderr.contains("level="));
        let text = fs::read_to_string(&*log).expect("log");
        assert!(text.contains(mark) && text.contains("child process in init()"), "{text}");
        for line in text.lines().filter(|_| format == "json") {
            serde_json::from_str::<Value>(line).expect("each line is JSON");
        }
    }
    // Without a file it goes to stderr, and an error into the file too.
    assert!(runtime(&s, ["--debug", "run", "--bundle", &bundle, "log"]).stderr.contains("level=debug"));
    let log = s.dir().join("errors");
    runtime(&s, ["--log", &log.to_string_lossy(), "--log-format", "json", "state", "none"]).fails(1);
    let line: Value = serde_json::from_slice(&fs::read(&log).expect("log")).expect("json");
    assert!(line["level"] == "error" && line["msg"].as_str().expect("msg").contains("does not exist"));
    let words = ["--log", "/nowhere/log", "state", "none"];
    assert!(runtime(&s, words).fails(1).contains("--log /nowhere/log"));
}

#[test]
fn a_root_that_is_named_must_be_there_to_be_listed() {
    let s = Sandbox::new("rt-noroot");
    assert!(runtime(&s, ["list"]).fails(1).contains("No such file"));
}

#[test]
fn without_systemd_its_driver_is_refused() {
    let s = Sandbox::new("rt-systemd");
    let bundle = bundle(&s, "sd", "true", |_| {});
    let done = runtime(&s, ["--systemd-cgroup", "run", "--bundle", &bundle.to_string_lossy(), "sd"]);
    assert!(done.fails(1).contains("systemd not running on this host"), "{done:?}");
}

#[test]
fn what_the_kernel_says_of_the_program_stands_alone() {
    let s = Sandbox::new("rt-execve");
    let done = run(&s, "shebang", "", |spec| {
        let root = spec["root"]["path"].as_str().expect("root").to_owned();
        fs::write(format!("{root}/run.sh"), "#!/no/such/interpreter\n").expect("script");
        fs::set_permissions(format!("{root}/run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("mode");
        spec["process"]["args"] = json!(["/run.sh"]);
    });
    assert_eq!(done.fails(1), "exec /run.sh: no such file or directory\n");
}

#[test]
fn killing_a_container_that_shares_pids_ends_all_its_processes() {
    let s = Sandbox::new("rt-hostpid");
    let shared = |spec: &mut Value| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.retain(|n| n["type"] != "pid");
        spec["linux"]["cgroupsPath"] = format!("/rcon-test-hostpid-{}", std::process::id()).into();
    };
    for init_gone in [false, true] {
        let dir = bundle(&s, "shared", "sleep 1000 & exec sleep 1001", shared);
        run_detached(&s, &dir, "shared");
        let state: Value = serde_json::from_str(runtime(&s, ["state", "shared"]).ok()).expect("state");
        let all: Vec<i32> = wait_until(|| {
            serde_json::from_str(runtime(&s, ["ps", "-f", "json", "shared"]).ok())
                .ok()
                .filter(|pids: &Vec<i32>| pids.len() == 2)
        });
        if init_gone {
            let pid = nix::unistd::Pid::from_raw(state["pid"].as_i64().expect("pid") as i32);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("kill");
            wait_until(|| runtime(&s, ["state", "shared"]).ok().contains("stopped").then_some(()));
        }
        runtime(&s, ["kill", "shared", "KILL"]).ok();
        wait_until(|| all.iter().all(|pid| gone(*pid)).then_some(()));
        runtime(&s, ["delete", "shared"]).ok();
    }
}

/// A zombie whose parent is far away has ended as well.
fn gone(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn a_created_container_ends_by_a_signal_and_holds_nothing_of_the_host() {
    let s = Sandbox::new("rt-created");
    let dir = bundle(&s, "waits", "true", |_| {});
    create(&s, &dir, "waits");
    let state_text = runtime(&s, ["state", "waits"]).ok().to_owned();
    let pid = serde_json::from_str::<Value>(&state_text).expect("state")["pid"].clone();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).expect("fds") {
        let entry = entry.expect("entry");
        let target = fs::read_link(entry.path()).expect("link").to_string_lossy().into_owned();
        let harmless = ["socket:", "pipe:", "anon_inode:", "/dev/null"].iter().any(|p| target.starts_with(p));
        assert!(harmless, "{} -> {target}", entry.path().display());
    }
    runtime(&s, ["kill", "waits", "TERM"]).ok();
    wait_until(|| runtime(&s, ["state", "waits"]).ok().contains("stopped").then_some(()));
    runtime(&s, ["delete", "waits"]).ok();
    assert!(!fs::exists(format!("{}/waits", state(&s))).expect("look"));
}

/// Takes the one descriptor that comes with a message.
fn receive(listener: &UnixListener) -> (String, OwnedFd) {
    let (stream, _) = listener.accept().expect("connection");
    let mut bytes = [0; 64];
    let (length, mut fds) = rcon::sys::socket::receive(&stream, &mut bytes).expect("message");
    (String::from_utf8_lossy(&bytes[..length]).into_owned(), fds.pop().expect("a descriptor"))
}

#[test]
fn sockets_get_the_terminal_and_the_pidfd() {
    let s = Sandbox::new("rt-sockets");
    let dir = bundle(&s, "tty", "tty; sleep 1000", |spec| spec["process"]["terminal"] = true.into());
    let (console, pidfd) = (s.dir().join("console"), s.dir().join("pidfd"));
    let (a, b) = (UnixListener::bind(&console).expect("bind"), UnixListener::bind(&pidfd).expect("bind"));
    let (console, pidfd, dir) = (console.to_string_lossy(), pidfd.to_string_lossy(), dir.to_string_lossy());
    let words =
        ["run", "-d", "--console-socket", &console, "--pidfd-socket", &pidfd, "--bundle", &dir, "tty"];
    runtime(&s, words).ok();
    let (_, master) = receive(&a);
    let (name, handle) = receive(&b);
    assert_eq!(name, "pidfd");
    let mut text = [0; 32];
    let n = fs::File::from(master).read(&mut text).expect("terminal");
    assert!(String::from_utf8_lossy(&text[..n]).contains("/dev/"), "{text:?}");
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd())).expect("fdinfo");
    assert!(info.contains("Pid:"), "{info}");
    runtime(&s, ["delete", "--force", "tty"]).ok();
}

#[test]
fn an_exec_whose_pid_file_cannot_be_written_leaves_no_process() {
    let s = Sandbox::new("rt-pidfile");
    let dir = bundle(&s, "pid", "exec sleep 1000", |_| {});
    run_detached(&s, &dir, "pid");
    let pids =
        || serde_json::from_str::<Vec<i32>>(runtime(&s, ["ps", "-f", "json", "pid"]).ok()).expect("pids");
    let failed = runtime(&s, ["exec", "-d", "--pid-file", "/nowhere/pid", "pid", "sleep", "1001"]);
    assert!(failed.fails(255).contains("/nowhere"), "{failed:?}");
    wait_until(|| (pids().len() == 1).then_some(()));
    runtime(&s, ["delete", "--force", "pid"]).ok();
}

#[test]
fn exec_goes_to_cgroups_below_the_containers_only() {
    let s = Sandbox::new("rt-execcg");
    let path = format!("/rcon-test-execcg-{}", std::process::id());
    let dir = bundle(&s, "cg", "sleep 1000", |spec| spec["linux"]["cgroupsPath"] = path.clone().into());
    run_detached(&s, &dir, "cg");
    let exec = |cgroup: &str| runtime(&s, ["exec", "--cgroup", cgroup, "cg", "cat", "/proc/self/cgroup"]);
    assert!(exec("..").fails(255).contains("bad sub cgroup path"));
    assert!(exec("nonexistent").fails(255).contains("adding pid"));
    assert!(exec("whaaat:/").fails(255).contains("unknown controller"));
    if fs::exists("/sys/fs/cgroup/pids").expect("look") {
        let below = format!("/sys/fs/cgroup/pids{path}/sub");
        fs::create_dir(&below).expect("cgroup");
        let done = exec("pids:sub");
        assert!(done.ok().contains(&format!("pids:{path}/sub")), "{done:?}");
        assert!(done.ok().lines().any(|l| l.contains("memory:") && l.ends_with(&*path)), "{done:?}");
        wait_until(|| fs::remove_dir(&below).ok());
    }
    runtime(&s, ["delete", "--force", "cg"]).ok();
}

#[test]
fn update_takes_sizes_as_people_write_them() {
    let s = Sandbox::new("rt-update");
    let path = format!("/rcon-test-update-{}", std::process::id());
    let dir = bundle(&s, "up", "sleep 1000", |spec| spec["linux"]["cgroupsPath"] = path.clone().into());
    run_detached(&s, &dir, "up");
    let read = |v1: &str, v2: &str| {
        let v1 = format!("/sys/fs/cgroup/{}{path}/{v1}", v1.split('.').next().unwrap_or_default());
        let v2 = format!("/sys/fs/cgroup{path}/{v2}");
        fs::read_to_string(v1).or_else(|_| fs::read_to_string(v2)).expect("limit").trim().to_owned()
    };
    runtime(&s, ["update", "--memory", "50M", "up"]).ok();
    assert_eq!(read("memory.limit_in_bytes", "memory.max"), "52428800");
    runtime(&s, ["update", "--memory", "-1", "up"]).ok();
    assert_ne!(read("memory.limit_in_bytes", "memory.max"), "52428800");
    runtime(&s, ["update", "--pids-limit", "0", "up"]).ok();
    assert_eq!(read("pids.max", "pids.max"), "1");
    runtime(&s, ["delete", "--force", "up"]).ok();
}
