//! rcon, a daemonless container engine for Linux, as a library. The binary is a thin shell over [`cli`].
//!
//! Layers, from the words up; each may use what `tests/architecture.rs` allows it and nothing else:
//! [`model`] (plain types) · [`sys`] (the kernel; the only `unsafe`) · [`storage`], [`net`], [`runtime`]
//! (mechanisms, peers that do not know each other) · [`image`] (registries and formats) · [`monitor`]
//! (one process per container) · [`engine`] (one function per verb) · [`cli`] (parse and print).
#![deny(unsafe_code)]

pub mod cli;
pub mod engine;
pub mod image;
pub mod model;
pub mod monitor;
pub mod net;
pub mod runtime;
pub mod storage;
pub mod sys;
