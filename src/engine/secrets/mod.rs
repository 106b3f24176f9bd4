//! `rcon secret …`: making, listing, showing and removing secrets. A container gets a copy of a secret when it is
//! made ([`copy`]), so that it is the same as long as the container lives, as podman has it.

mod driver;

use std::path::Path;

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Error, Kind};
use super::filter::{Filters, has_label, id_matches, name_matches};
use super::select::Done;
use crate::model::container::{ContainerSpec, SecretUse};
use crate::storage::Store;
use crate::storage::secrets::NewSecret;
pub use crate::storage::secrets::{MAX_VALUE, Secret};
use driver::Driver;

/// How to make a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretOptions {
    /// `--driver`: `file`, `pass` or `shell`; else what containers.conf says.
    pub driver: Option<String>,
    /// `--driver-opts`.
    pub driver_options: Vec<(String, String)>,
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
    let config = &ctx.config.engine;
    let usual = config.secret_driver.as_deref().unwrap_or("file");
    let name_of_driver = options.driver.as_deref().filter(|d| !d.is_empty()).unwrap_or(usual);
    // Options of the configuration are those of its driver, and of no other.
    let driver_options = match options.driver_options.is_empty() && name_of_driver == usual {
        true => config.secret_options.clone(),
        false => options.driver_options.clone(),
    };
    let store = ctx.store()?;
    let old = store.list_secrets()?.into_iter().find(|s| s.name == name);
    if let Some(there) = old.as_ref().filter(|_| options.ignore) {
        return Ok(there.clone());
    }
    let driver = Driver::new(name_of_driver, &driver_options)?;
    let new = NewSecret {
        name,
        value,
        driver: name_of_driver,
        options: &driver_options,
        labels: &options.labels,
        replace: options.replace,
    };
    let made = store.create_secret(&new, |id| driver.store(id, value))?;
    if let Some(old) = old {
        forget(&old)?;
    }
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
    let map = |pairs: &[(String, String)]| -> serde_json::Map<String, Value> {
        pairs.iter().map(|(k, v)| (k.clone(), json!(v))).collect()
    };
    let out = json!({
        "ID": secret.id,
        "CreatedAt": secret.created.to_string(),
        "UpdatedAt": secret.updated.to_string(),
        "Spec": {
            "Name": secret.name,
            "Driver": { "Name": secret.driver, "Options": map(&secret.options) },
            "Labels": map(&secret.labels),
        },
        // Without a value where it was not asked for, so that a template may name it.
        "SecretData": match value {
            true => String::from_utf8_lossy(&read(&store, &secret)?).into_owned(),
            false => String::new(),
        },
    });
    Ok(out)
}

/// The value of a secret.
///
/// # Errors
/// No such secret.
pub fn value(ctx: &Context, name: &str) -> Result<Vec<u8>, Error> {
    let store = ctx.store()?;
    read(&store, &store.find_secret(name)?)
}

/// The value, wherever its driver has it.
fn read(store: &Store, secret: &Secret) -> Result<Vec<u8>, Error> {
    let driver = Driver::new(&secret.driver, &secret.options)?;
    match driver.is_file() {
        true => Ok(store.secret_value(secret)?),
        false => {
            driver.lookup(&secret.id).map_err(|e| e.context(format!("looking up secret {}", secret.name)))
        }
    }
}

/// Takes the value of a removed secret away where the store has not got it.
fn forget(secret: &Secret) -> Result<(), Error> {
    Driver::new(&secret.driver, &secret.options)?.delete(&secret.id)
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
        match store.find_secret(&given).and_then(|s| store.remove_secret(&s.id).map(|()| s)) {
            Err(e) if ignore && e.is_not_found() => {}
            Err(e) => report(Done { given, result: Err(e.into()) }),
            Ok(secret) => {
                super::journal::secret(ctx, "remove", &secret.id, &secret.name);
                let result = forget(&secret).map(|()| secret.id);
                report(Done { given, result });
            }
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
        let value = read(store, &store.find_secret(id)?)?;
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
