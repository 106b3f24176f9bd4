//! `system df`: what the store takes, and what a prune would give back.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::view;
use crate::storage::Store;
use crate::storage::df::Usage as Measured;

/// What one kind of thing takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub total: u64,
    /// How many are in use.
    pub active: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes that a prune would give back.
    pub reclaimable: u64,
    /// Each one, if asked for: docker's columns as an object.
    pub items: Vec<Value>,
}

/// `system df`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Images.
    pub images: Usage,
    /// Containers.
    pub containers: Usage,
    /// Volumes.
    pub volumes: Usage,
}

/// What the store takes; `verbose` fills the items.
///
/// # Errors
/// A store that cannot be read.
pub fn df(ctx: &Context, verbose: bool) -> Result<DiskUsage, Error> {
    let store = ctx.store()?;
    let measured = store.usage()?;
    Ok(DiskUsage {
        images: images(&store, &measured, verbose)?,
        containers: containers(ctx, &store, &measured, verbose)?,
        volumes: volumes(&measured, verbose),
    })
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn images(store: &Store, measured: &Measured, verbose: bool) -> Result<Usage, Error> {
    let mut usage = Usage {
        total: count(measured.images.len()),
        // Layers are shared: each counts once.
        size: measured.layers.iter().map(|(_, bytes)| bytes).sum(),
        ..Usage::default()
    };
    for image in &measured.images {
        if image.containers > 0 {
            usage.active += 1;
        } else {
            usage.reclaimable += image.unique;
        }
        if verbose {
            let full = store.image(&image.id)?;
            let name = full.names.first().map_or("<none>:<none>", String::as_str);
            let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "<none>"));
            usage.items.push(json!({
                "Repository": repository,
                "Tag": tag,
                "ID": image.id.as_str(),
                "CreatedAt": full.created.map(|t| t.to_string()),
                "Size": image.size,
                "SharedSize": image.shared,
                "UniqueSize": image.unique,
                "Containers": image.containers,
            }));
        }
    }
    Ok(usage)
}

fn containers(ctx: &Context, store: &Store, measured: &Measured, verbose: bool) -> Result<Usage, Error> {
    let sizes: HashMap<&str, u64> = measured.containers.iter().map(|(id, b)| (id.as_str(), *b)).collect();
    let now = jiff::Timestamp::now();
    let mut usage = Usage::default();
    for c in view::all(ctx, store)? {
        let bytes = sizes.get(c.id().as_str()).copied().unwrap_or(0);
        usage.total += 1;
        usage.size += bytes;
        if c.alive() {
            usage.active += 1;
        } else {
            usage.reclaimable += bytes;
        }
        if verbose {
            usage.items.push(json!({
                "ID": c.id().as_str(),
                "Image": c.row.image_name,
                "Command": c.row.command.join(" "),
                "LocalVolumes": c.row.mounts.iter().filter(|(source, _)| !source.starts_with('/')).count(),
                "Size": bytes,
                "CreatedAt": c.row.created.to_string(),
                "Status": crate::engine::ps::status(&c.phase, None, now),
                "Names": c.row.name,
            }));
        }
    }
    Ok(usage)
}

fn volumes(measured: &Measured, verbose: bool) -> Usage {
    let mut usage = Usage { total: count(measured.volumes.len()), ..Usage::default() };
    for (name, bytes, users) in &measured.volumes {
        usage.size += bytes;
        if *users > 0 {
            usage.active += 1;
        } else {
            usage.reclaimable += bytes;
        }
        if verbose {
            usage.items.push(json!({ "Name": name, "Links": users, "Size": bytes }));
        }
    }
    usage
}
