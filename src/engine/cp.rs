//! `cp`: files between host and container, running or not; never outside the container's root.

use std::io::{Read, Write};

use super::context::Context;
use super::error::Error;

/// How to copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// `-a`: keep uid and gid.
    pub archive: bool,
    /// `-L`: follow a symlink at the source.
    pub follow: bool,
    /// `--overwrite`: a directory may be replaced by a file and the other way round.
    pub overwrite: bool,
}

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A host path.
    Host(String),
    /// A path in a container.
    Container {
        /// Name or id.
        name: String,
        /// Path inside.
        path: String,
    },
}

/// Copies between host and container or between two containers. Returns bytes copied.
///
/// # Errors
/// No such container or path; a destination that does not fit the source.
pub fn cp(_ctx: &Context, _from: &End, _to: &End, _options: &CopyOptions) -> Result<u64, Error> {
    todo!()
}

/// `cp - CTR:PATH`: unpacks a tar stream below a directory of the container.
///
/// # Errors
/// As [`cp`], or a broken stream.
pub fn unpack(
    _ctx: &Context,
    _name: &str,
    _path: &str,
    _tar: &mut dyn Read,
    _options: &CopyOptions,
) -> Result<u64, Error> {
    todo!()
}

/// `cp CTR:PATH -`: writes a tar stream of a path of the container.
///
/// # Errors
/// As [`cp`].
pub fn pack(
    _ctx: &Context,
    _name: &str,
    _path: &str,
    _tar: &mut dyn Write,
    _options: &CopyOptions,
) -> Result<u64, Error> {
    todo!()
}
