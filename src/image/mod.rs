//! Registries and formats: where an image comes from and what it is made of.
//!
//! - [`resolve`]: a name as typed → the references to try, by `registries.conf` ([`registries`])
//! - [`auth`]: credentials from `auth.json`, docker's `config.json` and credential helpers
//! - [`registry`]: the HTTP side; the only async code below the REST API
//! - [`manifest`], [`config`]: documents of OCI and docker, checked; choice of a platform
//! - [`pull`]: what is missing is fetched, layers in parallel, each in one pipeline into the store
//!
//! Not here: the layer store itself and the rows of images (`storage`), the verbs (`engine::images`), printing.

pub mod archive;
pub mod auth;
pub mod config;
pub mod env;
pub mod error;
pub mod manifest;
pub mod policy;
pub mod progress;
pub mod pull;
pub mod push;
pub mod registries;
pub mod registry;
pub mod resolve;

pub use env::Env;
pub use error::Error;
pub use progress::{LayerState, NoProgress, Progress};
pub use pull::{PullRequest, Pulled, pull};
pub use registries::Registries;
pub use registry::SearchResult;
pub use resolve::resolve;

/// Asks a registry whether it believes these credentials (`login`).
///
/// # Errors
/// The registry refuses them, or cannot be reached.
pub fn check_login(
    registries: &Registries,
    env: &Env,
    options: &crate::model::create::RegistryOptions,
    registry: &str,
    credentials: auth::Credentials,
) -> Result<(), Error> {
    let access = registry::Access { options, registries, env };
    registry::block_on(&NoProgress, registry::hub::check_login(&access, registry, credentials))
}

/// Repositories of a registry that fit a term.
///
/// # Errors
/// The registry cannot be reached or offers no search.
pub fn search(
    registries: &Registries,
    env: &Env,
    options: &crate::model::create::RegistryOptions,
    registry: &str,
    term: &str,
    limit: usize,
) -> Result<Vec<SearchResult>, Error> {
    let access = registry::Access { options, registries, env };
    registry::block_on(&NoProgress, registry::hub::search(&access, registry, term, limit))
}
