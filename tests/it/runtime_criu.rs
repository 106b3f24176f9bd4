//! Checkpoint and restore. criu must be there and work with this kernel (`criu check`); where it does not, a test says
//! so and ends. `RCON_CRIU` names a folder with a criu that is not in PATH.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::bundle::{bundle, create, run_detached, runtime, state};
use crate::support::{Done, Sandbox, criu_path as path, eventually, rcon_binary, wait_until};

/// `rcon runtime` with criu in its PATH and streams that a checkpoint may have.
fn with(s: &Sandbox, path: &str, words: &[&str]) -> Done {
    let mut command = s.command();
    command.args(["runtime", "--root", &state(s)]).args(words).env("PATH", path);
    let done = command.stdin(Stdio::null()).output().expect("rcon starts");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    Done { code: done.status.code().unwrap_or(-1), stdout: text(&done.stdout), stderr: text(&done.stderr) }
}

/// `run -d` or `restore -d` with /dev/null for all streams.
fn detached(s: &Sandbox, path: &str, words: &[&str]) {
    let mut command = s.command();
    command.args(["runtime", "--root", &state(s)]).args(words).env("PATH", path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("rcon starts").success(), "{words:?}");
}

/// Counts in memory, and tells how far it is.
const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i > /out/count; sleep 0.05; done";

fn counting(s: &Sandbox, id: &str, script: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    let out = s.dir().join(format!("out-{id}"));
    fs::create_dir_all(&out).expect("out");
    let dir = bundle(s, id, script, |spec| {
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        mounts.push(json!({ "destination": "/out", "type": "bind", "source": out, "options": ["bind"] }));
        spec["linux"]["cgroupsPath"] = format!("/rcon-test-criu-{}-{id}", std::process::id()).into();
    });
    (dir, out.join("count"))
}

fn count(file: &Path) -> u32 {
    fs::read_to_string(file).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0)
}

fn state_of(s: &Sandbox, id: &str) -> Value {
    serde_json::from_str(runtime(s, ["state", id]).ok()).expect("state")
}

#[test]
fn a_container_goes_on_where_it_was() {
    let Some(path) = path() else { return };
    let s = Sandbox::new("cr-on");
    let (dir, file) = counting(&s, "on", COUNT);
    let (dir, images) =
        (dir.to_string_lossy().into_owned(), s.dir().join("images").to_string_lossy().into_owned());
    detached(&s, &path, &["run", "-d", "--bundle", &dir, "on"]);
    wait_until(|| (count(&file) > 5).then_some(()));
    // A copy first, while it runs on.
    let other = s.dir().join("other").to_string_lossy().into_owned();
    with(&s, &path, &["checkpoint", "--leave-running", "--image-path", &other, "on"]).ok();
    assert_eq!(state_of(&s, "on")["status"], "running");
    let before = count(&file);
    wait_until(|| (count(&file) > before).then_some(()));
    with(&s, &path, &["checkpoint", "--image-path", &images, "on"]).ok();
    assert!(runtime(&s, ["state", "on"]).fails(1).contains("does not exist"));
    let before = count(&file);
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(count(&file), before, "nothing of it runs");
    let pid = s.dir().join("pid");
    let pid_file = pid.to_string_lossy();
    detached(
        &s,
        &path,
        &["restore", "-d", "--bundle", &dir, "--image-path", &images, "--pid-file", &pid_file, "on"],
    );
    wait_until(|| (count(&file) > before).then_some(()));
    assert!(count(&file) < before + 1000, "it has not begun anew");
    let now = state_of(&s, "on");
    assert_eq!(now["status"], "running");
    assert_eq!(now["pid"].to_string(), fs::read_to_string(&pid).expect("pid"));
    // It is a container as any other: its cgroup, an exec, its end.
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", now["pid"])).expect("cgroup");
    assert!(groups.contains(&format!("/rcon-test-criu-{}-on", std::process::id())), "{groups}");
    assert!(runtime(&s, ["exec", "on", "cat", "/proc/1/cmdline"]).ok().contains("count"));
    runtime(&s, ["delete", "--force", "on"]).ok();
    assert!(!Path::new(&format!("/proc/{}", now["pid"])).exists());
    assert!(fs::read_dir(state(&s)).expect("root").next().is_none(), "nothing is left");
}

#[test]
fn a_restore_in_the_foreground_ends_with_its_code() {
    let Some(path) = path() else { return };
    let s = Sandbox::new("cr-code");
    let script = "echo 1 > /out/count; while ! [ -e /out/end ]; do sleep 0.05; done; exit 7";
    let (dir, file) = counting(&s, "code", script);
    let (dir, images) =
        (dir.to_string_lossy().into_owned(), s.dir().join("images").to_string_lossy().into_owned());
    detached(&s, &path, &["run", "-d", "--bundle", &dir, "code"]);
    wait_until(|| (count(&file) > 0).then_some(()));
    with(&s, &path, &["checkpoint", "--image-path", &images, "code"]).ok();
    fs::write(file.with_file_name("end"), "").expect("end");
    let done = with(&s, &path, &["restore", "--bundle", &dir, "--image-path", &images, "code"]);
    assert_eq!(done.code, 7, "{done:?}");
    assert!(runtime(&s, ["state", "code"]).fails(1).contains("does not exist"));
}

#[test]
fn memory_goes_to_a_page_server() {
    let Some(path) = path() else { return };
    let s = Sandbox::new("cr-pages");
    let (dir, file) = counting(&s, "pages", COUNT);
    let (dir, images) =
        (dir.to_string_lossy().into_owned(), s.dir().join("images").to_string_lossy().into_owned());
    detached(&s, &path, &["run", "-d", "--bundle", &dir, "pages"]);
    wait_until(|| (count(&file) > 5).then_some(()));
    fs::create_dir(&images).expect("images");
    let place = ["--address", "127.0.0.1", "--port", "27300"];
    let mut command = Command::new("criu");
    command.arg("page-server").args(place).args(["--images-dir", &images]).env("PATH", &path);
    let mut server = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("criu");
    eventually("the page server listens", || crate::support::sh("ss -Hltn sport = 27300").contains("27300"));
    let words = ["checkpoint", "--page-server", "127.0.0.1:27300", "--image-path", &images, "pages"];
    with(&s, &path, &words).ok();
    assert!(server.wait().expect("criu").success());
    let before = count(&file);
    detached(&s, &path, &["restore", "-d", "--bundle", &dir, "--image-path", &images, "pages"]);
    wait_until(|| (count(&file) > before).then_some(()));
    runtime(&s, ["delete", "--force", "pages"]).ok();
}

#[test]
fn who_waits_for_lazy_pages_is_told() {
    use std::io::Read as _;
    let Some(path) = path() else { return };
    let s = Sandbox::new("cr-lazy");
    let (dir, file) = counting(&s, "lazy", COUNT);
    detached(&s, &path, &["run", "-d", "--bundle", &dir.to_string_lossy(), "lazy"]);
    wait_until(|| (count(&file) > 5).then_some(()));
    let (mut reads, writes) = std::io::pipe().expect("pipe");
    // Only the first three come through an exec from here.
    let script = "exec \"$0\" runtime --root \"$1\" checkpoint --lazy-pages --page-server 127.0.0.1:27301 \
        --status-fd 7 --image-path \"$2\" lazy 7>&1 >/dev/null 2>&1";
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(rcon_binary())
        .arg(state(&s))
        .arg(s.dir().join("images"))
        .env("PATH", &path);
    let mut waits = command.stdin(Stdio::null()).stdout(writes).spawn().expect("sh");
    drop(command);
    let mut told = Vec::new();
    // The end comes with the byte: nobody else keeps the pipe.
    reads.read_to_end(&mut told).expect("read");
    assert_eq!(told, [0]);
    assert!(s.dir().join("images/inventory.img").exists());
    assert!(waits.try_wait().expect("wait").is_none(), "it hands memory out now");
    // Whoever connects and goes away has taken all that it wanted, for criu.
    drop(std::net::TcpStream::connect("127.0.0.1:27301").expect("it listens"));
    assert!(waits.wait().expect("wait").success());
    assert!(runtime(&s, ["state", "lazy"]).fails(1).contains("does not exist"));
}

#[test]
fn what_criu_cannot_do_is_an_error_with_its_reason() {
    let s = Sandbox::new("cr-fails");
    let (dir, file) = counting(&s, "fails", COUNT);
    // Its output is a file of the host's.
    run_detached(&s, &dir, "fails");
    wait_until(|| (count(&file) > 0).then_some(()));
    let closed = runtime(&s, ["checkpoint", "--lazy-pages", "--status-fd", "77", "fails"]);
    assert!(closed.fails(1).contains("invalid --status-fd argument 77: it is not open"), "{closed:?}");
    let nowhere = runtime(&s, ["checkpoint", "--page-server", "here", "fails"]);
    assert!(nowhere.fails(1).contains("use ADDRESS:PORT"), "{nowhere:?}");
    assert!(
        runtime(&s, ["checkpoint", "--parent-path", "/abs", "fails"]).fails(1).contains("must be relative")
    );
    let nowhere =
        with(&s, "/nowhere", &["checkpoint", "--image-path", &s.dir().join("i").to_string_lossy(), "fails"]);
    assert!(nowhere.fails(1).contains("criu is not installed"), "{nowhere:?}");
    create(&s, &counting(&s, "created", COUNT).0, "created");
    assert!(runtime(&s, ["checkpoint", "created"]).fails(1).contains("created cannot be checkpointed"));
    runtime(&s, ["delete", "created"]).ok();
    if let Some(path) = path() {
        let images = s.dir().join("images").to_string_lossy().into_owned();
        let done = with(&s, &path, &["checkpoint", "--image-path", &images, "fails"]);
        assert!(
            done.fails(1).contains("checkpoint failed: criu failed") && done.stderr.contains("dump.log)"),
            "{done:?}"
        );
        assert_eq!(state_of(&s, "fails")["status"], "running");
        let dir = dir.to_string_lossy();
        let done = with(&s, &path, &["restore", "--bundle", &dir, "--image-path", &images, "again"]);
        assert!(done.code == 1 && done.stderr.contains("restore failed"), "{done:?}");
        assert!(runtime(&s, ["state", "again"]).fails(1).contains("does not exist"));
        assert!(!Path::new(&state(&s)).join("again").exists());
    }
    runtime(&s, ["delete", "--force", "fails"]).ok();
}
