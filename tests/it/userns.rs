//! User namespaces: `--userns`, `--uidmap`, `--subuidname`; what the container sees, what is on disk, and that files go
//! in and out with the right owners.

use crate::support::{Sandbox, sh};

const MAP: &str = "cat /proc/self/uid_map";

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

/// Layers with mapped ids need an overlay of idmapped mounts (Linux 5.19), and these tests lie on tmpfs (6.3). Older
/// kernels get the error that says so, which is checked here in place of the test.
fn too_old(s: &Sandbox) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split(['.', '-']).map(|n| n.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) >= (Some(6), Some(3)) {
        return false;
    }
    let done = s.rcon(["run", "--rm", "--network", "none", "--userns=auto", "busybox", "true"]);
    assert!(done.code == 125 && done.stderr.contains("5.19"), "{done:?}");
    true
}

/// The fields of the first line of a map.
fn first_line(text: &str) -> Vec<u32> {
    text.lines().next().unwrap_or_default().split_whitespace().map(|n| n.parse().expect("a number")).collect()
}

/// This test's own /etc/subuid and /etc/subgid.
fn subordinate_ids(s: &Sandbox, text: &str) {
    let file = s.dir().join("subids");
    std::fs::write(&file, text).expect("file");
    for target in ["/etc/subuid", "/etc/subgid"] {
        sh(&format!("touch {target}; mount --bind {} {target}", file.display()));
    }
}

#[test]
fn a_mapped_container_is_root_of_its_files_and_nobody_on_the_host() {
    let s = sandbox("userns-map");
    if too_old(&s) {
        return;
    }
    let script = "cat /proc/self/uid_map /proc/self/gid_map; stat -c %u:%g /bin/busybox /etc/hosts; \
                  touch /new && chown 5:6 /new && stat -c %u:%g /new; echo x >> /etc/hosts; id -u; hostname";
    s.rcon([
        "run",
        "-d",
        "--name",
        "c",
        "--hostname",
        "inner",
        "--uidmap",
        "0:200000:5000",
        "busybox",
        "sh",
        "-c",
        &format!("{script}; sleep 1000"),
    ])
    .ok();
    crate::support::eventually("the script has run", || s.rcon(["logs", "c"]).ok().contains("inner"));
    let logs = s.rcon(["logs", "c"]);
    let words: Vec<&str> = logs.ok().split_whitespace().collect();
    assert_eq!(words, ["0", "200000", "5000", "0", "200000", "5000", "0:0", "0:0", "5:6", "0", "inner"]);
    let pid = s.inspect("c", "{{.State.Pid}}");
    assert_eq!(sh(&format!("stat -c %u /proc/{pid}")), "200000");
    // An exec lives there too; on disk the ids are the container's own, so that commit and diff are right.
    assert!(s.rcon(["exec", "c", "sh", "-c", MAP]).ok().contains("200000"));
    let id = s.inspect("c", "{{.Id}}");
    let upper = s.root().join("containers").join(&id).join("upper/new");
    assert_eq!(sh(&format!("stat -c %u:%g {}", upper.display())), "5:6");
    s.rcon(["commit", "-q", "c", "committed"]).ok();
    let plain = s.rcon(["run", "--rm", "committed", "stat", "-c", "%u:%g", "/new"]);
    assert_eq!(plain.ok(), "5:6");
}

#[test]
fn containers_with_automatic_ids_share_none_until_they_are_gone() {
    let s = sandbox("userns-auto");
    if too_old(&s) {
        return;
    }
    subordinate_ids(&s, "somebody:1000:10\ncontainers:300000:3000\n");
    let start = |name: &str, mode: &str| {
        s.rcon(["run", "-d", "--name", name, "--userns", mode, "busybox", "sleep", "1000"]).ok();
        first_line(s.rcon(["exec", name, "sh", "-c", MAP]).ok())
    };
    assert_eq!(start("a", "auto"), [0, 300_000, 1024]);
    assert_eq!(start("b", "auto:size=1500"), [0, 301_024, 1500]);
    let full = s.rcon(["run", "--rm", "--userns", "auto", "busybox", "true"]);
    assert!(full.fails(125).contains("/etc/subuid"), "{}", full.stderr);
    s.rcon(["rm", "-f", "-t", "0", "a"]).ok();
    assert_eq!(start("c", "auto:size=1000"), [0, 300_000, 1000]);
    // As many ids as the user needs.
    s.rcon(["rm", "-f", "-t", "0", "b"]).ok();
    let user = s.rcon(["run", "--rm", "--userns", "auto", "--user", "1999", "busybox", "sh", "-c", MAP]);
    assert_eq!(first_line(user.ok()), [0, 301_000, 2000]);
    let fixed = ["run", "--rm", "--userns", "auto:size=100,uidmapping=10:500:5", "busybox", "sh", "-c", MAP];
    let lines: Vec<Vec<u32>> = s.rcon(fixed).ok().lines().map(first_line).collect();
    assert_eq!(lines, [vec![0, 301_000, 10], vec![10, 500, 5], vec![15, 301_010, 85]]);
    let named = s.rcon(["run", "--rm", "--subuidname", "containers", "busybox", "sh", "-c", MAP]);
    assert_eq!(first_line(named.ok()), [0, 300_000, 3000]);
    let nobody = s.rcon(["run", "--rm", "--subuidname", "nosuch", "busybox", "true"]);
    assert!(nobody.fails(125).contains("nosuch"), "{}", nobody.stderr);
    sh("umount /etc/subuid /etc/subgid");
}

#[test]
fn modes_that_join_keep_or_make_no_sense() {
    let s = sandbox("userns-modes");
    if too_old(&s) {
        return;
    }
    s.rcon(["run", "-d", "--name", "a", "--userns", "auto", "busybox", "sleep", "1000"]).ok();
    let theirs = s.rcon(["exec", "a", "sh", "-c", MAP]).ok().to_owned();
    let script = format!("{MAP}; touch /x; stat -c %u:%g /x /bin/busybox");
    let wanted = format!("{theirs}\n0:0\n0:0");
    let joined = s.rcon(["run", "--rm", "--userns", "container:a", "busybox", "sh", "-c", &script]);
    assert_eq!(joined.ok(), wanted);
    let path = format!("ns:/proc/{}/ns/user", s.inspect("a", "{{.State.Pid}}"));
    assert_eq!(s.rcon(["run", "--rm", "--userns", &path, "busybox", "sh", "-c", &script]).ok(), wanted);
    let all = [
        "run",
        "--rm",
        "--userns=container:a",
        "--pid=container:a",
        "--ipc=container:a",
        "--network=container:a",
        "busybox",
        "sh",
        "-c",
        "ps | grep sleep; ip -o addr show eth0",
    ];
    let together = s.rcon(all);
    assert!(together.ok().contains("sleep 1000") && together.stdout.contains("inet "), "{}", together.stdout);
    for own in ["host", "ns:/proc/self/ns/user", "keep-id"] {
        let map = s.rcon(["run", "--rm", "--userns", own, "busybox", "sh", "-c", MAP]);
        assert_eq!(first_line(map.ok()), [0, 0, u32::MAX], "{own}");
    }
    let reason = |args: &[&str]| {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(args);
        all.extend_from_slice(&["busybox", "true"]);
        s.rcon(all).fails(125).to_owned()
    };
    assert!(reason(&["--userns=nomap"]).contains("rootless"));
    assert!(reason(&["--userns=private"]).contains("--uidmap"));
    assert!(reason(&["--userns=auto", "--uidmap=0:1:1"]).contains("conflicting"));
    assert!(reason(&["--uidmap=0:1000:10", "--uidmap=5:2000:10"]).contains("meets another"));
    assert!(reason(&["--uidmap=+0:1000:10"]).contains("rootless"));
}

#[test]
fn volumes_keep_the_ids_of_the_container_and_binds_those_of_the_host() {
    let s = sandbox("userns-volumes");
    if too_old(&s) {
        return;
    }
    let write = "touch /data/f; chown 5:6 /data/f";
    s.rcon(["run", "--rm", "--userns=auto", "-v", "vol:/data", "busybox", "sh", "-c", write]).ok();
    let shown =
        s.rcon(["run", "--rm", "--userns=auto", "-v", "vol:/d", "busybox", "stat", "-c", "%u:%g", "/d/f"]);
    assert_eq!(shown.ok(), "5:6");
    let disk = s.rcon(["volume", "mount", "vol"]).ok().to_owned();
    assert_eq!(sh(&format!("stat -c %u:%g {disk}/f")), "5:6");
    let dir = s.dir().join("bound");
    std::fs::create_dir(&dir).expect("mkdir");
    let look = |options: &str| {
        let volume = format!("{}:/b{options}", dir.display());
        s.rcon(["run", "--rm", "--userns=auto", "-v", &volume, "busybox", "stat", "-c", "%u", "/b"])
            .ok()
            .to_owned()
    };
    assert_eq!(look(""), "65534");
    assert_eq!(look(":idmap"), "0");
    assert_eq!(look(":U"), "0");
    let owner: u32 = sh(&format!("stat -c %u {}", dir.display())).parse().expect("an id");
    assert!(owner >= 0x7fff_ffff, "{owner}");
    // Copied up from the image: with the ids of the image.
    s.rcon(["run", "--rm", "--userns=auto", "-v", "up:/var/spool", "busybox", "ls", "-ln", "/var/spool"])
        .ok();
    let disk = s.rcon(["volume", "mount", "up"]).ok().to_owned();
    let spool = sh(&format!("stat -c %u {disk}"));
    assert_eq!(spool, "0");
}

#[test]
fn cp_knows_the_ids_of_a_running_container() {
    let s = sandbox("userns-cp");
    if too_old(&s) {
        return;
    }
    s.rcon(["run", "-d", "--name", "c", "--userns=auto", "--restart=always", "busybox", "sleep", "1000"])
        .ok();
    let file = s.dir().join("f");
    std::fs::write(&file, "x").expect("file");
    sh(&format!("chown 12:13 {}", file.display()));
    let path = file.to_str().expect("text");
    s.rcon_with_input(["exec", "-i", "c", "sh", "-c", "cat > /root-owned"], b"x").ok();
    s.rcon(["cp", "-a", path, "c:/kept"]).ok();
    let owners = s.rcon(["exec", "c", "stat", "-c", "%u:%g", "/root-owned", "/kept"]);
    assert_eq!(owners.ok(), "0:0\n12:13");
    let back = s.dir().join("back");
    s.rcon(["cp", "-a", "c:/kept", back.to_str().expect("text")]).ok();
    assert_eq!(sh(&format!("stat -c %u:%g {}", back.display())), "12:13");
    // After a restart it has the same ids, and its files.
    let before = s.rcon(["exec", "c", "sh", "-c", MAP]).ok().to_owned();
    s.rcon(["restart", "-t", "0", "c"]).ok();
    assert_eq!(s.rcon(["exec", "c", "sh", "-c", MAP]).ok(), before);
    s.rcon(["stop", "-t", "0", "c"]).ok();
    s.rcon(["cp", path, "c:/while-stopped"]).ok();
    s.rcon(["start", "c"]).ok();
    let owners = s.rcon(["exec", "c", "stat", "-c", "%u:%g", "/kept", "/while-stopped"]);
    assert_eq!(owners.ok(), "12:13\n12:13");
}
