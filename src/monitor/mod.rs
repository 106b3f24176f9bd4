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
pub mod health;
pub mod main;
pub mod proto;
mod realise;
pub mod restart;
pub mod teardown;
pub mod undo;
pub mod wire;
