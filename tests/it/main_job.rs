//! The main job, as a user types it: run detached with a published port, run in the foreground, the everyday
//! commands on one container, limits, mounts, users.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Sandbox, eventually};

/// GET / as curl does it; the whole answer.
fn get(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn nginx_detached_with_a_published_port() {
    let s = Sandbox::with_registry("nginx");
    let id = s.rcon(["run", "-d", "-p", "8080:80", "--name", "web", "nginx"]).ok().to_owned();
    assert_eq!(id.len(), 64, "{id}");
    eventually("nginx answers on 127.0.0.1", || {
        get("127.0.0.1:8080").is_some_and(|a| a.contains("Welcome to nginx"))
    });
    assert!(get("192.0.2.1:8080").is_some_and(|a| a.contains("Welcome to nginx")), "by the host's address");
    let ps = s.rcon(["ps"]).ok().to_owned();
    assert!(ps.contains("0.0.0.0:8080->80/tcp"), "{ps}");
    assert!(ps.contains(&id[..12]) && ps.contains("web") && ps.contains("nginx"), "{ps}");
    assert_eq!(s.rcon(["port", "web"]).ok(), "80/tcp -> 0.0.0.0:8080");
    assert_eq!(s.rcon(["port", "web", "80"]).ok(), "0.0.0.0:8080");
    eventually("the access log is in the logs", || s.rcon(["logs", "web"]).stdout.contains("GET / HTTP/1.0"));
    assert_eq!(s.inspect("web", "{{.State.Running}} {{.State.Status}}"), "true running");
    assert_eq!(s.inspect("web", "{{.Config.StopSignal}}"), "SIGQUIT");
    assert_eq!(s.rcon(["stop", "web"]).ok(), "web");
    assert_eq!(s.inspect("web", "{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
    assert!(get("127.0.0.1:8080").is_none(), "the port is closed after stop");
    assert_eq!(s.rcon(["start", "web"]).ok(), "web");
    eventually("nginx answers again", || get("127.0.0.1:8080").is_some_and(|a| a.contains("Welcome")));
    assert_eq!(s.rcon(["rm", "-f", "web"]).ok(), "web");
    s.rcon(["inspect", "web"]).fails(1);
}

#[test]
fn foreground_output_and_exit_code() {
    let s = Sandbox::with_registry("fore");
    let done = s.rcon(["run", "--rm", "busybox", "echo", "hello"]);
    assert_eq!(done.ok(), "hello");
    assert_eq!(s.rcon(["run", "--rm", "busybox", "sh", "-c", "exit 7"]).code, 7);
    assert_eq!(s.rcon(["run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).code, 137);
    let done = s.rcon(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
    let done = s.rcon_with_input(["run", "--rm", "-i", "busybox", "sha256sum"], b"abc");
    assert!(
        done.ok().starts_with("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        "{done:?}"
    );
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), "", "--rm left nothing");
    assert!(s.rcon(["run", "--rm", "hello-world"]).ok().contains("Hello from rcon!"));
}

#[test]
fn large_output_arrives_whole() {
    let s = Sandbox::with_images("large", &["busybox"]);
    let done = s.rcon(["run", "--rm", "busybox", "sh", "-c", "seq 1 300000"]);
    assert_eq!(done.stdout.lines().count(), 300_000);
    assert_eq!(done.stdout.lines().last(), Some("300000"));
    s.rcon(["run", "--name", "l", "busybox", "seq", "1", "5000"]).ok();
    assert_eq!(s.rcon(["logs", "l"]).stdout.lines().count(), 5000);
    assert_eq!(s.rcon(["logs", "--tail", "2", "l"]).ok(), "4999\n5000");
}

#[test]
fn exec_runs_beside_the_container() {
    let s = Sandbox::with_images("exec", &["busybox"]);
    s.rcon(["run", "-d", "--name", "c", "-e", "A=b", "-w", "/tmp", "busybox", "sleep", "1000"]).ok();
    assert_eq!(s.rcon(["exec", "c", "sh", "-c", "echo $A $PWD"]).ok(), "b /tmp");
    assert_eq!(s.rcon(["exec", "c", "sh", "-c", "exit 3"]).code, 3);
    assert_eq!(
        s.rcon(["exec", "-u", "nobody", "-w", "/", "-e", "X=y", "c", "sh", "-c", "id -u; pwd; echo $X"]).ok(),
        "65534\n/\ny"
    );
    assert_eq!(s.rcon_with_input(["exec", "-i", "c", "cat"], b"through").ok(), "through");
    s.rcon(["exec", "c", "no-such-program"]).fails(127);
    s.rcon(["exec", "c", "/etc/passwd"]).fails(126);
    s.rcon(["exec", "missing", "true"]).fails(1);
    s.rcon(["exec", "-d", "c", "touch", "/tmp/detached"]).ok();
    eventually("the detached exec ran", || s.rcon(["exec", "c", "test", "-e", "/tmp/detached"]).code == 0);
    s.rcon(["stop", "-t", "0", "c"]).ok();
    s.rcon(["exec", "c", "true"]).fails(1);
}

#[test]
fn environment_user_workdir_entrypoint() {
    let s = Sandbox::with_images("opts", &["busybox"]);
    let done = s.rcon([
        "run",
        "--rm",
        "-e",
        "A=b",
        "-u",
        "1000:1000",
        "-w",
        "/src",
        "--entrypoint",
        "sh",
        "busybox",
        "-c",
        "echo $A $(id -u):$(id -g) $PWD",
    ]);
    assert_eq!(done.ok(), "b 1000:1000 /src");
    let mut command = s.command();
    command.env("FROM_CALLER", "yes").args(["run", "--rm", "-e", "FROM_CALLER", "busybox", "env"]);
    let env = s.finish(command).ok().to_owned();
    assert!(env.lines().any(|l| l == "FROM_CALLER=yes"), "{env}");
    assert!(env.lines().any(|l| l == "HOME=/root"), "{env}");
    assert!(env.lines().any(|l| l.starts_with("PATH=/usr/local/sbin")), "{env}");
    assert!(env.lines().any(|l| l.starts_with("HOSTNAME=")), "{env}");
    assert_eq!(s.rcon(["run", "--rm", "-h", "box", "busybox", "hostname"]).ok(), "box");
    assert_eq!(s.rcon(["run", "--rm", "-u", "www-data", "busybox", "id", "-un"]).ok(), "www-data");
}

#[test]
fn mounts_of_every_everyday_kind() {
    let s = Sandbox::with_images("mounts", &["busybox"]);
    let src = s.dir().join("src");
    std::fs::create_dir(&src).expect("folder");
    std::fs::write(src.join("file"), "from the host").expect("file");
    let bind = format!("{}:/src:ro", src.display());
    s.rcon(["volume", "create", "vol"]).ok();
    let done = s.rcon([
        "run",
        "--rm",
        "-v",
        "vol:/data",
        "-v",
        &bind,
        "--tmpfs",
        "/t",
        "busybox",
        "sh",
        "-c",
        "cat /src/file; touch /src/x 2>&1; echo kept > /data/kept; grep ' /t ' /proc/mounts | cut -d' ' -f1",
    ]);
    let out = done.stdout.clone();
    assert!(out.starts_with("from the host"), "{done:?}");
    assert!(out.contains("Read-only file system"), "{out}");
    assert!(out.trim_end().ends_with("tmpfs"), "{out}");
    assert_eq!(s.rcon(["run", "--rm", "-v", "vol:/data", "busybox", "cat", "/data/kept"]).ok(), "kept");
    assert!(s.rcon(["volume", "ls", "-q"]).ok().contains("vol"));
    let point = s.rcon(["volume", "inspect", "--format", "{{.Mountpoint}}", "vol"]).ok().to_owned();
    assert_eq!(std::fs::read_to_string(format!("{point}/kept")).expect("volume file"), "kept\n");
    s.rcon(["create", "--name", "user", "-v", "vol:/data", "busybox"]).ok();
    s.rcon(["volume", "rm", "vol"]).fails(1);
    s.rcon(["rm", "user"]).ok();
    assert_eq!(s.rcon(["volume", "rm", "vol"]).ok(), "vol");
}

#[test]
fn limits_reach_the_kernel() {
    let s = Sandbox::with_images("limits", &["busybox"]);
    s.rcon([
        "run",
        "-d",
        "--name",
        "pids",
        "--pids-limit",
        "20",
        "busybox",
        "sh",
        "-c",
        "while sleep 1; do :; done",
    ])
    .ok();
    let forks = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done";
    let done = s.rcon(["exec", "pids", "sh", "-c", forks]);
    assert!(done.stderr.contains("can't fork"), "{done:?}");
    s.rcon(["rm", "-f", "-t", "0", "pids"]).ok();
    let done = s.rcon([
        "run",
        "--name",
        "oom",
        "--memory",
        "16m",
        "busybox",
        "sh",
        "-c",
        "dd if=/dev/zero of=/dev/null bs=64M count=1",
    ]);
    assert_eq!(done.code, 137, "{done:?}");
    assert_eq!(s.inspect("oom", "{{.State.OOMKilled}}"), "true");
    assert_eq!(s.inspect("oom", "{{.HostConfig.Memory}}"), "16777216");
    s.rcon(["run", "--rm", "--memory", "64m", "--cpus", "0.5", "busybox", "true"]).ok();
}

#[test]
fn stop_sends_the_signal_and_then_kills() {
    let s = Sandbox::with_images("stop", &["busybox"]);
    s.rcon([
        "run",
        "-d",
        "--name",
        "polite",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done",
    ])
    .ok();
    eventually("it listens", || s.rcon(["logs", "polite"]).stdout == "up\n");
    s.rcon(["stop", "polite"]).ok();
    assert_eq!(s.inspect("polite", "{{.State.ExitCode}}"), "5");
    s.rcon([
        "run",
        "-d",
        "--name",
        "deaf",
        "busybox",
        "sh",
        "-c",
        "trap '' TERM; echo up; while :; do sleep 0.05; done",
    ])
    .ok();
    eventually("it is deaf", || s.rcon(["logs", "deaf"]).stdout == "up\n");
    s.rcon(["stop", "-t", "1", "deaf"]).ok();
    assert_eq!(s.inspect("deaf", "{{.State.ExitCode}}"), "137");
    s.rcon(["run", "-d", "--name", "k", "busybox", "sleep", "1000"]).ok();
    s.rcon(["kill", "-s", "KILL", "k"]).ok();
    assert_eq!(s.rcon(["wait", "k"]).ok(), "137");
    s.rcon(["kill", "k"]).fails(1);
}

#[test]
fn logs_follow_until_the_end() {
    let s = Sandbox::with_images("logs", &["busybox"]);
    s.rcon([
        "run",
        "-d",
        "--name",
        "talk",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3; do echo line $i; sleep 0.2; done; echo oops >&2",
    ])
    .ok();
    let done = s.rcon(["logs", "-f", "talk"]);
    assert_eq!(done.ok(), "line 1\nline 2\nline 3");
    assert_eq!(done.stderr, "oops\n");
    let stamped = s.rcon(["logs", "-t", "talk"]).ok().to_owned();
    assert!(stamped.lines().all(|l| l.contains('T') && l.contains("Z line")), "{stamped}");
}

#[test]
fn many_at_once() {
    let s = Sandbox::with_images("many", &["busybox"]);
    let children: Vec<_> = (0..30)
        .map(|i| {
            let mut command = s.command();
            command.args(["run", "--rm", "busybox", "echo", &format!("n{i}")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("rcon starts")
        })
        .collect();
    for (i, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().expect("rcon ends");
        assert!(output.status.success(), "{i}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("n{i}\n"));
    }
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), "");
}

#[test]
fn a_terminal_is_a_terminal() {
    let s = Sandbox::with_images("tty", &["busybox"]);
    let script = |text: &str| {
        let mut command = std::process::Command::new("script");
        command.args(["-qec", text, "/dev/null"]).stdin(Stdio::null());
        for (key, value) in s.command().get_envs() {
            if let Some(value) = value {
                command.env(key, value);
            }
        }
        s.finish(command)
    };
    let rcon = crate::support::rcon_binary();
    let rcon = rcon.display();
    let done =
        script(&format!("stty cols 97 rows 31; {rcon} run --rm -it busybox sh -c 'tty; stty size; exit 4'"));
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.stdout.contains("/dev/pts/0") || done.stdout.contains("/dev/console"), "{done:?}");
    assert!(done.stdout.contains("31 97"), "{done:?}");
    let done = s.rcon(["run", "--rm", "-t", "busybox", "tty"]);
    assert_eq!(done.code, 0, "{done:?}");
}
