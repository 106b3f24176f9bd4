//! Frozen containers that nobody meant to stay so: before their start, in another's cgroup, behind the monitor's back.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::bundle::{bundle, create, run_detached, runtime};
use crate::support::{Sandbox, eventually};

fn state_of(s: &Sandbox, id: &str) -> Value {
    serde_json::from_str(runtime(s, ["state", id]).ok()).expect("json")
}

/// A freezer: its directory, file and words, on v1 or v2.
struct Freezer {
    dir: PathBuf,
    unified: bool,
}

impl Freezer {
    /// The mount point of the hierarchy that freezes.
    fn mount() -> Self {
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        Self { dir: if unified { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/freezer" }.into(), unified }
    }

    fn of(pid: &str) -> Self {
        let mut freezer = Self::mount();
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("cgroups");
        let wanted = |fields: &[&str]| match freezer.unified {
            true => fields[0] == "0",
            false => fields[1].split(',').any(|c| c == "freezer"),
        };
        let place = text.lines().find_map(|line| {
            let fields: Vec<&str> = line.splitn(3, ':').collect();
            wanted(&fields).then(|| fields[2].trim_start_matches('/').to_owned())
        });
        freezer.dir.push(place.expect("a cgroup that freezes"));
        freezer
    }

    /// One of nobody's.
    fn new(name: &str) -> Self {
        let mut freezer = Self::mount();
        freezer.dir.push(format!("rcon-test-{name}-{}", std::process::id()));
        fs::create_dir(&freezer.dir).expect("a cgroup");
        freezer
    }

    fn freeze(&self) {
        let (file, word) = if self.unified { ("cgroup.freeze", "1") } else { ("freezer.state", "FROZEN") };
        fs::write(self.dir.join(file), word).expect("freeze");
    }

    fn is_frozen(&self) -> bool {
        let file = if self.unified { "cgroup.freeze" } else { "freezer.state" };
        !["0", "THAWED"].contains(&fs::read_to_string(self.dir.join(file)).expect("state").trim())
    }
}

#[test]
fn one_that_was_paused_before_its_start_resumes() {
    let s = Sandbox::new("rt-early");
    create(&s, &bundle(&s, "early", "exec sleep 1000", |_| {}), "early");
    runtime(&s, ["pause", "early"]).ok();
    assert_eq!(state_of(&s, "early")["status"], "paused");
    assert!(runtime(&s, ["start", "early"]).fails(1).contains("paused"));
    runtime(&s, ["resume", "early"]).ok();
    assert_eq!(state_of(&s, "early")["status"], "created");
    runtime(&s, ["start", "early"]).ok();
    assert_eq!(state_of(&s, "early")["status"], "running");
    runtime(&s, ["delete", "--force", "early"]).ok();
}

#[test]
fn one_that_is_frozen_in_anothers_cgroup_can_be_deleted() {
    let s = Sandbox::new("rt-foreign");
    run_detached(&s, &bundle(&s, "foreign", "exec sleep 1000", |_| {}), "foreign");
    let pid = state_of(&s, "foreign")["pid"].to_string();
    let foreign = Freezer::new("foreign");
    fs::write(foreign.dir.join("cgroup.procs"), &pid).expect("move");
    foreign.freeze();
    runtime(&s, ["delete", "--force", "foreign"]).ok();
    assert!(foreign.is_frozen(), "it is another's, and stays as it is");
    eventually("nothing is in the other's cgroup", || fs::remove_dir(&foreign.dir).is_ok());
}

#[test]
fn the_monitor_thaws_what_it_did_not_freeze() {
    let s = Sandbox::with_images("frozen", &["busybox"]);
    for end in [["kill"].as_slice(), &["rm", "-f"], &["stop", "-t", "5"]] {
        s.rcon(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]).ok();
        let pid = s.rcon(["inspect", "-f", "{{.State.Pid}}", "one"]).ok().to_owned();
        // As a pause that failed, and its thaw too, would leave it.
        let freezer = Freezer::of(&pid);
        freezer.freeze();
        assert!(freezer.is_frozen());
        s.rcon(end.iter().copied().chain(["one"]).collect::<Vec<_>>()).ok();
        eventually("its process has ended", || !Path::new(&format!("/proc/{pid}")).exists());
        s.rcon(["rm", "-f", "one"]);
    }
}
