//! Images in files and directories as sources of a pull and targets of a push (`docker-archive:`, `oci-archive:`, `oci:`,
//! `dir:`), as podman and skopeo have them.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use super::interrupt::watched;
use super::{By, Context, Error, Kind, Names, find_by};
use crate::engine::journal;
use crate::engine::progress::LayerState;
use crate::image::archive::{self, Loaded, Packed, Saved};
use crate::image::{self, Progress};
use crate::model::digest::Digest;
use crate::model::image::Platform;
use crate::model::reference::{DEFAULT_REGISTRY, ImageName, ImageRef};
use crate::model::transport::{FileForm, FilePlace, Place};
use crate::storage::Store;

/// Takes apart what a user gave as an image; a transport that rcon does not speak is refused by name.
pub(super) fn place(text: &str) -> Result<Place, Error> {
    match Place::of(text) {
        Place::Unsupported(transport) => {
            let error =
                Error::new(Kind::Unsupported, format!("transport {transport}: is not supported: {text}"));
            Err(match transport.as_str() {
                "docker-daemon" => error.hint("let docker give it: docker save IMAGE | rcon load"),
                _ => error.hint("use docker://, docker-archive:, oci-archive:, oci: or dir:"),
            })
        }
        place => Ok(place),
    }
}

/// Brings the images of a place into the store.
pub(super) fn pull(
    ctx: &Context,
    store: &Store,
    from: &FilePlace,
    platform: Option<&str>,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>, Error> {
    let platform = platform.map(str::parse::<Platform>).transpose()?;
    // podman: a directory has no name in it, so that the image is called after it.
    let nameless = match (from.form, &from.name) {
        (FileForm::Dir, _) => from.path.to_str().map(|p| p.trim_matches('/').to_owned()),
        (FileForm::OciDir, Some(label)) => Some(label.clone()),
        _ => None,
    };
    let nameless = nameless.and_then(|n| Some(n.parse::<ImageName>().ok()?.in_registry("localhost")));
    let what = archive::From {
        platform: platform.as_ref(),
        only: from.name.as_deref(),
        nameless: nameless.as_ref(),
        // podman pulls one image.
        single: ctx.podman,
    };
    let context = |e: Error| e.context(format!("loading {}", from.path.display()));
    let loaded = watched(progress, |progress| match from.form {
        FileForm::OciDir | FileForm::Dir => archive::load_directory(store, &from.path, what, progress),
        FileForm::DockerArchive | FileForm::OciArchive => {
            let open = |source| image::Error::Io { what: format!("opening {}", from.path.display()), source };
            archive::load(store, File::open(&from.path).map_err(open)?, what, progress)
        }
    })
    .map_err(context)?;
    for l in &loaded {
        journal::image(ctx, "pull", l.image.id.as_str(), &l.image.config.labels);
    }
    Ok(loaded)
}

/// Writes an image of the store to a place; gives the digest of its manifest there.
pub(super) fn push(
    ctx: &Context,
    source: &str,
    to: &FilePlace,
    docker: bool,
    packed: Option<Packed>,
    progress: &dyn Progress,
) -> Result<Digest, Error> {
    if packed.is_some() && !matches!(to.form, FileForm::OciDir | FileForm::Dir) {
        let why = "layers are not packed within an archive: pack the archive itself, or push to oci: or dir:";
        return Err(Error::new(Kind::Unsupported, why));
    }
    let store = ctx.store()?;
    let (image, by) = find_by(&Names::of(ctx), &store, source)?;
    let named = match &by {
        By::Name(key) => Some(key.parse::<ImageRef>()?).filter(|n| n.digest.is_none()),
        By::Id => None,
    };
    let (names, label) = match (&to.name, to.form) {
        (Some(name), FileForm::DockerArchive) => {
            let parsed: ImageName = name.parse().map_err(image::Error::from)?;
            (vec![parsed.in_registry(DEFAULT_REGISTRY)], None)
        }
        (Some(label), _) => (Vec::new(), Some(label.clone())),
        (None, FileForm::DockerArchive) => (named.into_iter().collect(), None),
        (None, _) => (Vec::new(), None),
    };
    let saved = [Saved { names, image, label }];
    let context = |e: Error| e.context(format!("writing {}", to.path.display()));
    progress.opened();
    let digest = watched(progress, |_| match archive::directory_target(to.form, &to.path, docker, packed) {
        Some(target) => archive::save(&store, &saved, target),
        None => tar(&store, &saved, to),
    })
    .map_err(context)?;
    for layer in &saved[0].image.diff_ids {
        progress.layer(layer, LayerState::Pushed);
    }
    progress.config(&saved[0].image.id);
    journal::image(ctx, "push", source, &saved[0].image.config.labels);
    Ok(digest)
}

fn tar(store: &Store, saved: &[Saved], to: &FilePlace) -> Result<Digest, image::Error> {
    let failed = |source| image::Error::Io { what: format!("writing {}", to.path.display()), source };
    // An archive that is there is not added to: who names one by mistake keeps it.
    if to.path.metadata().is_ok_and(|m| m.is_file() && m.len() > 0) {
        return Err(image::Error::Invalid {
            what: format!("target {}", to.path.display()),
            why: "an archive that exists cannot be changed".into(),
        });
    }
    let mut out = BufWriter::with_capacity(128 << 10, File::create(&to.path).map_err(failed)?);
    let docker = to.form == FileForm::DockerArchive;
    let done = archive::save(store, saved, archive::Target::Tar { docker, out: &mut out });
    let done = done.and_then(|digest| out.flush().map(|()| digest).map_err(failed));
    if done.is_err() {
        // Half an archive helps nobody; the failure itself says more.
        let _gone = std::fs::remove_file(&to.path);
    }
    done
}
