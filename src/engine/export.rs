//! `export`: a container's file system as one tar.

use std::io::Write;

use super::context::Context;
use super::error::Error;

/// Writes the container's file system as a tar stream; returns bytes written.
///
/// # Errors
/// No such container, or the writer fails.
pub fn export(_ctx: &Context, _name: &str, _out: &mut dyn Write) -> Result<u64, Error> {
    todo!()
}
