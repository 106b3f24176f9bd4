//! Measurements, run by hand: `cargo test --release --lib storage::tests::measure -- --ignored --nocapture`.

use std::os::fd::AsFd as _;
use std::time::Instant;

use super::*;
use crate::model::id::ContainerId;

/// Unpacks the archive named by `RCON_BENCH_TAR` with and without recipe, and with GNU tar.
#[test]
#[ignore = "a measurement"]
fn unpack_a_layer() {
    let archive = std::env::var("RCON_BENCH_TAR").expect("RCON_BENCH_TAR names a tar");
    let dir = scratch("bench");
    let run = |name: &str, work: &mut dyn FnMut(&std::path::Path)| {
        let to = dir.path().join(name);
        std::fs::create_dir(&to).expect("mkdir");
        let started = Instant::now();
        work(&to);
        let took = started.elapsed();
        tree::remove(&to).expect("remove");
        eprintln!("{name:20} {took:?}");
    };
    for _ in 0..3 {
        run("tar x", &mut |to| {
            let status = std::process::Command::new("tar").args(["-xf", &archive, "-C"]).arg(to).status();
            assert!(status.expect("tar").success());
        });
        run("unpack", &mut |to| {
            let root = tree::open_dir(rustix::fs::CWD, to).expect("open");
            let file = std::fs::File::open(&archive).expect("open");
            let options = unpack::Options { whiteouts: true, ..unpack::Options::default() };
            let done = unpack::unpack(file, root.as_fd(), &options).expect("unpack");
            eprintln!("{done:?}");
        });
        run("unpack with recipe", &mut |to| {
            let root = tree::open_dir(rustix::fs::CWD, to).expect("open");
            let mut file = std::fs::File::open(&archive).expect("open");
            let options = unpack::Options { whiteouts: true, ..unpack::Options::default() };
            let path = to.join(".recipe");
            let mut recorder =
                recipe::Recorder::new(std::fs::File::create(&path).expect("create"), to.join(".kept"))
                    .expect("recorder");
            unpack::unpack_recorded(&mut file, root.as_fd(), &options, Some(&mut recorder)).expect("unpack");
            recorder.finish().expect("finish");
            eprintln!("recipe {} bytes", std::fs::metadata(path).expect("stat").len());
        });
    }
}

/// Opening a store, making containers, and listing 10,000 of them.
#[test]
#[ignore = "a measurement"]
fn ten_thousand_containers() {
    let dir = scratch("many");
    let paths = dir.paths();
    let store = Store::open(&paths).expect("open");
    let mut one = spec(0, "x");
    let started = Instant::now();
    for n in 0..10_000_u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        one.id = ContainerId::from_bytes(bytes);
        one.name = format!("container-{n}");
        store.insert_container(&one, &Stored::Created).expect("insert");
    }
    eprintln!("insert, each          {:?}", started.elapsed() / 10_000);
    drop(store);
    for _ in 0..3 {
        let started = Instant::now();
        let store = Store::open(&paths).expect("open");
        let opened = started.elapsed();
        let all = store.list_containers().expect("list");
        eprintln!("open {opened:?}, list of {} {:?}", all.len(), started.elapsed());
        let started = Instant::now();
        store.find_container("container-77").expect("find");
        eprintln!("find {:?}", started.elapsed());
        store.checkpoint().expect("checkpoint");
    }
}

/// Opening a small store, as each command does.
#[test]
#[ignore = "a measurement"]
fn open_a_store() {
    let dir = scratch("open");
    let paths = dir.paths();
    let store = Store::open(&paths).expect("open");
    for n in 0..20 {
        store.insert_container(&spec(n, &format!("c{n}")), &Stored::Created).expect("insert");
    }
    drop(store);
    let mut times: Vec<_> = (0..50)
        .map(|_| {
            let started = Instant::now();
            let store = Store::open(&paths).expect("open");
            store.find_container("c7").expect("find");
            let took = started.elapsed();
            drop(store);
            took
        })
        .collect();
    times.sort();
    eprintln!("open and find: least {:?}, median {:?}", times[0], times[25]);
}
