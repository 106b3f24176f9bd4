//! `kill -9` of the monitor, of the command line and of the container's process at every step of a start and of
//! an end: the next command tells the truth, and nothing is left behind.
//!
//! The monitor of a debug build stops at the step that `<run>/stop-at` names, see `monitor::realise::checkpoint`.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::rootfs::busybox;
use crate::support::{Sandbox, eventually};

const START: &[&str] = &[
    "begin", "root", "sources", "leases", "files", "cgroup", "created", "network", "ready", "state",
    "started",
];
const END: &[&str] = &["ended", "removing the cgroup", "unwound", "written", "recorded"];

fn stop_at(sandbox: &Sandbox, step: &str) {
    let _gone = fs::remove_file(sandbox.run_root().join("stopped-at"));
    fs::write(sandbox.run_root().join("stop-at"), step).expect("stop-at");
}

fn go_on(sandbox: &Sandbox) {
    fs::remove_file(sandbox.run_root().join("stop-at")).expect("stop-at");
}

/// Waits until a monitor stopped; its pid.
fn stopped(sandbox: &Sandbox, step: &str) -> i32 {
    let file = sandbox.run_root().join("stopped-at");
    eventually(&format!("the monitor stops at {step}"), || {
        fs::read_to_string(&file).is_ok_and(|text| !text.is_empty())
    });
    fs::read_to_string(&file).expect("stopped-at").parse().expect("a pid")
}

fn kill(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .expect("the process is there");
}

fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn start(sandbox: &Sandbox, args: &[&str]) -> Child {
    let root = busybox(sandbox);
    let mut command = sandbox.command();
    command.args(["run", "--network", "none"]).args(args);
    command.arg("--rootfs").arg(root).args(["sleep", "1000"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("rcon starts")
}

/// The container that a killed start left is no riddle: it is shown, it can be started and removed.
fn heals(sandbox: &Sandbox, name: &str) {
    let shown = sandbox.rcon(["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
    let line = shown.ok().lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line.ends_with("created") || line.ends_with("exited"), "{line:?}");
    sandbox.rcon(["start", name]).ok();
    assert_eq!(sandbox.inspect(name, "{{.State.Running}}"), "true");
    sandbox.rcon(["rm", "-f", "-t", "0", name]).ok();
}

#[test]
fn the_monitor_is_killed_while_it_starts_a_container() {
    let sandbox = Sandbox::new("crash-start");
    for step in START {
        stop_at(&sandbox, step);
        let run = start(&sandbox, &["-d", "--name", "c"]);
        kill(stopped(&sandbox, step));
        go_on(&sandbox);
        let output = run.wait_with_output().expect("rcon ends");
        assert_eq!(output.status.code(), Some(125), "{step}: {}", String::from_utf8_lossy(&output.stderr));
        heals(&sandbox, "c");
    }
}

#[test]
fn the_monitor_is_killed_while_it_starts_a_container_that_is_not_to_stay() {
    let sandbox = Sandbox::new("crash-start-rm");
    for step in START {
        stop_at(&sandbox, step);
        let run = start(&sandbox, &["--rm", "--name", "c"]);
        kill(stopped(&sandbox, step));
        go_on(&sandbox);
        let output = run.wait_with_output().expect("rcon ends");
        assert_eq!(output.status.code(), Some(125), "{step}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(sandbox.rcon(["ps", "-aq"]).ok(), "", "{step}");
    }
}

#[test]
fn the_command_line_is_killed_during_a_start() {
    let sandbox = Sandbox::new("crash-cli");
    for step in START {
        stop_at(&sandbox, step);
        let mut run = start(&sandbox, &["-d", "--name", "c"]);
        let monitor = stopped(&sandbox, step);
        run.kill().expect("rcon is there");
        run.wait().expect("rcon ends");
        go_on(&sandbox);
        // Nobody has heard that it runs, so it does not go on running.
        eventually(&format!("{step}: the monitor ends"), || !alive(monitor));
        heals(&sandbox, "c");
    }
}

fn alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn the_process_is_killed_before_it_runs_its_program() {
    let sandbox = Sandbox::new("crash-init");
    for step in ["created", "network", "ready", "state"] {
        stop_at(&sandbox, step);
        let run = start(&sandbox, &["-d", "--name", "c"]);
        let monitor = stopped(&sandbox, step);
        for child in children(monitor) {
            kill(child);
        }
        go_on(&sandbox);
        let output = run.wait_with_output().expect("rcon ends");
        // After it was ready, its death cannot be told from a program that ended at once: then it counts as that.
        let said = (output.status.code(), sandbox.inspect("c", "{{.State.ExitCode}}"));
        let told = said.0 == Some(125) || (said.0 == Some(0) && said.1 == "137");
        assert!(told, "{step}: {said:?} {}", String::from_utf8_lossy(&output.stderr));
        heals(&sandbox, "c");
    }
}

#[test]
fn the_monitor_is_killed_while_its_container_runs() {
    let sandbox = Sandbox::new("crash-running");
    let root = busybox(&sandbox);
    let args = ["run", "-d", "--name", "c", "--network", "none", "--rootfs"];
    let run = || {
        let mut command = sandbox.command();
        command.args(args).arg(&root).args(["sleep", "1000"]);
        sandbox.finish(command).ok().to_owned()
    };
    run();
    let init: i32 = sandbox.inspect("c", "{{.State.Pid}}").parse().expect("a pid");
    let stat = fs::read_to_string(format!("/proc/{init}/stat")).expect("stat");
    let after_name = stat.rsplit(')').next().expect("fields").split_whitespace().nth(1);
    kill(after_name.and_then(|p| p.parse().ok()).expect("the parent is the monitor"));
    eventually("the container ends with its monitor", || !alive(init));
    assert_eq!(sandbox.inspect("c", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    heals(&sandbox, "c");
}

/// Ends container `c`, and its monitor at a step of that.
fn kill_while_it_ends(sandbox: &Sandbox, step: &str) {
    stop_at(sandbox, step);
    // It waits for the end of the container, which does not come.
    let mut ask = sandbox.command().args(["kill", "c"]).stdout(Stdio::null()).spawn().expect("rcon starts");
    kill(stopped(sandbox, step));
    go_on(sandbox);
    ask.wait().expect("rcon ends");
}

#[test]
fn the_monitor_is_killed_while_its_container_ends() {
    let sandbox = Sandbox::new("crash-end");
    for step in END {
        let run = start(&sandbox, &["-d", "--name", "c"]);
        assert!(run.wait_with_output().expect("rcon ends").status.success(), "{step}");
        kill_while_it_ends(&sandbox, step);
        eventually(&format!("{step}: shown as ended"), || {
            sandbox.inspect("c", "{{.State.Status}}") == "exited"
        });
        assert_eq!(sandbox.inspect("c", "{{.State.ExitCode}}"), "137", "{step}");
        heals(&sandbox, "c");
    }
}

#[test]
fn the_monitor_is_killed_while_a_container_with_rm_ends() {
    let sandbox = Sandbox::new("crash-end-rm");
    for step in END {
        let run = start(&sandbox, &["-d", "--rm", "--name", "c"]);
        assert!(run.wait_with_output().expect("rcon ends").status.success(), "{step}");
        kill_while_it_ends(&sandbox, step);
        eventually(&format!("{step}: gone"), || sandbox.rcon(["ps", "-aq"]).ok().is_empty());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A container that is removed before its monitor has begun: the monitor makes nothing of it anew.
#[test]
fn what_is_removed_before_its_monitor_begins_stays_removed() {
    let sandbox = Sandbox::new("crash-unheard");
    for client_dies in [true, false] {
        stop_at(&sandbox, "unheard");
        let mut run = start(&sandbox, &["--rm", "--name", "c"]);
        stopped(&sandbox, "unheard");
        if client_dies {
            run.kill().expect("kill");
            run.wait().expect("wait");
        }
        sandbox.rcon(["rm", "-f", "c"]).ok();
        go_on(&sandbox);
        let _ended = run.wait().expect("wait");
        assert_eq!(sandbox.rcon(["ps", "-aq"]).ok(), "");
        eventually("nothing is left", || sandbox.left().is_empty());
    }
}
