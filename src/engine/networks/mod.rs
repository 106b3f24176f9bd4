//! `rcon network …`: named networks of containers, and the default one. Here: finding, listing, removing;
//! `create` makes one from docker's flags, `inspect` shows it, `connect` attaches and detaches containers.

mod connect;
mod create;
mod files;
mod inspect;
mod update;

pub use connect::{ALIAS_HINT, ConnectOptions, NO_ALIAS, connect, disconnect, reload};
pub use create::{HOST_BINDING, NetworkOptions, create};
pub(super) use files::take_up;
pub use inspect::{inspect, network};
pub use update::update;

use super::context::Context;
use super::error::{Error, Kind};
use super::filter::{Filters, has_label, id_matches, name_matches};
use super::journal;
use super::prune::Pruned;
use super::rm::{self, RemoveOptions};
use super::select::{Done, Selection};
use super::view::Container;
use crate::model::id::ContainerId;
use crate::model::network::{DEFAULT_NETWORK, Network};
use crate::model::units::parse_timestamp;
use crate::net::{self, ipam};
use crate::storage::{Error as StorageError, Store, Use};

/// The default network's bridge, with the first number that is free: `rcon0`.
const DEFAULT_BRIDGE: &str = "rcon";
/// docker's two networks that are modes rather than networks; listed because scripts look for them.
const MODES: [(&str, &str); 2] = [("host", "host"), ("none", "null")];
/// Filters of `network ls`.
const FILTERS: &[&str] =
    &["dangling", "driver", "id", "label", "label!", "name", "scope", "since", "type", "until"];

/// A network by name, id or prefix; `bridge`, `podman` and `default` are the default one, which is made (its
/// subnet chosen, its row stored) when it is not there yet.
///
/// # Errors
/// No such network, or no free subnet for the default one.
pub fn find(ctx: &Context, store: &Store, name: &str) -> Result<Network, Error> {
    if !is_default(name) {
        return Ok(store.find_network(name)?);
    }
    let mut made = None;
    let network = store.ensure_network(DEFAULT_NETWORK, |existing| {
        default_network(ctx, existing).inspect(|network| made = Some(network.id.clone()))
    })?;
    if made.as_ref() == Some(&network.id) {
        files::write(&network)?;
    }
    Ok(network)
}

fn is_default(name: &str) -> bool {
    [DEFAULT_NETWORK, "podman", "default"].contains(&name)
}

/// Names that no network of a user may have.
fn is_reserved(name: &str) -> bool {
    is_default(name) || ["host", "none", "container", "private", "ns", "pasta", "slirp4netns"].contains(&name)
}

fn default_network(ctx: &Context, existing: &[Network]) -> Result<Network, Error> {
    let subnet = match ctx.config.engine.default_subnet.as_deref().filter(|s| !s.is_empty()) {
        None => ipam::pick_subnet(existing, true)?,
        Some(text) => create::configured_subnet(text, existing)?,
    };
    Ok(Network {
        id: super::random::id().as_str().to_owned(),
        name: DEFAULT_NETWORK.to_owned(),
        driver: "bridge".to_owned(),
        // Another storage root's default network may be there already: two do not share a bridge.
        interface: net::free_interface(DEFAULT_BRIDGE, existing)?,
        subnets: vec![subnet],
        ipv6: false,
        internal: false,
        attachable: false,
        dns_enabled: false,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        options: Vec::new(),
        labels: Vec::new(),
        created: jiff::Timestamp::now(),
        file: files::place(ctx.network_config_dir.as_deref(), DEFAULT_NETWORK),
    })
}

/// A network of the kind that is only a mode (`host`, `none`).
fn mode(name: &str, driver: &str) -> Network {
    Network {
        // Always the same, and spelt as an id.
        id: name.bytes().map(|b| format!("{b:02x}")).collect::<String>().repeat(8),
        name: name.to_owned(),
        driver: driver.to_owned(),
        interface: String::new(),
        subnets: Vec::new(),
        ipv6: false,
        internal: false,
        attachable: false,
        dns_enabled: false,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        options: Vec::new(),
        labels: Vec::new(),
        created: jiff::Timestamp::UNIX_EPOCH,
        file: None,
    }
}

/// Lists networks by name. Filters: `dangling`, `driver`, `id`, `label`, `name`, `scope`, `type`, `until`.
///
/// # Errors
/// An unknown filter, or a store that cannot be read.
pub fn ls(ctx: &Context, filters: &[String]) -> Result<Vec<Network>, Error> {
    let store = ctx.store()?;
    find(ctx, &store, DEFAULT_NETWORK)?;
    let mut all = store.list_networks()?;
    if ctx.podman {
        all.iter_mut().for_each(|n| n.name = ctx.network_name(&n.name).to_owned());
    } else {
        all.extend(MODES.iter().map(|(name, driver)| mode(name, driver)));
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    filtered(&store, all, &Filters::parse(filters, FILTERS)?)
}

/// Those that pass.
fn filtered(store: &Store, mut all: Vec<Network>, filters: &Filters) -> Result<Vec<Network>, Error> {
    let zone = jiff::tz::TimeZone::system();
    let time = |text: &String| parse_timestamp(text, jiff::Timestamp::now(), &zone);
    let until = filters.values("until").first().map(time).transpose()?;
    let since = match filters.values("since").first() {
        Some(name) => Some(store.find_network(name)?.created),
        None => None,
    };
    let custom = match filters.values("type").first().map(String::as_str) {
        None => None,
        Some("custom") => Some(true),
        Some("builtin") => Some(false),
        Some(other) => return Err(Error::new(Kind::Invalid, format!("invalid filter 'type={other}'"))),
    };
    let dangling = match filters.values("dangling").first().map(String::as_str) {
        None => None,
        Some("true" | "1" | "t") => Some(true),
        Some("false" | "0" | "f") => Some(false),
        Some(other) => return Err(Error::new(Kind::Invalid, format!("invalid filter 'dangling={other}'"))),
    };
    let any = |key: &str, fits: &dyn Fn(&String) -> bool| {
        filters.values(key).is_empty() || filters.values(key).iter().any(fits)
    };
    all.retain(|n| {
        any("id", &|v| id_matches(v, &n.id))
            && any("name", &|v| name_matches(v, &n.name))
            && any("driver", &|v| *v == n.driver)
            && any("scope", &|v| v == "local")
            && filters.values("label").iter().all(|l| has_label(&n.labels, l))
            && !filters.values("label!").iter().any(|l| has_label(&n.labels, l))
            && until.is_none_or(|t| n.created < t)
            && since.is_none_or(|t| n.created > t)
            && custom.is_none_or(|c| c == is_custom(n))
    });
    if let Some(dangling) = dangling {
        let mut kept = Vec::new();
        for network in all {
            let unused =
                is_custom(&network) && store.containers_using(Use::Network(&network.name))?.is_empty();
            if unused == dangling {
                kept.push(network);
            }
        }
        return Ok(kept);
    }
    Ok(all)
}

fn is_custom(network: &Network) -> bool {
    network.name != DEFAULT_NETWORK && network.driver == "bridge"
}

/// Whether it exists.
///
/// # Errors
/// A store that cannot be read.
pub fn exists(ctx: &Context, name: &str) -> Result<bool, Error> {
    if is_default(name) || MODES.iter().any(|(n, _)| *n == name) {
        return Ok(true);
    }
    match ctx.store()?.find_network(name) {
        Ok(_) => Ok(true),
        Err(e) if e.is_not_found() => Ok(false),
        Err(StorageError::Ambiguous { .. }) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// How `network rm` treats a network that containers use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remove {
    /// What does not exist is no error.
    pub force: bool,
    /// Remove the containers too (podman's meaning of `force`).
    pub users: bool,
    /// Seconds that they have to end.
    pub timeout: Option<i64>,
}

/// Removes networks.
///
/// # Errors
/// Only what concerns all; in use or missing goes to `report`, which hears whether there was one.
pub fn rm(
    ctx: &Context,
    names: &[String],
    how: Remove,
    report: &mut dyn FnMut(Done<bool>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for given in names {
        let result = match one(ctx, &store, given, how) {
            Err(e) if how.force && e.kind() == Kind::NotFound => Ok(false),
            other => other.map(|_| true),
        };
        report(Done { given: given.clone(), result });
    }
    Ok(())
}

fn one(ctx: &Context, store: &Store, name: &str, how: Remove) -> Result<String, Error> {
    if is_default(name) || MODES.iter().any(|(n, _)| *n == name) {
        return Err(Error::new(
            Kind::Denied,
            format!("{name} is a pre-defined network and cannot be removed"),
        ));
    }
    let network = store.find_network(name)?;
    match store.remove_network(&network.name) {
        Ok(()) => {}
        Err(StorageError::InUse { containers, .. }) if how.users => {
            let users: Vec<String> = containers.iter().map(|(id, _)| id.to_string()).collect();
            remove_users(ctx, &users, &network.name, how.timeout)?;
            store.remove_network(&network.name)?;
        }
        Err(StorageError::InUse { containers, .. }) => {
            // docker's meaning: what does not run does not count. It will not start without the network.
            let alive = |id: &ContainerId| Container::find(ctx, store, id.as_str()).is_ok_and(|c| c.alive());
            let (running, stopped): (Vec<_>, Vec<_>) = containers.into_iter().partition(|(id, _)| alive(id));
            if !running.is_empty() {
                let names: Vec<&str> = running.iter().map(|(_, name)| name.as_str()).collect();
                let text = format!("network {} has active endpoints: {}", network.name, names.join(", "));
                return Err(Error::new(Kind::Conflict, text)
                    .hint("disconnect or stop them first, or use --force, which removes them"));
            }
            let stopped: Vec<ContainerId> = stopped.into_iter().map(|(id, _)| id).collect();
            store.remove_network_of(&network.name, &stopped)?;
        }
        Err(e) => return Err(e.into()),
    }
    gone(ctx, &network)?;
    Ok(network.name)
}

fn remove_users(ctx: &Context, users: &[String], network: &str, timeout: Option<i64>) -> Result<(), Error> {
    let options = RemoveOptions { force: true, timeout, ..RemoveOptions::default() };
    let mut failed = None;
    rm::rm(ctx, &Selection::names(users), &options, &mut |done| {
        failed = failed.take().or(done.result.err());
    })?;
    failed.map_or(Ok(()), |e| Err(e.context(format!("removing the containers of network {network}"))))
}

/// The record is gone: the kernel's part follows.
fn gone(ctx: &Context, network: &Network) -> Result<(), Error> {
    if let Some(file) = &network.file {
        files::remove(file)?;
    }
    journal::network(ctx, "destroy", network, &[]);
    net::remove_network(network)
        .map_err(|e| Error::from(e).context(format!("removing the bridge of network {}", network.name)))
}

/// `network prune`: removes networks that no container uses.
///
/// # Errors
/// An unknown filter, or a store that cannot be written.
pub fn prune(ctx: &Context, filters: &[String]) -> Result<Pruned, Error> {
    let filters = Filters::parse(filters, &["label", "label!", "until"])?;
    let store = ctx.store()?;
    let mut pruned = Pruned::default();
    for network in filtered(&store, store.list_networks()?, &filters)?.iter().filter(|n| is_custom(n)) {
        match store.remove_network(&network.name) {
            Ok(()) => {
                gone(ctx, network)?;
                pruned.networks.push(network.name.clone());
            }
            Err(StorageError::InUse { .. }) => {}
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e.into()),
        }
    }
    journal::pruned(ctx, "network", 0);
    Ok(pruned)
}

impl From<net::Error> for Error {
    fn from(e: net::Error) -> Self {
        use std::error::Error as _;
        let kind = match &e {
            net::Error::AddrInUse { .. } | net::Error::Clash { .. } | net::Error::NoSubnet => Kind::Conflict,
            net::Error::NoSuchAddress(_) | net::Error::Mac(_) | net::Error::Invalid(_) => Kind::Invalid,
            net::Error::Kernel { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Kind::Denied
            }
            net::Error::Kernel { .. } => Kind::Internal,
        };
        let error = match e.source() {
            Some(cause) => Self::with_source(kind, e.to_string(), cause.to_string()),
            None => Self::new(kind, e.to_string()),
        };
        match (&e, kind) {
            (net::Error::Clash { .. }, _) => {
                error.hint("give a free one with --subnet, or remove that route")
            }
            (_, Kind::Denied) => error.hint("rcon needs root here: run it with sudo"),
            _ => error,
        }
    }
}
