//! `--create-image`: the archive of a checkpoint as the only layer of an image, so that it can be pushed and pulled; and a
//! container of such an image. Annotations of its manifest say what it is, by podman's names.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::archive::{self, Export};
use super::import::{self, ImportOptions};
use super::restore::RestoreOptions;
use super::{Report, allowed};
use crate::engine::context::Context;
use crate::engine::error::{Error, Kind};
use crate::engine::images::{self, ImportOptions as ImageImport};
use crate::engine::lookup;
use crate::engine::progress::Progress;
use crate::model::container::ContainerSpec;
use crate::model::image::Image;
use crate::storage::diff::{TarOptions, write_tar};
use crate::storage::overlay::{self, Options};
use crate::storage::{Store, checkpoints};

/// podman's prefix of the annotations.
const PREFIX: &str = "io.podman.annotations.checkpoint.";

/// Makes the image of a checkpoint that was just written.
pub(super) fn create(ctx: &Context, store: &Store, spec: &ContainerSpec, name: &str) -> Result<(), Error> {
    let staged = checkpoints::stage(&ctx.paths)?;
    let file = staged.path().join("checkpoint.tar");
    let plain = Export { compression: archive::Compression::None, ..Export::default() };
    archive::write_file(ctx, store, spec, (&plain, false), &file)?;
    let mut tar = File::open(&file)
        .map_err(|e| Error::with_source(Kind::Internal, format!("reading {}", file.display()), e))?;
    let id = spec.root.image_id.as_ref().map(ToString::to_string).unwrap_or_default();
    let image = spec.root.image_name.as_str();
    let host = crate::engine::system::kernel();
    let annotations = [
        ("name", spec.name.as_str()),
        ("rawImageName", image),
        ("rootfsImageID", &id),
        ("rootfsImageName", image),
        ("runtime.name", "rcon"),
        ("runtime.version", env!("CARGO_PKG_VERSION")),
        ("host.arch", std::env::consts::ARCH),
        ("host.kernel", &host),
    ];
    let options = ImageImport {
        name: Some(name.to_owned()),
        message: Some(format!("checkpoint of container {}", spec.name)),
        annotations: annotations.map(|(k, v)| (format!("{PREFIX}{k}"), v.to_owned())).to_vec(),
        ..ImageImport::default()
    };
    images::import(ctx, &mut tar, &options).map(drop)
}

/// Whether the manifest says so.
fn is_checkpoint(store: &Store, image: &Image) -> Result<bool, Error> {
    let manifest = store.document(&image.manifest)?;
    let manifest: Option<Value> = manifest.and_then(|m| serde_json::from_slice(&m.bytes).ok());
    Ok(manifest.is_some_and(|m| m["annotations"].get(format!("{PREFIX}name")).is_some()))
}

/// Whether an image is that of a checkpoint: `run` restores its container then, as podman's does.
#[must_use]
pub fn is_image(ctx: &Context, name: &str) -> bool {
    let look = || {
        let store = ctx.store()?;
        is_checkpoint(&store, &lookup::image(ctx, &store, name)?)
    };
    look().unwrap_or(false)
}

/// Makes a container of such an image, and restores it.
pub(super) fn restore(
    ctx: &Context,
    store: &Store,
    name: &str,
    (import, options): (&ImportOptions, &RestoreOptions),
    progress: &dyn Progress,
) -> Result<Report, Error> {
    allowed()?;
    let image = lookup::image(ctx, store, name)?;
    if !is_checkpoint(store, &image)? {
        return Err(Error::new(Kind::Invalid, format!("image {name} is no checkpoint")));
    }
    let staged = checkpoints::stage(&ctx.paths)?;
    let layers: Vec<PathBuf> = image.layers.iter().rev().map(|l| ctx.paths.layer_diff(l)).collect();
    let from = overlay::mount_readonly(&layers, Options::default())?;
    let from = crate::sys::root::Root::new(from).read_dir_fd(Path::new("/"));
    let from = from.map_err(|e| Error::with_source(Kind::Internal, "opening the image", e))?;
    let spool = checkpoints::stage(&ctx.paths)?;
    let file = spool.path().join("checkpoint.tar");
    let failed = |e| Error::with_source(Kind::Internal, format!("writing {}", file.display()), e);
    let mut out = std::io::BufWriter::with_capacity(1 << 16, File::create(&file).map_err(failed)?);
    write_tar(from.as_fd(), &TarOptions::default(), &mut out)?;
    out.flush().map_err(failed)?;
    import::unpack_into(&file, staged.path())?;
    drop(spool);
    import::bring(ctx, store, staged, (import, options), progress)
}
