//! The job of docs/ci.md, run as it stands there: to its end, with failing tests, and cancelled on the way.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::support::{Sandbox, eventually, rcon_binary};

/// The text between the mark and the end of the code block that follows it.
fn job() -> String {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ci.md")).expect("docs/ci.md");
    let (_, rest) = text.split_once("<!-- the job that the test runs -->\n```bash\n").expect("the mark");
    rest.split_once("\n```").expect("the end of the block").0.to_owned()
}

/// A shell that runs `script` in a checkout of its own, with `rcon` on its path and the sandbox's environment.
fn shell(s: &Sandbox, script: &str) -> Command {
    let bin = s.dir().join("bin");
    let checkout = s.dir().join("checkout");
    std::fs::create_dir_all(&bin).expect("a folder");
    std::fs::create_dir_all(&checkout).expect("a folder");
    std::os::unix::fs::symlink(rcon_binary(), bin.join("rcon")).ok();
    let model = s.command();
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(&checkout).stdin(Stdio::null()).env_clear();
    for (name, value) in model.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display())).process_group(0);
    command
}

fn nothing_is_left(s: &Sandbox) {
    eventually("all containers are gone", || s.rcon(["ps", "-aq"]).ok().is_empty());
    assert_eq!(s.rcon(["network", "ls", "-q", "--filter", "name=ci-"]).ok(), "");
}

#[test]
fn the_job_leaves_its_report_and_nothing_else() {
    let s = Sandbox::with_images("ci", &["busybox", "nginx"]);
    s.finish(shell(&s, &job())).ok();
    let report = s.dir().join("checkout/report");
    let page = std::fs::read_to_string(report.join("page.html")).expect("the page");
    assert!(page.contains("Welcome to nginx"), "{page}");
    let log = std::fs::read_to_string(report.join("web.log")).expect("the log");
    assert!(log.contains("GET / HTTP/1.1"), "{log}");
    nothing_is_left(&s);
}

#[test]
fn failing_tests_fail_the_job_and_still_leave_the_report() {
    let s = Sandbox::with_images("cifail", &["busybox", "nginx"]);
    let job = job().replace("Welcome to nginx", "no such words");
    s.finish(shell(&s, &job)).fails(1);
    assert!(s.dir().join("checkout/report/page.html").exists());
    nothing_is_left(&s);
}

#[test]
fn a_cancelled_job_leaves_nothing() {
    let s = Sandbox::with_images("cicancel", &["busybox", "nginx"]);
    let job = job().replace("wget -q", "sleep 100; wget -q");
    let mut child = shell(&s, &job).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("bash");
    eventually("the tests run", || s.rcon(["ps", "-q", "--filter", "name=-tests"]).ok().len() == 12);
    let group = i32::try_from(child.id()).expect("a pid");
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGTERM)
        .expect("sent");
    assert!(!child.wait().expect("it ends").success());
    nothing_is_left(&s);
}
