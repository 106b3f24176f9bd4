//! `volume …`: named places for data that outlive containers.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use super::context::Context;
use super::error::{Error, Kind};
use super::filter::{Filters, has_label, name_matches};
use super::journal;
use super::rm::{self, RemoveOptions};
use super::select::{Done, Selection};
use crate::model::id::check_name;
use crate::model::units::parse_timestamp;
use crate::model::volume::Volume;
use crate::storage::volumes::NewVolume;
use crate::storage::{Error as StorageError, Store, Use};

/// Filters of `volume ls` and `volume prune`.
pub(super) const FILTERS: &[&str] =
    &["after", "all", "dangling", "driver", "label", "label!", "name", "opt", "scope", "since", "until"];

/// What `volume create` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// Name; none makes an anonymous one.
    pub name: Option<String>,
    /// `-d`: only `local`.
    pub driver: Option<String>,
    /// `-o`.
    pub options: Vec<(String, String)>,
    /// `-l`.
    pub labels: Vec<(String, String)>,
    /// `--ignore`: one that exists is no error (docker's way for the same options).
    pub ignore: bool,
    /// `--uid`.
    pub uid: Option<u32>,
    /// `--gid`.
    pub gid: Option<u32>,
}

/// Makes a volume; one of the same name and options is returned as it is.
///
/// # Errors
/// A bad name, an unsupported driver or option, other options than the existing one's.
pub fn create(ctx: &Context, options: &VolumeOptions) -> Result<Volume, Error> {
    let VolumeOptions { name, driver, options: opts, labels, ignore, uid, gid } = options;
    if let Some(driver) = driver.as_deref().filter(|d| !d.is_empty() && *d != "local") {
        return Err(Error::new(
            Kind::Unsupported,
            format!("volume driver {driver:?} is not supported: only local volumes exist"),
        )
        .hint("an image is mounted by --mount type=image,source=IMAGE,target=PATH"));
    }
    let name = name.as_deref().filter(|n| !n.is_empty());
    if let Some(name) = name {
        check_name("volume name", name).map_err(|_| {
            Error::new(
                Kind::Invalid,
                format!(
                    "{name:?} includes invalid characters for a local volume name, only \
                     \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed"
                ),
            )
            .hint("if you intended to pass a host directory, use an absolute path")
        })?;
    }
    let store = ctx.store()?;
    let new = NewVolume {
        name: name.map(str::to_owned),
        anonymous: false,
        labels: labels.clone(),
        options: opts.clone(),
    };
    let volume = match store.create_volume(&new) {
        Ok(volume) => {
            journal::volume(ctx, "create", &volume.name);
            volume
        }
        Err(StorageError::Exists { .. }) => {
            let volume = store.find_volume(name.unwrap_or_default())?;
            if !ignore && ctx.podman {
                let text = format!("volume with name {} already exists: volume already exists", volume.name);
                return Err(Error::new(Kind::Conflict, text));
            }
            if !ignore && volume.options != *opts {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("volume {} already exists but has been created with other options", volume.name),
                ));
            }
            return Ok(volume);
        }
        Err(e) => return Err(e.into()),
    };
    let said = crate::storage::volume_mount::owner_of(opts);
    let (uid, gid) = (uid.or(said.0), gid.or(said.1));
    if uid.is_some() || gid.is_some() {
        std::os::unix::fs::chown(&volume.mountpoint, uid, gid).map_err(|e| {
            Error::with_source(Kind::Internal, format!("changing the owner of volume {}", volume.name), e)
        })?;
    }
    Ok(volume)
}

/// Lists volumes by name. Filters: `dangling`, `driver`, `label`, `name`, `opt`, `until`.
///
/// # Errors
/// An unknown filter, or a store that cannot be read.
pub fn ls(ctx: &Context, filters: &[String]) -> Result<Vec<Volume>, Error> {
    let store = ctx.store()?;
    filtered(&store, &Filters::parse(filters, FILTERS)?)
}

/// The volumes that pass.
pub(super) fn filtered(store: &Store, filters: &Filters) -> Result<Vec<Volume>, Error> {
    let mut list = store.list_volumes()?;
    let time = |text: &String| parse_timestamp(text, jiff::Timestamp::now(), &jiff::tz::TimeZone::system());
    let until = filters.values("until").first().map(time).transpose()?;
    let since = match filters.values("since").first().or(filters.values("after").first()) {
        Some(name) => Some(store.find_volume(name)?.created),
        None => None,
    };
    let dangling = match filters.values("dangling").first().map(String::as_str) {
        None => None,
        Some("true" | "1" | "t") => Some(true),
        Some("false" | "0" | "f") => Some(false),
        Some(other) => {
            return Err(Error::new(Kind::Invalid, format!("invalid filter 'dangling={other}'")));
        }
    };
    let mut failed = None;
    list.retain(|v| {
        let used = match dangling.map(|d| in_use(store, v).map(|used| used != d)) {
            None => true,
            Some(Ok(fits)) => fits,
            Some(Err(e)) => {
                failed = Some(e);
                false
            }
        };
        used && until.is_none_or(|t| v.created < t)
            && since.is_none_or(|t| v.created > t)
            && filters.values("label").iter().all(|l| has_label(&v.labels, l))
            && !filters.values("label!").iter().any(|l| has_label(&v.labels, l))
            && filters.values("opt").iter().all(|o| has_label(&v.options, o))
            && any(filters.values("name"), |n| name_matches(n, &v.name))
            && any(filters.values("driver"), |d| *d == v.driver)
            && any(filters.values("scope"), |s| s == "local")
    });
    match failed {
        Some(e) => Err(e),
        None => Ok(list),
    }
}

/// No value at all, or one that fits.
fn any(values: &[String], fits: impl Fn(&String) -> bool) -> bool {
    values.is_empty() || values.iter().any(fits)
}

pub(super) fn in_use(store: &Store, volume: &Volume) -> Result<bool, Error> {
    Ok(!store.containers_using(Use::Volume(&volume.name))?.is_empty())
}

/// One volume as docker's JSON.
///
/// # Errors
/// No such volume.
pub fn inspect(ctx: &Context, name: &str) -> Result<serde_json::Value, Error> {
    let store = ctx.store()?;
    let volume = named(ctx, &store, name)?;
    // By key, as Go writes maps.
    let map = |pairs: &[(String, String)]| {
        let sorted: std::collections::BTreeMap<_, _> =
            pairs.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        sorted.into_iter().map(|(k, v)| (k, v.into())).collect::<serde_json::Map<_, _>>()
    };
    let nothing = |pairs: &[(String, String)]| match pairs {
        [] if !ctx.podman => serde_json::Value::Null,
        _ => map(pairs).into(),
    };
    // It is filled from the image at a start as long as nothing is in it.
    let empty = std::fs::read_dir(&volume.mountpoint).is_ok_and(|mut entries| entries.next().is_none());
    let mut document = json!({
        "CreatedAt": volume.created.to_string(),
        "Driver": volume.driver,
        "Labels": nothing(&volume.labels),
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": nothing(&volume.options),
        "Scope": "local",
        "Anonymous": volume.anonymous,
        "NeedsCopyUp": empty,
        "NeedsChown": empty,
        "MountCount": store.containers_using(Use::Volume(&volume.name))?.len(),
    });
    if let (true, Ok(owner)) = (ctx.podman, std::fs::metadata(&volume.mountpoint)) {
        document["UID"] = owner.uid().into();
        document["GID"] = owner.gid().into();
        // What of `o` says whose it is, once more by itself.
        let (uid, gid) = crate::storage::volume_mount::owner_of(&volume.options);
        for (key, id) in [("UID", uid), ("GID", gid)] {
            if let Some(id) = id {
                document["Options"][key] = id.to_string().into();
            }
        }
    }
    Ok(document)
}

/// A volume by its name; podman takes the beginning of one, too.
fn named(ctx: &Context, store: &Store, name: &str) -> Result<Volume, Error> {
    let missing = match store.find_volume(name) {
        Err(e) if e.is_not_found() && ctx.podman && !name.is_empty() => e,
        other => return Ok(other?),
    };
    let mut fits = store.list_volumes()?;
    fits.retain(|v| v.name.starts_with(name));
    match fits.len() {
        0 => Err(missing.into()),
        1 => Ok(fits.remove(0)),
        _ => Err(Error::new(
            Kind::Invalid,
            format!("more than one result for volume name {name}: volume already exists"),
        )),
    }
}

/// How to remove volumes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveVolumes {
    /// Every one.
    pub all: bool,
    /// A missing one is no error.
    pub force: bool,
    /// The containers that use them too (podman's meaning of `force`).
    pub users: bool,
    /// With `users`: seconds that a container has to stop.
    pub timeout: Option<i64>,
}

/// Removes volumes.
///
/// # Errors
/// Only what concerns all; in use or missing goes to `report`.
pub fn rm(
    ctx: &Context,
    names: &[String],
    options: RemoveVolumes,
    report: &mut dyn FnMut(Done<String>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    let RemoveVolumes { all, force, .. } = options;
    let names: Vec<String> = match (all, names.is_empty()) {
        (true, true) => store.list_volumes()?.into_iter().map(|v| v.name).collect(),
        (true, false) => {
            return Err(Error::new(Kind::Invalid, "--all and volume names cannot be used together"));
        }
        (false, _) => names.to_vec(),
    };
    for given in names {
        let result = match one(ctx, &store, &given, options) {
            Err(e) if force && e.kind() == Kind::NotFound => match ctx.podman {
                true => continue,
                false => Ok(given.clone()),
            },
            other => other,
        };
        report(Done { given, result });
    }
    Ok(())
}

fn one(ctx: &Context, store: &Store, name: &str, how: RemoveVolumes) -> Result<String, Error> {
    let volume = named(ctx, store, name)?;
    match store.remove_volume(&volume.name) {
        Ok(()) => {}
        Err(StorageError::InUse { containers, .. }) if how.users => {
            let users: Vec<String> = containers.iter().map(|(id, _)| id.to_string()).collect();
            let options = RemoveOptions { force: true, timeout: how.timeout, ..RemoveOptions::default() };
            let mut failed = None;
            rm::rm(ctx, &Selection::names(&users), &options, &mut |done| {
                failed = failed.take().or(done.result.err());
            })?;
            if let Some(e) = failed {
                return Err(e.context(format!("removing the containers that use volume {}", volume.name)));
            }
            store.remove_volume(&volume.name)?;
        }
        Err(StorageError::InUse { containers, .. }) => {
            let ids: Vec<&str> = containers.iter().map(|(id, _)| id.as_str()).collect();
            return Err(Error::new(
                Kind::Conflict,
                format!("remove {}: volume is in use - [{}]", volume.name, ids.join(", ")),
            ));
        }
        Err(e) => return Err(e.into()),
    }
    journal::volume(ctx, "destroy", &volume.name);
    Ok(volume.name)
}

/// Whether it exists.
///
/// # Errors
/// A store that cannot be read.
pub fn exists(ctx: &Context, name: &str) -> Result<bool, Error> {
    match ctx.store()?.find_volume(name) {
        Ok(_) => Ok(true),
        Err(e) if e.is_not_found() => Ok(false),
        Err(StorageError::Ambiguous { .. }) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// `volume export`: its content as a tar.
///
/// # Errors
/// No such volume.
pub fn export(ctx: &Context, name: &str, out: &mut dyn Write) -> Result<u64, Error> {
    use std::os::fd::AsFd as _;
    let volume = on_host(ctx, name)?;
    let root = std::fs::File::open(&volume.mountpoint)
        .map_err(|e| Error::with_source(Kind::Internal, format!("opening volume {}", volume.name), e))?;
    Ok(crate::storage::diff::write_tar(root.as_fd(), &crate::storage::diff::TarOptions::default(), out)?)
}

/// `volume import`: fills it from a tar.
///
/// # Errors
/// No such volume, or a broken stream.
pub fn import(ctx: &Context, name: &str, tar: &mut dyn Read) -> Result<u64, Error> {
    let volume = on_host(ctx, name)?;
    super::cp::fill(std::path::Path::new(&volume.mountpoint), tar)
        .map_err(|e| e.context(format!("importing into volume {}", volume.name)))
}

/// `volume mount` and `volume unmount`: the host path of its content, which is there all the time.
///
/// # Errors
/// No such volume, or one whose options name something else than its directory.
pub fn mountpoint(ctx: &Context, name: &str) -> Result<String, Error> {
    Ok(on_host(ctx, name)?.mountpoint)
}

/// `volume reload`: takes up volumes whose directories are there and whose rows are lost.
///
/// # Errors
/// A store that cannot be read or written.
pub fn reload(ctx: &Context) -> Result<Vec<String>, Error> {
    Ok(ctx.store()?.adopt_volumes()?)
}

/// A volume whose content is in its directory. One with a device is mounted in each container that uses it.
fn on_host(ctx: &Context, name: &str) -> Result<Volume, Error> {
    let volume = ctx.store()?.find_volume(name)?;
    let device = volume.options.iter().find(|(k, v)| k == "device" && !v.is_empty());
    match device {
        None => Ok(volume),
        Some((_, device)) => Err(Error::new(
            Kind::Unsupported,
            format!(
                "volume {} is {device:?}: it is mounted in the containers that use it, not on the host",
                volume.name
            ),
        )
        .hint("use a container with it: rcon run -v VOLUME:/data …")),
    }
}
