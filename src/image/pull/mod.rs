//! Pull: a reference becomes an image in the store.
//!
//! Manifest (of an index: the platform's one) → config → what is missing → layers, several at once, each in one
//! pipeline (`layer`): transfer → digest → decompression → diffID → unpacking. Nothing is visible before every
//! digest and size has been checked; `storage` then publishes all in one transaction.

use std::sync::atomic::AtomicBool;

use super::Error;
use super::env::Env;
use super::progress::Progress;
use super::registries::Registries;
use crate::model::create::RegistryOptions;
use crate::model::digest::Digest;
use crate::model::image::{Image, Platform};
use crate::model::reference::ImageRef;
use crate::storage::Store;

/// What is to be pulled and how.
#[derive(Debug, Clone)]
pub struct PullRequest<'a> {
    /// References to try in order, from [`super::resolve`]; the first that exists is pulled.
    pub candidates: Vec<ImageRef>,
    /// `--platform`; `None` is this machine.
    pub platform: Option<Platform>,
    /// Flags of the command line.
    pub options: &'a RegistryOptions,
    /// registries.conf.
    pub registries: &'a Registries,
    /// Where credentials and certificates are.
    pub env: &'a Env,
    /// Layers at once; 0 is the default of three.
    pub jobs: usize,
    /// Set by the caller when the user breaks it off; the pull then cleans up and fails with [`Error::Interrupted`].
    pub cancel: Option<&'a AtomicBool>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The image as it is in the store now.
    pub image: Image,
    /// The candidate that was found.
    pub reference: ImageRef,
    /// Digest that the reference has in the registry: of the index, if it is one.
    pub digest: Digest,
    /// The name meant this image before and nothing had to be fetched ("Image is up to date").
    pub up_to_date: bool,
}

/// Pulls an image.
///
/// # Errors
/// [`Error`] names the thing and the cause; nothing half-made stays.
pub fn pull(store: &Store, request: &PullRequest<'_>, progress: &dyn Progress) -> Result<Pulled, Error> {
    let _ = (store, request, progress);
    todo!()
}

/// The digest that a reference has in its registry now, for `--pull=newer`; asks without fetching the image.
///
/// # Errors
/// As [`pull`].
pub fn remote_digest(request: &PullRequest<'_>) -> Result<Digest, Error> {
    let _ = request;
    todo!()
}
