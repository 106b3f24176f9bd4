//! `rmi`: takes a name away, and the image when that was its last one. docker's rules and words.

use super::{By, Context, Error, Kind, Names, familiar, find_by};
use crate::engine::journal;
use crate::model::image::Image;
use crate::storage::Store;
use crate::storage::container_rows::Summary;

/// How to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RmiOptions {
    /// `-f`: also what containers use loses its names, and an id with several names goes.
    pub force: bool,
}

/// What happened, in the order in which docker prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// A name went: `nginx:latest`, `nginx@sha256:…`.
    Untagged(String),
    /// An image or a layer went: `sha256:…`.
    Deleted(String),
}

/// Removes a name or an image.
///
/// # Errors
/// No such image; a conflict with a container that uses it, or with other names of it, unless forced.
pub fn rmi(ctx: &Context, name: &str, options: RmiOptions) -> Result<Vec<Removal>, Error> {
    if name.trim().is_empty() {
        return Err(Error::new(Kind::Invalid, "image name cannot be blank"));
    }
    let store = ctx.store()?;
    let (image, by) = find_by(&Names::of(ctx), &store, name)?;
    let users: Vec<Summary> =
        store.list_containers()?.into_iter().filter(|c| c.image_id.as_ref() == Some(&image.id)).collect();
    match by {
        By::Name(key) => by_name(ctx, &store, &image, &key, &users, options),
        By::Id => by_id(ctx, &store, &image, &users, options),
    }
}

fn by_name(
    ctx: &Context,
    store: &Store,
    image: &Image,
    key: &str,
    users: &[Summary],
    options: RmiOptions,
) -> Result<Vec<Removal>, Error> {
    // Only this one name goes while there is another; a tag and the digest it was pulled with count as one.
    let is_tag = image.names.iter().any(|n| n == key);
    let tags = image.names.iter().filter(|n| n.as_str() != key).count();
    if is_tag && tags > 0 {
        return untag(ctx, store, image, key);
    }
    if !is_tag && (tags > 0 || image.digests.len() > 1) {
        let alone = tags + image.digests.len() <= 2;
        return match users.first().filter(|_| alone && !options.force) {
            Some(user) => Err(used(ctx, image, key, user)),
            None => untag(ctx, store, image, key),
        };
    }
    if let Some(user) = users.first() {
        if !options.force {
            return Err(used(ctx, image, key, user));
        }
        return untag_all(ctx, store, image);
    }
    Ok(delete(ctx, store, image)?.0)
}

fn by_id(
    ctx: &Context,
    store: &Store,
    image: &Image,
    users: &[Summary],
    options: RmiOptions,
) -> Result<Vec<Removal>, Error> {
    let mut running = None;
    for user in users {
        if store.phase(user)?.running().is_some() {
            running = Some(user);
            break;
        }
    }
    if let Some(user) = running {
        return Err(conflict(format!(
            "unable to delete {} (cannot be forced) - image is being used by running container {}",
            image.id.short(),
            user.id.short()
        )));
    }
    // podman counts tags, and it is no matter of who uses the image.
    if ctx.podman && image.names.len() > 1 && !options.force {
        let names: Vec<String> = image.names.iter().map(|n| familiar(ctx, n)).collect();
        let why = format!(
            "conflict: unable to delete {} (must be forced) - image has more than one tag: {}",
            image.id.hex(),
            names.join(" ")
        );
        return Err(Error::new(Kind::Invalid, why));
    }
    // Several tags of one repository go together.
    let repository = |name: &String| {
        let tagged = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        tagged.map_or(name.as_str(), |(repository, _)| repository).to_owned()
    };
    let mut repositories: Vec<String> = image.names.iter().map(repository).collect();
    repositories.sort_unstable();
    repositories.dedup();
    if repositories.len() > 1 && !options.force {
        return Err(conflict(format!(
            "unable to delete {} (must be forced) - image is referenced in multiple repositories",
            image.id.short()
        )));
    }
    match users.first() {
        Some(user) if !options.force => Err(conflict(format!(
            "unable to delete {} (must be forced) - image is being used by stopped container {}",
            image.id.short(),
            user.id.short()
        ))),
        // A container needs its layers: the image stays without a name until the container goes.
        Some(_) => untag_all(ctx, store, image),
        None => Ok(delete(ctx, store, image)?.0),
    }
}

fn used(ctx: &Context, image: &Image, key: &str, user: &Summary) -> Error {
    conflict(format!(
        "unable to remove repository reference \"{}\" (must force) - container {} is using its referenced image {}",
        familiar(ctx, key),
        user.id.short(),
        image.id.short()
    ))
}

fn conflict(text: String) -> Error {
    Error::new(Kind::Conflict, format!("conflict: {text}"))
}

fn untag(ctx: &Context, store: &Store, image: &Image, key: &str) -> Result<Vec<Removal>, Error> {
    store.untag_image(key)?;
    journal::named_image(ctx, "untag", image.id.as_str(), &familiar(ctx, key), &image.config.labels);
    let mut done = vec![Removal::Untagged(familiar(ctx, key))];
    let after = store.image(&image.id)?;
    done.extend(
        image
            .digests
            .iter()
            .filter(|d| d.as_str() != key && !after.digests.contains(d))
            .map(|d| Removal::Untagged(familiar(ctx, d))),
    );
    Ok(done)
}

fn untag_all(ctx: &Context, store: &Store, image: &Image) -> Result<Vec<Removal>, Error> {
    let mut done = Vec::new();
    for name in &image.names {
        let now = store.image(&image.id)?;
        done.extend(untag(ctx, store, &now, name)?);
    }
    Ok(done)
}

/// Removes an image with all its names; says how many bytes that gave back.
pub(super) fn delete(ctx: &Context, store: &Store, image: &Image) -> Result<(Vec<Removal>, u64), Error> {
    super::mount::detach(&ctx.paths, &image.id)?;
    let removed = store.remove_image(&image.id)?;
    for name in &image.names {
        journal::named_image(ctx, "untag", image.id.as_str(), &familiar(ctx, name), &image.config.labels);
    }
    journal::image(ctx, "delete", image.id.as_str(), &image.config.labels);
    let mut done: Vec<Removal> =
        removed.untagged.iter().map(|n| Removal::Untagged(familiar(ctx, n))).collect();
    done.push(Removal::Deleted(image.id.to_string()));
    done.extend(removed.layers.iter().map(|l| Removal::Deleted(l.to_string())));
    Ok((done, removed.bytes))
}
