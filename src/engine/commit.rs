//! `commit`: makes an image of a container.

use super::context::Context;
use super::error::Error;
use crate::model::digest::Digest;

/// How to commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// Name of the new image; none makes an untagged one.
    pub name: Option<String>,
    /// `-a`.
    pub author: Option<String>,
    /// `-m`.
    pub message: Option<String>,
    /// `-c`: Dockerfile instructions (`CMD`, `ENV`, `EXPOSE`, …).
    pub changes: Vec<String>,
    /// `-p`: pause while it is made.
    pub pause: bool,
    /// `-s`: one layer.
    pub squash: bool,
    /// `--include-volumes`.
    pub include_volumes: bool,
    /// `-f`: `oci` (default) or `docker`.
    pub format: Option<String>,
}

/// Makes an image of a container and returns its id.
///
/// # Errors
/// No such container, a change that does not parse, a full disk.
pub fn commit(_ctx: &Context, _name: &str, _options: &CommitOptions) -> Result<Digest, Error> {
    todo!()
}
