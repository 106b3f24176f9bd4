//! Pull: a reference becomes an image in the store.
//!
//! Manifest (of an index: the platform's one) → config → what is missing → layers, several at once, each in one
//! pipeline ([`layer`]): transfer → digest → decompression → diffID → unpacking. Nothing is visible before every
//! digest and size has been checked; `storage` then publishes all in one transaction.
//!
//! One source (mirror or registry) serves a whole pull: a mirror that fails anywhere is left for the next one.

mod fetch;
mod find;
pub(crate) mod layer;

use futures_util::{StreamExt as _, TryStreamExt as _};

use self::find::Found;
use super::Error;
use super::env::Env;
use super::progress::{LayerState, Progress};
use super::registries::{Registries, Source};
use super::registry::{Access, Remote, block_on};
use crate::model::create::RegistryOptions;
use crate::model::digest::Digest;
use crate::model::image::{Image, Platform};
use crate::model::reference::ImageRef;
use crate::storage::layers::{Blob, Pull, StagedLayer, Wanted, wanted};
use crate::storage::{self, Store};

/// Layers at once, as docker has it.
const DEFAULT_JOBS: usize = 3;

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
}

impl<'a> PullRequest<'a> {
    pub(super) fn access(&self) -> Access<'a> {
        Access { options: self.options, registries: self.registries, env: self.env }
    }
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
    let pulled = try_all(request, progress, |reference, source| {
        // The threads of all layers end before this returns, whatever happens.
        std::thread::scope(|threads| {
            block_on(progress, async {
                let remote = Remote::new(&request.access(), source, "pull")?;
                let pull = OnePull { store, request, reference, remote: &remote, threads, progress };
                pull.run().await
            })
        })
    })?;
    store.checkpoint()?;
    progress.config(&pulled.image.id);
    progress.done(&pulled.reference, &pulled.digest, pulled.up_to_date);
    Ok(pulled)
}

/// The digest that a reference has in its registry now, for `--pull=newer`; asks without fetching the image.
///
/// # Errors
/// As [`pull`].
pub fn remote_digest(request: &PullRequest<'_>, progress: &dyn Progress) -> Result<Digest, Error> {
    try_all(request, &super::NoProgress, |_, source| {
        block_on(progress, async {
            let remote = Remote::new(&request.access(), source, "pull")?;
            remote.digest(source.reference.version(), &|_, _| {}).await
        })
    })
}

/// All tags of a repository.
///
/// # Errors
/// As [`pull`].
pub fn remote_tags(request: &PullRequest<'_>, progress: &dyn Progress) -> Result<Vec<String>, Error> {
    try_all(request, &super::NoProgress, |_, source| {
        block_on(progress, async { Remote::new(&request.access(), source, "pull")?.tags(&|_, _| {}).await })
    })
}

/// Tries each candidate at each of its sources until one succeeds.
fn try_all<T>(
    request: &PullRequest<'_>,
    progress: &dyn Progress,
    mut attempt: impl FnMut(&ImageRef, &Source) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut failed = Vec::new();
    for reference in &request.candidates {
        let mut last = None;
        for source in request.registries.sources(reference)? {
            progress.trying(reference, &source.reference.to_string());
            match attempt(reference, &source) {
                Ok(done) => return Ok(done),
                // Another place would not help.
                Err(e @ (Error::Interrupted | Error::DiskFull { .. } | Error::Storage(_))) => return Err(e),
                Err(e) if source.mirror => {
                    progress.warning(&format!("mirror {}: {e}", source.reference.registry));
                }
                Err(e) => last = Some(e),
            }
        }
        failed.extend(last.map(|e| (reference.to_string(), e)));
    }
    match failed.len() {
        1 => Err(failed.remove(0).1),
        _ => {
            let name = request.candidates.first().map(ImageRef::familiar).unwrap_or_default();
            Err(Error::AllFailed { name, tried: failed })
        }
    }
}

/// A pull from one source.
struct OnePull<'a, 'scope, 'env> {
    store: &'a Store,
    request: &'a PullRequest<'a>,
    /// What the user means; the image is named after it even if a mirror serves it.
    reference: &'a ImageRef,
    remote: &'a Remote,
    threads: &'scope std::thread::Scope<'scope, 'env>,
    progress: &'scope dyn Progress,
}

impl<'scope> OnePull<'_, 'scope, '_> {
    async fn run(&self) -> Result<Pulled, Error> {
        let found = find::find(self.remote, self.request.platform.as_ref(), self.progress).await?;
        let image = found.image(self.reference);
        let list: Vec<_> = found.manifest.layers.iter().map(|l| (l.digest.clone(), l.size)).collect();
        self.progress.layers(self.reference, &list);

        sweep(self.store, self.progress);
        let before = self.store.image_by_name(&self.reference.to_string())?;
        let layers = wanted(&found.config.diff_ids);
        let digest_of = |chain: &Digest| layers.iter().position(|w| w.chain == *chain).map(|i| &list[i].0);
        let pull = self.store.begin_pull(layers.clone(), &mut |chain, first| {
            if let (true, Some(d)) = (first, digest_of(chain)) {
                self.progress.layer(d, LayerState::WaitingForOther);
            }
            !self.progress.cancelled()
        })?;
        for (w, (digest, _)) in layers.iter().zip(&list) {
            let state = if pull.missing().contains(w) { LayerState::Pending } else { LayerState::Exists };
            self.progress.layer(digest, state);
        }
        let up_to_date = pull.missing().is_empty() && before.is_some_and(|b| b.id == image.id);
        let staged = self.fetch_missing(&pull, &layers, &found).await?;
        let image = self.publish(pull, staged, image, &layers, &found)?;
        Ok(Pulled { image, reference: self.reference.clone(), digest: found.digest, up_to_date })
    }

    /// Fetches what is missing, the largest layers first so that none is left for the end alone.
    async fn fetch_missing(
        &self,
        pull: &Pull,
        layers: &[Wanted],
        found: &Found,
    ) -> Result<Vec<StagedLayer>, Error> {
        let mut missing: Vec<_> =
            layers.iter().zip(&found.manifest.layers).filter(|(w, _)| pull.missing().contains(w)).collect();
        missing.sort_by_key(|(_, d)| std::cmp::Reverse(d.size));
        let jobs = if self.request.jobs == 0 { DEFAULT_JOBS } else { self.request.jobs };
        let fetches = missing.into_iter().map(|(w, d)| async move {
            let writer = pull.writer(w, &storage::unpack::Limits::default())?;
            let fetch = fetch::Fetch { remote: self.remote, blob: d, progress: self.progress };
            fetch.layer(self.threads, writer, w, self.store.paths()).await
        });
        futures_util::stream::iter(fetches).buffer_unordered(jobs).try_collect().await
    }

    fn publish(
        &self,
        pull: Pull,
        staged: Vec<StagedLayer>,
        mut image: Image,
        layers: &[Wanted],
        found: &Found,
    ) -> Result<Image, Error> {
        let source = self.remote.reference.name();
        let blobs: Vec<Blob> = layers
            .iter()
            .zip(&found.manifest.layers)
            .map(|(w, d)| Blob {
                digest: d.digest.clone(),
                diff_id: w.diff_id.clone(),
                media_type: d.media_type.clone(),
                size: d.size,
                source: source.clone(),
            })
            .collect();
        image.size = total_size(self.store, layers, &staged)?;
        let documents = found.documents();
        pull.publish(self.store, staged, Some((&image, &documents)), &blobs)?;
        // Names and digests that it had before are part of it, too.
        Ok(self.store.image(&image.id)?)
    }
}

/// Clears away what a killed pull has left, if there is anything: its space may be needed now.
pub(crate) fn sweep(store: &Store, progress: &dyn Progress) {
    let something = |dir: std::path::PathBuf| std::fs::read_dir(dir).is_ok_and(|mut d| d.next().is_some());
    let paths = store.paths();
    if (something(paths.tmp()) || something(paths.trash()))
        && let Err(e) = store.sweep()
    {
        progress.warning(&format!("clearing away what a killed process left: {}", super::error::chain(&e)));
    }
}

/// Bytes of all layers, stored and staged.
pub(crate) fn total_size(store: &Store, layers: &[Wanted], staged: &[StagedLayer]) -> Result<u64, Error> {
    let mut size = 0;
    for w in layers {
        size += match staged.iter().find(|s| s.layer().chain == w.chain) {
            Some(s) => s.layer().size,
            None => store.layer(&w.chain)?.map_or(0, |l| l.size),
        };
    }
    Ok(size)
}
