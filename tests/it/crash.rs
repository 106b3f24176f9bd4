//! `kill -9` of the monitor, of init and of the client: the next command tells the truth and heals.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Sandbox, eventually};

fn pid(s: &Sandbox, container: &str) -> Pid {
    Pid::from_raw(s.inspect(container, "{{.State.Pid}}").parse().expect("a pid"))
}

fn monitor_of(init: Pid) -> Pid {
    let stat = std::fs::read_to_string(format!("/proc/{init}/stat")).expect("init runs");
    let ppid = stat.rsplit(')').next().and_then(|r| r.split_whitespace().nth(1)).expect("ppid").to_owned();
    Pid::from_raw(ppid.parse().expect("a pid"))
}

fn gone(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z")
}

#[test]
fn init_killed() {
    let s = Sandbox::with_images("initkill", &["busybox"]);
    s.rcon(["run", "-d", "--name", "c", "busybox", "sleep", "1000"]).ok();
    kill(pid(&s, "c"), Signal::SIGKILL).expect("kill");
    eventually("it is exited", || s.inspect("c", "{{.State.Status}}") == "exited");
    assert_eq!(s.inspect("c", "{{.State.ExitCode}}"), "137");
    s.rcon(["start", "c"]).ok();
    assert_eq!(s.inspect("c", "{{.State.Status}}"), "running");
}

#[test]
fn monitor_killed() {
    let s = Sandbox::with_images("monkill", &["busybox"]);
    s.rcon(["run", "-d", "--name", "c", "-p", "18090:80", "busybox", "sleep", "1000"]).ok();
    let init = pid(&s, "c");
    kill(monitor_of(init), Signal::SIGKILL).expect("kill");
    eventually("the container ends with its monitor", || gone(init));
    let ps = s.rcon(["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok().to_owned();
    assert_eq!(ps, "c exited");
    assert_eq!(s.inspect("c", "{{.State.ExitCode}}"), "137");
    assert_eq!(s.rcon(["ps", "-q"]).ok(), "");
    // Its port, address and name are free again.
    s.rcon(["run", "--rm", "-p", "18090:80", "busybox", "true"]).ok();
    s.rcon(["start", "c"]).ok();
    assert_eq!(s.inspect("c", "{{.State.Status}}"), "running");
}

#[test]
fn both_killed_at_once() {
    let s = Sandbox::with_images("bothkill", &["busybox"]);
    s.rcon(["run", "-d", "--rm", "--name", "c", "-p", "18091:80", "busybox", "sleep", "1000"]).ok();
    let init = pid(&s, "c");
    let monitor = monitor_of(init);
    kill(monitor, Signal::SIGKILL).expect("kill");
    kill(init, Signal::SIGKILL).ok();
    eventually("both are gone", || gone(init) && gone(monitor));
    // --rm holds although nobody was left to keep the promise: the next command does.
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), "");
    s.rcon(["run", "--rm", "--name", "c", "-p", "18091:80", "busybox", "true"]).ok();
}

#[test]
fn client_killed_at_any_moment() {
    let s = Sandbox::with_images("clikill", &["busybox"]);
    for delay in [0, 1, 2, 4, 6, 8, 10, 13, 16, 20, 30, 50, 80] {
        let mut command = s.command();
        command.args(["run", "--rm", "--name", "c", "busybox", "sleep", "0.2"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("rcon starts");
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().expect("kill");
        child.wait().expect("wait");
        // Whatever it had done: the name is usable again without more than rm -f.
        s.rcon(["rm", "-f", "c"]);
        s.rcon(["run", "--rm", "--name", "c", "busybox", "true"]).ok();
    }
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), "");
}

/// What another container has taken over stays; the rest of a `--rm` container goes all the same, whoever deletes it.
#[test]
fn a_volume_taken_over_does_not_keep_the_rest() {
    let s = Sandbox::with_images("takenover", &["busybox"]);
    for client_dies in [false, true] {
        let mut command = s.command();
        command.args(["run", "--rm", "--name", "a", "-v", "/anon", "busybox", "sleep", "1"]);
        let mut child = command.spawn().expect("rcon starts");
        eventually("it runs", || s.rcon(["ps", "-q", "--filter", "name=a"]).ok().len() == 12);
        s.rcon(["create", "--name", "b", "--volumes-from", "a", "busybox", "true"]).ok();
        if client_dies {
            child.kill().expect("kill");
        }
        child.wait().expect("wait");
        let left = || std::fs::read_dir(s.run_root().join("containers")).map_or(0, Iterator::count);
        eventually("its run directory is gone", || left() == 0);
        assert_eq!(s.rcon(["ps", "-a", "--format", "{{.Names}}"]).ok(), "b");
        assert!(!s.rcon(["volume", "ls", "-q"]).ok().is_empty());
        s.rcon(["rm", "-v", "b"]).ok();
    }
}

#[test]
fn interrupt_during_foreground() {
    let s = Sandbox::with_images("interrupt", &["busybox"]);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut command = s.command();
        command.args([
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "trap 'exit 9' INT TERM; echo up; while :; do sleep 0.05; done",
        ]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("rcon starts");
        let mut up = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut up).expect("it says up");
        kill(Pid::from_raw(child.id().cast_signed()), signal).expect("kill");
        let status = child.wait().expect("wait");
        assert_eq!(status.code(), Some(9), "{signal}: the signal reached the container");
    }
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), "");
}
