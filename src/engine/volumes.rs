//! `volume …`: named places for data that outlive containers.

use std::io::{Read, Write};

use super::context::Context;
use super::error::Error;
use super::select::Done;
use crate::model::volume::Volume;

/// What `volume create` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// Name; none makes an anonymous one.
    pub name: Option<String>,
    /// `-d`: only `local`.
    pub driver: Option<String>,
    /// `-o`.
    pub options: Vec<(String, String)>,
    /// `-l`.
    pub labels: Vec<(String, String)>,
    /// `--ignore`: one that exists is no error (docker's way for the same options).
    pub ignore: bool,
    /// `--uid`.
    pub uid: Option<u32>,
    /// `--gid`.
    pub gid: Option<u32>,
}

/// Makes a volume; one of the same name and options is returned as it is.
///
/// # Errors
/// A bad name, an unsupported driver or option, other options than the existing one's.
pub fn create(_ctx: &Context, _options: &VolumeOptions) -> Result<Volume, Error> {
    todo!()
}

/// Lists volumes by name. Filters: `dangling`, `driver`, `label`, `name`, `opt`, `until`.
///
/// # Errors
/// An unknown filter, or a store that cannot be read.
pub fn ls(_ctx: &Context, _filters: &[String]) -> Result<Vec<Volume>, Error> {
    todo!()
}

/// One volume as docker's JSON.
///
/// # Errors
/// No such volume.
pub fn inspect(_ctx: &Context, _name: &str) -> Result<serde_json::Value, Error> {
    todo!()
}

/// Removes volumes; `force` makes a missing one no error and (podman) removes its stopped users too.
///
/// # Errors
/// Only what concerns all; in use or missing goes to `report`.
pub fn rm(
    _ctx: &Context,
    _names: &[String],
    _all: bool,
    _force: bool,
    _report: &mut dyn FnMut(Done<String>),
) -> Result<(), Error> {
    todo!()
}

/// Whether it exists.
///
/// # Errors
/// A store that cannot be read.
pub fn exists(_ctx: &Context, _name: &str) -> Result<bool, Error> {
    todo!()
}

/// `volume export`: its content as a tar.
///
/// # Errors
/// No such volume.
pub fn export(_ctx: &Context, _name: &str, _out: &mut dyn Write) -> Result<u64, Error> {
    todo!()
}

/// `volume import`: fills it from a tar.
///
/// # Errors
/// No such volume, or a broken stream.
pub fn import(_ctx: &Context, _name: &str, _tar: &mut dyn Read) -> Result<u64, Error> {
    todo!()
}

/// `volume mount`: the host path of its content.
///
/// # Errors
/// No such volume.
pub fn mountpoint(_ctx: &Context, _name: &str) -> Result<String, Error> {
    todo!()
}
