//! `container clone`: a new container made with the options of another.

use super::context::Context;
use super::create::Created;
use super::error::Error;
use super::progress::Progress;
use crate::model::resources::Resources;

/// How to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CloneOptions {
    /// Name of the clone; `NAME-clone` by default.
    pub name: Option<String>,
    /// Another image.
    pub image: Option<String>,
    /// Limits that differ.
    pub resources: Resources,
    /// `--destroy`: remove the original.
    pub destroy: bool,
    /// `-f`: with `--destroy`, even if it runs.
    pub force: bool,
    /// `--run`: start the clone.
    pub run: bool,
}

/// Clones a container.
///
/// # Errors
/// As `create`.
pub fn clone(
    _ctx: &Context,
    _name: &str,
    _options: &CloneOptions,
    _progress: &dyn Progress,
) -> Result<Created, Error> {
    todo!()
}
