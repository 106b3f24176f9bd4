//! `volume …` and volumes in containers.

use super::support::{Sandbox, sh};

fn run(s: &Sandbox, flags: &[&str], command: &[&str]) -> super::support::Done {
    s.rcon([&["run", "--rm", "--network", "none"], flags, &["busybox"], command].concat())
}

#[test]
fn options_name_what_is_mounted() {
    let s = Sandbox::with_images("vol-opt", &["busybox"]);
    s.rcon([
        "volume",
        "create",
        "--opt",
        "type=tmpfs",
        "--opt",
        "device=tmpfs",
        "--opt",
        "o=size=1m,uid=7",
        "t",
    ])
    .ok();
    assert_eq!(
        run(
            &s,
            &["-v", "t:/t"],
            &["sh", "-c", "df -k /t | tail -1 | tr -s ' ' | cut -d' ' -f2; stat -c %u /t"]
        )
        .ok(),
        "1024\n7"
    );
    let e = s.rcon(["volume", "mount", "t"]);
    assert!(e.fails(1).contains("mounted in the containers that use it"), "{}", e.stderr);
    let dir = s.dir().join("bound");
    std::fs::create_dir(&dir).expect("folder");
    let device = format!("device={}", dir.display());
    s.rcon(["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "b"]).ok();
    run(&s, &["-v", "b:/b"], &["sh", "-c", "echo hi > /b/x"]).ok();
    assert_eq!(std::fs::read_to_string(dir.join("x")).expect("written"), "hi\n");
    s.rcon(["volume", "create", "-o", "type=bind", "-o", &device, "b2"]).ok();
    assert_eq!(run(&s, &["-v", "b2:/b"], &["cat", "/b/x"]).ok(), "hi");
    for (args, words) in [
        (&["-o", "bogus=1"][..], "unknown option \"bogus\""),
        (&["-o", "size=1g"], "needs project quotas"),
        (&["-o", "type=nfs"], "option device is missing"),
        (&["-o", "type=bind", "-o", "device=/bogus"], "stat /bogus: no such file or directory"),
        (&["-d", "flocker"], "volume driver \"flocker\" is not supported"),
    ] {
        let e = s.rcon([&["volume", "create"], args, &["x"]].concat());
        assert!(e.fails(1).contains(words), "{}", e.stderr);
    }
    assert_eq!(s.rcon(["volume", "exists", "x"]).code, 1);
    s.rcon(["volume", "create", "b"]).fails(1);
    s.rcon(["volume", "create", "--ignore", "b"]).ok();
    s.rcon(["volume", "rm", "-a"]).ok();
}

#[test]
fn listings_filters_and_formats() {
    let s = Sandbox::with_images("vol-ls", &["busybox"]);
    s.rcon(["volume", "create", "--label", "a=b", "--label", "c", "one"]).ok();
    s.rcon(["volume", "create", "two"]).ok();
    s.rcon(["create", "--name", "user", "-v", "two:/x", "busybox"]).ok();
    let ls = |filter: &str| s.rcon(["volume", "ls", "-q", "--filter", filter]).ok().to_owned();
    assert_eq!(ls("label=a=b"), "one");
    assert_eq!(ls("label!=a"), "two");
    assert_eq!(ls("dangling=true"), "one");
    assert_eq!(ls("name=tw"), "two");
    assert_eq!(ls("name=^o.+$"), "one");
    assert!(s.rcon(["volume", "ls", "--filter", "colour=red"]).fails(1).contains("colour"));
    let line = s.rcon([
        "volume",
        "ls",
        "--filter",
        "name=one",
        "--format",
        "{{.Name}} {{.Label \"a\"}} {{.Labels.a}} {{.Scope}}",
    ]);
    assert_eq!(line.ok(), "one b b local");
    let inspect = s.rcon(["volume", "inspect", "--format", "{{.Driver}} {{json .Labels}}", "one"]);
    assert_eq!(inspect.ok(), "local {\"a\":\"b\",\"c\":\"\"}");
    s.rcon(["volume", "inspect", "nope"]).fails(1);
    s.rcon(["rm", "user"]).ok();
    s.rcon(["volume", "rm", "one", "two"]).ok();
}

#[test]
fn anonymous_ones_go_with_their_container_and_prune_spares_named_ones() {
    let s = Sandbox::with_images("vol-anon", &["busybox"]);
    let count = || s.rcon(["volume", "ls", "-q"]).ok().lines().count();
    run(&s, &["-v", "/a", "-v", "named:/n"], &["true"]).ok();
    assert_eq!(count(), 1, "--rm takes the anonymous one");
    s.rcon(["run", "--name", "c", "--network", "none", "-v", "/a", "-v", "named:/n", "busybox", "true"]).ok();
    assert_eq!(count(), 2);
    s.rcon(["rm", "-v", "c"]).ok();
    assert_eq!(count(), 1);
    s.rcon(["run", "--name", "c", "--network", "none", "-v", "/a", "busybox", "true"]).ok();
    s.rcon(["rm", "c"]).ok();
    assert_eq!(count(), 2, "rm without -v keeps it");
    assert!(s.rcon(["volume", "prune", "-f"]).ok().starts_with("Deleted Volumes:\n"));
    assert_eq!(s.rcon(["volume", "ls", "-q"]).ok(), "named");
    s.rcon(["volume", "prune", "-a", "-f"]).ok();
    assert_eq!(count(), 0);
}

#[test]
fn one_in_use_is_kept_and_its_users_are_named() {
    let s = Sandbox::with_images("vol-use", &["busybox"]);
    let id = s.rcon(["create", "-v", "v:/x", "busybox"]).ok().to_owned();
    let e = s.rcon(["volume", "rm", "v"]);
    assert!(e.fails(1).contains(&format!("volume is in use - [{id}]")), "{}", e.stderr);
    assert!(s.rcon(["volume", "rm", "nope"]).fails(1).contains("no such volume"));
    s.rcon(["volume", "rm", "-f", "nope"]).ok();
    s.rcon(["rm", &id]).ok();
    assert_eq!(s.rcon(["volume", "rm", "v"]).ok(), "v");
}

#[test]
fn a_new_volume_takes_over_what_the_image_has_there() {
    let s = Sandbox::with_images("vol-copy", &["nginx", "busybox"]);
    let nginx = |flags: &[&str], command: &[&str]| {
        s.rcon(
            [&["run", "--rm", "--network", "none", "--entrypoint", ""], flags, &["nginx"], command].concat(),
        )
    };
    let there = nginx(&[], &["ls", "-ln", "/usr/share/nginx"]).ok().to_owned();
    assert_eq!(nginx(&["-v", "full:/usr/share/nginx"], &["ls", "-ln", "/usr/share/nginx"]).ok(), there);
    assert_eq!(nginx(&["-v", "bare:/usr/share/nginx:nocopy"], &["ls", "/usr/share/nginx"]).ok(), "");
    run(&s, &["-v", "full:/x"], &["sh", "-c", "rm -rf /x/*; echo mine > /x/y"]).ok();
    assert_eq!(
        nginx(&["-v", "full:/usr/share/nginx"], &["ls", "/usr/share/nginx"]).ok(),
        "y",
        "only into an empty one"
    );
    assert_eq!(run(&s, &["-v", "own:/u:U", "-u", "55:66"], &["stat", "-c", "%u:%g", "/u"]).ok(), "55:66");
    s.rcon(["volume", "rm", "full", "bare", "own"]).ok();
}

#[test]
fn parts_of_volumes_images_and_archives() {
    let s = Sandbox::with_images("vol-parts", &["busybox", "hello-world"]);
    run(&s, &["-v", "v:/v"], &["sh", "-c", "mkdir -p /v/sub/d; echo q > /v/sub/d/f; ln -s /etc /v/out"]).ok();
    let part = |path: &str| format!("type=volume,src=v,dst=/m,volume-subpath={path}");
    assert_eq!(run(&s, &["--mount", &part("sub/d")], &["cat", "/m/f"]).ok(), "q");
    run(&s, &["--mount", &part("../../etc")], &["ls", "/m"]).fails(127);
    run(&s, &["--mount", &part("out")], &["cat", "/m/shadow"]).fails(127);
    assert_eq!(
        run(
            &s,
            &["--mount", "type=image,src=hello-world,dst=/i"],
            &["sh", "-c", "touch /i/x 2>/dev/null || ls /i"]
        )
        .ok()
        .lines()
        .next(),
        Some("hello")
    );
    run(&s, &["--mount", "type=image,src=hello-world,dst=/i,rw=true"], &["touch", "/i/x"]).ok();
    let tar = s.dir().join("v.tar").display().to_string();
    s.rcon(["volume", "export", "v", "-o", &tar]).ok();
    assert!(sh(&format!("tar tf {tar}")).contains("sub/d/f"));
    s.rcon(["volume", "create", "w"]).ok();
    s.rcon(["volume", "import", "w", &tar]).ok();
    assert_eq!(run(&s, &["-v", "w:/w"], &["cat", "/w/sub/d/f"]).ok(), "q");
    assert_eq!(s.rcon(["volume", "unmount", "w"]).ok(), "w");
    assert!(s.rcon(["volume", "mount", "w"]).ok().ends_with("/volumes/w/_data"));
    s.rcon(["volume", "rm", "v", "w"]).ok();
}
