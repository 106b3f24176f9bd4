//! `image tree`: the layers of an image, or all that stands on it.

use super::{Context, Error, find};
use crate::model::digest::ChainId;
use crate::storage::Store;
use crate::storage::layers::Layer;

/// An image and a chain or a tree of layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTree {
    /// Its id, 12 digits.
    pub id: String,
    /// Its names.
    pub names: Vec<String>,
    /// Bytes of all its layers.
    pub size: u64,
    /// The lowest of the layers that are shown; none for an image without layers.
    pub layers: Option<LayerNode>,
}

/// A layer with those that stand on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerNode {
    /// Key, 12 digits.
    pub id: String,
    /// Bytes of its files.
    pub size: u64,
    /// Names of the images that it is the top of.
    pub top_of: Vec<String>,
    /// Layers on it.
    pub above: Vec<Self>,
}

/// The layers of an image from the lowest on; with `users` instead its top layer and all that stands on that.
///
/// # Errors
/// No such image, or a store that cannot be read.
pub fn tree(ctx: &Context, name: &str, users: bool) -> Result<ImageTree, Error> {
    let store = ctx.store()?;
    let image = find(ctx, &store, name)?;
    let known = Known::of(ctx, &store)?;
    let layers = match users {
        true => image.layers.last().and_then(|top| known.subtree(top)),
        false => known.chain(&image.layers),
    };
    Ok(ImageTree {
        id: image.id.short().to_owned(),
        names: known.shown(&image.names),
        size: image.size,
        layers,
    })
}

/// All layers, and the images that end with each.
struct Known<'a> {
    ctx: &'a Context,
    layers: Vec<Layer>,
    tops: Vec<(ChainId, Vec<String>)>,
}

impl<'a> Known<'a> {
    fn of(ctx: &'a Context, store: &Store) -> Result<Self, Error> {
        let images = store.list_images()?;
        let tops = images.into_iter().filter_map(|i| Some((i.layers.last()?.clone(), i.names))).collect();
        Ok(Self { ctx, layers: store.list_layers()?, tops })
    }

    fn shown(&self, names: &[String]) -> Vec<String> {
        let show = |name: &String| name.parse().map_or_else(|_| name.clone(), |r| self.ctx.shown(&r));
        names.iter().map(show).collect()
    }

    fn node(&self, layer: &Layer, above: Vec<LayerNode>) -> LayerNode {
        let ends = self.tops.iter().filter(|(top, _)| *top == layer.chain);
        LayerNode {
            id: layer.chain.short().to_owned(),
            size: layer.size,
            top_of: ends.flat_map(|(_, names)| self.shown(names)).collect(),
            above,
        }
    }

    fn chain(&self, chain: &[ChainId]) -> Option<LayerNode> {
        chain.iter().rev().fold(None, |above, key| {
            let layer = self.layers.iter().find(|l| l.chain == *key)?;
            Some(self.node(layer, above.into_iter().collect()))
        })
    }

    fn subtree(&self, key: &ChainId) -> Option<LayerNode> {
        let layer = self.layers.iter().find(|l| l.chain == *key)?;
        let above = self.layers.iter().filter(|l| l.parent.as_ref() == Some(key));
        Some(self.node(layer, above.filter_map(|l| self.subtree(&l.chain)).collect()))
    }
}
