//! `rcon-runtime` under those who drive runc: Debian's podman, containerd through its shim, and dockerd. Each runs
//! on storage of its own, without a network.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::support::{RegistryKind, Sandbox, eventually, rcon_binary, sh};

/// The binary by the name that makes it an OCI runtime.
fn runtime(s: &Sandbox) -> PathBuf {
    let link = s.dir().join("rcon-runtime");
    if !link.exists() {
        symlink(rcon_binary(), &link).expect("link");
    }
    link
}

/// A program of the peer with its first words.
struct Peer<'a> {
    program: &'static str,
    words: Vec<String>,
    sandbox: &'a Sandbox,
}

impl Peer<'_> {
    fn run(&self, words: &[&str]) -> (i32, String) {
        let mut command = Command::new("timeout");
        // podman 5 says so on this kind of machine each time.
        command.env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
        command.arg("60").arg(self.program).args(&self.words).args(words).stdin(Stdio::null());
        command.env("CONTAINERS_REGISTRIES_CONF", self.sandbox.dir().join("registries.conf"));
        let Output { status, stdout, stderr } = command.output().expect("the peer is installed");
        let text = [stdout, stderr].concat();
        (status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) -> String {
        let (code, text) = self.run(words);
        assert_eq!(code, 0, "{} {words:?}: {text}", self.program);
        text
    }

    #[track_caller]
    fn ends(&self, code: i32, words: &[&str], part: &str) {
        let (got, text) = self.run(words);
        assert!(got == code && text.contains(part), "{} {words:?}: {got} {text}", self.program);
    }
}

/// A daemon that ends with the test.
struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log).expect("log");
        let other = log.try_clone().expect("log");
        Self(command.stdin(Stdio::null()).stdout(log).stderr(other).spawn().expect("the daemon is installed"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).ok();
        drop(self.0.wait());
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|w| (*w).to_owned()).collect()
}

/// What docker and podman have in common.
fn life(peer: &Peer<'_>, image: &str, exec_of_nothing: i32) {
    fn with<'a>(image: &'a str, more: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
        [&["run", "--rm", "--network", "none"], more, &[image], command].concat()
    }
    assert_eq!(peer.ok(&with(image, &[], &["echo", "hello"])), "hello\n");
    peer.ends(7, &with(image, &[], &["sh", "-c", "exit 7"]), "");
    peer.ends(127, &with(image, &[], &["nosuch"]), "executable file not found in $PATH");
    peer.ends(126, &with(image, &[], &["/etc"]), "permission denied");
    assert!(peer.ok(&with(image, &["-t"], &["tty"])).contains("/dev/pts/0"));
    let script = "touch /y; touch /x/y; ls /x; grep -E 'CapEff|Seccomp:' /proc/self/status; ls -l /dev/nn";
    let options = ["--read-only", "--tmpfs", "/x", "--cap-drop", "all", "--device", "/dev/null:/dev/nn"];
    let text = peer.ok(&with(image, &options, &["sh", "-c", script]));
    for part in ["Read-only file system", "y\n", "CapEff:\t0000000000000000", "Seccomp:\t2", "1,   3"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let trap = "trap 'exit 3' TERM; while :; do sleep 0.1; done";
    peer.ok(&["run", "-d", "--network", "none", "--name", "life", "-m", "64m", image, "sh", "-c", trap]);
    assert_eq!(peer.ok(&["exec", "life", "echo", "in"]), "in\n");
    assert!(peer.ok(&["exec", "-t", "life", "tty"]).contains("/dev/pts/"));
    peer.ends(9, &["exec", "life", "sh", "-c", "exit 9"], "");
    peer.ends(exec_of_nothing, &["exec", "life", "nosuch"], "executable file not found");
    assert!(
        peer.ok(&["exec", "-u", "nobody", "-w", "/tmp", "life", "sh", "-c", "id -u; pwd"])
            .contains("65534\n/tmp")
    );
    assert!(peer.ok(&["top", "life"]).contains("sleep 0.1"));
    peer.ok(&["pause", "life"]);
    assert!(peer.ok(&["ps"]).contains("Paused") || peer.ok(&["ps", "-a"]).contains("aused"));
    peer.ok(&["unpause", "life"]);
    peer.ok(&["stop", "-t", "10", "life"]);
    assert_eq!(peer.ok(&["wait", "life"]).trim(), "3");
    peer.ok(&["start", "life"]);
    peer.ok(&["restart", "-t", "1", "life"]);
    peer.ok(&["run", "--rm", "--network", "none", "--pid", "container:life", image, "ps"]);
    peer.ok(&["rm", "-f", "life"]);
}

#[test]
fn podman_runs_on_it() {
    let s = Sandbox::with_registry("rt-podman");
    let dir = |name: &str| s.dir().join(name).to_string_lossy().into_owned();
    let link = runtime(&s).to_string_lossy().into_owned();
    let peer = Peer {
        program: "podman",
        words: words(&[
            "--root",
            &dir("storage"),
            "--runroot",
            &dir("runroot"),
            "--tmpdir",
            &dir("tmp"),
            "--storage-driver",
            "vfs",
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "file",
            "--runtime",
            &link,
        ]),
        sandbox: &s,
    };
    peer.ok(&["pull", "-q", "docker.io/library/busybox"]);
    life(&peer, "busybox", 127);
    let maps = ["--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000"];
    let text = peer.ok(&[
        &["run", "--rm", "--network", "none"],
        &maps[..],
        &["busybox", "cat", "/proc/self/uid_map"],
    ]
    .concat());
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "1000"]);
}

#[test]
fn containerd_runs_on_it() {
    let s = Sandbox::new("rt-containerd");
    s.registry(RegistryKind::Plain);
    let dir = |name: &str| s.dir().join(name).to_string_lossy().into_owned();
    let socket = dir("run/c.sock");
    let mut command = Command::new("containerd");
    command.args(["--root", &dir("storage"), "--state", &dir("run/c"), "--address", &socket]);
    let _daemon = Daemon::start(&mut command, &s.dir().join("log"));
    let peer = Peer { program: "ctr", words: words(&["--address", &socket]), sandbox: &s };
    eventually("containerd answers", || peer.run(&["version"]).0 == 0);
    let image = "127.0.0.1:5000/library/busybox:latest";
    peer.ok(&["image", "pull", "--plain-http", "--snapshotter", "native", image]);
    let link = runtime(&s).to_string_lossy().into_owned();
    let run = |more: &[&'static str], rest: &[&'static str]| -> (i32, String) {
        peer.run(
            &[&["run", "--snapshotter", "native", "--runc-binary", &link], more, &[image], rest].concat(),
        )
    };
    assert_eq!(run(&["--rm"], &["a", "echo", "hello"]), (0, "hello\n".to_owned()));
    assert_eq!(run(&["--rm"], &["a", "sh", "-c", "exit 7"]).0, 7);
    let (code, text) = run(&["--rm"], &["a", "nosuch"]);
    assert!(
        code == 1 && text.contains("OCI runtime create failed") && text.contains("not found in $PATH"),
        "{text}"
    );
    let (code, text) = run(&["--rm", "--seccomp"], &["a", "grep", "Seccomp:", "/proc/self/status"]);
    assert!(code == 0 && text.contains("2"), "{text}");
    assert_eq!(run(&["-d"], &["b", "sleep", "1000"]).0, 0);
    assert_eq!(peer.ok(&["task", "exec", "--exec-id", "e", "b", "echo", "in"]), "in\n");
    peer.ends(9, &["task", "exec", "--exec-id", "f", "b", "sh", "-c", "exit 9"], "");
    peer.ok(&["task", "pause", "b"]);
    assert!(peer.ok(&["task", "ls"]).contains("PAUSED"));
    peer.ok(&["task", "resume", "b"]);
    assert!(peer.ok(&["task", "metrics", "b"]).contains("pids.current"));
    peer.ok(&["task", "kill", "-s", "KILL", "b"]);
    eventually("it has stopped", || peer.ok(&["task", "ls"]).contains("STOPPED"));
    // The exit code is that of the task, which was killed.
    let _code = peer.run(&["task", "rm", "b"]);
    peer.ok(&["container", "rm", "b"]);
}

#[test]
fn dockerd_runs_on_it() {
    let s = Sandbox::new("rt-dockerd");
    s.registry(RegistryKind::Plain);
    let dir = |name: &str| s.dir().join(name).to_string_lossy().into_owned();
    let socket = format!("unix://{}", dir("run/d.sock"));
    let link = runtime(&s).to_string_lossy().into_owned();
    let mut command = Command::new("dockerd");
    command.args(["--data-root", &dir("data"), "--exec-root", &dir("run/d"), "--pidfile", &dir("run/d.pid")]);
    command.args(["--host", &socket, "--bridge", "none", "--iptables=false", "--storage-driver", "vfs"]);
    command.args(["--add-runtime", &format!("rcon={link}"), "--default-runtime", "rcon"]);
    let daemon = Daemon::start(&mut command, &s.dir().join("log"));
    let peer = Peer { program: "docker", words: words(&["--host", &socket]), sandbox: &s };
    eventually("dockerd answers", || peer.run(&["version"]).0 == 0);
    let image = "127.0.0.1:5000/library/busybox";
    peer.ok(&["pull", "-q", image]);
    life(&peer, image, 126);
    let update = ["run", "-d", "--network", "none", "--name", "upd", image, "sleep", "1000"];
    peer.ok(&update);
    peer.ok(&["update", "--memory", "32m", "--memory-swap", "64m", "upd"]);
    let read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    assert_eq!(peer.ok(&["exec", "upd", "sh", "-c", read]).trim(), "33554432");
    peer.ok(&["rm", "-f", "upd"]);
    drop(daemon);
    // What dockerd mounts for itself it leaves behind.
    sh(&format!("umount -R -l {} 2>/dev/null || true", dir("run/d/netns")));
}
