//! Fault injection: the Nth system call of run, exec, start, delete, kill, state, pause and resume fails, for N = 1, 2,
//! 3 … until none is left.
//! Each time: a clear error, or success with nothing less than without the fault; and everything undone.
//!
//! The calls are failed from outside (`tests/fixtures/fault.c`), before the kernel makes them, so the binary under
//! test is the one that ships. `RCON_FAULTS=all` tries every N, else every seventh, which takes seconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bundle::{bundle, create, run_detached, runtime, state};
use crate::support::{Done, Sandbox, rcon_binary};

/// Everything that a start may take away or has to give.
const LOOK: &str = "grep -E 'Uid|Groups|Cap|NoNew|Seccomp:' /proc/self/status; cat /proc/self/oom_score_adj; \
    ulimit -n; hostname; pwd; cat /proc/sys/kernel/msgmax; cut -d' ' -f2-4 /proc/self/mounts; \
    touch /x 2>&1; ls /sys/firmware; cat /proc/keys; ls /dev; cut -d: -f3 /proc/self/cgroup | sort -u; umask";

struct Faults<'a> {
    s: &'a Sandbox,
    tool: PathBuf,
    cgroup: String,
}

/// What a run with a fault in it brought.
struct Outcome {
    done: Done,
    /// How many calls there were.
    calls: usize,
    /// The call that failed was the container's program's own.
    of_program: bool,
}

impl Outcome {
    /// What ran was protected as without a fault. It may have been ended on the way, when the caller's own wait failed:
    /// then it has said the beginning, and the caller that something is wrong.
    fn is_whole_or_told(&self, n: usize, whole: &Done) {
        let Done { code, stdout, .. } = &self.done;
        if self.of_program {
            return;
        }
        if *code == 0 {
            assert_eq!(*stdout, whole.stdout, "call {n}: less than whole");
        }
        assert!(whole.stdout.starts_with(stdout.as_str()), "call {n}: other than whole: {:?}", self.done);
    }
}

impl<'a> Faults<'a> {
    fn new(s: &'a Sandbox, name: &str) -> Self {
        let tool = s.dir().join("fault");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/fault.c");
        let built = Command::new("cc").args(["-O1", "-o"]).arg(&tool).arg(source).status();
        assert!(built.expect("a C compiler").success());
        Self { s, tool, cgroup: format!("rcon-test-{name}-{}", std::process::id()) }
    }

    fn bundle(&self, script: &str) -> PathBuf {
        bundle(self.s, "fault", script, |spec: &mut Value| {
            spec["linux"]["cgroupsPath"] = format!("/{}", self.cgroup).into();
            spec["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" }],
            });
            spec["linux"]["sysctl"] = json!({ "kernel.msgmax": "4321" });
            spec["root"]["readonly"] = true.into();
            spec["process"]["oomScoreAdj"] = 321.into();
            spec["process"]["user"] =
                json!({ "uid": 1000, "gid": 1000, "additionalGids": [7], "umask": 0o27 });
        })
    }

    fn with_fault(&self, n: usize, words: &[&str]) -> Outcome {
        let log = self.s.dir().join("fault-log");
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "20"]).arg(&self.tool).arg(n.to_string()).arg(&log).arg(rcon_binary());
        command.args(["runtime", "--root", &state(self.s)]).args(words).stdin(Stdio::null());
        let (out, err) = (self.s.dir().join("out"), self.s.dir().join("err"));
        // Files, because a container that stays would keep a pipe open.
        command.stdout(fs::File::create(&out).expect("out")).stderr(fs::File::create(&err).expect("err"));
        let status = command.status().expect("timeout");
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("output")).into_owned();
        let done = Done { code: status.code().unwrap_or(-1), stdout: read(&out), stderr: read(&err) };
        assert!(![124, 137].contains(&done.code), "call {n}: it hung: {done:?}");
        let said = fs::read_to_string(&log).expect("log");
        let mut parts = said.split_whitespace();
        let calls = parts.next().and_then(|c| c.parse().ok()).expect("a number");
        Outcome { done, calls, of_program: parts.nth(1).is_some_and(|p| p.contains("busybox")) }
    }

    /// Fails one call after the other until none is left to fail.
    fn each(&self, mut attempt: impl FnMut(usize) -> Outcome) {
        let step = if std::env::var("RCON_FAULTS").as_deref() == Ok("all") { 1 } else { 7 };
        let mut n = 1;
        loop {
            let outcome = attempt(n);
            let told = !outcome.done.stderr.trim().is_empty();
            assert!(
                outcome.done.code == 0 || told || outcome.of_program,
                "call {n}: no word: {:?}",
                outcome.done
            );
            if n > outcome.calls {
                assert_eq!(outcome.done.code, 0, "without a fault: {:?}", outcome.done);
                return;
            }
            n += step;
        }
    }

    /// Takes away what there is, and looks for what is there still.
    fn clean(&self, n: usize) {
        runtime(self.s, ["delete", "--force", "fault"]);
        assert!(!Path::new(&state(self.s)).join("fault").exists(), "call {n}: the state is left");
        self.nothing_runs(n);
        let found = crate::support::sh(&format!(
            "find /sys/fs/cgroup -maxdepth 3 -name '{}' 2>/dev/null || true",
            self.cgroup
        ));
        assert_eq!(found, "", "call {n}: a cgroup is left");
    }

    /// Processes of the container end with it.
    fn nothing_runs(&self, n: usize) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while let Some(pid) = self.any_process() {
            assert!(Instant::now() < deadline, "call {n}: process {pid} is left");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn any_process(&self) -> Option<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
        fs::read_dir("/proc").expect("/proc").filter_map(name).find(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            pid.bytes().all(|b| b.is_ascii_digit()) && text.contains(&self.cgroup)
        })
    }
}

#[test]
fn any_call_of_a_start_may_fail() {
    let s = Sandbox::new("fi-run");
    let faults = Faults::new(&s, "fi-run");
    let dir = faults.bundle(LOOK).to_string_lossy().into_owned();
    let words = ["run", "--bundle", &dir, "fault"];
    let whole = faults.with_fault(0, &words).done;
    faults.clean(0);
    assert_eq!(whole.code, 0, "{whole:?}");
    assert!(whole.stdout.contains("Read-only") && whole.stdout.contains("4321"), "{whole:?}");
    faults.each(|n| {
        let outcome = faults.with_fault(n, &words);
        outcome.is_whole_or_told(n, &whole);
        if outcome.done.stdout.is_empty() && outcome.done.code != 0 {
            faults.nothing_runs(n);
            let left = Path::new(&state(&s)).join("fault").exists();
            assert!(
                !left || outcome.of_program,
                "call {n}: a failed start left its state: {:?}",
                outcome.done
            );
        }
        faults.clean(n);
        outcome
    });
}

#[test]
fn any_call_of_an_exec_may_fail() {
    let s = Sandbox::new("fi-exec");
    let faults = Faults::new(&s, "fi-exec");
    let dir = faults.bundle("exec sleep 1000");
    run_detached(&s, &dir, "fault");
    let words = ["exec", "fault", "sh", "-c", LOOK];
    let whole = faults.with_fault(0, &words).done;
    assert_eq!(whole.code, 0, "{whole:?}");
    let pids = || runtime(&s, ["ps", "-f", "json", "fault"]).ok().to_owned();
    let alone = pids();
    faults.each(|n| {
        let outcome = faults.with_fault(n, &words);
        outcome.is_whole_or_told(n, &whole);
        crate::support::eventually("the container is alone again", || pids() == alone);
        outcome
    });
    faults.clean(0);
}

#[test]
fn any_call_of_start_and_delete_may_fail() {
    let s = Sandbox::new("fi-delete");
    let faults = Faults::new(&s, "fi-delete");
    let dir = faults.bundle("exec sleep 1000");
    for words in [["start", "fault"].as_slice(), &["delete", "--force", "fault"]] {
        faults.each(|n| {
            create(&s, &dir, "fault");
            let outcome = faults.with_fault(n, words);
            if std::env::var_os("RCON_FAULTS_SAY").is_some() {
                eprintln!("{words:?} {n}: {:?}", outcome.done);
            }
            if outcome.done.code == 0 && words[0] == "delete" {
                assert!(!Path::new(&state(&s)).join("fault").exists(), "call {n}: success, but not deleted");
                faults.nothing_runs(n);
            }
            if outcome.done.code == 0 && words[0] == "start" {
                assert!(runtime(&s, ["state", "fault"]).ok().contains("running"), "call {n}: not started");
            }
            // Whatever failed, what is left can be deleted.
            faults.clean(n);
            outcome
        });
    }
}

/// What `state` says.
fn status(s: &Sandbox) -> String {
    let state: Value = serde_json::from_str(runtime(s, ["state", "fault"]).ok()).expect("json");
    state["status"].as_str().expect("a status").to_owned()
}

#[test]
fn any_call_of_pause_and_resume_may_fail() {
    let s = Sandbox::new("fi-pause");
    let faults = Faults::new(&s, "fi-pause");
    run_detached(&s, &faults.bundle("exec sleep 1000"), "fault");
    faults.each(|n| {
        let outcome = faults.with_fault(n, &["pause", "fault"]);
        // Nothing between: what failed has thawed what it froze.
        let wanted = if outcome.done.code == 0 { "paused" } else { "running" };
        assert_eq!(status(&s), wanted, "call {n}: {:?}", outcome.done);
        if wanted == "paused" {
            runtime(&s, ["resume", "fault"]).ok();
        }
        outcome
    });
    faults.each(|n| {
        runtime(&s, ["pause", "fault"]).ok();
        let outcome = faults.with_fault(n, &["resume", "fault"]);
        let now = status(&s);
        if outcome.done.code == 0 {
            assert_eq!(now, "running", "call {n}: {:?}", outcome.done);
        } else if now == "paused" {
            // It can be tried again.
            runtime(&s, ["resume", "fault"]).ok();
        }
        assert_eq!(status(&s), "running", "call {n}: {:?}", outcome.done);
        outcome
    });
    faults.clean(0);
}

#[test]
fn any_call_of_state_may_fail() {
    let s = Sandbox::new("fi-state");
    let faults = Faults::new(&s, "fi-state");
    run_detached(&s, &faults.bundle("exec sleep 1000"), "fault");
    runtime(&s, ["pause", "fault"]).ok();
    let whole = faults.with_fault(0, &["state", "fault"]).done;
    assert!(whole.ok().contains("paused"));
    faults.each(|n| {
        let outcome = faults.with_fault(n, &["state", "fault"]);
        // Never another truth; only the name of the owner may be its number.
        let mut said: Value = serde_json::from_str(&outcome.done.stdout).unwrap_or_default();
        if outcome.done.code == 0 {
            let wanted: Value = serde_json::from_str(&whole.stdout).expect("json");
            assert!(["root", "0"].contains(&said["owner"].as_str().expect("owner")), "call {n}: {said}");
            said["owner"] = wanted["owner"].clone();
            assert_eq!(said, wanted, "call {n}");
        } else {
            assert_eq!(said, Value::Null, "call {n}: {:?}", outcome.done);
        }
        outcome
    });
    faults.clean(0);
}

#[test]
fn any_call_of_kill_may_fail() {
    let s = Sandbox::new("fi-kill");
    let faults = Faults::new(&s, "fi-kill");
    let dir = faults.bundle("exec sleep 1000");
    let plain = ["kill", "fault", "KILL"].as_slice();
    for (words, frozen) in [(plain, false), (plain, true), (&["kill", "--all", "fault", "KILL"], true)] {
        faults.each(|n| {
            run_detached(&s, &dir, "fault");
            if frozen {
                runtime(&s, ["pause", "fault"]).ok();
            }
            let outcome = faults.with_fault(n, words);
            if outcome.done.code == 0 {
                crate::support::eventually("it has ended", || status(&s) == "stopped");
            }
            // Whatever failed, what is left can be deleted.
            faults.clean(n);
            outcome
        });
    }
}
