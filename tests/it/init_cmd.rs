//! `init`: a container with everything but its command, and what can be done with it.

use crate::support::{Sandbox, eventually};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

fn create(s: &Sandbox, name: &str, flags: &[&str], script: &str) {
    let base = ["create", "--stop-timeout", "0", "--name", name];
    s.rcon([&base, flags, &["busybox", "sh", "-c", script]].concat()).ok();
}

fn status(s: &Sandbox, name: &str) -> String {
    s.inspect(name, "{{.State.Status}}")
}

#[test]
fn all_is_there_but_the_command() {
    let s = sandbox("init");
    s.rcon(["network", "create", "net1"]).ok();
    create(&s, "c", &["--network", "net1"], "echo ran; exec sleep 100");
    assert_eq!(s.rcon(["init", "c"]).ok(), "c");
    assert_eq!(s.rcon(["init", "c"]).ok(), "c", "once more is no error");
    assert_eq!(status(&s, "c"), "initialized");
    assert_eq!(s.rcon(["ps", "-a", "--format", "{{.State}} {{.Status}}"]).ok(), "initialized Initialized");
    assert_eq!(s.rcon(["ps", "-q", "--filter", "status=initialized", "-a"]).ok().len(), 12);
    let pid = s.inspect("c", "{{.State.Pid}}");
    let own = |kind: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("a namespace");
    for kind in ["mnt", "pid", "net", "ipc", "uts"] {
        let ours = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("a namespace");
        assert_ne!(own(kind), ours, "{kind}");
    }
    assert_ne!(s.inspect("c", "{{.NetworkSettings.Networks.net1.IPAddress}}"), "");
    assert_eq!(s.rcon(["logs", "c"]).ok(), "");
    // A file put there now is there when the command runs.
    let file = s.dir().join("file");
    std::fs::write(&file, "early").expect("a file");
    s.rcon(["cp", file.to_str().expect("a path"), "c:/early"]).ok();
    for refused in [&["exec", "c", "true"][..], &["kill", "c"], &["pause", "c"], &["attach", "c"]] {
        s.rcon(refused).fails(1);
    }
    s.rcon(["start", "c"]).ok();
    assert_eq!(s.inspect("c", "{{.State.Status}} {{.State.Pid}}"), format!("running {pid}"));
    eventually("the command ran", || s.rcon(["logs", "c"]).ok() == "ran");
    assert_eq!(s.rcon(["exec", "c", "cat", "/early"]).ok(), "early");
    s.rcon(["init", "c"]).fails(1);
    s.rcon(["stop", "c"]).ok();
    assert_eq!(s.rcon(["init", "--all"]).ok(), "", "only what was never started");
    s.rcon(["init", "c"]).ok();
    assert_eq!(status(&s, "c"), "initialized");
    s.rcon(["rm", "c"]).ok();
    s.rcon(["network", "rm", "net1"]).ok();
}

#[test]
fn what_is_initialized_can_be_let_go() {
    let s = sandbox("init-let-go");
    create(&s, "c", &[], "exec sleep 100");
    for end in [&["stop", "c"][..], &["restart", "c"]] {
        s.rcon(["init", "c"]).ok();
        s.rcon(end).ok();
        let want = if end[0] == "stop" { "created" } else { "running" };
        assert_eq!(status(&s, "c"), want);
    }
    s.rcon(["stop", "c"]).ok();
    s.rcon(["init", "c"]).ok();
    s.rcon(["rename", "c", "renamed"]).ok();
    let pid: i32 = s.inspect("renamed", "{{.State.Pid}}").parse().expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).expect("kill");
    eventually("its end is noticed", || status(&s, "renamed") == "created");
    s.rcon(["init", "renamed"]).ok();
    s.rcon(["rm", "-f", "renamed"]).ok();
    create(&s, "brief", &["--rm"], "true");
    s.rcon(["init", "brief"]).ok();
    s.rcon(["stop", "brief"]).ok();
    s.rcon(["container", "inspect", "brief"]).fails(1);
}

#[test]
fn a_start_goes_on_with_streams_and_tells_what_fails() {
    let s = sandbox("init-start");
    create(&s, "c", &["-i"], "read line; echo got $line; exit 4");
    s.rcon(["init", "c"]).ok();
    let done = s.rcon_with_input(["start", "-ai", "c"], b"words\n");
    assert_eq!((done.code, done.stdout.as_str()), (4, "got words\n"), "{}", done.stderr);
    assert_eq!(s.inspect("c", "{{.State.Status}} {{.State.ExitCode}}"), "exited 4");
    create(&s, "waited", &[], "exit 5");
    s.rcon(["init", "waited"]).ok();
    let mut wait = s.command();
    let wait = wait.args(["wait", "waited"]).stdout(std::process::Stdio::piped()).spawn().expect("starts");
    std::thread::sleep(std::time::Duration::from_millis(200));
    s.rcon(["start", "waited"]).ok();
    let told = wait.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&told.stdout), "5\n");
    s.rcon(["create", "--network", "none", "--name", "bad", "busybox", "/no/such"]).ok();
    // Whether there is such a program is seen when it is executed, or before.
    let init = s.rcon(["init", "bad"]);
    let code = if init.code == 0 { s.rcon(["start", "bad"]).code } else { init.code };
    assert!(code == 127 || code == 1, "{code}");
    assert_eq!(status(&s, "bad"), "created");
}

#[test]
fn a_lost_monitor_takes_the_container_along() {
    let s = sandbox("init-lost");
    create(&s, "c", &[], "exec sleep 100");
    s.rcon(["init", "c"]).ok();
    let monitor: i32 = s.inspect("c", "{{.State.ConmonPid}}").parse().expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(monitor), nix::sys::signal::SIGKILL).expect("kill");
    eventually("its end is noticed", || status(&s, "c") == "exited");
    s.rcon(["init", "c"]).ok();
    s.rcon(["start", "c"]).ok();
    assert_eq!(status(&s, "c"), "running");
}
