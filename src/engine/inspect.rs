//! `inspect`: all that is known of a container, in docker's JSON shape with podman's additions.

use super::context::Context;
use super::error::Error;

/// What is to be inspected (`--type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// The first that has the name: container, image, network, volume.
    #[default]
    Any,
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

/// One container as JSON.
///
/// # Errors
/// No such container.
pub fn container(_ctx: &Context, _name: &str, _size: bool) -> Result<serde_json::Value, Error> {
    todo!()
}

/// The command line that makes the container (`inspect --as-run`), as an argument list.
///
/// # Errors
/// No such container.
pub fn as_run(_ctx: &Context, _name: &str) -> Result<Vec<String>, Error> {
    todo!()
}

/// Whether a container of that name or id exists (`container exists`).
///
/// # Errors
/// A store that cannot be read.
pub fn exists(_ctx: &Context, _name: &str) -> Result<bool, Error> {
    todo!()
}
