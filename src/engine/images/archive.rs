//! `save`, `load`, `import`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::interrupt::watched;
use super::{By, Context, Error, Kind, Names, find_by};
use crate::engine::commit::{changes, documents};
use crate::engine::journal;
use crate::image::archive::{self, Loaded, Packed, Saved, Target};
use crate::image::push::Packing;
use crate::image::{self, NoProgress, Progress, config, manifest};
use crate::model::digest::Digest;
use crate::model::image::{Image, Platform};
use crate::model::reference::{ImageName, ImageRef};
use crate::storage::layers::{chain_ids, wanted};

/// Form of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ArchiveForm {
    /// docker's and OCI's at once.
    #[default]
    Docker,
    /// OCI's alone.
    Oci,
    /// An OCI layout in a directory.
    OciDir(PathBuf),
    /// A directory of one image in docker's types.
    DockerDir {
        /// Directory.
        path: PathBuf,
        /// `--compress`: the layers packed with gzip.
        compress: bool,
    },
}

/// Writes images to `out`. A name of a repository without a tag that is not in the store means all its tags.
///
/// # Errors
/// No such image; a layer that cannot be made again; an `out` that cannot be written.
pub fn save(ctx: &Context, names: &[String], form: &ArchiveForm, out: &mut dyn Write) -> Result<(), Error> {
    let store = ctx.store()?;
    let resolver = Names::of(ctx);
    let mut all: Vec<Saved> = Vec::new();
    for name in names {
        let (image, by) = find_by(&resolver, &store, name)?;
        let named: Vec<ImageRef> = match by {
            By::Name(key) => vec![key.parse::<ImageRef>()?],
            By::Id => Vec::new(),
        };
        // A digest is no name that a loader could give.
        let named = named.into_iter().filter(|n| n.digest.is_none());
        match all.iter_mut().find(|s| s.image.id == image.id) {
            Some(known) => {
                for name in named {
                    if !known.names.contains(&name) {
                        known.names.push(name);
                    }
                }
            }
            None => all.push(Saved { names: named.collect(), image, label: None }),
        }
    }
    let target = match form {
        ArchiveForm::Docker => Target::Tar { docker: true, out },
        ArchiveForm::Oci => Target::Tar { docker: false, out },
        ArchiveForm::OciDir(path) => Target::Layout(path, None),
        ArchiveForm::DockerDir { path, compress } => {
            let packed = compress.then_some(Packed { packing: Packing::Gzip, level: None });
            Target::Dir { path, docker: true, packed }
        }
    };
    archive::save(&store, &all, target).map_err(|e| Error::from(e).context("saving"))?;
    for saved in &all {
        journal::image(ctx, "save", saved.image.id.as_str(), &saved.image.config.labels);
    }
    Ok(())
}

/// What is loaded.
#[derive(Debug)]
pub enum LoadFrom {
    /// An archive, or a pipe with one.
    File(File),
    /// A directory with the same.
    Directory(PathBuf),
}

/// Loads all images of an archive.
///
/// # Errors
/// What is wrong with the archive, or keeps the store from taking it.
pub fn load(
    ctx: &Context,
    input: LoadFrom,
    platform: Option<&str>,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>, Error> {
    let platform = platform.map(str::parse::<Platform>).transpose()?;
    let store = ctx.store()?;
    let from = archive::From { platform: platform.as_ref(), ..archive::From::default() };
    let loaded = watched(progress, |progress| match input {
        LoadFrom::File(file) => archive::load(&store, file, from, progress),
        LoadFrom::Directory(path) => archive::load_directory(&store, &path, from, progress),
    })
    .map_err(|e| e.context("loading"))?;
    for l in &loaded {
        journal::image(ctx, "load", l.image.id.as_str(), &l.image.config.labels);
    }
    Ok(loaded)
}

/// How to import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Name of the image; none makes an untagged one.
    pub name: Option<String>,
    /// `-c`: Dockerfile instructions.
    pub changes: Vec<String>,
    /// `-m`.
    pub message: Option<String>,
    /// `--platform`, or `--os`, `--arch`, `--variant`.
    pub platform: Option<String>,
    /// Annotations of the manifest.
    pub annotations: Vec<(String, String)>,
}

/// Makes an image of a file system archive.
///
/// # Errors
/// What is wrong with the archive or a change, or keeps the store from taking it.
pub fn import(ctx: &Context, tar: &mut dyn Read, options: &ImportOptions) -> Result<Digest, Error> {
    let name = options.name.as_deref().map(|name| target(ctx, name)).transpose()?;
    let platform = options.platform.as_deref().map(str::parse::<Platform>).transpose()?;
    let platform = platform.unwrap_or_else(Platform::host);
    let mut own = Map::new();
    changes::apply_all(&mut own, &options.changes)?;
    let store = ctx.store()?;
    let imported = watched(&NoProgress, |progress| archive::import_layer(&store, tar, progress))
        .map_err(|e| e.context("importing"))?;
    let now = jiff::Timestamp::now().to_string();
    let message = options.message.clone().unwrap_or_else(|| "Imported from -".to_owned());
    let mut value = json!({
        "created": now,
        "architecture": platform.architecture,
        "os": platform.os,
        "config": Value::Object(own),
        "rootfs": { "type": "layers", "diff_ids": [imported.diff_id] },
        "history": [{ "created": now, "comment": message }],
    });
    if !platform.variant.is_empty() {
        value["variant"] = platform.variant.into();
    }
    let config_document = documents::document(manifest::OCI_CONFIG, &value)?;
    let layer = imported.layer.layer().clone();
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": manifest::OCI_MANIFEST,
        "config": { "mediaType": manifest::OCI_CONFIG, "digest": config_document.digest, "size": config_document.bytes.len() },
        "layers": [{ "mediaType": manifest::OCI_LAYER, "digest": layer.diff_id, "size": layer.tar_size }],
    });
    if !options.annotations.is_empty() {
        let all = options.annotations.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str())));
        document["annotations"] = Value::Object(all.collect());
    }
    let manifest_document = documents::document(manifest::OCI_MANIFEST, &document)?;
    let parsed = config::parse(&config_document.bytes, "the new image's config")?;
    let image = Image {
        id: config_document.digest.clone(),
        manifest: manifest_document.digest.clone(),
        index: None,
        names: name.iter().map(ToString::to_string).collect(),
        digests: Vec::new(),
        created: parsed.created,
        os: parsed.os,
        architecture: parsed.architecture,
        variant: parsed.variant,
        author: parsed.author,
        comment: parsed.comment,
        config: parsed.config,
        layers: chain_ids(&parsed.diff_ids),
        diff_ids: parsed.diff_ids,
        size: layer.size,
    };
    let pull = store.begin_pull(wanted(&image.diff_ids), &mut |_, _| true)?;
    let staged = if pull.missing().is_empty() { Vec::new() } else { vec![imported.layer] };
    pull.publish(&store, staged, Some((&image, &[manifest_document, config_document])), &[])?;
    journal::image(ctx, "import", image.id.as_str(), &[]);
    Ok(image.id)
}

fn target(ctx: &Context, name: &str) -> Result<ImageRef, Error> {
    let parsed: ImageName = name.parse().map_err(image::Error::from)?;
    if parsed.digest().is_some() {
        let why = format!("cannot import to a digest reference: {name}");
        return Err(Error::new(Kind::Invalid, why));
    }
    Ok(parsed.in_registry(ctx.own_registry()))
}
