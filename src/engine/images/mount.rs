//! `image mount` and `image unmount`: an image's file system, read-only, on the host at `<run root>/images/<id>`. It stays there
//! until `unmount`, the removal of the image or the next boot.

use std::path::PathBuf;

use super::super::mounts;
use super::{Context, Error, Names, find_by};
use crate::model::digest::Digest;
use crate::model::image::Image;
use crate::model::reference::ImageRef;
use crate::storage::Paths;
use crate::storage::overlay::{self, Options};

/// An image that is mounted on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedImage {
    /// Its id.
    pub id: Digest,
    /// Its names as the caller is used to them.
    pub names: Vec<String>,
    /// Where.
    pub path: String,
}

/// Mounts these images, or all; with neither reports those that are mounted.
///
/// # Errors
/// No such image, or what the kernel says; what was mounted before it stays mounted.
pub fn mount(ctx: &Context, names: &[String], all: bool) -> Result<Vec<MountedImage>, Error> {
    let store = ctx.store()?;
    let listed = all || names.is_empty();
    let mut done = Vec::new();
    let wanted = if listed { store.list_images()? } else { Vec::new() };
    for image in wanted {
        if all || is_mounted(&ctx.paths, &image.id) {
            done.push(one(ctx, &image)?);
        }
    }
    for name in names {
        let (image, _) = find_by(&Names::of(ctx), &store, name)?;
        done.push(one(ctx, &image).map_err(|e| e.context(format!("mounting image {name}")))?);
    }
    Ok(done)
}

fn one(ctx: &Context, image: &Image) -> Result<MountedImage, Error> {
    let path = ctx.paths.image_mount(&image.id);
    if !is_mounted(&ctx.paths, &image.id) {
        let layers: Vec<PathBuf> = image.layers.iter().rev().map(|l| ctx.paths.layer_diff(l)).collect();
        let tree = overlay::mount_readonly(&layers, Options::default())?;
        mounts::attach(&tree, &path)?;
    }
    let shown = |name: &String| name.parse::<ImageRef>().map_or_else(|_| name.clone(), |r| ctx.shown(&r));
    let names = image.names.iter().map(shown).collect();
    Ok(MountedImage { id: image.id.clone(), names, path: path.display().to_string() })
}

/// Takes the mounts of these images, or of all, away; gives those that were mounted. A mount that is used goes when its last
/// user does.
///
/// # Errors
/// No such image, or what the kernel says.
pub fn unmount(ctx: &Context, names: &[String], all: bool) -> Result<Vec<Digest>, Error> {
    let store = ctx.store()?;
    let mut ids: Vec<Digest> = Vec::new();
    if all {
        ids.extend(store.list_images()?.into_iter().map(|image| image.id));
    }
    for name in names {
        ids.push(find_by(&Names::of(ctx), &store, name)?.0.id);
    }
    let mut done = Vec::new();
    for id in ids {
        if detach(&ctx.paths, &id)? {
            done.push(id);
        }
    }
    Ok(done)
}

fn is_mounted(paths: &Paths, id: &Digest) -> bool {
    mounts::is_mount_point(&paths.image_mount(id))
}

/// Takes the mount of an image away, also before it is removed; says whether there was one.
pub(super) fn detach(paths: &Paths, id: &Digest) -> Result<bool, Error> {
    mounts::take_away(&paths.image_mount(id))
}
