//! Making layers: locks of the chains that are wanted, staging, and the moment in which they appear.
//!
//! A pull takes the locks of all its chains (sorted, so two pulls cannot wait for each other): shared for a layer
//! that is there, exclusive for one to be made. It unpacks what is missing into `<root>/tmp`, flushes the file system
//! once, renames, and inserts everything in one transaction. A directory below `layers/` is therefore always
//! complete, and nothing that a pull counts on is collected while it runs.

use std::io::Read;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode};
use sha2::{Digest as _, Sha256};

use super::db::Store;
use super::error::{Error, Result};
use super::images::{self, Document};
use super::layers::{self, Blob, Layer, Wanted};
use super::lock::{self, FileLock};
use super::paths::{Paths, ensure_private};
use super::recipe::{self, KEPT, Recorder};
use super::unpack::{self, Limits};
use super::{file, gc, overlay, tree};
use crate::model::digest::{ChainId, DiffId, Digest};
use crate::model::image::Image;

/// Whether to go on waiting for a layer that another process makes; the second argument is true the first time.
pub type OnWait<'a> = dyn FnMut(&ChainId, bool) -> bool + 'a;

/// Pauses between two looks at a layer that another process makes.
const WAIT_FIRST: Duration = Duration::from_millis(2);
const WAIT_LONGEST: Duration = Duration::from_millis(50);

/// A pull (or load, commit, build step) in progress: holds the locks of its chains.
#[derive(Debug)]
pub struct Pull {
    paths: Paths,
    missing: Vec<Wanted>,
    made: Vec<FileLock>,
    present: Vec<FileLock>,
}

/// Writes one missing layer. `Send`: unpack in as many threads as you like.
#[derive(Debug)]
pub struct LayerWriter {
    wanted: Wanted,
    limits: Limits,
    staging: Staging,
}

/// A layer unpacked into staging, not yet visible. Dropped without being published, it is deleted.
#[derive(Debug)]
pub struct StagedLayer {
    layer: Layer,
    has_root: bool,
    staging: Staging,
}

/// A directory below `tmp`, locked while its maker lives, deleted when dropped.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) path: PathBuf,
    lock: Option<OwnedFd>,
}

impl Staging {
    /// Makes a fresh one. The sweeper may look at it before we have the lock; then we make another.
    pub(super) fn new(paths: &Paths, kind: &str) -> Result<Self> {
        ensure_private(&paths.tmp())?;
        loop {
            let path = paths.tmp().join(format!("{kind}-{}", file::random_hex::<8>()?));
            rustix::fs::mkdir(&path, Mode::RWXU).map_err(|e| Error::io("create directory", &path, e))?;
            let Ok(fd) = tree::open_dir(CWD, &path) else { continue };
            if lock::try_lock_dir(&fd)
                && rustix::fs::statat(CWD, &path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok()
            {
                return Ok(Self { path, lock: Some(fd) });
            }
        }
    }

    /// Renames it to where it is to stay.
    pub(super) fn settle(mut self, to: &Path) -> Result<()> {
        std::fs::rename(&self.path, to).map_err(|e| Error::io("rename into place", to, e))?;
        self.lock = None;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What cannot be deleted now is swept later.
            let _ = tree::remove(&self.path);
        }
    }
}

impl Store {
    /// Begins a pull: waits for other processes that are making one of these layers, then says which are still
    /// missing. `on_wait` is asked again and again whether to go on waiting, with `true` the first time for a layer.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when it did not; what the kernel or the database says.
    pub fn begin_pull(&self, wanted: Vec<Wanted>, on_wait: &mut OnWait<'_>) -> Result<Pull> {
        let mut sorted: Vec<&ChainId> = wanted.iter().map(|w| &w.chain).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let (mut made, mut present) = (Vec::new(), Vec::new());
        let mut absent = Vec::new();
        for chain in sorted {
            match self.lock_chain(chain, on_wait)? {
                (lock, true) => present.push(lock),
                (lock, false) => {
                    // Renamed into place by a process that died before its transaction.
                    gc::discard(&self.paths, &self.paths.layer(chain));
                    made.push(lock);
                    absent.push(chain.clone());
                }
            }
        }
        let mut missing = wanted;
        missing.retain(|w| absent.contains(&w.chain));
        Ok(Pull { paths: self.paths.clone(), missing, made, present })
    }

    /// Whether a layer is there: its row and its tree. A row without a tree is damage, which a pull heals.
    fn has_layer(&self, chain: &ChainId) -> Result<bool> {
        Ok(self.layer(chain)?.is_some() && self.paths.layer_diff(chain).is_dir())
    }

    /// Locks a chain; `true` when the layer is there (and the lock shared).
    fn lock_chain(&self, chain: &ChainId, on_wait: &mut OnWait<'_>) -> Result<(FileLock, bool)> {
        let path = layers::lock_path(&self.paths, chain);
        let (mut told, mut pause) = (false, WAIT_FIRST);
        loop {
            if self.has_layer(chain)? {
                let lock = FileLock::acquire_shared(&path)?;
                if self.has_layer(chain)? {
                    return Ok((lock, true));
                }
                continue;
            }
            // Looking again instead of sleeping in the lock: who waits can be broken off.
            let Some(lock) = FileLock::try_acquire(&path)? else {
                if !on_wait(chain, !std::mem::replace(&mut told, true)) {
                    return Err(Error::Interrupted);
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(WAIT_LONGEST);
                continue;
            };
            if !self.has_layer(chain)? {
                return Ok((lock, false));
            }
            // Made by the one we waited for.
            lock.share()?;
            if self.has_layer(chain)? {
                return Ok((lock, true));
            }
        }
    }
}

impl Pull {
    /// Layers that have to be fetched, lowest first.
    #[must_use]
    pub fn missing(&self) -> &[Wanted] {
        &self.missing
    }

    /// A writer for one missing layer.
    ///
    /// # Errors
    /// The staging directory cannot be made.
    pub fn writer(&self, wanted: &Wanted, limits: &Limits) -> Result<LayerWriter> {
        LayerWriter::new(&self.paths, wanted.clone(), limits.clone())
    }

    /// Makes layers, image, names and blob facts visible: one flush, then one transaction. `image` is `None`
    /// to publish layers alone (build cache).
    ///
    /// # Errors
    /// What the kernel or the database says; then nothing is visible.
    pub fn publish(
        self,
        store: &Store,
        staged: Vec<StagedLayer>,
        image: Option<(&Image, &[Document])>,
        blobs: &[Blob],
    ) -> Result<()> {
        let mut staged = staged;
        let depth = |s: &StagedLayer| self.missing.iter().position(|w| w.chain == s.layer.chain);
        staged.sort_by_key(depth);
        if !staged.is_empty() {
            store.sync_files()?;
            ensure_private(&self.paths.layers())?;
        }
        let mut rows = Vec::with_capacity(staged.len());
        for layer in staged {
            rows.push(self.settle(layer)?);
        }
        store.write("recording an image", |tx| {
            for layer in &rows {
                layers::insert_layer(store, tx, layer)?;
            }
            layers::insert_blobs(store, tx, blobs)?;
            match image {
                Some((image, documents)) => images::insert(store, tx, image, documents),
                None => Ok(()),
            }
        })?;
        // Waiters find the rows; a lock file that stayed behind would only be litter.
        for lock in self.made {
            lock.remove();
        }
        drop(self.present);
        store.checkpoint()
    }

    /// Moves one layer to its place.
    fn settle(&self, staged: StagedLayer) -> Result<Layer> {
        let StagedLayer { layer, has_root, staging } = staged;
        if !has_root && let Some(parent) = &layer.parent {
            inherit_root(&self.paths.layer_diff(parent), &staging.path.join("diff"))?;
        }
        try_recipe(&staging.path, &layer.diff_id)?;
        staging.settle(&self.paths.layer(&layer.chain))?;
        Ok(layer)
    }
}

/// A layer that says nothing about its root directory leaves it as it is below.
fn inherit_root(parent: &Path, diff: &Path) -> Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let meta = std::fs::metadata(parent).map_err(|e| Error::io("look at", parent, e))?;
    std::os::unix::fs::chown(diff, Some(meta.uid()), Some(meta.gid()))
        .and_then(|()| std::fs::set_permissions(diff, std::fs::Permissions::from_mode(meta.mode() & 0o7777)))
        .map_err(|e| Error::io("change owner and mode of", diff, e))
}

impl LayerWriter {
    /// A writer with a staging directory of its own.
    pub(super) fn new(paths: &Paths, wanted: Wanted, limits: Limits) -> Result<Self> {
        Ok(Self { wanted, limits, staging: Staging::new(paths, "layer")? })
    }

    /// Unpacks the uncompressed tar into staging. The caller hashes the same bytes and checks the diffID
    /// before it publishes.
    ///
    /// # Errors
    /// [`Error::Layer`] names the entry and the rule it breaks; staging is deleted on drop.
    pub fn unpack(self, mut tar: impl Read) -> Result<StagedLayer> {
        let Self { wanted, limits, staging } = self;
        let diff = staging.path.join("diff");
        rustix::fs::mkdir(&diff, Mode::from_raw_mode(0o755))
            .map_err(|e| Error::io("create directory", &diff, e))?;
        let root = tree::open_dir(CWD, &diff).map_err(|e| Error::io("open", &diff, e))?;
        // Our umask may have narrowed it.
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755))
            .map_err(|e| Error::io("change the mode of", &diff, e))?;
        let recipe = staging.path.join("tar.recipe");
        let record = |e: std::io::Error| Error::io("write", &recipe, e);
        let kept = staging.path.join(KEPT);
        let mut recorder = Recorder::new(file::create_new(&recipe)?, kept).map_err(record)?;
        let options = unpack::Options {
            limits,
            whiteouts: true,
            userxattr: overlay::needs_userxattr(),
            own: None,
            keep_kinds: false,
            maps: None,
        };
        let done = unpack::unpack_recorded(&mut tar, root.as_fd(), &options, Some(&mut recorder))
            .map_err(|source| Error::Layer { chain: wanted.chain.clone(), source })?;
        if !recorder.finish().map_err(record)? {
            std::fs::remove_file(&recipe).map_err(record)?;
        }
        let layer = Layer {
            chain: wanted.chain,
            diff_id: wanted.diff_id,
            parent: wanted.parent,
            size: done.bytes,
            entries: done.entries,
            tar_size: done.tar_bytes,
        };
        Ok(StagedLayer { layer, has_root: done.has_root, staging })
    }
}

/// A recipe that tells of replaced entries is trusted only if it gives the archive back: its paths may have meant one
/// file in several ways. One that does not goes, with what was kept for it.
fn try_recipe(layer: &Path, wanted: &DiffId) -> Result<()> {
    let (recipe, kept) = (layer.join("tar.recipe"), layer.join(KEPT));
    if !kept.exists() {
        return Ok(());
    }
    let diff = layer.join("diff");
    let diff = tree::open_dir(CWD, &diff).map_err(|e| Error::io("open", &diff, e))?;
    let mut hash = gc::Hash(Sha256::new());
    let rebuilt = recipe::rebuild(&recipe, diff.as_fd(), &mut hash);
    if rebuilt.is_ok() && Digest::sha256(hash.0.finalize().into()) == *wanted {
        return Ok(());
    }
    match std::fs::remove_file(&recipe) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", &recipe, e)),
        _ => {}
    }
    tree::remove(&kept)?;
    Ok(())
}

impl StagedLayer {
    /// The layer as it will be.
    #[must_use]
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// Puts the layer under the key that its digest turned out to have (commit, build: the tar is made and hashed
    /// while it is unpacked).
    pub fn set_wanted(&mut self, wanted: Wanted) {
        self.layer.chain = wanted.chain;
        self.layer.diff_id = wanted.diff_id;
        self.layer.parent = wanted.parent;
    }

    /// Where its files are, until it is published.
    #[must_use]
    pub fn diff(&self) -> PathBuf {
        self.staging.path.join("diff")
    }
}
