//! `pull`.

use super::ensure::WantedImage;
use super::interrupt::watched;
use super::{By, Context, Error, Kind, Names, files, find_by};
use crate::engine::journal;
use crate::image::policy::Policy;
use crate::image::{self, NoProgress, Progress, PullRequest};
use crate::model::create::RegistryOptions;
use crate::model::digest::Digest;
use crate::model::image::{Image, Platform};
use crate::model::lifecycle::PullPolicy;
use crate::model::reference::{ImageName, ImageRef};
use crate::model::transport::{FileForm, FilePlace, Place};
use crate::storage::Store;

/// How to pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullOptions {
    /// `--platform`.
    pub platform: Option<String>,
    /// Registry flags.
    pub registry: RegistryOptions,
    /// `--policy`; `Missing` where a caller has found out that it is missing makes no difference.
    pub policy: PullPolicy,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// The reference that was found; nothing for an image in a file that has no name there.
    pub reference: Option<ImageRef>,
    /// Its digest in the registry.
    pub digest: Digest,
    /// Nothing had to be fetched and the name meant this image before.
    pub up_to_date: bool,
}

/// Pulls an image by name.
///
/// # Errors
/// A name that is none; everything that can go wrong with a registry, named with the reference.
pub fn pull(
    ctx: &Context,
    name: &str,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Pulled, Error> {
    let store = ctx.store()?;
    let names = Names::of(ctx);
    let name = match &files::place(name)? {
        Place::Files(from) => return pull_files(ctx, &store, from, options, progress),
        // What is in the store only has to be there.
        Place::Store(name) => {
            let (image, by) = find_by(&names, &store, name)?;
            let reference = if let By::Name(key) = by { Some(key.parse()?) } else { None };
            return Ok(Pulled { digest: image.manifest.clone(), reference, image, up_to_date: true });
        }
        Place::Registry(name) | Place::Name(name) => name.clone(),
        Place::Unsupported(_) => name.to_owned(),
    };
    let name = name.as_str();
    let before = match options.policy {
        PullPolicy::Always => None,
        _ => match find_by(&names, &store, name) {
            Ok((image, By::Name(key))) => Some((image, key)),
            Ok((_, By::Id)) => None,
            Err(e) if e.kind() == Kind::NotFound => None,
            Err(e) => return Err(e),
        },
    };
    let Some((old, key)) = before else {
        if options.policy == PullPolicy::Never {
            return Err(super::no_such_image(name));
        }
        return pull_into(ctx, &store, &names, name, options, progress);
    };
    let registry = &options.registry;
    let platform = options.platform.as_deref();
    let wanted = WantedImage { name, platform, policy: options.policy, registry };
    let image = super::ensure(ctx, &store, &wanted, progress)?;
    let reference: ImageRef = key.parse()?;
    let digest = image.digests.iter().filter_map(|d| d.parse::<ImageRef>().ok()?.digest).next();
    Ok(Pulled {
        digest: digest.unwrap_or_else(|| image.manifest.clone()),
        up_to_date: image.id == old.id,
        reference: Some(reference),
        image,
    })
}

/// A pull out of files. All images of an archive are taken; the first is the one that is told.
pub(super) fn pull_files(
    ctx: &Context,
    store: &Store,
    from: &FilePlace,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Pulled, Error> {
    if let Some(path) = &options.registry.signature_policy {
        let transport = match from.form {
            FileForm::DockerArchive => "docker-archive",
            FileForm::OciArchive => "oci-archive",
            FileForm::OciDir => "oci",
            FileForm::Dir => "dir",
        };
        Policy::load(path.as_ref())?.check_files(transport, &from.path.display().to_string())?;
    }
    let mut loaded = files::pull(ctx, store, from, options.platform.as_deref(), progress)?;
    if loaded.is_empty() {
        return Err(super::no_such_image(&from.path.display().to_string()));
    }
    let first = loaded.swap_remove(0);
    Ok(Pulled {
        digest: first.image.manifest.clone(),
        reference: first.names.into_iter().next(),
        image: first.image,
        up_to_date: false,
    })
}

/// The names of all tags of a repository, `name:tag`, for `pull --all-tags`.
///
/// # Errors
/// As [`pull`]; a name with a tag or a digest.
pub fn tags(name: &str, options: &PullOptions) -> Result<Vec<String>, Error> {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) {
        return Err(Error::new(Kind::Invalid, "tag can't be used with --all-tags/-a"));
    }
    let names = Names::of_registries();
    let found = with_request(&names, name, options, &NoProgress, image::pull::remote_tags)?;
    Ok(found.into_iter().map(|tag| format!("{name}:{tag}")).collect())
}

/// Pulls a name whether or not the store has it; the id of what came.
pub(in crate::engine) fn pull_again(
    ctx: &Context,
    store: &Store,
    name: &str,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Digest, Error> {
    Ok(pull_into(ctx, store, &Names::of(ctx), name, options, progress)?.image.id)
}

pub(super) fn pull_into(
    ctx: &Context,
    store: &Store,
    names: &Names,
    name: &str,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Pulled, Error> {
    let done = with_request(names, name, options, progress, |request, progress| {
        image::pull(store, request, progress)
    })?;
    let image::Pulled { image, reference, digest, up_to_date } = done;
    journal::moved_image(ctx, "pull", &ctx.shown(&reference), &image);
    Ok(Pulled { image, reference: Some(reference), digest, up_to_date })
}

/// The digest that a name has in its registry now.
pub(super) fn remote_digest(names: &Names, name: &str, options: &PullOptions) -> Result<Digest, Error> {
    with_request(names, name, options, &NoProgress, image::pull::remote_digest)
}

fn with_request<T>(
    names: &Names,
    name: &str,
    options: &PullOptions,
    progress: &dyn Progress,
    work: impl FnOnce(&PullRequest<'_>, &dyn Progress) -> Result<T, image::Error>,
) -> Result<T, Error> {
    let parsed: ImageName = name.parse().map_err(image::Error::from)?;
    let platform = options.platform.as_deref().map(str::parse::<Platform>).transpose()?;
    let mut candidates = names.candidates(&parsed)?;
    if let Some(path) = &options.registry.signature_policy {
        candidates = allowed(&Policy::load(path.as_ref())?, candidates)?;
    }
    let request = PullRequest {
        candidates,
        platform,
        options: &options.registry,
        registries: names.registries()?,
        env: &names.env,
        jobs: 0,
    };
    let what = match &request.candidates[..] {
        [one] => one.familiar(),
        _ => name.to_owned(),
    };
    watched(progress, |progress| work(&request, progress)).map_err(|e| e.context(format!("pulling {what}")))
}

/// The candidates that the policy lets in; if there is none, why not the first.
fn allowed(policy: &Policy, candidates: Vec<ImageRef>) -> Result<Vec<ImageRef>, Error> {
    let (fit, refused): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|c| policy.check(c).is_ok());
    match refused.first().filter(|_| fit.is_empty()) {
        Some(first) => {
            Err(policy.check(first).map_or_else(Error::from, |()| super::no_such_image(&first.name())))
        }
        None => Ok(fit),
    }
}
