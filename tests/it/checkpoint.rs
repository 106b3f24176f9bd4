//! Containers that are checkpointed and restored by criu. Where criu is not there, or does not work with this kernel, a
//! test says so and ends.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Done, Sandbox, criu_path, eventually, wait_until};

/// rcon with criu in its PATH.
struct Criu {
    sandbox: Sandbox,
    path: String,
}

impl Criu {
    fn new(name: &str) -> Option<Self> {
        let path = criu_path()?;
        Some(Self { sandbox: Sandbox::with_images(name, &["busybox"]), path })
    }

    fn rcon(&self, words: &[&str]) -> Done {
        let mut command = self.sandbox.command();
        command.args(words).env("PATH", &self.path);
        self.sandbox.finish(command)
    }

    fn state(&self, name: &str) -> Value {
        let text = self.rcon(&["inspect", "-f", "{{json .State}}", name]);
        serde_json::from_str(text.ok()).expect("a state")
    }

    /// How far a container of [`COUNT`] is.
    fn count(&self, name: &str) -> u32 {
        self.rcon(&["exec", name, "cat", "/tmp/count"]).stdout.trim().parse().unwrap_or(0)
    }

    /// The same when it is some way on.
    fn beyond(&self, name: &str, number: u32) -> u32 {
        wait_until(|| Some(self.count(name)).filter(|n| *n > number))
    }
}

/// Counts in memory, and tells how far it is.
const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.05; done";

#[test]
fn a_container_goes_on_where_it_was_with_its_address() {
    let Some(c) = Criu::new("ckpt-on") else { return };
    c.rcon(&["network", "create", "net"]).ok();
    let run = ["run", "-d", "--name", "on", "--network", "net", "-p", "18080:80", "--hostname", "h"];
    c.rcon(&[&run[..], &["-v", "vol:/data", "--shm-size", "1m", "busybox", "sh", "-c", COUNT]].concat()).ok();
    c.rcon(&["exec", "on", "sh", "-c", "echo shared >/dev/shm/x; echo kept >/data/y"]).ok();
    c.beyond("on", 3);
    let where_it_is = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}}{{end}}";
    let before = c.rcon(&["inspect", "-f", where_it_is, "on"]).ok().to_owned();
    assert_eq!(c.state("on")["Checkpointed"], false);
    // A copy first, while it runs on.
    assert_eq!(c.rcon(&["container", "checkpoint", "--leave-running", "on"]).ok(), "on");
    let last = c.count("on");
    let last = c.beyond("on", last);
    c.rcon(&["container", "checkpoint", "--keep", "on"]).ok();
    let state = c.state("on");
    assert_eq!((&state["Status"], &state["ExitCode"]), (&"exited".into(), &0.into()), "{state}");
    assert_eq!((&state["Checkpointed"], &state["Restored"]), (&true.into(), &false.into()));
    assert!(state["CheckpointPath"].as_str().is_some_and(|p| p.ends_with("userdata/checkpoint")), "{state}");
    assert!(state["CheckpointLog"].as_str().is_some_and(|p| p.ends_with("userdata/dump.log")), "{state}");
    let errors = c.rcon(&["container", "checkpoint", "on"]);
    assert!(errors.fails(1).contains("is exited, cannot checkpoint"), "{errors:?}");
    assert_eq!(c.rcon(&["container", "restore", "on"]).ok(), "on");
    let now = c.beyond("on", last);
    assert!(now < last + 1000, "it has not begun anew");
    assert_eq!(c.rcon(&["inspect", "-f", where_it_is, "on"]).ok(), before);
    assert_eq!(
        c.rcon(&["exec", "on", "cat", "/dev/shm/x", "/data/y", "/etc/hostname"]).ok(),
        "shared\nkept\nh"
    );
    assert_eq!(c.rcon(&["port", "on"]).ok().lines().next(), Some("80/tcp -> 0.0.0.0:18080"));
    let state = c.state("on");
    assert_eq!((&state["Checkpointed"], &state["Restored"]), (&false.into(), &true.into()), "{state}");
    assert_eq!(state["CheckpointPath"], "", "without --keep it is gone: {state}");
    let told = c.rcon(&["events", "--since", "10m", "--until", "0s", "--format", "{{.Action}}"]);
    let told: Vec<&str> =
        told.ok().lines().filter(|l| ["checkpoint", "restore", "start"].contains(l)).collect();
    assert_eq!(told, ["start", "checkpoint", "checkpoint", "restore"]);
    // A plain start knows nothing of it any more.
    c.rcon(&["stop", "-t", "0", "on"]).ok();
    c.rcon(&["start", "on"]).ok();
    assert_eq!(c.state("on")["Restored"], false);
    let none = c.rcon(&["container", "restore", "on"]);
    assert!(none.fails(1).contains("is running or paused, cannot restore"), "{none:?}");
    c.rcon(&["rm", "-f", "on"]).ok();
    c.rcon(&["volume", "rm", "vol"]).ok();
}

/// `attach` as a user calls it.
fn on_a_terminal(like: &Command, name: &str) -> Command {
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{} attach {name}", like.get_program().display()), "/dev/null"]);
    for (key, value) in like.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command
}

#[test]
fn streams_and_terminals_go_on_too() {
    let Some(c) = Criu::new("ckpt-io") else { return };
    let script = "echo ready; read x; echo got $x; sleep 1000";
    for (name, flags) in [("pipe", "-i"), ("term", "-it")] {
        c.rcon(&["run", "-d", flags, "--network", "none", "--name", name, "busybox", "sh", "-c", script])
            .ok();
        eventually("it reads", || c.rcon(&["logs", name]).stdout.contains("ready"));
        c.rcon(&["container", "checkpoint", name]).ok();
        c.rcon(&["container", "restore", name]).ok();
        let attach = c.sandbox.command();
        let mut command = if name == "term" { on_a_terminal(&attach, name) } else { attach };
        if name == "pipe" {
            command.args(["attach", name]);
        }
        let mut attached = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
        attached.stdin.as_mut().expect("a pipe").write_all(b"word\n").expect("it reads");
        eventually("it has read", || c.rcon(&["logs", name]).stdout.contains("got word"));
        // Its monitor is its parent again: it ends with it.
        c.rcon(&["kill", name]).ok();
        assert_eq!(c.state(name)["ExitCode"], 137);
        attached.wait().expect("it ends with its container");
        c.rcon(&["rm", name]).ok();
    }
}

#[test]
fn what_cannot_be_is_refused_and_runs_on() {
    let Some(c) = Criu::new("ckpt-no") else { return };
    c.rcon(&["run", "-d", "--rm", "--network", "none", "--name", "rm", "busybox", "sleep", "1000"]).ok();
    let refused = c.rcon(&["container", "checkpoint", "rm"]);
    assert!(refused.fails(1).contains("started with '--rm' unless '--export' is used"), "{refused:?}");
    c.rcon(&["run", "-d", "--init", "--network", "none", "--name", "init", "busybox", "sleep", "1000"]).ok();
    let refused = c.rcon(&["container", "checkpoint", "init"]);
    assert!(refused.fails(1).contains("(--init)"), "{refused:?}");
    c.rcon(&["run", "-d", "--network", "none", "--name", "x", "busybox", "sleep", "1000"]).ok();
    c.rcon(&["exec", "-d", "x", "sleep", "1000"]).ok();
    let refused = c.rcon(&["container", "checkpoint", "x"]);
    assert!(refused.fails(1).contains("exec"), "{refused:?}");
    // criu itself refuses: the address of a connection is not ours to keep without being told so.
    let listen = "sleep 1000 | nc -l -p 80 & sleep 0.3; sleep 1000 | nc 127.0.0.1 80";
    c.rcon(&["run", "-d", "--network", "none", "--name", "tcp", "busybox", "sh", "-c", listen]).ok();
    let connected = || c.rcon(&["exec", "tcp", "cat", "/proc/net/tcp"]).stdout.contains(" 01 ");
    eventually("they are connected", connected);
    let refused = c.rcon(&["container", "checkpoint", "tcp"]);
    assert!(refused.fails(1).contains("dump.log"), "{refused:?}");
    for name in ["rm", "init", "x", "tcp"] {
        assert_eq!(c.state(name)["Status"], "running", "{name}");
    }
    c.rcon(&["stop", "-t", "0", "init"]).ok();
    let none = c.rcon(&["container", "restore", "init"]);
    assert!(none.fails(1).contains("a complete checkpoint for this container cannot be found"), "{none:?}");
    assert!(c.rcon(&["container", "restore", "nobody"]).fails(1).contains("nobody"));
    c.rcon(&["rm", "-f", "-t", "0", "rm", "init", "x", "tcp"]).ok();
}

#[test]
fn an_archive_becomes_a_container_on_another_root() {
    let Some(c) = Criu::new("ckpt-export") else { return };
    let archive = c.sandbox.dir().join("a.tar.zst").display().to_string();
    let run = ["run", "-d", "--rm", "--name", "go", "-v", "data:/data", "-v", "/anon", "-p", "18081:80"];
    c.rcon(&[&run[..], &["busybox", "sh", "-c", COUNT]].concat()).ok();
    c.rcon(&["exec", "go", "sh", "-c", "echo d >/data/f; echo a >/anon/f; echo n >/new; rm /etc/group"]).ok();
    let last = c.beyond("go", 3);
    let refused = c.rcon(&["container", "checkpoint", "-e", &archive, "-c", "lz4", "go"]);
    assert!(refused.stderr.contains("Please select one from: gzip, none, zstd"), "{refused:?}");
    c.rcon(&["container", "checkpoint", "-e", &archive, "go"]).ok();
    assert_eq!(c.rcon(&["ps", "-aq"]).ok(), "", "with --rm it is gone");
    let taken = c.rcon(&["container", "restore", "-i", &archive]);
    assert!(taken.fails(1).contains("volume with name data already exists"), "{taken:?}");
    assert_eq!(c.rcon(&["ps", "-aq"]).ok(), "", "nothing is left of the attempt");
    assert_eq!(c.rcon(&["volume", "ls", "-q"]).ok(), "data");
    // Another machine: another root, with the image.
    let place = |name: &str| c.sandbox.dir().join(name).display().to_string();
    let (root, runroot) = (place("root2"), place("run2"));
    let there = |words: &[&str]| c.rcon(&[&["--root", &root, "--runroot", &runroot], words].concat());
    there(&["pull", "-q", "busybox"]).ok();
    // Its subnet is that of the first root here.
    let refused = there(&["container", "restore", "-i", &archive]);
    assert!(refused.fails(1).contains("--ignore-static-ip"), "{refused:?}");
    assert_eq!(there(&["volume", "ls", "-q"]).ok(), "", "nothing is left of the attempt");
    let id = there(&["container", "restore", "--ignore-static-ip", "-i", &archive]).ok().to_owned();
    assert_eq!(there(&["ps", "-q", "--no-trunc"]).ok(), id);
    let count = || there(&["exec", "go", "cat", "/tmp/count"]).stdout.trim().parse().unwrap_or(0);
    let now = wait_until(|| Some(count()).filter(|n| *n > last));
    assert!(now < last + 1000, "it has not begun anew");
    assert_eq!(there(&["exec", "go", "cat", "/data/f", "/anon/f", "/new"]).ok(), "d\na\nn");
    there(&["exec", "go", "ls", "/etc/group"]).fails(1);
    // Once more beside it, with another name and port.
    let again = ["container", "restore", "-i", &archive, "-n", "go2", "-p", "18082:80", "--ignore-volumes"];
    there(&again).ok();
    assert_eq!(there(&["port", "go2"]).ok().lines().next(), Some("80/tcp -> 0.0.0.0:18082"));
    let none = there(&["container", "restore", "-i", &archive]);
    assert!(none.fails(1).contains("exists already"), "{none:?}");
    there(&["rm", "-f", "-t", "0", "go", "go2"]).ok();
    assert_eq!(there(&["ps", "-aq"]).ok(), "");
    // Without the changes of the root file system and of volumes.
    let bare =
        ["container", "restore", "--ignore-static-ip", "-i", &archive, "--ignore-rootfs", "--ignore-volumes"];
    there(&bare).ok();
    there(&["exec", "go", "ls", "/etc/group"]).ok();
    there(&["rm", "-f", "-t", "0", "go"]).ok();
    there(&["volume", "rm", "data"]).ok();
    c.rcon(&["volume", "rm", "data"]).ok();
    // What is no archive of ours.
    let other = place("x.tar");
    std::fs::write(&other, vec![0; 1024]).expect("x.tar");
    let refused = c.rcon(&["container", "restore", "-i", &other]);
    assert!(refused.fails(1).contains("no checkpoint that rcon exported"), "{refused:?}");
}

#[test]
fn checkpoints_have_names_as_docker_s() {
    let Some(c) = Criu::new("ckpt-named") else { return };
    c.rcon(&["run", "-d", "--name", "c", "--network", "none", "busybox", "sh", "-c", COUNT]).ok();
    let first = c.beyond("c", 3);
    let create = |words: &[&str]| c.rcon(&[&["checkpoint", "create"], words].concat());
    assert_eq!(create(&["--leave-running", "c", "one"]).ok(), "one");
    let taken = create(&["c", "one"]);
    assert!(taken.fails(1).contains("checkpoint with name one already exists"), "{taken:?}");
    c.beyond("c", first + 20);
    let elsewhere = c.sandbox.dir().join("elsewhere").display().to_string();
    create(&["--checkpoint-dir", &elsewhere, "c", "two"]).ok();
    assert_eq!(c.state("c")["Status"], "exited");
    assert_eq!(c.rcon(&["checkpoint", "ls", "c"]).ok(), "CHECKPOINT NAME\none");
    assert_eq!(
        c.rcon(&["checkpoint", "ls", "--checkpoint-dir", &elsewhere, "c"]).ok(),
        "CHECKPOINT NAME\ntwo"
    );
    let none = c.rcon(&["start", "--checkpoint", "two", "c"]);
    assert!(none.fails(1).contains("checkpoint two does not exist for container c"), "{none:?}");
    // As often as one likes, each time from where it was.
    for _ in 0..2 {
        assert_eq!(c.rcon(&["start", "--checkpoint", "one", "c"]).ok(), "c");
        let now = c.beyond("c", first);
        assert!(now < first + 20, "{now} of {first}");
        c.rcon(&["kill", "c"]).ok();
    }
    c.rcon(&["start", "--checkpoint", "two", "--checkpoint-dir", &elsewhere, "c"]).ok();
    c.beyond("c", first + 20);
    let runs = c.rcon(&["start", "--checkpoint", "one", "c"]);
    assert!(runs.fails(1).contains("it is running"), "{runs:?}");
    c.rcon(&["checkpoint", "rm", "c", "one"]).ok();
    c.rcon(&["checkpoint", "rm", "c", "one"]).fails(1);
    assert_eq!(c.rcon(&["checkpoint", "ls", "c"]).ok(), "CHECKPOINT NAME");
    let told = c.rcon(&["events", "--since", "10m", "--until", "0s", "--format", "{{.Action}}"]);
    assert!(!told.ok().contains("restore"), "to docker it is a start: {told:?}");
    c.rcon(&["rm", "-f", "c"]).ok();
}

#[test]
fn an_image_of_a_checkpoint_becomes_containers() {
    let Some(c) = Criu::new("ckpt-image") else { return };
    c.rcon(&["run", "-d", "--name", "c", "--network", "none", "busybox", "sh", "-c", COUNT]).ok();
    c.rcon(&["exec", "c", "sh", "-c", "echo n >/new"]).ok();
    let last = c.beyond("c", 3);
    c.rcon(&["container", "checkpoint", "--create-image", "saved", "c"]).ok();
    let annotation = "{{index .Annotations \"io.podman.annotations.checkpoint.name\"}}";
    assert_eq!(c.rcon(&["image", "inspect", "-f", annotation, "saved"]).ok(), "c");
    c.rcon(&["rm", "c"]).ok();
    for name in ["a", "b"] {
        c.rcon(&["container", "restore", "-n", name, "saved"]).ok();
        let now = c.beyond(name, last);
        assert!(now < last + 1000, "it has not begun anew");
        assert_eq!(c.rcon(&["exec", name, "cat", "/new"]).ok(), "n");
    }
    c.rcon(&["run", "-d", "saved"]).ok();
    c.beyond("c", last);
    let refused = c.rcon(&["container", "restore", "busybox"]);
    assert!(refused.fails(1).contains("is no checkpoint"), "{refused:?}");
    let refused = c.rcon(&["container", "restore", "-n", "x", "a"]);
    assert!(refused.fails(1).contains("--name can only be used with image or --import"), "{refused:?}");
    c.rcon(&["rm", "-f", "-t", "0", "a", "b", "c"]).ok();
    c.rcon(&["rmi", "saved"]).ok();
}
