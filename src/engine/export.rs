//! `export`: a container's file system as one tar.

use std::io::Write;
use std::os::fd::AsFd as _;
use std::path::Path;

use super::context::Context;
use super::error::{Error, Kind};
use super::rootfs;
use super::view::Container;
use crate::storage::diff::{TarOptions, write_tar};

/// Writes the container's file system as a tar stream; returns bytes written. What is mounted into it (volumes, /proc,
/// /dev …) is left out, as docker's.
///
/// # Errors
/// No such container, or the writer fails.
pub fn export(ctx: &Context, name: &str, out: &mut dyn Write) -> Result<u64, Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    let spec = container.spec(&store)?;
    let root = rootfs::layers_only(ctx, &spec)?;
    let dir = root
        .read_dir_fd(Path::new("/"))
        .map_err(|e| Error::with_source(Kind::Internal, "opening the container's root", e))?;
    let options = TarOptions { whiteouts: false, epoch: None, exclude: Vec::new() };
    let written = write_tar(dir.as_fd(), &options, out)?;
    super::journal::container(ctx, "export", &container.row, &[]);
    Ok(written)
}
