//! `rcon secret …`: making, listing, showing and removing secrets. A container gets a copy of a secret when it is
//! made ([`copy`]), so that it is the same as long as the container lives, as podman has it.

use std::path::Path;

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Error, Kind};
use super::filter::{Filters, has_label, id_matches, name_matches};
use super::select::Done;
use crate::model::container::{ContainerSpec, SecretUse};
use crate::storage::Store;
pub use crate::storage::secrets::{MAX_VALUE, Secret};

/// How to make a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretOptions {
    /// `--driver`: only `file`.
    pub driver: Option<String>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// `--replace`: one of that name is replaced.
    pub replace: bool,
    /// `--ignore`: one of that name is no error.
    pub ignore: bool,
}

/// Makes a secret.
///
/// # Errors
/// A name that is taken or bad, a value that is empty or too long, an unknown driver.
pub fn create(ctx: &Context, name: &str, value: &[u8], options: &SecretOptions) -> Result<Secret, Error> {
    if let Some(driver) = options.driver.as_deref().filter(|d| !matches!(*d, "" | "file")) {
        return Err(Error::new(Kind::Unsupported, format!("secret driver {driver:?} is not supported"))
            .hint("rcon keeps secrets in files that only root reads: --driver file"));
    }
    let store = ctx.store()?;
    if options.ignore
        && let Ok(there) = store.find_secret(name)
        && there.name == name
    {
        return Ok(there);
    }
    let made = store.create_secret(name, value, &options.labels, options.replace)?;
    super::journal::secret(ctx, "create", &made.id, name);
    Ok(made)
}

/// Lists secrets by name. Filters: `id`, `name`, `label`.
///
/// # Errors
/// An unknown filter, or a store that cannot be read.
pub fn ls(ctx: &Context, filters: &[String]) -> Result<Vec<Secret>, Error> {
    let filters = Filters::parse(filters, &["id", "name", "label"])?;
    let any = |key: &str, fits: &dyn Fn(&String) -> bool| {
        filters.values(key).is_empty() || filters.values(key).iter().any(fits)
    };
    let mut all = ctx.store()?.list_secrets()?;
    all.retain(|s| {
        any("id", &|v| id_matches(v, &s.id))
            && any("name", &|v| name_matches(v, &s.name))
            && filters.values("label").iter().all(|l| has_label(&s.labels, l))
    });
    Ok(all)
}

/// A secret as `secret inspect` shows it; with its value where `value` asks for it.
///
/// # Errors
/// No such secret.
pub fn inspect(ctx: &Context, name: &str, value: bool) -> Result<Value, Error> {
    let store = ctx.store()?;
    let secret = store.find_secret(name)?;
    let labels: serde_json::Map<String, Value> =
        secret.labels.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    let mut out = json!({
        "ID": secret.id,
        "CreatedAt": secret.created.to_string(),
        "UpdatedAt": secret.updated.to_string(),
        "Spec": {
            "Name": secret.name,
            "Driver": { "Name": secret.driver, "Options": {} },
            "Labels": labels,
        },
    });
    if value {
        out["SecretData"] = json!(String::from_utf8_lossy(&store.secret_value(&secret)?));
    }
    Ok(out)
}

/// The value of a secret.
///
/// # Errors
/// No such secret.
pub fn value(ctx: &Context, name: &str) -> Result<Vec<u8>, Error> {
    let store = ctx.store()?;
    let secret = store.find_secret(name)?;
    Ok(store.secret_value(&secret)?)
}

/// Whether there is such a secret.
///
/// # Errors
/// A store that cannot be read.
pub fn exists(ctx: &Context, name: &str) -> Result<bool, Error> {
    match ctx.store()?.find_secret(name) {
        Ok(_) => Ok(true),
        Err(e) if e.is_not_found() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Removes secrets; `all` removes every one. With `ignore` what does not exist is no error. Containers keep their
/// copies.
///
/// # Errors
/// A store that cannot be read; each secret's own trouble goes to `report`.
pub fn rm(
    ctx: &Context,
    names: &[String],
    all: bool,
    ignore: bool,
    report: &mut dyn FnMut(Done<String>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    let names = match all {
        true => store.list_secrets()?.into_iter().map(|s| s.name).collect(),
        false => names.to_vec(),
    };
    for given in names {
        let removed = store.find_secret(&given).and_then(|s| store.remove_secret(&s.id).map(|()| s));
        let removed = removed.map(|s| {
            super::journal::secret(ctx, "remove", &s.id, &s.name);
            s.id
        });
        match removed {
            Err(e) if ignore && e.is_not_found() => {}
            result => report(Done { given, result: result.map_err(Error::from) }),
        }
    }
    Ok(())
}

/// Copies the values of a new container's secrets into its directory.
///
/// # Errors
/// A value that cannot be read or written.
pub(super) fn copy(ctx: &Context, store: &Store, spec: &ContainerSpec) -> Result<(), Error> {
    for SecretUse { id, name, .. } in &spec.secrets {
        let value = store.secret_value(&store.find_secret(id)?)?;
        write(&ctx.paths.container_secret(&spec.id, id), &value)
            .map_err(|e| Error::with_source(Kind::Internal, format!("copying secret {name}"), e))?;
    }
    Ok(())
}

fn write(path: &Path, value: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(value)
}
