//! The words: plain types that every layer speaks.
//!
//! Nothing here does I/O, and nothing here knows clap, nix or the OCI crates. String syntaxes
//! that users type (`-p 8080:80`, `-v a:/b:ro`, `512m`, `nginx:1.25`) are `FromStr` on the type
//! that they describe, because the command line, compose files and the REST API share them.
//!
//! Three shapes of a container, and no fourth: [`create::CreateOptions`] (what the caller said),
//! [`container::ContainerSpec`] (what will be, every default written out) and the OCI runtime
//! spec (how; derived in `runtime::oci` at start, never stored as truth).

pub mod container;
pub mod create;
pub mod digest;
pub mod event;
pub mod id;
pub mod image;
pub mod lifecycle;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod process;
pub mod reference;
pub mod resources;
pub mod secret;
pub mod security;
pub mod transport;
pub mod units;
pub mod volume;

/// A text that does not follow the grammar of the type it should become.
///
/// `what` names the kind of value in the words a user knows ("port mapping", "size"), `given` is
/// the text as typed, `why` says what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {given:?}: {why}")]
pub struct ParseError {
    /// Kind of value, for example "port mapping".
    pub what: &'static str,
    /// The text as it was given.
    pub given: String,
    /// What is wrong, lower case, no period.
    pub why: String,
}

impl ParseError {
    /// Makes the error; `why` is lower case and has no period.
    pub fn new(what: &'static str, given: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what, given: given.into(), why: why.into() }
    }
}
