//! A file system archive becomes a layer.

use std::io::Read;

use super::super::progress::{Progress, Stoppable};
use super::super::pull::layer::{self, Expected};
use super::super::pull::sweep;
use super::{Error, io as failed};
use crate::model::digest::{DiffId, Digest};
use crate::storage::Store;
use crate::storage::layers::{StagedLayer, Wanted, wanted};
use crate::storage::unpack::Limits;

/// A layer that is unpacked and not yet visible.
#[derive(Debug)]
pub struct Imported {
    /// The layer.
    pub layer: StagedLayer,
    /// Digest of its tar.
    pub diff_id: DiffId,
}

/// Unpacks an archive, packed or not, as the only layer of an image to be.
///
/// # Errors
/// What is wrong with the archive, or keeps the store from taking it.
pub fn import_layer(store: &Store, tar: impl Read, progress: &dyn Progress) -> Result<Imported, Error> {
    sweep(store, progress);
    // Its key is its digest, which is known at the end: until then it has another's.
    let nobody = Wanted { chain: Digest::sha256([0; 32]), diff_id: Digest::sha256([0; 32]), parent: None };
    let pull = store.begin_pull(Vec::new(), &mut |_, _| true)?;
    let writer = pull.writer(&nobody, &Limits::default())?;
    let expected = Expected {
        name: "of the archive".into(),
        blob: None,
        diff_id: None,
        root: store.paths().root.clone(),
    };
    let (mut staged, diff_id) = std::thread::scope(|threads| {
        let (input, running) = layer::start(threads, expected, writer);
        let fed = input.feed(Stoppable::new(tar, progress));
        drop(input);
        let done = running.wait();
        fed.map_err(failed("reading the archive"))?;
        done
    })?;
    let mut real = wanted(std::slice::from_ref(&diff_id));
    staged.set_wanted(real.remove(0));
    Ok(Imported { layer: staged, diff_id })
}
