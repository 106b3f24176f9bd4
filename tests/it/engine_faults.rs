//! Fault injection in the engine: the Nth system call of a verb fails, in the command, in the monitor that it starts,
//! and in what those start. Each time: a clear error, or success with nothing less than without the fault; then all is
//! removed, by commands without a fault (against a monitor that may still have its fault before it), and nothing is left.
//!
//! The tool is that of `runtime_faults.rs`, which is about `rcon runtime` alone. Some thirty N of each verb are tried;
//! `RCON_FAULTS=all` tries every one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Done, Sandbox, eventually, rcon_binary};

/// How many faults are tried, about, unless all are.
const TRIES: usize = 30;

struct Faults<'a> {
    s: &'a Sandbox,
    tool: PathBuf,
    log: PathBuf,
}

/// What the tool tells.
struct Told {
    calls: usize,
    /// The call that failed was a container's own.
    of_program: bool,
    /// None of the processes is left.
    ended: bool,
}

impl<'a> Faults<'a> {
    fn new(s: &'a Sandbox) -> Self {
        let tool = s.dir().join("fault");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/fault.c");
        let built = Command::new("cc").args(["-O1", "-o"]).arg(&tool).arg(source).status();
        assert!(built.expect("a C compiler").success());
        Self { s, tool, log: s.dir().join("fault-log") }
    }

    /// A command whose call `n` fails, or one of its monitor's.
    fn with_fault(&self, n: usize, words: &[&str]) -> Done {
        let environment = self.s.command();
        let (out, err) = (self.s.dir().join("out"), self.s.dir().join("err"));
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "60"]).arg(&self.tool).arg(n.to_string()).arg(&self.log).arg(rcon_binary());
        command.args(words).stdin(Stdio::null()).env_clear();
        command.envs(environment.get_envs().filter_map(|(key, value)| Some((key, value?))));
        // Files, because what stays would keep a pipe open.
        command.stdout(fs::File::create(&out).expect("out")).stderr(fs::File::create(&err).expect("err"));
        let status = command.status().expect("timeout");
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("output")).into_owned();
        let done = Done { code: status.code().unwrap_or(-1), stdout: read(&out), stderr: read(&err) };
        assert!(![124, 137].contains(&done.code), "call {n} of {words:?}: it hung: {done:?}");
        // tokio itself panics where its own eventfd fails, which only a fault brings about.
        let of_tokio = done.stderr.contains("failed to wake I/O driver");
        assert!(!done.stderr.contains("panicked") || of_tokio, "call {n} of {words:?}: {done:?}");
        done
    }

    fn told(&self) -> Told {
        let said = fs::read_to_string(&self.log).expect("log");
        let parts: Vec<_> = said.split_whitespace().collect();
        Told {
            calls: parts[0].parse().expect("a number"),
            of_program: parts[2].contains("busybox"),
            ended: parts.last() == Some(&"end"),
        }
    }

    /// Tries one fault after the other: `before` makes what the command needs, `after` looks at what came of it.
    fn each(&self, words: &[&str], before: impl Fn(), after: impl Fn(usize, &Done, &Told)) {
        let mut n = 0;
        let mut step = 1;
        loop {
            before();
            let done = self.with_fault(n, words);
            let told = self.told();
            let silent = done.stderr.trim().is_empty() && !told.of_program;
            assert!(done.code == 0 || !silent, "call {n} of {words:?}: no word: {done:?}");
            if n == 0 {
                assert_eq!(done.code, 0, "{words:?} without a fault: {done:?}");
            }
            after(n, &done, &told);
            self.clean(n);
            let calls = self.told().calls;
            if std::env::var("RCON_FAULTS").as_deref() != Ok("all") {
                step = step.max(calls / TRIES);
            }
            if n > calls {
                return;
            }
            n += step;
        }
    }

    /// Removes what there is, by commands without a fault. A monitor that has its fault still before it may have it now:
    /// then the error says so, and the second time all goes.
    fn clean(&self, n: usize) {
        let all = self.s.rcon(["ps", "-aq", "--no-trunc"]).ok().to_owned();
        for id in all.split_whitespace() {
            let remove = || self.s.rcon(["rm", "-f", "-v", "-t", "0", id]);
            let first = remove();
            if first.code != 0 {
                assert!(!first.stderr.trim().is_empty(), "call {n}: {first:?}");
                remove().ok();
            }
        }
        eventually(&format!("call {n}: no process is left"), || self.told().ended);
        // What a fault kept from being cleared up is cleared up later: what runs, by any command; what takes space, by
        // the next sweep.
        if !self.s.left().is_empty() {
            self.s.rcon(["ps", "-a"]).ok();
            self.s.rcon(["system", "prune", "-f"]).ok();
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        // The kernel takes a network namespace and its links down in its own time.
        while !self.s.left().is_empty() {
            assert!(Instant::now() < deadline, "call {n}: left behind:\n{}", self.s.left().join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

#[test]
fn of_run_in_the_foreground() {
    let s = sandbox("ef-run");
    let words = ["run", "--rm", "-p", "18080:80", "-m", "64m", "-v", "vol:/data", "busybox", "echo", "hello"];
    Faults::new(&s).each(&words, nothing, |n, done, told| {
        if done.code == 0 && !told.of_program {
            assert_eq!(done.stdout, "hello\n", "call {n}: {done:?}");
        }
        assert!("hello\n".starts_with(&done.stdout), "call {n}: {done:?}");
    });
    s.rcon(["volume", "rm", "-f", "vol"]).ok();
}

#[test]
fn of_run_in_the_background() {
    let s = sandbox("ef-run-d");
    let words = ["run", "-d", "--name", "c", "-p", "18080:80", "-m", "64m", "busybox", "sleep", "1000"];
    Faults::new(&s).each(&words, nothing, |n, done, told| {
        if done.code == 0 && !told.of_program {
            let id = done.stdout.trim();
            assert_eq!(s.inspect("c", "{{.State.Running}} {{.Id}}"), format!("true {id}"), "call {n}");
        }
    });
}

#[test]
fn of_create_start_and_stop() {
    let s = sandbox("ef-life");
    let faults = Faults::new(&s);
    let words = ["create", "--name", "c", "-p", "18080:80", "busybox", "sleep", "1000"];
    let state = || s.inspect("c", "{{.State.Status}}");
    faults.each(&words, nothing, |n, done, _| {
        if done.code == 0 {
            s.rcon(["start", "c"]).ok();
            assert_eq!(state(), "running", "call {n}");
        }
    });
    let create = || drop(s.rcon(words).ok().to_owned());
    faults.each(&["start", "c"], create, |n, done, told| {
        if done.code == 0 && !told.of_program {
            assert_eq!(state(), "running", "call {n}");
        }
    });
    let start = || {
        create();
        s.rcon(["start", "c"]).ok();
    };
    faults.each(&["stop", "-t", "0", "c"], start, |n, done, _| {
        if done.code == 0 {
            assert_eq!(state(), "exited", "call {n}");
        }
    });
}

#[test]
fn of_exec() {
    let s = sandbox("ef-exec");
    let faults = Faults::new(&s);
    let run = || drop(s.rcon(["run", "-d", "--name", "c", "busybox", "sleep", "1000"]).ok().to_owned());
    faults.each(&["exec", "c", "echo", "hello"], run, |n, done, told| {
        if done.code == 0 && !told.of_program {
            assert_eq!(done.stdout, "hello\n", "call {n}: {done:?}");
        }
        assert_eq!(s.rcon(["exec", "c", "echo", "still"]).ok(), "still", "call {n}");
    });
}

/// The fault is the monitor's, while its container is used: by commands that have none.
#[test]
fn of_a_monitor_at_work() {
    let s = sandbox("ef-monitor");
    let words = ["run", "-d", "--name", "c", "--health-cmd", "true", "--health-interval", "100ms", "busybox"];
    let words: Vec<_> = words.into_iter().chain(["sh", "-c", "echo up; exec sleep 1000"]).collect();
    let faults = Faults::new(&s);
    let uses: [&[&str]; 7] = [
        &["exec", "c", "echo", "hello"],
        &["logs", "c"],
        &["pause", "c"],
        &["unpause", "c"],
        &["healthcheck", "run", "c"],
        &["update", "--memory", "64m", "c"],
        &["top", "c"],
    ];
    faults.each(&words, nothing, |n, done, _| {
        if done.code != 0 {
            return;
        }
        for used in uses {
            let done = s.rcon(used);
            let silent = done.stderr.trim().is_empty() && done.stdout.trim().is_empty();
            assert!(done.code == 0 || !silent, "call {n}, {used:?}: no word: {done:?}");
        }
    });
}

#[test]
fn of_images() {
    let s = sandbox("ef-images");
    let faults = Faults::new(&s);
    let whole = || assert_eq!(s.rcon(["run", "--rm", "--network", "none", "busybox", "echo", "x"]).ok(), "x");
    faults.each(
        &["pull", "-q", "nginx"],
        || drop(s.rcon(["rmi", "-f", "nginx"])),
        |n, done, _| {
            if done.code == 0 {
                let run = s.rcon(["run", "--rm", "--network", "none", "nginx", "test", "-e", "/etc/nginx"]);
                assert_eq!(run.code, 0, "call {n}: {run:?}");
            }
        },
    );
    let pull = || drop(s.rcon(["pull", "-q", "nginx"]).ok().to_owned());
    faults.each(&["rmi", "nginx"], pull, |n, done, _| {
        let there = s.rcon(["images", "-q", "nginx"]).ok().to_owned();
        assert!(done.code != 0 || there.is_empty(), "call {n}: {there}");
        whole();
    });
    faults.each(&["tag", "busybox", "other"], nothing, |n, done, _| {
        let there = s.rcon(["images", "-q", "other"]).ok().to_owned();
        assert!(done.code != 0 || !there.is_empty(), "call {n}");
        s.rcon(["rmi", "other"]);
        whole();
    });
}

#[test]
fn of_volumes_and_networks() {
    let s = sandbox("ef-objects");
    let faults = Faults::new(&s);
    for kind in ["volume", "network"] {
        let names = || s.rcon([kind, "ls", "--format", "{{.Name}}"]).ok().lines().any(|name| name == "x");
        let remove = || {
            s.rcon([kind, "rm", "x"]);
            assert!(!names());
        };
        faults.each(&[kind, "create", "x"], remove, |n, done, _| {
            assert!(done.code != 0 || names(), "call {n}: {done:?}");
        });
        let create = || {
            remove();
            s.rcon([kind, "create", "x"]).ok();
        };
        faults.each(&[kind, "rm", "x"], create, |n, done, _| {
            assert!(done.code != 0 || !names(), "call {n}: {done:?}");
        });
        remove();
    }
}

fn nothing() {}
