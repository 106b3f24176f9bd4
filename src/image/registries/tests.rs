//! Tables for this module.

use super::*;

fn parse(text: &str) -> Registries {
    Registries::parse(text, Path::new("/test.conf")).unwrap()
}

fn error(text: &str) -> String {
    Registries::parse(text, Path::new("/test.conf")).unwrap_err().to_string()
}

fn sources(r: &Registries, reference: &str) -> Vec<(String, bool, bool)> {
    let list = r.sources(&reference.parse().unwrap()).unwrap();
    list.into_iter().map(|s| (s.reference.to_string(), s.insecure, s.mirror)).collect()
}

fn one(r: &Registries, reference: &str) -> String {
    let mut all = sources(r, reference);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).0
}

#[test]
fn nothing_configured_is_docker() {
    let r = parse("");
    assert_eq!(r.search(), ["docker.io"]);
    assert_eq!(sources(&r, "nginx"), [("docker.io/library/nginx:latest".into(), false, false)]);
    for (registry, insecure) in [
        ("localhost:5000", true),
        ("127.0.0.1:5000", true),
        ("127.3.2.1", true),
        ("[::1]:5000", true),
        ("10.0.0.1:5000", false),
        ("localhost.example.com", false),
    ] {
        assert_eq!(r.insecure(registry), insecure, "{registry}");
        assert_eq!(sources(&r, &format!("{registry}/x"))[0].1, insecure, "{registry}");
    }
}

#[test]
fn the_longest_prefix_wins_and_is_replaced() {
    let r = parse(
        r#"
        [[registry]]
        prefix = "example.com/foo"
        location = "internal.test/bar"
        [[registry]]
        prefix = "example.com"
        insecure = true
        [[registry]]
        prefix = "*.corp.test"
        location = "mirror.test/corp"
        [[registry]]
        prefix = "a.corp.test"
        location = "exact.test"
        [[registry]]
        location = "plain.test:5000"
        insecure = true
        "#,
    );
    assert_eq!(one(&r, "example.com/foo/app:1"), "internal.test/bar/app:1");
    assert_eq!(one(&r, "example.com/foo:1"), "internal.test/bar:1");
    assert_eq!(sources(&r, "example.com/foobar"), [("example.com/foobar:latest".into(), true, false)]);
    assert_eq!(one(&r, "b.corp.test/x"), "mirror.test/corp/x:latest");
    assert_eq!(one(&r, "c.b.corp.test/x"), "mirror.test/corp/x:latest");
    assert_eq!(one(&r, "a.corp.test/x"), "exact.test/x:latest");
    assert_eq!(one(&r, "corp.test/x"), "corp.test/x:latest");
    assert_eq!(sources(&r, "plain.test:5000/x"), [("plain.test:5000/x:latest".into(), true, false)]);
    assert!(r.insecure("plain.test:5000"));
    assert!(!r.insecure("plain.test"));
}

#[test]
fn mirrors_come_first_and_mind_their_kind() {
    let r = parse(
        r#"
        [[registry]]
        prefix = "docker.io"
        [[registry.mirror]]
        location = "one.test/hub"
        [[registry.mirror]]
        location = "two.test"
        insecure = true
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "three.test"
        pull-from-mirror = "tag-only"
        "#,
    );
    let d = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(
        sources(&r, "nginx"),
        [
            ("one.test/hub/library/nginx:latest".into(), false, true),
            ("three.test/library/nginx:latest".into(), false, true),
            ("docker.io/library/nginx:latest".into(), false, false)
        ]
    );
    let digest = sources(&r, &format!("nginx@{d}"));
    assert_eq!(digest[1], (format!("two.test/library/nginx@{d}"), true, true));
    assert_eq!(digest.len(), 3);
}

#[test]
fn the_old_form_is_read() {
    let r = parse(
        "[registries.search]\nregistries = ['a.test', 'b.test:5000/']\n[registries.insecure]\nregistries = ['b.test:5000']\n\
         [registries.block]\nregistries = ['c.test']\n",
    );
    assert_eq!(r.search(), ["a.test", "b.test:5000"]);
    assert!(r.insecure("b.test:5000") && !r.insecure("a.test"));
    assert!(r.sources(&"c.test/x".parse().unwrap()).is_err());
}

#[test]
fn blocked_names_the_file() {
    let r = parse("[[registry]]\nlocation = \"bad.test\"\nblocked = true");
    let e = r.sources(&"bad.test/x".parse().unwrap()).unwrap_err();
    assert!(e.to_string().contains("/test.conf"), "{e}");
}

#[test]
fn later_files_replace_parts() {
    let mut r = parse(
        "unqualified-search-registries = [\"a.test\"]\n[aliases]\n\"x\" = \"a.test/x\"\n\"y\" = \"a.test/y\"\n",
    );
    r.merge(parse("[aliases]\n\"x\" = \"b.test/x\"\n\"y\" = \"\"\n[[registry]]\nlocation = \"z.test\"\n"));
    r.merge(parse("[[registry]]\nlocation = \"z.test\"\ninsecure = true\n"));
    assert_eq!(r.search(), ["a.test"]);
    assert_eq!((r.alias("x"), r.alias("y")), (Some("b.test/x"), None));
    assert!(r.insecure("z.test"));
    assert_eq!(r.entries.len(), 1);
    r.merge(parse("unqualified-search-registries = [\"c.test\", \"docker.io\"]"));
    assert_eq!(r.search(), ["c.test", "docker.io"]);
}

#[test]
fn mistakes_are_named() {
    for (text, want) in [
        ("[[registry]]\nlocation = 'a.test'\n[registries.search]\nregistries = ['x']", "mixes"),
        ("[[registry]]\ninsecure = true", "needs prefix or location"),
        ("[[registry]]\nlocation = 'https://x'", "without http://"),
        ("[[registry]]\nprefix = 'a*b.test'", "only *.domain"),
        ("[[registry]]\nprefix = 'a.test'\nlocation = '*.b.test'", "wildcards are only for prefix"),
        (
            "[[registry]]\nlocation = 'a.test'\n[[registry.mirror]]\nlocation='b.test'\npull-from-mirror = 'x'",
            "digest-only",
        ),
        ("[aliases]\n\"x:1\" = \"a.test/x\"", "short name without tag"),
        ("[aliases]\n\"x\" = \"y\"", "must be registry/repository"),
        ("[aliases]\n\"x\" = \"a.test/y:1\"", "without tag and digest"),
        ("unqualified-search-registries = ['a b']", "not a registry host"),
        ("unqualified-search-registries = 3", "/test.conf"),
    ] {
        let e = error(text);
        assert!(e.contains(want), "{text}: {e}");
    }
}

#[test]
fn dockers_file_is_heeded_below_ours() {
    let dir = std::env::temp_dir().join(format!("rcon-daemon-json-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("daemon.json");
    std::fs::write(
        &path,
        r#"{"insecure-registries": ["reg.test:5000", "10.1.0.0/16"], "registry-mirrors": ["http://mirror.test:5001/"], "debug": true}"#,
    )
    .unwrap();
    let mut r = parse("");
    docker::add(&path, &mut r).unwrap();
    assert_eq!(
        sources(&r, "nginx"),
        [
            ("mirror.test:5001/library/nginx:latest".into(), true, true),
            ("docker.io/library/nginx:latest".into(), false, false)
        ]
    );
    assert!(r.insecure("reg.test:5000") && r.insecure("10.1.2.3:80") && !r.insecure("10.2.0.1"));
    let mut ours = parse("[[registry]]\nlocation = \"docker.io\"\n");
    docker::add(&path, &mut ours).unwrap();
    assert_eq!(sources(&ours, "nginx").len(), 1);
    std::fs::remove_dir_all(&dir).unwrap();
}
