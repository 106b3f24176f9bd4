//! `history`: how an image was made, newest step first.

use super::{Context, Error, find};
use crate::image::config;
use crate::model::digest::Digest;
use crate::model::image::Image;
use crate::storage::Store;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The image's id for the newest step; nothing for those below, which no image is known of.
    pub id: Option<Digest>,
    /// When.
    pub created: Option<jiff::Timestamp>,
    /// Command.
    pub created_by: String,
    /// Bytes of the layer it made; 0 for none.
    pub size: u64,
    /// Comment.
    pub comment: String,
    /// Names of the image, at the newest step.
    pub tags: Vec<String>,
}

/// Whether an image whose layers begin with another's was built on it: the other's history is the beginning of its own. Where
/// one of them has no history, further layers decide.
pub(in crate::engine) fn continues(store: &Store, image: &Image, other: &Image) -> Result<bool, Error> {
    let (own, older) = (parsed(store, image)?, parsed(store, other)?);
    if own.is_empty() || older.is_empty() {
        return Ok(image.layers.len() > other.layers.len());
    }
    Ok(own.len() > older.len() && own.starts_with(&older))
}

fn parsed(store: &Store, image: &Image) -> Result<Vec<config::History>, Error> {
    Ok(match store.document(&image.id)? {
        Some(d) => config::parse(&d.bytes, &format!("image config {}", image.id))?.history,
        None => Vec::new(),
    })
}

/// The history of an image.
///
/// # Errors
/// No such image, or one whose documents are damaged.
pub fn history(ctx: &Context, name: &str) -> Result<Vec<HistoryEntry>, Error> {
    let store = ctx.store()?;
    let image = find(ctx, &store, name)?;
    let mut layers = image.layers.iter();
    let mut entries = Vec::new();
    for h in parsed(&store, &image)? {
        let layer = if h.empty_layer { None } else { layers.next() };
        entries.push(HistoryEntry {
            id: None,
            created: h.created,
            created_by: h.created_by,
            size: layer_size(&store, layer)?,
            comment: h.comment,
            tags: Vec::new(),
        });
    }
    // Layers that the history does not speak of.
    for layer in layers {
        entries.push(HistoryEntry {
            id: None,
            created: image.created,
            created_by: String::new(),
            size: layer_size(&store, Some(layer))?,
            comment: String::new(),
            tags: Vec::new(),
        });
    }
    entries.reverse();
    if let Some(newest) = entries.first_mut() {
        newest.id = Some(image.id.clone());
        newest.tags = image.names.iter().map(|n| super::familiar(ctx, n)).collect();
    }
    Ok(entries)
}

fn layer_size(store: &crate::storage::Store, layer: Option<&Digest>) -> Result<u64, Error> {
    let Some(chain) = layer else { return Ok(0) };
    Ok(store.layer(chain)?.map_or(0, |l| l.size))
}
