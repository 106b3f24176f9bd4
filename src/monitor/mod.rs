//! One small process per running container, and the client half that the engine calls.
//!
//! [`client`] is what the engine uses: start a monitor, attach, exec, ask. [`proto`] are the messages of
//! both halves. [`main`] is the hidden entry point of the monitor itself: it makes the container real (with a
//! stack of named undo steps) and then moves bytes and events between the kernel and state machines (restart,
//! health, [`detach`]) that do no I/O and get the time as an argument. [`teardown`] takes a container apart
//! again from outside, when its monitor was killed.
//!
//! What is deliberately absent: threads, async, a database handle while the container runs, buffers without
//! a bound, and any printing: the monitor's own troubles go to `monitor.log` in its run directory.
#![allow(clippy::todo, reason = "bodies are filled step by step")]

pub mod client;
pub mod detach;
mod failure;
pub(crate) mod finish;
pub mod health;
mod initialized;
mod journal;
mod log;
pub mod main;
mod notify;
pub mod proto;
mod realise;
pub mod restart;
mod serve;
pub mod teardown;
pub mod undo;
pub mod wire;

/// Writes a line into the monitor's own log: troubles that no client is there to hear. A log that cannot be
/// written changes nothing.
fn note(paths: &crate::storage::Paths, id: &crate::model::id::ContainerId, text: &str) {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().append(true).create(true).open(paths.monitor_log(id));
    if let Ok(mut file) = file {
        let _full = writeln!(file, "{} {text}", jiff::Timestamp::now());
    }
}
