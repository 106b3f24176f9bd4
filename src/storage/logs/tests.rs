//! Writer and reader together: cutting, rotation, tail, follow, a full disk.

use std::time::Duration;

use super::super::testing::scratch;
use super::*;

fn texts(reader: &mut Reader) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(line) = reader.next().expect("reads") {
        out.push(String::from_utf8(line.bytes).expect("utf-8"));
    }
    out
}

#[test]
fn lines_are_cut_and_joined() {
    let dir = scratch("logcut");
    let path = dir.path().join("ctr.log");
    for format in [Format::JsonFile, Format::K8sFile] {
        let _ = std::fs::remove_file(&path);
        let mut w = Writer::open(&path, format, 0, 1).expect("opens");
        w.write(Stream::Stdout, b"one\ntw").expect("writes");
        w.write(Stream::Stderr, b"err\n").expect("writes");
        w.write(Stream::Stdout, b"o\nthree").expect("writes");
        w.flush(Stream::Stdout).expect("writes");
        let mut r = Reader::open(&path, format, ReadOptions::default()).expect("opens");
        assert_eq!(texts(&mut r), ["one\n", "err\n", "two\n", "three"]);
    }
}

#[test]
fn long_lines_come_in_parts() {
    let dir = scratch("loglong");
    let path = dir.path().join("ctr.log");
    let mut w = Writer::open(&path, Format::JsonFile, 0, 1).expect("opens");
    let long = "x".repeat(40_000) + "\n";
    for piece in long.as_bytes().chunks(3000) {
        w.write(Stream::Stdout, piece).expect("writes");
    }
    let mut r = Reader::open(&path, Format::JsonFile, ReadOptions::default()).expect("opens");
    let parts = texts(&mut r);
    assert_eq!(parts.iter().map(String::len).collect::<Vec<_>>(), [16384, 16384, 7233]);
    assert_eq!(parts.concat(), long);
}

#[test]
fn rotation_keeps_the_newest_and_a_follower_misses_nothing() {
    let dir = scratch("logrot");
    let path = dir.path().join("ctr.log");
    let mut w = Writer::open(&path, Format::JsonFile, 1000, 3).expect("opens");
    let mut follower = Reader::open(&path, Format::JsonFile, ReadOptions::default()).expect("opens");
    let mut followed = Vec::new();
    for i in 0..200 {
        w.write(Stream::Stdout, format!("line {i}\n").as_bytes()).expect("writes");
        followed.extend(texts(&mut follower));
    }
    assert_eq!(followed.len(), 200);
    assert_eq!(followed[199], "line 199\n");
    let names: Vec<_> = ["ctr.log", "ctr.log.1", "ctr.log.2", "ctr.log.3"]
        .iter()
        .map(|n| dir.path().join(n).metadata().map(|m| m.len()).ok())
        .collect();
    assert!(names[..3].iter().all(|n| n.is_some_and(|len| len <= 1000)), "{names:?}");
    assert_eq!(names[3], None);
    let mut r = Reader::open(&path, Format::JsonFile, ReadOptions::default()).expect("opens");
    let kept = texts(&mut r);
    assert_eq!(kept.last().map(String::as_str), Some("line 199\n"));
    assert_eq!(kept, followed[200 - kept.len()..]);
}

#[test]
fn tail_counts_over_files() {
    let dir = scratch("logtail");
    let path = dir.path().join("ctr.log");
    let mut w = Writer::open(&path, Format::JsonFile, 500, 5).expect("opens");
    for i in 0..20 {
        w.write(Stream::Stdout, format!("{i}\n").as_bytes()).expect("writes");
    }
    for tail in [0, 1, 3, 9, 19, 20, 100] {
        let options = ReadOptions { tail: Some(tail), ..ReadOptions::default() };
        let mut r = Reader::open(&path, Format::JsonFile, options).expect("opens");
        let from = 20 - usize::try_from(tail.min(20)).expect("small");
        assert_eq!(texts(&mut r), (from..20).map(|i| format!("{i}\n")).collect::<Vec<_>>(), "--tail {tail}");
    }
}

#[test]
fn a_long_line_is_one_line_to_tail() {
    for format in [Format::JsonFile, Format::K8sFile] {
        let dir = scratch("logparts");
        let path = dir.path().join("ctr.log");
        let mut w = Writer::open(&path, format, 0, 1).expect("opens");
        let long = "x".repeat(100_000);
        for text in ["one\n", "two ", long.as_str(), "\n", "three\n"] {
            w.write(Stream::Stdout, text.as_bytes()).expect("writes");
        }
        for (tail, want) in [(1, "three\n"), (2, "two x"), (3, "one\n"), (9, "one\n")] {
            let options = ReadOptions { tail: Some(tail), ..ReadOptions::default() };
            let mut r = Reader::open(&path, format, options).expect("opens");
            let all = texts(&mut r).concat();
            assert!(all.starts_with(want) && all.ends_with("three\n"), "--tail {tail}: {all:.20}");
            assert_eq!(all.lines().count(), usize::try_from(tail.min(3)).expect("small"));
        }
    }
}

#[test]
fn since_and_until_choose() {
    let dir = scratch("logtime");
    let path = dir.path().join("ctr.log");
    let record = |s: u32| {
        format!("{{\"log\":\"{s}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:0{s}Z\"}}\n")
    };
    std::fs::write(&path, (1..=5).map(record).collect::<String>() + "torn {").expect("file");
    let at = |s: u32| Some(format!("2026-01-01T00:00:0{s}Z").parse().expect("a time"));
    let options = ReadOptions { since: at(2), until: at(4), tail: None };
    let mut r = Reader::open(&path, Format::JsonFile, options).expect("opens");
    assert_eq!(texts(&mut r), ["2\n", "3\n", "4\n"]);
    assert!(r.finished());
}

#[test]
fn a_follower_wakes_up() {
    let dir = scratch("logwait");
    let path = dir.path().join("ctr.log");
    let mut r = Reader::open(&path, Format::JsonFile, ReadOptions::default()).expect("opens");
    assert!(texts(&mut r).is_empty());
    r.wait(Duration::from_secs(10)).expect("arms the watch");
    let late = path.clone();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let mut w = Writer::open(&late, Format::JsonFile, 0, 1).expect("opens");
        w.write(Stream::Stdout, b"late\n").expect("writes");
    });
    let mut got = Vec::new();
    for _ in 0..20 {
        got.extend(texts(&mut r));
        if !got.is_empty() {
            break;
        }
        r.wait(Duration::from_secs(10)).expect("waits");
    }
    writer.join().expect("writer");
    assert_eq!(got, ["late\n"]);
}
