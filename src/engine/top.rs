//! `top`: the processes of a container.

use super::context::Context;
use super::error::Error;

/// A table of processes: titles and rows of equal length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    /// Column titles.
    pub titles: Vec<String>,
    /// One row per process.
    pub rows: Vec<Vec<String>>,
}

/// The processes of a running container. `fields` are podman's descriptors (`pid`, `user`, `hgroup` …) or docker's ps
/// options; empty gives `UID PID PPID C STIME TTY TIME CMD`.
///
/// # Errors
/// No such container, not running, an unknown field.
pub fn top(_ctx: &Context, _name: &str, _fields: &[String]) -> Result<Processes, Error> {
    todo!()
}
