//! Stop, restart policy, health checks, memory, timeouts, execs: what the monitor decides.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::rootfs::busybox;
use crate::support::{Sandbox, eventually};

fn run(sandbox: &Sandbox, flags: &[&str], script: &str) -> Command {
    let mut command = sandbox.command();
    command.args(["run", "-d", "--name", "c", "--network", "none"]).args(flags);
    command.arg("--rootfs").arg(busybox(sandbox)).args(["sh", "-c", script]);
    command
}

#[test]
fn stop_asks_then_kills() {
    let sandbox = Sandbox::new("stop");
    let polite = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.02; done";
    sandbox.finish(run(&sandbox, &[], polite)).ok();
    eventually("it is up", || sandbox.rcon(["logs", "c"]).stdout == "up\n");
    sandbox.rcon(["stop", "c"]).ok();
    assert_eq!(sandbox.inspect("c", "{{.State.ExitCode}}"), "3");
    assert_eq!(sandbox.rcon(["logs", "c"]).ok(), "up\nbye");
    sandbox.rcon(["rm", "c"]).ok();

    sandbox
        .finish(run(
            &sandbox,
            &["--stop-signal", "USR1"],
            "trap 'exit 4' USR1; echo up; while :; do sleep 0.02; done",
        ))
        .ok();
    eventually("it is up", || sandbox.rcon(["logs", "c"]).stdout == "up\n");
    sandbox.rcon(["stop", "c"]).ok();
    assert_eq!(sandbox.inspect("c", "{{.State.ExitCode}}"), "4");
    sandbox.rcon(["rm", "c"]).ok();

    sandbox.finish(run(&sandbox, &[], "trap '' TERM; echo up; while :; do sleep 0.1; done")).ok();
    eventually("it is deaf", || sandbox.rcon(["logs", "c"]).stdout == "up\n");
    let began = Instant::now();
    // An exec does not keep it from ending, and ends with it.
    let mut exec = sandbox.command();
    let exec = exec.args(["exec", "c", "sleep", "1000"]).stdout(Stdio::null()).spawn().expect("starts");
    eventually("the exec runs", || sandbox.rcon(["top", "c"]).stdout.contains("sleep 1000"));
    sandbox.rcon(["stop", "-t", "1", "c"]).ok();
    assert!(began.elapsed() > Duration::from_secs(1));
    assert_eq!(sandbox.inspect("c", "{{.State.ExitCode}}"), "137");
    assert_eq!(exec.wait_with_output().expect("it ends").status.code(), Some(137));
}

#[test]
fn restart_policies() {
    let sandbox = Sandbox::new("restart");
    sandbox.finish(run(&sandbox, &["--restart", "on-failure:2"], "echo run; exit 4")).ok();
    eventually("it gives up", || sandbox.inspect("c", "{{.State.Status}}") == "exited");
    assert_eq!(sandbox.inspect("c", "{{.State.ExitCode}} {{.RestartCount}}"), "4 2");
    assert_eq!(sandbox.rcon(["logs", "c"]).ok(), "run\nrun\nrun");
    sandbox.rcon(["rm", "c"]).ok();

    // What was written before the restart is there after it; a stop ends it for good.
    let script = "echo x >> /tmp/runs; [ $(wc -l < /tmp/runs) -ge 3 ] && exec sleep 1000; exit 0";
    sandbox.finish(run(&sandbox, &["--restart", "always"], script)).ok();
    eventually("the third run stays", || {
        sandbox.rcon(["exec", "c", "grep", "-c", "x", "/tmp/runs"]).stdout == "3\n"
    });
    sandbox.rcon(["kill", "c"]).ok();
    eventually("it is killed", || sandbox.inspect("c", "{{.State.Status}}") == "exited");
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(sandbox.inspect("c", "{{.State.Status}}"), "exited");
    sandbox.rcon(["rm", "c"]).ok();
    let file = busybox(&sandbox).join("tmp/runs");
    let _made = std::fs::remove_file(file);

    // The wait between two runs can be stopped too.
    sandbox.finish(run(&sandbox, &["--restart", "always"], "exit 1")).ok();
    eventually("it waits", || sandbox.inspect("c", "{{.State.Status}}") == "restarting");
    sandbox.rcon(["stop", "c"]).ok();
    assert_eq!(sandbox.inspect("c", "{{.State.Status}}"), "exited");
}

#[test]
fn health() {
    let sandbox = Sandbox::new("health");
    let flags = ["--health-cmd", "test -e /tmp/well", "--health-interval", "300ms", "--health-retries", "2"];
    sandbox.finish(run(&sandbox, &flags, "sleep 1000")).ok();
    let status = |want: &str| sandbox.inspect("c", "{{.State.Health.Status}}") == want;
    assert!(status("starting"));
    eventually("unhealthy", || status("unhealthy"));
    sandbox.rcon(["exec", "c", "touch", "/tmp/well"]).ok();
    eventually("healthy", || status("healthy"));
    assert_eq!(sandbox.inspect("c", "{{.State.Health.FailingStreak}}"), "0");
    std::fs::remove_file(busybox(&sandbox).join("tmp/well")).expect("made by touch");
    sandbox.rcon(["rm", "-f", "-t", "0", "c"]).ok();

    let flags = [
        "--health-cmd",
        "false",
        "--health-interval",
        "200ms",
        "--health-retries",
        "1",
        "--health-on-failure",
        "kill",
    ];
    sandbox.finish(run(&sandbox, &flags, "sleep 1000")).ok();
    eventually("killed", || sandbox.inspect("c", "{{.State.Status}}") == "exited");
    assert_eq!(sandbox.inspect("c", "{{.State.ExitCode}}"), "137");
}

#[test]
fn memory_runs_out() {
    let sandbox = Sandbox::new("oom");
    sandbox.finish(run(&sandbox, &["-m", "16m", "--memory-swap", "16m"], "tail /dev/zero")).ok();
    eventually("it is killed", || sandbox.inspect("c", "{{.State.Status}}") == "exited");
    assert_eq!(sandbox.inspect("c", "{{.State.OOMKilled}}"), "true");
    assert!(
        sandbox
            .rcon(["events", "--since", "1h", "--until", "0s", "--filter", "event=oom"])
            .ok()
            .contains("oom")
    );
}

#[test]
fn a_time_to_live() {
    let sandbox = Sandbox::new("timeout");
    sandbox.finish(run(&sandbox, &["--timeout", "1"], "sleep 1000")).ok();
    eventually("it is over", || sandbox.inspect("c", "{{.State.Status}}") == "exited");
}

#[test]
fn execs_are_many_and_have_their_own_ends() {
    let sandbox = Sandbox::new("execs");
    sandbox.finish(run(&sandbox, &[], "sleep 1000")).ok();
    let all: Vec<_> = (0..20)
        .map(|n| {
            let mut command = sandbox.command();
            command.args(["exec", "c", "sh", "-c", &format!("sleep 0.2; echo {n}; exit {n}")]);
            command.stdout(Stdio::piped()).spawn().expect("starts")
        })
        .collect();
    for (n, child) in all.into_iter().enumerate() {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), i32::try_from(n).ok());
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{n}\n"));
    }
    sandbox.rcon(["exec", "c", "nosuch"]).fails(127);
    sandbox.rcon(["exec", "c", "/etc/passwd"]).fails(126);
    assert!(
        sandbox
            .rcon(["exec", "-u", "nobody-here", "c", "true"])
            .stderr
            .contains("unable to find user nobody-here")
    );
    assert_eq!(
        sandbox.rcon(["exec", "-u", "web", "c", "id"]).ok(),
        "uid=1000(web) gid=1000(web) groups=1000(web),2000(extra)"
    );
    assert_eq!(
        sandbox.rcon(["exec", "-e", "A=b", "-w", "/tmp", "c", "sh", "-c", "echo $A $PWD"]).ok(),
        "b /tmp"
    );
}

#[test]
fn a_monitor_that_rested_goes_on() {
    let sandbox = Sandbox::new("rested");
    sandbox.finish(run(&sandbox, &[], "sleep 1000")).ok();
    for _ in 0..3 {
        // Longer than the quiet time after which memory is given back.
        std::thread::sleep(Duration::from_millis(1200));
        assert_eq!(sandbox.rcon(["exec", "c", "echo", "here"]).ok(), "here");
    }
    std::thread::sleep(Duration::from_millis(1200));
    sandbox.rcon(["stop", "-t", "0", "c"]).ok();
    assert_eq!(sandbox.inspect("c", "{{.State.ExitCode}}"), "137");
}

#[test]
fn the_service_manager_is_told() {
    let sandbox = Sandbox::new("sdnotify");
    let path = sandbox.dir().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    let told = || {
        let mut buffer = [0; 1000];
        let n = manager.recv(&mut buffer).expect("told");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    let mut command = run(&sandbox, &["--sdnotify", "conmon"], "test -z \"$NOTIFY_SOCKET\" && sleep 1000");
    sandbox
        .finish({
            command.env("NOTIFY_SOCKET", &path);
            command
        })
        .ok();
    let text = told();
    assert!(text.starts_with("MAINPID=") && text.ends_with("READY=1\n"), "{text:?}");
    sandbox.rcon(["rm", "-f", "-t", "0", "c"]).ok();
    let mut command = run(&sandbox, &["--sdnotify", "container"], "test -S $NOTIFY_SOCKET && sleep 1000");
    command.env("NOTIFY_SOCKET", &path);
    sandbox.finish(command).ok();
    let text = told();
    assert!(text.starts_with("MAINPID=") && !text.contains("READY"), "{text:?}");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(sandbox.inspect("c", "{{.State.Running}}"), "true");
}

#[test]
fn lines_go_to_the_journal() {
    let sandbox = Sandbox::new("journald");
    std::fs::create_dir_all("/run/systemd/journal").expect("the private /run");
    let journal = std::os::unix::net::UnixDatagram::bind("/run/systemd/journal/socket").expect("a socket");
    journal.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    sandbox.finish(run(&sandbox, &["--log-driver", "journald"], "echo one; echo two >&2")).ok();
    let mut seen = String::new();
    for _ in 0..2 {
        let mut buffer = [0; 4000];
        let n = journal.recv(&mut buffer).expect("an entry");
        seen += &String::from_utf8_lossy(&buffer[..n]);
    }
    std::fs::remove_file("/run/systemd/journal/socket").expect("made above");
    for text in ["CONTAINER_NAME", "CONTAINER_ID_FULL", "one\n", "two\n"] {
        assert!(seen.contains(text), "{text}: {seen:?}");
    }
    eventually("it is over", || sandbox.inspect("c", "{{.State.Status}}") == "exited");
    sandbox.rcon(["rm", "c"]).ok();
    let refused = sandbox.finish(run(&sandbox, &["--log-driver", "journald"], "true"));
    assert!(refused.fails(125).contains("--log-driver json-file"), "{}", refused.stderr);
}

#[test]
fn fifty_at_once() {
    let sandbox = Sandbox::new("fifty");
    let root = busybox(&sandbox);
    let all: Vec<_> = (0..50)
        .map(|n| {
            let mut command = sandbox.command();
            command.args(["run", "--rm", "--network", "none", "--rootfs"]).arg(&root);
            command.args(["sh", "-c", &format!("echo {n}")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
        })
        .collect();
    for (n, child) in all.into_iter().enumerate() {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("{n}\n"),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(sandbox.rcon(["ps", "-aq"]).ok(), "");
}
