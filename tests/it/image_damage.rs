//! A damaged store: what is said, what heals, and that no state is lost.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::support::{Sandbox, sh};

fn layer_dirs(s: &Sandbox) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(s.root().join("layers")).expect("layers").flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

fn works(s: &Sandbox, image: &str) {
    assert_eq!(s.rcon(["run", "--rm", "--network", "none", image, "echo", "hi"]).ok(), "hi");
}

#[test]
fn a_whole_store_has_nothing_to_tell() {
    let s = Sandbox::with_images("damage-none", &["busybox", "special", "layers"]);
    assert_eq!(s.rcon(["system", "check"]).ok(), "");
    assert_eq!(s.rcon(["system", "check", "--quick", "--repair"]).ok(), "");
}

#[test]
fn a_layer_that_is_gone_is_fetched_again_by_a_pull() {
    let s = Sandbox::with_images("damage-gone", &["busybox"]);
    for dir in layer_dirs(&s) {
        std::fs::remove_dir_all(dir).expect("removed");
    }
    let e = s.rcon(["system", "check", "--quick"]);
    assert!(e.fails(1).contains("damage detected in local storage (1)"), "{}", e.stderr);
    assert!(
        e.stdout.contains("is missing") && e.stderr.contains("hint: rcon system check --repair"),
        "{}",
        e.stdout
    );
    let done = s.rcon(["pull", "busybox"]);
    done.ok();
    assert!(done.stderr.contains(": Pull complete"), "{}", done.stderr);
    works(&s, "busybox");
    assert_eq!(s.rcon(["system", "check"]).ok(), "");
}

#[test]
fn changed_files_are_found_and_the_layer_is_made_anew_in_place() {
    let s = Sandbox::with_images("damage-changed", &["busybox"]);
    s.rcon(["create", "--name", "kept", "busybox", "cat", "/etc/passwd"]).ok();
    let dir = layer_dirs(&s).remove(0);
    let passwd = dir.join("diff/etc/passwd");
    let before = std::fs::read_to_string(&passwd).expect("passwd");
    std::fs::write(&passwd, "evil:x:0:0::/:/bin/sh\n").expect("write");
    assert_eq!(s.rcon(["system", "check", "-q"]).ok(), "", "a quick look does not read");
    s.rcon(["system", "check"]).fails(1);
    let done = s.rcon(["system", "check", "--repair"]);
    assert!(
        done.ok().contains("repaired: fetched again from docker.io/library/busybox@sha256:"),
        "{}",
        done.stdout
    );
    assert_eq!(std::fs::read_to_string(&passwd).expect("passwd"), before);
    assert_eq!(s.rcon(["start", "-a", "kept"]).ok(), before.trim_end());
    assert_eq!(s.rcon(["system", "check"]).ok(), "");
}

#[test]
fn what_cannot_be_fetched_stays_as_it_is() {
    let s = Sandbox::with_images("damage-stays", &["busybox"]);
    let config = s.dir().join("registries.conf");
    std::fs::write(config, "unqualified-search-registries = [\"127.0.0.1:9\"]\n[[registry]]\nlocation = \"docker.io\"\nblocked = true\n").expect("conf");
    let dir = layer_dirs(&s).remove(0);
    std::fs::write(dir.join("diff/etc/passwd"), "evil").expect("write");
    let e = s.rcon(["system", "check", "--repair"]);
    e.fails(1);
    assert!(e.stdout.contains("not repaired: ") && e.stdout.contains("blocked"), "{}", e.stdout);
    assert_eq!(std::fs::read_to_string(dir.join("diff/etc/passwd")).expect("still there"), "evil");
}

#[test]
fn a_broken_database_is_named_and_salvaged() {
    let s = Sandbox::with_images("damage-db", &["busybox"]);
    s.rcon(["volume", "create", "data"]).ok();
    s.rcon([
        "run",
        "--name",
        "one",
        "-v",
        "data:/d",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo x > /d/f; echo y > /g",
    ])
    .ok();
    for round in 0..2 {
        let db = s.root().join("rcon.db");
        if round == 0 {
            let mut file = std::fs::OpenOptions::new().write(true).open(&db).expect("database");
            file.seek(SeekFrom::Start(0)).expect("seek");
            file.write_all(&[0x5a; 4096]).expect("write");
            drop(std::fs::remove_file(s.root().join("rcon.db-wal")));
            drop(std::fs::remove_file(s.root().join("rcon.db-shm")));
            let e = s.rcon(["ps", "-a"]);
            assert!(
                e.fails(1).contains("rcon.db") && e.stderr.contains("hint: rcon system check --repair"),
                "{}",
                e.stderr
            );
            s.rcon(["system", "check"]).fails(1);
            let done = s.rcon(["system", "check", "--repair"]);
            assert!(done.ok().contains("containers taken up again: one"), "{}", done.stdout);
            assert!(done.stdout.contains("volumes taken up again: data"), "{}", done.stdout);
            let kept = sh(&format!("ls {} | grep -c 'damaged-[0-9]*$'", s.root().display()));
            assert_eq!(kept, "1", "the broken one is kept");
        } else {
            // Lost altogether: the next command takes up what is there before anything is swept.
            sh(&format!("rm {}/rcon.db*", s.root().display()));
            s.rcon(["pull", "-q", "busybox"]).ok();
        }
        assert_eq!(s.rcon(["ps", "-a", "--format", "{{.Names}}"]).ok(), "one");
        assert_eq!(
            s.rcon(["run", "--rm", "-v", "data:/d", "--network", "none", "busybox", "cat", "/d/f"]).ok(),
            "x"
        );
        assert_eq!(s.rcon(["diff", "one"]).ok().lines().filter(|l| *l == "A /g").count(), 1);
        s.rcon(["start", "-a", "one"]).ok();
        assert_eq!(s.rcon(["system", "check"]).ok(), "");
    }
    s.rcon(["rm", "one"]).ok();
    s.rcon(["volume", "rm", "data"]).ok();
}

#[test]
fn a_database_with_a_broken_page_gives_what_can_be_read() {
    let s = Sandbox::with_images("damage-page", &["busybox", "hello-world", "layers"]);
    s.rcon(["create", "--name", "one", "busybox"]).ok();
    // Everything into the file, then some pages in its middle are spoilt.
    sh(&format!(
        "sqlite3 {}/rcon.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null 2>&1 || true",
        s.root().display()
    ));
    let db = s.root().join("rcon.db");
    let pages = std::fs::metadata(&db).expect("database").len() / 2048;
    let mut file = std::fs::OpenOptions::new().write(true).open(&db).expect("database");
    for page in pages / 2..(pages / 2 + 3).min(pages) {
        file.seek(SeekFrom::Start(page * 2048)).expect("seek");
        file.write_all(&[0xff; 2048]).expect("write");
    }
    let _first = s.rcon(["system", "check", "--repair"]);
    // Images that were lost come again by a pull; containers are there in any case.
    assert_eq!(s.rcon(["ps", "-a", "--format", "{{.Names}}"]).ok(), "one");
    for image in ["busybox", "hello-world", "layers"] {
        s.rcon(["pull", "-q", image]).ok();
    }
    works(&s, "busybox");
    assert_eq!(s.rcon(["system", "check", "--repair"]).code, 0);
}
