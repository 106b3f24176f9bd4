//! `create`: pulls what is missing, resolves the options and stores the container.

use std::path::PathBuf;

use super::context::Context;
use super::error::Error;
use super::progress::Progress;
use crate::model::create::CreateOptions;
use crate::model::id::ContainerId;

/// Files that `create` and `run` write beside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SideFiles {
    /// `--cidfile`: must not exist.
    pub cidfile: Option<PathBuf>,
    /// `--pidfile`: pid of the container's init, written at start.
    pub pidfile: Option<PathBuf>,
    /// `--conmon-pidfile`: pid of the monitor.
    pub monitor_pidfile: Option<PathBuf>,
}

/// A container that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// Things worth saying that are no errors ("Published ports are discarded when using host network mode").
    pub warnings: Vec<String>,
}

/// Creates a container.
///
/// # Errors
/// No image, a name that is taken, options that contradict each other or that this host cannot honour.
pub fn create(
    _ctx: &Context,
    _options: &CreateOptions,
    _files: &SideFiles,
    _progress: &dyn Progress,
) -> Result<Created, Error> {
    todo!()
}
