//! seccomp's notify listener: when the agent hears, what it is told, and calls that the runtime makes itself.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::bundle::{bundle, create, run, run_detached, runtime, state};
use crate::support::{Sandbox, eventually};

/// A running agent (`tests/fixtures/agent.c`).
struct Agent {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Agent {
    fn new(s: &Sandbox) -> Self {
        let (tool, socket, log) = (s.dir().join("agent"), s.dir().join("agent.sock"), s.dir().join("heard"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agent.c");
        let built = Command::new("cc").args(["-O1", "-o"]).arg(&tool).arg(source).status();
        assert!(built.expect("a C compiler").success());
        let mut child =
            Command::new(&tool).arg(&socket).arg(&log).stdout(Stdio::piped()).spawn().expect("agent");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it listens");
        assert_eq!(line, "ready\n");
        Self { child, socket, log }
    }

    /// The filter that it answers for.
    fn filter(&self, calls: &[&str]) -> Value {
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": self.socket,
            "listenerMetadata": "told",
            "syscalls": [{ "names": calls, "action": "SCMP_ACT_NOTIFY" }],
        })
    }

    fn heard(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        // What is being written just now has no end yet.
        let whole = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
        whole.map(|l| serde_json::from_str(l).expect("a document")).collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_agent_hears_at_create() {
    let s = Sandbox::new("rt-notify");
    let agent = Agent::new(&s);
    for privileges in [true, false] {
        let id = if privileges { "old" } else { "new" };
        let dir = bundle(&s, id, "mkdir /tmp/x; exec sleep 1000", |spec| {
            spec["linux"]["seccomp"] = agent.filter(&["mkdir", "mkdirat"]);
            spec["process"]["noNewPrivileges"] = (!privileges).into();
        });
        let before = agent.heard().len();
        create(&s, &dir, id);
        // Whatever is told is told before the answer to the connection is awaited, and read soon after.
        eventually("the agent has heard", || agent.heard().len() > before);
        let heard = agent.heard().pop().expect("one");
        assert_eq!(heard["state"]["status"], "creating", "{heard}");
        assert_eq!(heard["state"]["id"], id, "{heard}");
        assert_eq!((&heard["fds"], &heard["metadata"]), (&json!(["seccompFd"]), &json!("told")), "{heard}");
        let state: Value = serde_json::from_str(runtime(&s, ["state", id]).ok()).expect("json");
        assert_eq!((&state["status"], &state["pid"]), (&json!("created"), &heard["pid"]));
        runtime(&s, ["start", id]).ok();
        assert_eq!(agent.heard().len(), before + 1, "it hears once");
        runtime(&s, ["delete", "--force", id]).ok();
    }
}

#[test]
fn without_an_agent_nothing_is_created() {
    let s = Sandbox::new("rt-noagent");
    let dir = bundle(&s, "none", "true", |spec| {
        spec["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nowhere/agent",
            "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }],
        });
    });
    let dir = dir.to_string_lossy();
    let done = runtime(&s, ["create", "--bundle", &dir, "none"]);
    assert!(done.fails(1).contains("failed to connect with seccomp agent"), "{done:?}");
    assert!(!std::path::Path::new(&state(&s)).join("none").exists());
}

#[test]
fn calls_that_the_runtime_makes_may_be_notified() {
    let s = Sandbox::new("rt-notified");
    let agent = Agent::new(&s);
    let own = [
        "mkdir",
        "sendmsg",
        "recvmsg",
        "read",
        "close",
        "fcntl",
        "openat",
        "execve",
        "epoll_wait",
        "accept4",
    ];
    let notified = |spec: &mut Value| spec["linux"]["seccomp"] = agent.filter(&own);
    let done = run(&s, "run", "mkdir /tmp/x || echo made not", notified);
    assert_eq!(done.ok(), "made not", "{done:?}");
    let dir = bundle(&s, "created", "echo ran; exec sleep 1000", notified);
    create(&s, &dir, "created");
    runtime(&s, ["start", "created"]).ok();
    run_detached(&s, &bundle(&s, "stays", "exec sleep 1000", notified), "stays");
    let done = runtime(&s, ["exec", "stays", "sh", "-c", "mkdir /tmp/x || echo made not"]);
    assert_eq!(done.ok(), "made not", "{done:?}");
    for id in ["created", "stays"] {
        runtime(&s, ["delete", "--force", id]).ok();
    }
}
