//! `mount` and `unmount`: makes a container's file system visible at a host path; and [`Rootfs`], a root that
//! `cp`, `diff`, `export` and `commit` look through.

use super::context::Context;
use super::error::Error;
use super::select::{Done, Selection};
use crate::model::id::ContainerId;

/// A container's file system mounted on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Where.
    pub path: String,
}

/// Mounts each container's file system; with nothing named, lists what is mounted.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn mount(
    _ctx: &Context,
    _which: &Selection,
    _report: &mut dyn FnMut(Done<Mounted>),
) -> Result<(), Error> {
    todo!()
}

/// Takes the mounts away; `force` also where they are busy.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn unmount(
    _ctx: &Context,
    _which: &Selection,
    _force: bool,
    _report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    todo!()
}
