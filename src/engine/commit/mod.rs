//! `commit`: makes an image of a container: its image's layers and one more, made of its writable layer.
//!
//! [`changes`] holds the Dockerfile instructions of `--change`, [`documents`] the new config and manifest.

pub(super) mod changes;
pub(super) mod documents;

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Error, Kind};
use super::journal;
use super::view::Container;
use crate::image::config as image_config;
use crate::image::manifest::Form;
use crate::model::container::{ContainerSpec, Phase};
use crate::model::digest::Digest;
use crate::model::image::Image;
use crate::model::reference::ImageName;
use crate::monitor::client;
use crate::storage::Store;
use crate::storage::diff::{TarOptions, changes};
use crate::storage::images::Document;
use crate::storage::layers::{StagedLayer, wanted};

/// How to commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// Name of the new image; none makes an untagged one.
    pub name: Option<String>,
    /// `-a`.
    pub author: Option<String>,
    /// `-m`.
    pub message: Option<String>,
    /// `-c`: Dockerfile instructions (`CMD`, `ENV`, `EXPOSE`, …).
    pub changes: Vec<String>,
    /// `-p`: pause while it is made.
    pub pause: bool,
    /// `-s`: one layer.
    pub squash: bool,
    /// `--include-volumes`.
    pub include_volumes: bool,
    /// `-f`: `oci` (default) or `docker`.
    pub format: Option<String>,
    /// `--config`: a JSON document that is put over the image's configuration.
    pub config: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Makes an image of a container and returns its id.
///
/// # Errors
/// No such container, a change that does not parse, a full disk.
pub fn commit(ctx: &Context, name: &str, options: &CommitOptions) -> Result<Digest, Error> {
    let form = documents::form(options.format.as_deref())?;
    let tag = options.name.as_deref().map(|name| target(ctx, name)).transpose()?;
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    let spec = container.spec(&store)?;
    let Some(parent) = &spec.root.image_id else {
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "container {} runs from a directory: there is no image to add a layer to",
                container.row.name
            ),
        ));
    };
    let parent = store.image(parent)?;
    let config = documents::config(&store, &parent, &spec, options)?;
    let staged = layer(ctx, &store, &container, &spec, options)?;
    // What the new layer lies upon; a squashed one has all in it.
    let below = if options.squash { None } else { Some(&parent) };
    let id = publish(&store, below, (config, form), staged, tag.clone())?;
    if let Some(name) = tag.filter(|_| !ctx.podman) {
        let name = ctx.shown(
            &name.parse::<ImageName>().map_err(crate::image::Error::from)?.in_registry(ctx.own_registry()),
        );
        journal::named_image(ctx, "tag", id.as_str(), &name, &store.image(&id)?.config.labels);
    }
    journal::container(ctx, "commit", &container.row, &[("imageID", id.to_string())]);
    Ok(id)
}

/// The full name of the new image.
fn target(ctx: &Context, name: &str) -> Result<String, Error> {
    let parsed: ImageName = name.parse().map_err(crate::image::Error::from)?;
    if parsed.digest().is_some() {
        return Err(Error::new(
            Kind::Invalid,
            format!("refusing to create a tag with a digest reference: {name}"),
        ));
    }
    Ok(parsed.in_registry(ctx.own_registry()).to_string())
}

/// The writable layer, staged; the container stands still meanwhile if that is wished.
fn layer(
    ctx: &Context,
    store: &Store,
    container: &Container,
    spec: &ContainerSpec,
    options: &CommitOptions,
) -> Result<StagedLayer, Error> {
    let paused = options.pause && matches!(container.phase, Phase::Running(_));
    let paused = match paused.then(|| client::pause(&ctx.paths, container.id())) {
        None => false,
        Some(Ok(())) => {
            journal::container(ctx, "pause", &container.row, &[]);
            true
        }
        // It ended meanwhile, and stands still for good.
        Some(Err(_)) if !Container::find(ctx, store, container.id().as_str())?.alive() => false,
        Some(Err(e)) => return Err(e.into()),
    };
    let staged = if options.squash { stage_all(ctx, store, spec) } else { stage(ctx, store, spec) };
    // It may have been killed or unpaused by someone else; the layer is made all the same.
    if paused && client::unpause(&ctx.paths, container.id()).is_ok() {
        journal::container(ctx, "unpause", &container.row, &[]);
    }
    staged
}

fn stage(ctx: &Context, store: &Store, spec: &ContainerSpec) -> Result<StagedLayer, Error> {
    let upper = ctx.paths.upper(&spec.id);
    std::fs::create_dir_all(&upper)
        .map_err(|e| Error::with_source(Kind::Internal, format!("creating {}", upper.display()), e))?;
    let upper = std::fs::File::open(&upper)
        .map_err(|e| Error::with_source(Kind::Internal, format!("opening {}", upper.display()), e))?;
    let lowers: Vec<PathBuf> = spec.root.layers.iter().rev().map(|l| ctx.paths.layer_diff(l)).collect();
    let hidden = super::diff::made_by_the_runtime(spec);
    let idle = super::diff::untouched(&changes(upper.as_fd(), &lowers)?, &hidden);
    let mut exclude = made_by_us(spec);
    exclude.extend(idle.iter().filter_map(|p| p.strip_prefix("/").ok()).map(Path::to_owned));
    let options = TarOptions { whiteouts: true, epoch: None, exclude };
    Ok(store.stage_diff(upper.as_fd(), &options, spec.root.layers.last())?)
}

/// The whole file system as one layer.
fn stage_all(ctx: &Context, store: &Store, spec: &ContainerSpec) -> Result<StagedLayer, Error> {
    let root = super::rootfs::layers_only(ctx, spec)?;
    let dir = root
        .read_dir_fd(Path::new("/"))
        .map_err(|e| Error::with_source(Kind::Internal, "opening the container's root", e))?;
    let options = TarOptions { whiteouts: false, epoch: None, exclude: made_by_us(spec) };
    Ok(store.stage_diff(dir.as_fd(), &options, None)?)
}

/// Mount points that the runtime made in the writable layer are no part of what the user did.
fn made_by_us(spec: &ContainerSpec) -> Vec<PathBuf> {
    let hidden = super::diff::made_by_the_runtime(spec);
    hidden.iter().filter_map(|p| p.strip_prefix("/").ok()).map(Path::to_owned).collect()
}

fn publish(
    store: &Store,
    parent: Option<&Image>,
    (mut config, form): (serde_json::Value, Form),
    staged: StagedLayer,
    tag: Option<String>,
) -> Result<Digest, Error> {
    let layer = staged.layer().clone();
    let mut diff_ids = parent.map(|p| p.diff_ids.clone()).unwrap_or_default();
    diff_ids.push(layer.diff_id.clone());
    config["rootfs"] = serde_json::json!({ "type": "layers", "diff_ids": diff_ids });
    let config = documents::document(form.config(), &config)?;
    let manifest = documents::manifest(store, parent, &config, &layer, form)?;
    let parsed = image_config::parse(&config.bytes, "the new image's config")?;
    let image = Image {
        id: config.digest.clone(),
        manifest: manifest.digest.clone(),
        index: None,
        names: tag.into_iter().collect(),
        digests: Vec::new(),
        created: parsed.created,
        os: parsed.os,
        architecture: parsed.architecture,
        variant: parsed.variant,
        author: parsed.author,
        comment: parsed.comment,
        config: parsed.config,
        layers: crate::storage::layers::chain_ids(&diff_ids),
        size: parent.map_or(0, |p| p.size) + layer.size,
        diff_ids,
    };
    let pull = store.begin_pull(wanted(&image.diff_ids), &mut |_, _| true)?;
    let missing = pull.missing().iter().any(|w| w.chain == layer.chain);
    let staged = if missing { vec![staged] } else { Vec::new() };
    let documents: [Document; 2] = [manifest, config];
    pull.publish(store, staged, Some((&image, &documents)), &[])?;
    Ok(image.id)
}
