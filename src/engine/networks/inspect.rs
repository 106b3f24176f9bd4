//! `network inspect`: docker's JSON, with what podman's templates ask for beside it.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::super::context::Context;
use super::super::error::Error;
use super::{MODES, find, mode};
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::model::network::{DEFAULT_NETWORK, Network, Route, Subnet};
use crate::storage::{leases, volatile};

/// One network.
///
/// # Errors
/// No such network.
pub fn inspect(ctx: &Context, name: &str) -> Result<Value, Error> {
    let network = network(ctx, name)?;
    let containers = containers(ctx, &network)?;
    let mut value = value(&network, &containers);
    value["Name"] = ctx.network_name(&network.name).into();
    Ok(value)
}

/// A network, or one of docker's modes as one.
///
/// # Errors
/// No such network.
pub fn network(ctx: &Context, name: &str) -> Result<Network, Error> {
    match MODES.iter().find(|(n, _)| *n == name) {
        Some((name, driver)) => Ok(mode(name, driver)),
        None => find(ctx, &ctx.store()?, name),
    }
}

/// Containers attached now: by their leases.
fn containers(ctx: &Context, network: &Network) -> Result<Map<String, Value>, Error> {
    let mut found: Map<String, Value> = Map::new();
    for (ip, lease) in leases::list_addresses(&ctx.paths, &network.name)? {
        let prefix =
            network.subnets.iter().find(|s| crate::net::ipam::contains(s, ip)).map_or(0, |s| s.prefix);
        let entry = found.entry(lease.id.as_str()).or_insert_with(|| {
            json!({
                "Name": lease.name,
                "EndpointID": "",
                "MacAddress": lease.mac.clone().unwrap_or_default(),
                "IPv4Address": "",
                "IPv6Address": "",
                // podman's.
                "Interface": interface(ctx, &lease.id, &network.name),
            })
        });
        let key = if ip.is_ipv4() { "IPv4Address" } else { "IPv6Address" };
        entry[key] = format!("{ip}/{prefix}").into();
        if let (std::net::IpAddr::V4(v4), None) = (ip, &lease.mac) {
            entry["MacAddress"] = crate::net::Mac::for_ip(v4).to_string().into();
        }
    }
    Ok(found)
}

/// What a container's end of a network is called inside; nothing if it has just ended.
fn interface(ctx: &Context, id: &ContainerId, network: &str) -> String {
    let phase = volatile::read_phase(&ctx.paths, id).ok().flatten();
    let attached = phase.as_ref().and_then(Phase::running).map(|r| r.network.as_slice()).unwrap_or_default();
    attached.iter().find(|a| a.network == network).map(|a| a.interface.clone()).unwrap_or_default()
}

fn value(n: &Network, containers: &Map<String, Value>) -> Value {
    let map = |pairs: &[(String, String)]| {
        pairs.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect::<Map<String, Value>>()
    };
    json!({
        "Name": n.name,
        "Id": n.id,
        "Created": n.created.to_string(),
        "Scope": "local",
        "Driver": n.driver,
        "EnableIPv4": n.subnets.iter().any(|s| s.address.is_ipv4()),
        "EnableIPv6": n.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": n.subnets.iter().map(config).collect::<Vec<_>>(),
        },
        "Internal": n.internal,
        "Attachable": n.attachable,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers,
        "Options": options(n, &map(&n.options)),
        "Labels": map(&n.labels),
        // podman's words for what docker has no field for.
        "NetworkInterface": n.interface,
        "DNSEnabled": n.dns_enabled,
        "IPv6Enabled": n.ipv6,
        "NetworkDNSServers": n.dns_servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "Routes": n.routes.iter().map(route).collect::<Vec<_>>(),
        "Subnets": n.subnets.iter().map(subnet).collect::<Vec<_>>(),
    })
}

/// Scripts read the default bridge's name from docker's option.
fn options(n: &Network, given: &Map<String, Value>) -> Value {
    let mut all = given.clone();
    if n.name == DEFAULT_NETWORK {
        all.insert("com.docker.network.bridge.default_bridge".to_owned(), "true".into());
        all.insert("com.docker.network.bridge.name".to_owned(), n.interface.clone().into());
    }
    all.into()
}

/// As docker takes and shows it, a prefix, where the range is one.
fn range(first: IpAddr, last: IpAddr) -> String {
    let (a, b, width) = match (first, last) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return format!("{first}-{last}"),
    };
    let differ = a ^ b;
    let whole = differ & differ.wrapping_add(1) == 0 && a & differ == 0;
    match whole {
        true => format!("{first}/{}", width - (128 - differ.leading_zeros())),
        false => format!("{first}-{last}"),
    }
}

fn config(s: &Subnet) -> Value {
    let mut config = Map::new();
    config.insert("Subnet".to_owned(), format!("{}/{}", s.address, s.prefix).into());
    if let Some((first, last)) = s.range {
        config.insert("IPRange".to_owned(), range(first, last).into());
    }
    if let Some(gateway) = s.gateway {
        config.insert("Gateway".to_owned(), gateway.to_string().into());
    }
    if !s.auxiliary.is_empty() {
        let all = s.auxiliary.iter().map(|(name, ip)| (name.clone(), ip.to_string().into()));
        config.insert("AuxiliaryAddresses".to_owned(), all.collect::<Map<_, Value>>().into());
    }
    config.into()
}

fn route(r: &Route) -> Value {
    let mut value =
        json!({ "Destination": format!("{}/{}", r.destination, r.prefix), "Gateway": r.gateway.to_string() });
    if let Some(metric) = r.metric {
        value["Metric"] = metric.into();
    }
    value
}

fn subnet(s: &Subnet) -> Value {
    let mut value = json!({ "Subnet": format!("{}/{}", s.address, s.prefix) });
    if let Some(gateway) = s.gateway {
        value["Gateway"] = gateway.to_string().into();
    }
    if let Some((first, last)) = s.range {
        value["LeaseRange"] = json!({ "StartIP": first.to_string(), "EndIP": last.to_string() });
    }
    value
}
