//! Garbage: what a crash left behind, layers that nothing needs, and rows whose files are gone.
//!
//! Whatever is being made is under a lock that dies with its maker; what has no row and no lock is garbage. A
//! volume's directory without a row is the exception: it may hold someone's data, so it is reported, not deleted.

use std::path::Path;
use std::time::Duration;

use rustix::fs::CWD;
use sha2::{Digest as _, Sha256};

use super::db::Store;
use super::error::{Error, Kind, Result};
use super::lock::{self, FileLock};
use super::paths::{Paths, ensure_private};
use super::{file, layers, leases, reserve, tree, volatile};
use crate::model::digest::{ChainId, Digest};
use crate::model::id::ContainerId;

/// What a sweep found and deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Half-made things of dead processes, and things whose deletion was cut short.
    pub staging: u64,
    /// Directories without a row.
    pub orphans: u64,
    /// Leases of containers that do not run.
    pub leases: u64,
    /// Layers that no image and no container needs.
    pub layers: Vec<ChainId>,
    /// Bytes given back.
    pub bytes: u64,
}

/// A row whose file is gone or damaged, or a directory that no row speaks of and that is not ours to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Kind of thing.
    pub kind: Kind,
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

impl Store {
    /// Deletes everything that is garbage: staging of dead makers, trash, directories without rows, dead leases,
    /// unneeded layers.
    ///
    /// # Errors
    /// The first failure; what could be deleted is.
    pub fn sweep(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        let steps: [fn(&Self, &mut Swept) -> Result<()>; 6] = [
            Self::sweep_staging,
            Self::sweep_containers,
            Self::sweep_run,
            Self::sweep_unneeded_layers,
            Self::sweep_layer_directories,
            Self::sweep_locks,
        ];
        let mut first = None;
        for step in steps {
            if let Err(e) = step(self, &mut swept) {
                first.get_or_insert(e);
            }
        }
        reserve::renew(&self.paths);
        first.map_or(Ok(swept), Err)
    }

    fn sweep_staging(&self, swept: &mut Swept) -> Result<()> {
        let trash = self.paths.trash();
        for name in names(&trash)? {
            swept.bytes += tree::remove(&trash.join(name))?;
            swept.staging += 1;
        }
        let tmp = self.paths.tmp();
        for name in names(&tmp)? {
            let path = tmp.join(name);
            let Ok(dir) = tree::open_dir(CWD, &path) else { continue };
            // Its maker holds the lock; when we get it, there is none.
            if lock::try_lock_dir(&dir) {
                swept.bytes += tree::remove(&path)?;
                swept.staging += 1;
            }
        }
        Ok(())
    }

    fn sweep_containers(&self, swept: &mut Swept) -> Result<()> {
        let all = self.paths.containers();
        for name in names(&all)? {
            let Ok(id) = name.parse::<ContainerId>() else { continue };
            let path = self.paths.container(&id);
            let Ok(dir) = tree::open_dir(CWD, &path) else { continue };
            // Locked while it is made, until its row is there: lock first, then look.
            if lock::try_lock_dir(&dir) && self.is_gone(&id)? {
                swept.bytes += discard(&self.paths, &path);
                swept.orphans += 1;
            }
        }
        Ok(())
    }

    /// What a killed command left of one container: its directories, where it has no row and nobody holds their locks.
    /// Returns whether nothing is left to do: all is gone, or there is a row.
    ///
    /// # Errors
    /// What SQLite or the kernel says.
    pub fn sweep_container(&self, id: &ContainerId) -> Result<bool> {
        let (path, run) = (self.paths.container(id), self.paths.run_container(id));
        // Locked while it is made, until its row is there: lock first, then look.
        let held = match tree::open_dir(CWD, &path) {
            Ok(dir) if lock::try_lock_dir(&dir) => Some(dir),
            Ok(_) => return Ok(false),
            Err(_) => None,
        };
        if !self.is_gone(id)? {
            return Ok(true);
        }
        if held.is_some() {
            discard(&self.paths, &path);
        }
        if run.exists() {
            let Ok(run) = volatile::RunDir::acquire(&self.paths, id) else { return Ok(false) };
            run.remove()?;
        }
        Ok(true)
    }

    fn is_gone(&self, id: &ContainerId) -> Result<bool> {
        match self.container(id) {
            Err(Error::NotFound { .. }) => Ok(true),
            Err(e) => Err(e),
            Ok(_) => Ok(false),
        }
    }

    /// Run directories of containers that are no more, and leases of those that do not run.
    fn sweep_run(&self, swept: &mut Swept) -> Result<()> {
        for (id, alive) in volatile::list(&self.paths)? {
            if !alive && self.is_gone(&id)? {
                // The lock is ours while we delete: a starter cannot slip in.
                if let Ok(run) = volatile::RunDir::acquire(&self.paths, &id) {
                    run.remove()?;
                    swept.orphans += 1;
                }
            }
        }
        swept.leases += leases::sweep(&self.paths)?;
        Ok(())
    }

    fn sweep_unneeded_layers(&self, swept: &mut Swept) -> Result<()> {
        let collected = self.write("collecting layers", |tx| {
            let tops: Vec<String> = tx
                .prepare_cached(
                    "SELECT chain FROM layers l
                     WHERE NOT EXISTS (SELECT 1 FROM layers WHERE parent = l.chain)
                       AND NOT EXISTS (SELECT 1 FROM images WHERE top = l.chain)",
                )
                .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
                .map_err(|e| self.error("collecting layers", e))?;
            tops.into_iter().map(|top| self.collect_layers(tx, Some(top))).collect::<Result<Vec<_>>>()
        })?;
        for layers in collected {
            let (chains, bytes) = layers.discard(&self.paths);
            swept.layers.extend(chains);
            swept.bytes += bytes;
        }
        Ok(())
    }

    /// Layers that a sweep would take, rows and directories without one, with the time since they were made.
    ///
    /// # Errors
    /// What SQLite or the kernel says.
    pub fn unused_layers(&self) -> Result<Vec<(ChainId, Duration)>> {
        // What an image, a container or a mount stands on, down to the bottom.
        let needed: Vec<String> = self.read("looking for unused layers", || {
            let sql = "WITH RECURSIVE needed(chain) AS (
                           SELECT top FROM images UNION SELECT top FROM containers
                           UNION SELECT key FROM container_uses WHERE kind = 'layer'
                           UNION SELECT parent FROM layers l JOIN needed n ON l.chain = n.chain
                       ) SELECT chain FROM needed WHERE chain IS NOT NULL";
            self.conn.prepare_cached(sql)?.query_map([], |r| r.get(0))?.collect()
        })?;
        let mut unused = Vec::new();
        for name in names(&self.paths.layers())? {
            let Ok(chain) = layer_of(&name) else { continue };
            if needed.iter().any(|n| n == chain.as_str()) {
                continue;
            }
            let made = std::fs::metadata(self.paths.layer(&chain)).and_then(|m| m.modified());
            unused.push((chain, made.ok().and_then(|m| m.elapsed().ok()).unwrap_or_default()));
        }
        Ok(unused)
    }

    /// Directories that were renamed into place by a process that died before its transaction.
    fn sweep_layer_directories(&self, swept: &mut Swept) -> Result<()> {
        let all = self.paths.layers();
        for name in names(&all)? {
            let Ok(chain) = layer_of(&name) else { continue };
            let Some(lock) = FileLock::try_acquire(&layers::lock_path(&self.paths, &chain))? else {
                continue;
            };
            if self.layer(&chain)?.is_none() {
                swept.bytes += discard(&self.paths, &self.paths.layer(&chain));
                swept.orphans += 1;
            }
            lock.remove();
        }
        Ok(())
    }

    fn sweep_locks(&self, _: &mut Swept) -> Result<()> {
        let all = self.paths.locks();
        for name in names(&all)? {
            if let Some(lock) = FileLock::try_acquire(&all.join(name))? {
                lock.remove();
            }
        }
        Ok(())
    }

    /// Looks for rows without files (`system check`). `thorough` makes each layer's archive again and compares
    /// its digest.
    ///
    /// # Errors
    /// What the database says.
    pub fn check(&self, thorough: bool) -> Result<Vec<Damage>> {
        let mut found = Vec::new();
        for layer in self.list_layers()? {
            if let Some(why) = self.check_layer(&layer, thorough)? {
                found.push(Damage { kind: Kind::Layer, key: layer.chain.to_string(), why });
            }
        }
        for image in self.list_images()? {
            for digest in [&image.id, &image.manifest] {
                let why = match self.document(digest)? {
                    None => format!("its document {digest} is missing"),
                    Some(d)
                        if digest.algorithm() == "sha256"
                            && Digest::sha256(Sha256::digest(&d.bytes).into()) != *digest =>
                    {
                        format!("its document {digest} has changed")
                    }
                    Some(_) => continue,
                };
                found.push(Damage { kind: Kind::Image, key: image.id.to_string(), why });
            }
        }
        for container in self.list_containers()? {
            if let Err(e) = self.spec(&container.id) {
                found.push(Damage {
                    kind: Kind::Container,
                    key: container.id.to_string(),
                    why: chain_of(&e),
                });
            }
        }
        self.check_volumes(&mut found)?;
        Ok(found)
    }

    fn check_layer(&self, layer: &layers::Layer, thorough: bool) -> Result<Option<String>> {
        let diff = self.paths.layer_diff(&layer.chain);
        if !diff.is_dir() {
            return Ok(Some(format!("its directory {} is missing", diff.display())));
        }
        // An archive that is not all in the tree has no recipe, so that nothing can be compared.
        if !thorough || !self.paths.layer(&layer.chain).join("tar.recipe").exists() {
            return Ok(None);
        }
        let mut hash = Hash(Sha256::new());
        match self.layer_tar(&layer.chain, &mut hash) {
            Ok(_) if Digest::sha256(hash.0.finalize().into()) == layer.diff_id => Ok(None),
            Ok(_) => Ok(Some("its content has changed".into())),
            Err(Error::NoRecipe { why, .. }) => Ok(Some(why)),
            Err(e) => Err(e),
        }
    }

    fn check_volumes(&self, found: &mut Vec<Damage>) -> Result<()> {
        let rows = self.list_volumes()?;
        for volume in &rows {
            if !self.paths.volume_data(&volume.name).is_dir() {
                let why = format!("its directory {} is missing", volume.mountpoint);
                found.push(Damage { kind: Kind::Volume, key: volume.name.clone(), why });
            }
        }
        for name in names(&self.paths.volumes())? {
            if !rows.iter().any(|v| v.name == name) {
                let why = format!(
                    "{} belongs to no volume; take it up by rcon volume reload, or delete it if it is not wanted",
                    self.paths.volume(&name).display()
                );
                found.push(Damage { kind: Kind::Volume, key: name, why });
            }
        }
        Ok(())
    }
}

/// An error with its causes, in one line.
fn chain_of(e: &Error) -> String {
    let mut text = e.to_string();
    let mut cause = std::error::Error::source(e);
    while let Some(e) = cause {
        text = format!("{text}: {e}");
        cause = e.source();
    }
    text
}

/// A writer that only hashes.
pub(super) struct Hash(pub(super) Sha256);

impl std::io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The chain of a layer's directory name, which does not say the algorithm.
fn layer_of(name: &str) -> std::result::Result<ChainId, crate::model::ParseError> {
    let algorithm = if name.len() == 128 { "sha512" } else { "sha256" };
    format!("{algorithm}:{name}").parse()
}

/// Names in a directory; none when there is no directory.
fn names(dir: &Path) -> Result<Vec<String>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::io("list", dir, e)),
    }
}

/// Takes something out of sight (a rename, which needs no space) and deletes it. What cannot be deleted now stays
/// in the trash until the next sweep.
pub(super) fn discard(paths: &Paths, path: &Path) -> u64 {
    let trash = paths.trash();
    let renamed = ensure_private(&trash).and_then(|()| file::random_hex::<8>()).ok().and_then(|unique| {
        let to = trash.join(unique);
        std::fs::rename(path, &to).ok().map(|()| to)
    });
    tree::remove(renamed.as_deref().unwrap_or(path)).unwrap_or(0)
}
