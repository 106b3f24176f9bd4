//! Ctrl-C and `kill` while images come and go: exit code 128 + signal, one clear line, nothing half-made.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::proxy::{Fault, Proxy};
use super::support::{RegistryKind, Sandbox, eventually};

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("the child lives");
}

/// It has said what is to happen at the signal: it catches or blocks it.
fn listens(child: &Child, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let sets = status.lines().filter_map(|l| l.strip_prefix("SigCgt:").or_else(|| l.strip_prefix("SigBlk:")));
    sets.filter_map(|set| u64::from_str_radix(set.trim(), 16).ok())
        .any(|set| set >> (signal as i32 - 1) & 1 == 1)
}

fn nothing_left(s: &Sandbox) {
    for dir in ["layers", "tmp", "trash", "locks"] {
        let left: Vec<_> = std::fs::read_dir(s.root().join(dir))
            .map(|d| d.flatten().map(|e| e.path()).collect())
            .unwrap_or_default();
        // A lock file that nobody holds is litter of a few bytes, which the next taker uses.
        assert!(dir == "locks" || left.is_empty(), "{left:?}");
    }
    assert_eq!(s.rcon(["images", "-q"]).ok(), "");
}

fn slow(name: &str) -> (Sandbox, Proxy, String) {
    let s = Sandbox::new(name);
    let registry = s.registry(RegistryKind::Plain);
    let proxy = Proxy::start(&registry);
    let image = format!("{}/debian", proxy.address());
    proxy.spoil("/debian/blobs/", Fault::Slow(Duration::from_millis(20)), 1000);
    (s, proxy, image)
}

fn staging(s: &Sandbox) -> bool {
    std::fs::read_dir(s.root().join("tmp")).is_ok_and(|mut d| d.next().is_some())
}

#[test]
fn a_pull_that_is_broken_off_clears_up_and_says_so() {
    let (s, _proxy, image) = slow("int-pull");
    for (signal, code, word) in
        [(Signal::SIGINT, 130, "SIGINT"), (Signal::SIGTERM, 143, "SIGTERM"), (Signal::SIGHUP, 129, "SIGHUP")]
    {
        let mut command = s.command();
        command.args(["pull", &image]).stderr(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().expect("rcon starts");
        eventually("layers are being unpacked", || staging(&s));
        let begun = Instant::now();
        send(&child, signal);
        let done = child.wait_with_output().expect("rcon ends");
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert_eq!(last, format!("Error: pulling {image}:latest: interrupted by {word}"), "{stderr}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        nothing_left(&s);
    }
}

#[test]
fn at_any_moment() {
    let s = Sandbox::with_registry("int-any");
    for step in 0..24 {
        let mut child =
            s.command().args(["pull", "-q", "layers"]).stderr(Stdio::null()).spawn().expect("starts");
        std::thread::sleep(Duration::from_millis(step * 15));
        send(&child, if step % 2 == 0 { Signal::SIGINT } else { Signal::SIGTERM });
        let status = child.wait().expect("rcon ends");
        let left = std::fs::read_dir(s.root().join("tmp")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "after {} ms ({status})", step * 15);
        // All of it or nothing.
        let images = s.rcon(["images", "-q"]).ok().to_owned();
        let layers = std::fs::read_dir(s.root().join("layers")).map_or(0, Iterator::count);
        assert_eq!(images.is_empty(), layers == 0, "{layers} layers, images {images:?}");
        if !images.is_empty() {
            s.rcon(["rmi", "-f", "layers"]).ok();
        }
    }
}

#[test]
fn run_is_broken_off_in_its_pull() {
    let (s, _proxy, image) = slow("int-run");
    let child =
        s.command().args(["run", "--rm", &image, "true"]).stderr(Stdio::piped()).spawn().expect("starts");
    eventually("layers are being unpacked", || staging(&s));
    send(&child, Signal::SIGINT);
    assert_eq!(child.wait_with_output().expect("rcon ends").status.code(), Some(130));
    nothing_left(&s);
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), "");
}

#[test]
fn who_waits_for_another_pull_can_be_broken_off() {
    let (s, _proxy, image) = slow("int-wait");
    let mut first = s.command().args(["pull", "-q", &image]).spawn().expect("starts");
    eventually("layers are being unpacked", || staging(&s));
    let log = s.dir().join("second");
    let out = std::fs::File::create(&log).expect("file");
    let mut second = s.command().args(["pull", &image]).stderr(out).spawn().expect("starts");
    eventually("the second one waits", || {
        std::fs::read_to_string(&log).is_ok_and(|t| t.contains("Waiting for another process"))
    });
    send(&second, Signal::SIGTERM);
    assert_eq!(second.wait().expect("rcon ends").code(), Some(143));
    assert!(staging(&s), "the first one goes on");
    send(&first, Signal::SIGINT);
    assert_eq!(first.wait().expect("rcon ends").code(), Some(130));
    nothing_left(&s);
}

#[test]
fn a_load_and_an_import_that_wait_for_their_input_can_be_broken_off() {
    let s = Sandbox::new("int-load");
    for args in [["load", "-q"], ["import", "-"]] {
        let mut command = s.command();
        command.args(args).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut head = tar::Header::new_ustar();
        head.set_path("big").expect("path");
        head.set_size(1 << 20);
        head.set_cksum();
        stdin.write_all(head.as_bytes()).expect("write");
        eventually("it listens to signals", || listens(&child, Signal::SIGINT));
        send(&child, Signal::SIGINT);
        let done = child.wait_with_output().expect("rcon ends");
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(130), "{stderr}");
        assert!(stderr.contains("ing: interrupted by SIGINT"), "{stderr}");
        drop(stdin);
        nothing_left(&s);
    }
}
