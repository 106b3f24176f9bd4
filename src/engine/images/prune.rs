//! `image prune`: removes what no container uses.

use super::list::ImageFilter;
use super::rmi::{Removal, delete};
use super::{Context, Error, Kind};
use crate::engine::filter::Filters;
use crate::engine::journal;

/// Keys of `--filter`.
const FILTERS: &[&str] = &["label", "label!", "until"];

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunedImages {
    /// Names, images and layers, as [`super::rmi`] reports them.
    pub removed: Vec<Removal>,
    /// Bytes given back.
    pub reclaimed: u64,
}

/// Removes unused images: those without a name, with `all` the others, too.
///
/// # Errors
/// An unknown filter, or a store that cannot be written. An image that a new container takes meanwhile stays.
pub fn prune(ctx: &Context, all: bool, filters: &[String]) -> Result<PrunedImages, Error> {
    Filters::parse(filters, FILTERS)?;
    let store = ctx.store()?;
    let filter = ImageFilter::compile(ctx, &store, filters, &[])?;
    let containers = store.list_containers()?;
    let mut done = PrunedImages::default();
    for image in store.list_images()? {
        let used = containers.iter().any(|c| c.image_id.as_ref() == Some(&image.id));
        // What is another store's is read-only: it would come back.
        let lent = super::list::is_lent(&ctx.paths, &image);
        if used || lent || !(all || image.names.is_empty()) || !filter.wants(&image, 0) {
            continue;
        }
        match delete(ctx, &store, &image) {
            Ok((removed, bytes)) => {
                done.removed.extend(removed);
                done.reclaimed += bytes;
            }
            Err(e) if matches!(e.kind(), Kind::Conflict | Kind::NotFound) => {}
            Err(e) => return Err(e),
        }
    }
    store.checkpoint()?;
    journal::pruned(ctx, "image", done.reclaimed);
    Ok(done)
}
