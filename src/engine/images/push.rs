//! `push`, and what asks registries without pulling: `login`, `logout`, `search`.

use super::interrupt::watched;
use super::{Context, Error, Kind, Names, files, find_by};
use crate::engine::journal;
use crate::image::archive::Packed;
pub use crate::image::auth::Stored;
use crate::image::auth::{self, Credentials};
use crate::image::manifest::Form;
use crate::image::push::{Packing, PushRequest, Pushed};
use crate::image::{self, Progress, SearchResult};
use crate::model::create::RegistryOptions;
use crate::model::reference::{DEFAULT_REGISTRY, ImageName};
use crate::model::transport::Place;

/// How to push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushOptions {
    /// Registry flags.
    pub registry: RegistryOptions,
    /// `--compression-format`: `gzip`, `zstd`.
    pub compression: Option<String>,
    /// `--compression-level`.
    pub level: Option<i32>,
    /// `--force-compression`.
    pub force_compression: bool,
    /// `--format`: `oci`, `v2s2`.
    pub format: Option<String>,
    /// `--compress`: layers of a `dir:` are packed with gzip.
    pub compress: bool,
}

/// Pushes the image that `source` means to `target`, or to where its name says.
///
/// # Errors
/// No such image; everything that can go wrong with a registry.
pub fn push(
    ctx: &Context,
    source: &str,
    target: Option<&str>,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<(String, Pushed), Error> {
    let invalid = |what: &str, v: &str, want: &str| {
        Error::new(Kind::Invalid, format!("invalid {what} {v:?}: want {want}"))
    };
    let packing = match options.compression.as_deref() {
        None => None,
        Some("gzip") => Some(Packing::Gzip),
        Some("zstd") => Some(Packing::Zstd),
        Some(other) => return Err(invalid("--compression-format", other, "gzip or zstd")),
    };
    let levels = match packing {
        Some(Packing::Zstd) => 1..=22,
        _ => 0..=9,
    };
    if let Some(level) = options.level.filter(|level| !levels.contains(level)) {
        let (least, most) = (levels.start(), levels.end());
        let why = format!("invalid compression level: {level}: want {least} to {most}");
        return Err(Error::new(Kind::Invalid, why));
    }
    let form = match options.format.as_deref() {
        None => None,
        Some("oci") => Some(Form::Oci),
        Some("v2s2" | "docker") => Some(Form::Docker),
        Some(other) => return Err(invalid("--format", other, "oci or v2s2")),
    };
    let target = match files::place(target.unwrap_or(source))? {
        Place::Files(to) => {
            let docker = form == Some(Form::Docker);
            let asked = options.compress || options.level.is_some();
            let packing = packing.or(asked.then_some(Packing::Gzip));
            let packed = packing.map(|packing| Packed { packing, level: options.level });
            let digest = files::push(ctx, source, &to, docker, packed, progress)?;
            return Ok((to.path.display().to_string(), Pushed { digest, size: 0 }));
        }
        Place::Store(name) => {
            let why = format!("containers-storage:{name} is the store itself: use rcon tag");
            return Err(Error::new(Kind::Invalid, why));
        }
        Place::Registry(name) | Place::Name(name) | Place::Unsupported(name) => name,
    };
    let store = ctx.store()?;
    let names = Names::of(ctx);
    let (image, _) = find_by(&names, &store, source).map_err(|e| match e.kind() {
        Kind::NotFound => {
            Error::new(Kind::NotFound, format!("An image does not exist locally with the tag: {source}"))
        }
        _ => e,
    })?;
    let parsed: ImageName = target.parse().map_err(image::Error::from)?;
    let target = parsed.in_registry(DEFAULT_REGISTRY);
    let request = PushRequest {
        image: &image,
        target: target.clone(),
        options: &options.registry,
        registries: names.registries()?,
        env: &names.env,
        packing,
        level: options.level,
        force: options.force_compression,
        form,
    };
    let what = format!("pushing {}", ctx.shown(&target));
    let pushed = watched(progress, |progress| image::push::push(&store, &request, progress));
    let pushed = pushed.map_err(|e| e.context(what))?;
    store.add_image_digest(&image.id, &target.with_digest(&pushed.digest).to_string())?;
    journal::moved_image(ctx, "push", &ctx.shown(&target), &image);
    Ok((target.to_string(), pushed))
}

/// The repository of a registry that a push to this goes to, in full; none where it goes to files.
#[must_use]
pub fn repository(target: &str) -> Option<String> {
    match files::place(target).ok()? {
        Place::Registry(name) | Place::Name(name) => {
            Some(name.parse::<ImageName>().ok()?.in_registry(DEFAULT_REGISTRY).name())
        }
        _ => None,
    }
}

/// Checks credentials with a registry and keeps them. `key` is a registry or `registry/namespace`.
///
/// # Errors
/// The registry refuses them, or they cannot be kept.
pub fn login(key: &str, username: &str, password: &str, options: &RegistryOptions) -> Result<Stored, Error> {
    let names = Names::of_registries();
    let key = normal(key);
    let registry = key.split('/').next().unwrap_or(&key);
    let credentials = Credentials::Basic { username: username.to_owned(), password: password.to_owned() };
    image::check_login(names.registries()?, &names.env, options, registry, credentials).map_err(
        |e| match e {
            image::Error::Unauthorized { .. } => {
                let why = "login attempt failed with status: 401 Unauthorized: invalid username/password";
                Error::new(Kind::Denied, format!("logging into \"{registry}\": {why}"))
            }
            e => Error::from(e).context(format!("logging into \"{registry}\"")),
        },
    )?;
    let file = options.auth_file.as_deref().map(std::path::Path::new);
    Ok(auth::store(&names.env, file, &key, username, password)?)
}

/// Tries the credentials that are kept for a registry: whether there are some and the registry believes them.
///
/// # Errors
/// The registry cannot be reached, or a credentials file does not parse.
pub fn login_again(key: &str, options: &RegistryOptions) -> Result<bool, Error> {
    let names = Names::of_registries();
    let key = normal(key);
    let (registry, repository) = key.split_once('/').unwrap_or((&key, ""));
    let file = options.auth_file.as_deref().map(std::path::Path::new);
    let chain = auth::Keychain::new(&names.env, names.registries()?, None, file);
    let Some(kept) = chain.find(registry, repository)? else { return Ok(false) };
    match image::check_login(names.registries()?, &names.env, options, registry, kept) {
        Ok(()) => Ok(true),
        Err(image::Error::Unauthorized { .. }) => Ok(false),
        Err(e) => Err(Error::from(e).context(format!("logging into \"{registry}\""))),
    }
}

/// The user name that is kept for a registry, if any.
///
/// # Errors
/// A credentials file that does not parse.
pub fn login_of(key: &str, options: &RegistryOptions) -> Result<Option<String>, Error> {
    let names = Names::of_registries();
    let key = normal(key);
    let (registry, repository) = key.split_once('/').unwrap_or((&key, ""));
    let file = options.auth_file.as_deref().map(std::path::Path::new);
    let chain = auth::Keychain::new(&names.env, names.registries()?, None, file);
    Ok(match chain.find(registry, repository)? {
        Some(Credentials::Basic { username, .. }) => Some(username),
        Some(_) => Some("<token>".to_owned()),
        None => None,
    })
}

/// Forgets the credentials of `key`, or of all registries. Says of which.
///
/// # Errors
/// The file cannot be written; there were none.
pub fn logout(key: Option<&str>, auth_file: Option<&str>) -> Result<Vec<String>, Error> {
    let names = Names::of_registries();
    let file = auth_file.map(std::path::Path::new);
    let keys = match key {
        Some(key) => vec![normal(key)],
        None => auth::logins(&names.env, file)?,
    };
    let mut gone = Vec::new();
    for key in keys {
        if auth::store_erase(&names.env, file, &key)? {
            gone.push(key);
        }
    }
    if let (true, Some(key)) = (gone.is_empty(), key) {
        return Err(Error::new(Kind::NotFound, format!("not logged into {}", normal(key))));
    }
    Ok(gone)
}

/// The registries that short names are looked for in; none where the configuration cannot be read, which a pull tells.
#[must_use]
pub fn search_registries() -> Vec<String> {
    let names = Names::of_registries();
    let all = names.registries().map(|r| r.search().into_iter().map(str::to_owned).collect());
    all.unwrap_or_default()
}

/// Searches registries: the one in the term (`quay.io/nginx`), or those that short names are looked up in.
///
/// # Errors
/// No registry answers.
pub fn search(term: &str, limit: usize, options: &RegistryOptions) -> Result<Vec<SearchResult>, Error> {
    let names = Names::of_registries();
    let registries = names.registries()?;
    let (hosts, term) = match term.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (vec![host], rest),
        _ => (registries.search(), term),
    };
    let mut found = Vec::new();
    for host in hosts {
        let some = image::search(registries, &names.env, options, host, term, limit);
        found.extend(some.map_err(|e| Error::from(e).context(format!("searching {host}")))?);
    }
    Ok(found)
}

/// A registry as users write it: without scheme and slash at the end, docker's old names as `docker.io`.
fn normal(key: &str) -> String {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    match key {
        "" | "index.docker.io" | "index.docker.io/v1" | "registry-1.docker.io" => DEFAULT_REGISTRY.to_owned(),
        other => other.to_owned(),
    }
}
