//! `network connect`, `disconnect` and `reload`. A container's document says what it is attached to; for a
//! running one its monitor, which holds the leases and the namespace, does it at once.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::context::Context;
use super::super::error::{Error, Kind};
use super::super::select::{Done, Selection, targets};
use super::super::view::Container;
use super::super::{journal, lookup};
use super::create::check_interface;
use super::{MODES, find, mode};
use crate::model::container::{ContainerSpec, Phase};
use crate::model::id::ContainerId;
use crate::model::network::{
    AttachmentRequest, AttachmentSpec, DEFAULT_NETWORK, Network, NetworkMode, NetworkModeSpec,
};
use crate::monitor::client;
use crate::monitor::proto::ConnectWish;
use crate::net::{self, Mac, ipam};
use crate::storage::Store;

/// docker's sentence about an alias where nobody answers to names.
pub const NO_ALIAS: &str = "network-scoped aliases are only supported for user-defined networks";

/// What older versions of docker say of an alias on the default network, and what to do.
pub const ALIAS_HINT: &str = "network-scoped alias is supported only for containers in user defined \
                                                networks: make one with rcon network create NAME";

/// docker's sentence about `--network none`, which is said once and for all.
const LONELY: &str =
    "container cannot be connected to multiple networks with one of the networks in private (none) mode";

/// What `network connect` is asked for beyond the two names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// `--ip`.
    pub ip: Option<Ipv4Addr>,
    /// `--ip6`.
    pub ip6: Option<Ipv6Addr>,
    /// `--mac-address`.
    pub mac: Option<String>,
    /// `--alias`.
    pub aliases: Vec<String>,
    /// `--link NAME[:ALIAS]`: what the container calls others by.
    pub links: Vec<String>,
    /// What its interface is called inside.
    pub interface: Option<String>,
}

/// Attaches a container to a network.
///
/// # Errors
/// Either is missing, it is attached already, it shares the host's or another's namespace, the address does not
/// fit or is taken.
pub fn connect(ctx: &Context, network: &str, container: &str, options: &ConnectOptions) -> Result<(), Error> {
    let store = ctx.store()?;
    if let Some((mode, _)) = MODES.iter().find(|(name, _)| *name == network) {
        if !options.aliases.is_empty() {
            return Err(Error::new(Kind::Invalid, NO_ALIAS).hint(ALIAS_HINT));
        }
        let text = match *mode {
            "none" => LONELY.to_owned(),
            _ => format!(
                "cannot connect container to {mode} network - container must be created in {mode} network mode"
            ),
        };
        return Err(Error::new(Kind::Invalid, text));
    }
    let network = find(ctx, &store, network)?;
    if !options.aliases.is_empty() && network.name == DEFAULT_NETWORK {
        return Err(Error::new(Kind::Invalid, NO_ALIAS).hint(ALIAS_HINT));
    }
    let container = Container::find(ctx, &store, container)?;
    let mut spec = container.spec(&store)?;
    if spec.options.network.mode == Some(NetworkMode::None) {
        return Err(Error::new(Kind::State, LONELY));
    }
    match spec.network.mode {
        NetworkModeSpec::Bridge | NetworkModeSpec::None => {}
        _ => return Err(shares()),
    }
    if spec.network.attachments.iter().any(|a| a.network == network.name) {
        // To podman it is a change of what is wished, while nothing is made of it.
        if !ctx.podman || container.alive() || matches!(container.phase, Phase::Initialized(_)) {
            let who = if ctx.podman { spec.id.as_str() } else { &spec.name };
            return Err(Error::new(
                Kind::Conflict,
                format!("endpoint with name {who} already exists in network {}", network.name),
            ));
        }
        spec.network.attachments.retain(|a| a.network != network.name);
    }
    let attachment = attachment(&spec, &network.name, options)?;
    for (ip, v6) in [(options.ip.map(Into::into), false), (options.ip6.map(Into::into), true)] {
        let Some(ip): Option<std::net::IpAddr> = ip else { continue };
        let subnet = network.subnets.iter().find(|s| s.address.is_ipv6() == v6).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("network {} has no subnet for the address {ip}", network.name))
        })?;
        ipam::check(subnet, ip)?;
    }
    link(&mut spec, &network, &options.links)?;
    if container.alive() {
        let wish = ConnectWish {
            attachment: attachment.clone(),
            network: network.clone(),
            names: spec.network.names.clone(),
        };
        client::connect(&ctx.paths, container.id(), wish)?;
    }
    spec.network.mode = NetworkModeSpec::Bridge;
    spec.network.attachments.push(attachment);
    remember(&mut spec);
    store.update_spec(&spec)?;
    let id = ("container", container.id().to_string());
    journal::network(ctx, "connect", &network, &[id]);
    Ok(())
}

fn shares() -> Error {
    let text = "container sharing network namespace with another container or host cannot be connected to any other network";
    Error::new(Kind::State, text)
}

/// Further names for others, where the container's responder answers them.
fn link(spec: &mut ContainerSpec, network: &Network, links: &[String]) -> Result<(), Error> {
    if !links.is_empty() && !network.dns_enabled {
        return Err(Error::new(Kind::Invalid, "links are only supported for user-defined networks"));
    }
    for text in links {
        let (name, alias) = text.split_once(':').unwrap_or((text, text));
        let name = name.trim_start_matches('/');
        spec.network.names.push((alias.to_owned(), name.to_owned()));
        spec.options.network.links.push(format!("{name}:{alias}"));
    }
    Ok(())
}

fn attachment(
    spec: &ContainerSpec,
    network: &str,
    options: &ConnectOptions,
) -> Result<AttachmentSpec, Error> {
    let ConnectOptions { ip, ip6, mac, aliases, links: _, interface } = options.clone();
    let mac = mac.map(|m| m.parse::<Mac>()).transpose()?.map(|m| m.to_string());
    let taken = |name: &String| spec.network.attachments.iter().any(|a| a.interface == *name);
    let interface = match interface {
        Some(name) if taken(&name) => {
            let text = format!("container {} has an interface {name} already", spec.name);
            return Err(Error::new(Kind::Conflict, text));
        }
        Some(name) => {
            check_interface(&name)?;
            name
        }
        None => (0..).map(|n| format!("eth{n}")).find(|n| !taken(n)).unwrap_or_default(),
    };
    Ok(AttachmentSpec { network: network.to_owned(), interface, ip, ip6, mac, aliases })
}

/// Detaches a container from a network; with `force` a missing container or attachment is no error.
///
/// # Errors
/// Either is missing, or it is not attached.
pub fn disconnect(ctx: &Context, network: &str, container: &str, force: bool) -> Result<(), Error> {
    let store = ctx.store()?;
    if let Some((mode, _)) = MODES.iter().find(|(name, _)| *name == network) {
        let text = format!(
            "cannot disconnect container from {mode} network - container was created in {mode} network mode"
        );
        return Err(Error::new(Kind::Invalid, text));
    }
    // podman looks for the container first.
    if ctx.podman && !force {
        Container::find(ctx, &store, container)?;
    }
    let network = match find(ctx, &store, network) {
        // It may have been removed while the container did not run.
        Err(e) if force && e.kind() == Kind::NotFound => {
            Network { name: network.to_owned(), ..mode("none", "null") }
        }
        other => other?,
    };
    let container = match Container::find(ctx, &store, container) {
        Err(e) if force && e.kind() == Kind::NotFound => return Ok(()),
        other => other?,
    };
    let mut spec = container.spec(&store)?;
    let before = spec.network.attachments.len();
    spec.network.attachments.retain(|a| a.network != network.name);
    if spec.network.attachments.len() == before {
        if force {
            return Ok(());
        }
        return Err(Error::new(
            Kind::Conflict,
            format!("container {} is not connected to network {}", spec.name, network.name),
        ));
    }
    if container.alive() {
        client::disconnect(&ctx.paths, container.id(), &network.name)?;
    }
    if spec.network.attachments.is_empty() {
        spec.network.mode = NetworkModeSpec::None;
    }
    remember(&mut spec);
    store.update_spec(&spec)?;
    let id = ("container", container.id().to_string());
    journal::network(ctx, "disconnect", &network, &[id]);
    Ok(())
}

/// What the caller said follows what is: `inspect --as-run` and a recreation in place tell the same.
fn remember(spec: &mut ContainerSpec) {
    let requests = spec.network.attachments.iter().map(|a| AttachmentRequest {
        network: a.network.clone(),
        ip: a.ip,
        ip6: a.ip6,
        mac: a.mac.clone(),
        aliases: a.aliases.clone(),
        interface: Some(a.interface.clone()),
    });
    let requests: Vec<_> = requests.collect();
    // Of nothing it was not made so: another network may come.
    spec.options.network.mode = Some(NetworkMode::Networks(requests));
}

/// `network reload`: puts the firewall of running containers back, after someone else flushed it.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn reload(
    ctx: &Context,
    which: &Selection,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, Container::alive)? {
        let result = target.found.and_then(|c| reload_one(ctx, &store, &c));
        report(Done { given: target.given, result });
    }
    Ok(())
}

fn reload_one(ctx: &Context, store: &Store, container: &Container) -> Result<ContainerId, Error> {
    let running = container.running()?;
    let mut networks = Vec::new();
    for attachment in &running.network {
        networks.push(lookup::network(ctx, store, &attachment.network)?);
    }
    let applied = net::Applied {
        container: container.id().clone(),
        networks,
        attachments: running.network.clone(),
        ports: running.ports.clone(),
    };
    net::ensure(&applied)?;
    Ok(container.id().clone())
}
