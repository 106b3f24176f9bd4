//! Registries that break off, lie, refuse and are slow; processes that pull the same at once or are killed.

use std::time::{Duration, Instant};

use super::support::proxy::{Fault, Proxy};
use super::support::{RegistryKind, Sandbox};

fn spoilt(name: &str) -> (Sandbox, Proxy) {
    let s = Sandbox::new(name);
    let registry = s.registry(RegistryKind::Plain);
    (s, Proxy::start(&registry))
}

fn nothing_left(s: &Sandbox) {
    for dir in ["layers", "tmp", "trash"] {
        let left: Vec<_> = std::fs::read_dir(s.root().join(dir))
            .map(|d| d.flatten().map(|e| e.path()).collect())
            .unwrap_or_default();
        assert!(left.is_empty(), "{left:?}");
    }
    assert_eq!(s.rcon(["images", "-q"]).ok(), "");
}

#[test]
fn a_broken_connection_goes_on_where_it_broke() {
    let (s, proxy) = spoilt("fault-cut");
    proxy.spoil("/debian/blobs/", Fault::Cut(700_000), 3);
    s.rcon(["pull", "-q", "--retry-delay", "0", &format!("{}/debian", proxy.address())]).ok();
    let ranges: Vec<String> = proxy
        .requests()
        .iter()
        .filter_map(|r| r.lines().find(|l| l.to_ascii_lowercase().starts_with("range:")).map(str::to_owned))
        .collect();
    assert!(!ranges.is_empty(), "no range was asked for");
    s.rcon(["run", "--rm", "--network", "none", &format!("{}/debian", proxy.address()), "true"]).ok();
}

#[test]
fn a_registry_without_ranges_is_read_anew() {
    let (s, proxy) = spoilt("fault-norange");
    proxy.spoil("/debian/blobs/", Fault::Cut(900_000), 2);
    proxy.spoil("/debian/blobs/", Fault::NoRanges, 10);
    s.rcon(["pull", "-q", "--retry-delay", "0", &format!("{}/debian", proxy.address())]).ok();
}

#[test]
fn passing_refusals_are_waited_for() {
    let (s, proxy) = spoilt("fault-status");
    proxy.spoil("/busybox/manifests/", Fault::Status(429, true), 2);
    proxy.spoil("/busybox/blobs/", Fault::Status(503, false), 2);
    s.rcon(["pull", "-q", &format!("{}/busybox", proxy.address())]).ok();
    s.rcon(["rmi", &format!("{}/busybox", proxy.address())]).ok();
    proxy.spoil("/busybox/manifests/", Fault::Status(429, true), 100);
    let e = s.rcon(["pull", &format!("{}/busybox", proxy.address())]);
    assert!(e.fails(1).contains("too many requests"), "{}", e.stderr);
    let e = s.rcon(["pull", "--retry", "0", &format!("{}/busybox", proxy.address())]);
    assert!(e.fails(1).contains("too many requests"), "{}", e.stderr);
    nothing_left(&s);
}

#[test]
fn wrong_bytes_never_become_visible() {
    let (s, proxy) = spoilt("fault-bytes");
    let image = format!("{}/busybox", proxy.address());
    // Somewhere in the deflate stream: mostly it still decompresses, or fails later. Either way the digest tells.
    for at in [12, 5_000, 400_000] {
        proxy.spoil("/busybox/blobs/", Fault::Flip(at), 2);
        let e = s.rcon(["pull", &image]);
        assert!(
            e.fails(1).contains("has digest sha256:")
                && e.stderr.contains("expected sha256:")
                && e.stderr.contains("hint: "),
            "{}",
            e.stderr
        );
        nothing_left(&s);
        // Whatever of the rule is left is used up.
        while s.rcon(["pull", "-q", &image]).code != 0 {}
        s.rcon(["rmi", &image]).ok();
    }
    proxy.spoil("/busybox/blobs/", Fault::Short(1000), 10);
    let e = s.rcon(["pull", &image]);
    assert!(e.fails(1).contains("has 1000 bytes, expected"), "{}", e.stderr);
    nothing_left(&s);
}

#[test]
fn a_manifest_that_does_not_match_its_digest_is_refused() {
    let (s, proxy) = spoilt("fault-manifest");
    s.rcon(["pull", "-q", &format!("{}/busybox", proxy.address())]).ok();
    let digest = s.rcon(["images", "--digests", "--format", "{{.Digest}}"]).ok().to_owned();
    s.rcon(["rmi", &format!("{}/busybox", proxy.address())]).ok();
    proxy.spoil("/manifests/sha256", Fault::Flip(20), 1);
    let e = s.rcon(["pull", &format!("{}/busybox@{digest}", proxy.address())]);
    assert!(e.fails(1).contains("has digest"), "{}", e.stderr);
    nothing_left(&s);
}

#[test]
fn two_processes_share_the_work() {
    let (s, proxy) = spoilt("fault-two");
    let image = format!("{}/debian", proxy.address());
    proxy.spoil("/debian/blobs/", Fault::Slow(Duration::from_millis(1)), 4);
    let children: Vec<_> =
        (0..3).map(|_| s.command().args(["pull", "-q", &image]).spawn().expect("rcon starts")).collect();
    for mut child in children {
        assert!(child.wait().expect("rcon ends").success());
    }
    let fetched = proxy.requests().iter().filter(|r| r.contains("/debian/blobs/")).count();
    // Each reads the config, one of them the layer.
    assert!(fetched <= 4, "{fetched} blobs were fetched");
}

#[test]
fn a_killed_pull_leaves_nothing_that_the_next_command_cannot_clean() {
    let (s, proxy) = spoilt("fault-kill");
    let image = format!("{}/debian", proxy.address());
    for signal in ["KILL", "TERM"] {
        proxy.spoil("/debian/blobs/", Fault::Slow(Duration::from_millis(20)), 2);
        let mut child = s.command().args(["pull", "-q", &image]).spawn().expect("rcon starts");
        let begun = Instant::now();
        while std::fs::read_dir(s.root().join("tmp")).map_or(true, |mut d| d.next().is_none()) {
            assert!(begun.elapsed() < Duration::from_secs(10), "the pull does not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
        super::support::sh(&format!("kill -{signal} {}", child.id()));
        assert!(!child.wait().expect("rcon ends").success());
        assert_eq!(s.rcon(["images", "-q"]).ok(), "");
    }
    s.rcon(["pull", "-q", &image]).ok();
    s.rcon(["rmi", &image]).ok();
    nothing_left(&s);
}
