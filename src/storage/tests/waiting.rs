//! Waiting for the database: as long as others come and go, but not for one that hangs.

use std::time::{Duration, Instant};

use super::*;

const CHANGE: &str = "CREATE TABLE IF NOT EXISTS wait_test (n); INSERT INTO wait_test VALUES (1);";

#[test]
fn one_that_hangs_is_not_waited_for() {
    let (_dir, holder) = store("wait-hangs");
    holder.conn.execute_batch("BEGIN IMMEDIATE").expect("begin");
    let other = Store::open(&holder.paths).expect("open");
    let failed = other.write("trying", |_| Ok(())).expect_err("locked");
    assert!(matches!(failed, Error::Busy { .. }), "{failed}");
}

#[test]
fn others_that_come_and_go_are_waited_for() {
    let (_dir, holder) = store("wait-goes");
    let paths = holder.paths.clone();
    let waiter = std::thread::spawn(move || {
        let store = Store::open(&paths).expect("open");
        let began = Instant::now();
        store.write("trying", |_| Ok(())).map(|()| began.elapsed())
    });
    let began = Instant::now();
    holder.conn.execute_batch(&format!("BEGIN IMMEDIATE; {CHANGE}")).expect("begin");
    while began.elapsed() < Duration::from_millis(1500) {
        std::thread::sleep(Duration::from_millis(100));
        // One step: nobody gets in between often.
        holder.conn.execute_batch(&format!("COMMIT; BEGIN IMMEDIATE; {CHANGE}")).expect("again");
    }
    holder.conn.execute_batch("COMMIT").expect("commit");
    waiter.join().expect("no panic").expect("its turn came");
}

/// Each command opens the store anew, and reads the whole log.
#[test]
fn the_log_does_not_grow_without_end() {
    let (_dir, first) = store("log-size");
    let paths = first.paths.clone();
    drop(first);
    let blob = "x".repeat(1000);
    for _ in 0..1200 {
        let store = Store::open(&paths).expect("open");
        let change =
            format!("CREATE TABLE IF NOT EXISTS wait_test (n); INSERT INTO wait_test VALUES ('{blob}');");
        store
            .write("trying", |tx| tx.execute_batch(&change).map_err(|e| store.error("trying", e)))
            .expect("a change");
    }
    let log = std::fs::metadata(paths.root.join("rcon.db-wal")).map_or(0, |m| m.len());
    assert!(log < 1 << 21, "{log}");
}
