//! Processes that are killed or stand in each other's way, and a disk that is full.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::*;

/// Runs one of the functions below (marked as ignored tests) in a process of its own.
fn child(test: &str, dir: &Scratch) -> Child {
    Command::new(std::env::current_exe().expect("own path"))
        .args(["--exact", &format!("storage::tests::crash::{test}"), "--ignored"])
        .env("RCON_TEST_DIR", dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("spawn")
}

fn child_paths() -> Option<Paths> {
    let dir = std::path::PathBuf::from(std::env::var_os("RCON_TEST_DIR")?);
    Some(Paths::new(dir.join("root"), dir.join("run")))
}

fn wait_for(path: &std::path::Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(30), "{} did not appear", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn sample() -> ((Image, Vec<Document>), Vec<Vec<u8>>) {
    let tars = vec![tar("one", &[1; 100_000]), tar("two", &[2; 50_000]), tar("three", b"3")];
    (image("sample", "h/sample:1", &tars), tars)
}

/// Content that never ends, after which the process is killed.
struct Endless(std::path::PathBuf, Vec<u8>);

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.1.is_empty() {
            std::fs::write(self.0.join("reading"), "")?;
            std::thread::sleep(Duration::from_secs(60));
        }
        let n = buffer.len().min(self.1.len());
        buffer[..n].copy_from_slice(&self.1[..n]);
        self.1.drain(..n);
        Ok(n)
    }
}

#[test]
#[ignore = "the other process of a_killed_pull_is_swept_and_pulled_again"]
fn pull_without_end() {
    let Some(paths) = child_paths() else { return };
    let (image, tars) = sample();
    let store = Store::open(&paths).expect("open");
    let pull = store.begin_pull(layers::wanted(&image.0.diff_ids), &mut |_, _| true).expect("begin");
    let writers: Vec<_> =
        pull.missing().iter().map(|w| pull.writer(w, &Limits::default()).expect("writer")).collect();
    let mut writers = writers.into_iter();
    let _done = writers.next().expect("first").unpack(tars[0].as_slice()).expect("unpack");
    let mut half = tars[1].clone();
    half.truncate(20_000);
    let dir = paths.root.parent().expect("scratch").to_owned();
    let _never = writers.next().expect("second").unpack(Endless(dir, half));
}

#[test]
fn a_killed_pull_is_swept_and_pulled_again() {
    let (dir, store) = store("killed");
    let mut other = child("pull_without_end", &dir);
    wait_for(&dir.path().join("reading"));
    assert_eq!(store.sweep().expect("sweep").staging, 0, "nothing of a living process is swept");
    other.kill().expect("kill");
    other.wait().expect("wait");
    assert!(
        store.list_layers().expect("layers").is_empty() && store.list_images().expect("images").is_empty()
    );
    let swept = store.sweep().expect("sweep");
    assert_eq!(swept.staging, 3, "{swept:?}");
    assert!(swept.bytes >= 100_000);
    let (image, tars) = sample();
    assert_eq!(pull(&store, &image, &tars), 3, "and the locks are free");
}

#[test]
#[ignore = "the other processes of four_processes_pull_the_same_image"]
fn pull_sample() {
    let Some(paths) = child_paths() else { return };
    let (image, tars) = sample();
    let made = pull(&Store::open(&paths).expect("open"), &image, &tars);
    let dir = paths.root.parent().expect("scratch");
    std::fs::write(dir.join(format!("made-{}-{made}", std::process::id())), "").expect("write");
}

#[test]
fn four_processes_pull_the_same_image() {
    let (dir, store) = store("four");
    let mut all: Vec<_> = (0..4).map(|_| child("pull_sample", &dir)).collect();
    assert!(all.iter_mut().all(|c| c.wait().expect("wait").success()));
    let names = std::fs::read_dir(dir.path())
        .expect("list")
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok());
    let mut made: Vec<_> =
        names.filter_map(|n| n.strip_prefix("made-")?.rsplit('-').next()?.parse::<u8>().ok()).collect();
    made.sort_unstable();
    assert_eq!(made, [0, 0, 0, 3], "one makes the layers, the others find them");
    assert_eq!(store.list_layers().expect("layers").len(), 3);
    assert_eq!(store.sweep().expect("sweep"), gc::Swept::default());
}

#[test]
fn a_full_disk_does_not_keep_things() {
    let dir = scratch("full");
    let root = dir.path().join("root");
    std::fs::create_dir(&root).expect("mkdir");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&root).status();
    assert!(mount.expect("mount").success());
    let paths = dir.paths();
    let store = Store::open(&paths).expect("open");
    let layer = tar("x", &[1; 200_000]);
    let kept = image("a", "h/r:1", std::slice::from_ref(&layer));
    pull(&store, &kept, std::slice::from_ref(&layer));
    let mut user = spec(1, "user");
    user.root.layers = kept.0.layers.clone();
    store.insert_container(&user, &Stored::Created).expect("insert");
    drop(store);
    let mut filler = std::fs::File::create(paths.upper(&user.id).join("big")).expect("create");
    while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    // Opening makes the index of the log anew, removing writes to the log: both need space.
    let store = Store::open(&paths).expect("open on a full disk");
    let refused = store.insert_container(&spec(2, "more"), &Stored::Created);
    assert!(refused.is_err() || paths.reserve().exists() || store.container(&spec(2, "more").id).is_ok());
    store.remove_container(&user.id).expect("remove on a full disk");
    store.remove_image(&kept.0.id).expect("remove the image");
    assert!(store.list_layers().expect("layers").is_empty());
    store.sweep().expect("sweep");
    assert!(paths.reserve().exists(), "the reserve is back");
    store.insert_container(&spec(3, "again"), &Stored::Created).expect("insert works again");
    drop(store);
    drop(filler);
    assert!(Command::new("umount").arg(&root).status().expect("umount").success());
}
