//! Verbs about images: finding one by what the user typed, and one file for each verb.
//!
//! A name is looked up locally as the references that it may mean ([`crate::image::resolve`]), then as
//! `localhost/…`, then as an id or the beginning of one; only then is anything pulled.

mod archive;
mod ensure;
mod error;
mod files;
mod history;
mod inspect;
mod interrupt;
mod list;
mod mount;
mod prune;
mod pull;
mod push;
mod rmi;
mod tag;
mod tree;

use std::cell::OnceCell;

use super::context::Context;
use super::error::{Error, Kind};
use crate::image::{self, Env, Registries};
use crate::model::image::{Image, Platform};
use crate::model::reference::{DEFAULT_REGISTRY, ImageName, ImageRef};
use crate::storage::Store;

pub use archive::{ArchiveForm, ImportOptions, LoadFrom, import, load, save};
pub use ensure::{WantedImage, ensure};
pub(super) use history::continues;
pub use history::{HistoryEntry, history};
pub use inspect::inspect;
pub use list::{IMAGE_FILTERS, ListEntry, ListOptions, list};
pub use mount::{MountedImage, mount, unmount};
pub use prune::{PrunedImages, prune};
pub(super) use pull::pull_again;
pub use pull::{PullOptions, Pulled, pull, tags};
pub use push::search_registries;
pub use push::{PushOptions, Stored, login, login_again, login_of, logout, push, repository, search};
pub use rmi::{Removal, RmiOptions, rmi};
pub use tag::{tag, untag};
pub use tree::{ImageTree, LayerNode, tree};

/// registries.conf and what belongs to it, read when first needed: a `run` of a qualified name reads nothing.
struct Names {
    env: Env,
    registries: OnceCell<Registries>,
    /// See [`Context::podman`].
    podman: bool,
}

impl Names {
    fn of(ctx: &Context) -> Self {
        Self { podman: ctx.podman, ..Self::of_registries() }
    }

    /// For what asks registries alone.
    fn of_registries() -> Self {
        Self { env: super::env::images(), registries: OnceCell::new(), podman: false }
    }

    fn registries(&self) -> Result<&Registries, Error> {
        if let Some(r) = self.registries.get() {
            return Ok(r);
        }
        let loaded = Registries::load(&self.env)?;
        Ok(self.registries.get_or_init(|| loaded))
    }

    /// The references that a name may mean, in order.
    fn candidates(&self, name: &ImageName) -> Result<Vec<ImageRef>, Error> {
        match name {
            ImageName::Qualified(r) => Ok(vec![r.clone()]),
            ImageName::Short { .. } => Ok(image::resolve(name, self.registries()?)),
        }
    }
}

/// How an image was named.
#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    /// By this name of it, as it is in the store.
    Name(String),
    /// By id or the beginning of it.
    Id,
}

/// The image in the store that `name` means: a reference (short ones expanded), an id, or the beginning of one.
///
/// # Errors
/// `No such image`, or an id prefix that fits several.
pub fn find(ctx: &Context, store: &Store, name: &str) -> Result<Image, Error> {
    Ok(find_by(&Names::of(ctx), store, name)?.0)
}

/// Holds an image to a platform that was asked for (`--platform`): the store has each image for one.
///
/// # Errors
/// No such image, or it is for another one.
pub fn check_platform(ctx: &Context, name: &str, platform: &str) -> Result<(), Error> {
    let wanted: Platform = platform.parse()?;
    let image = find(ctx, &ctx.store()?, name)?;
    if serves(&image, &wanted) {
        return Ok(());
    }
    let own = Platform::new(&image.os, &image.architecture, &image.variant);
    let text = format!(
        "image with reference {name} was found but does not provide the specified platform ({wanted})"
    );
    Err(Error::new(Kind::NotFound, text)
        .hint(format!("it is for {own}: rcon pull --platform {wanted} {name}")))
}

/// Whether an image is for a platform; a variant counts only where both name one.
fn serves(image: &Image, wanted: &Platform) -> bool {
    let own = Platform::new(&image.os, &image.architecture, &image.variant);
    wanted.os == own.os
        && wanted.architecture == own.architecture
        && (wanted.variant.is_empty() || own.variant.is_empty() || wanted.variant == own.variant)
}

/// Whether the store has an image of that name or id.
///
/// # Errors
/// An ambiguous id, or a store that cannot be read.
pub fn exists(ctx: &Context, name: &str) -> Result<bool, Error> {
    match find(ctx, &ctx.store()?, name) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == Kind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn find_by(names: &Names, store: &Store, text: &str) -> Result<(Image, By), Error> {
    if let Ok(name) = text.parse::<ImageName>() {
        let mut full: Vec<ImageRef> = names.candidates(&name)?;
        match &name {
            ImageName::Short { .. } => full.push(name.in_registry("localhost")),
            // podman calls what was tagged or built here with a short name localhost/NAME, docker docker.io/library/NAME.
            ImageName::Qualified(r) if r.registry == "localhost" => {
                let short = text.trim_start_matches("localhost/").parse::<ImageName>();
                full.extend(short.ok().map(|n| n.in_registry(DEFAULT_REGISTRY)));
            }
            ImageName::Qualified(_) => {}
        }
        for reference in full {
            let key = stored_name(&reference);
            if let Some(image) = store.image_by_name(&key)? {
                return Ok((image, By::Name(key)));
            }
        }
        if let (true, Some(found)) = (names.podman, by_end(store, text)?) {
            return Ok(found);
        }
    }
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    if !hex.is_empty() && hex.len() <= 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        match store.find_image(text) {
            Ok(image) => return Ok((image, By::Id)),
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(no_such_image(text))
}

/// The image one of whose names ends so, which podman takes too: `alpine` for `quay.io/libpod/alpine:latest`.
fn by_end(store: &Store, text: &str) -> Result<Option<(Image, By)>, Error> {
    let wanted = format!("/{}", tagged(text));
    for image in store.list_images()? {
        if let Some(key) = image.names.iter().chain(&image.digests).find(|n| n.ends_with(&wanted)).cloned() {
            return Ok(Some((image, By::Name(key))));
        }
    }
    Ok(None)
}

/// How a reference is called in the store: by its digest if it has one, else by its tag.
fn stored_name(reference: &ImageRef) -> String {
    match &reference.digest {
        Some(d) => reference.with_digest(d).to_string(),
        None => reference.to_string(),
    }
}

fn no_such_image(text: &str) -> Error {
    Error::new(Kind::NotFound, format!("No such image: {}", tagged(text)))
}

/// A name with the tag that it has unsaid.
fn tagged(text: &str) -> String {
    let said = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    match text.parse::<ImageName>() {
        Ok(_) if !said => format!("{text}:latest"),
        _ => text.to_owned(),
    }
}

/// A stored name as the caller is used to it, `docker.io/library/nginx:latest` → `nginx:latest`.
fn familiar(ctx: &Context, name: &str) -> String {
    name.parse::<ImageRef>().map_or_else(|_| name.to_owned(), |r| ctx.shown(&r))
}
