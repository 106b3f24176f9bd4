//! `network update`: the name servers of a network; containers that run on it ask the new ones at once.

use std::net::IpAddr;

use super::super::context::Context;
use super::super::error::{Error, Kind};
use super::{find, is_custom};
use crate::monitor::client;
use crate::storage::leases;

/// Adds and takes away name servers.
///
/// # Errors
/// No such network, a predefined one, one without name resolution, or a server that it has not.
pub fn update(ctx: &Context, name: &str, add: &[IpAddr], drop: &[IpAddr]) -> Result<(), Error> {
    let store = ctx.store()?;
    let mut network = find(ctx, &store, name)?;
    if !is_custom(&network) || !network.dns_enabled {
        let text = format!("cannot set name servers of network {}: it has no name resolution", network.name);
        return Err(Error::new(Kind::Invalid, text).hint("use a network made by rcon network create"));
    }
    for ip in drop {
        let before = network.dns_servers.len();
        network.dns_servers.retain(|have| have != ip);
        if network.dns_servers.len() == before {
            let text = format!("network {} has no name server {ip}", network.name);
            return Err(Error::new(Kind::NotFound, text));
        }
    }
    for ip in add {
        if !network.dns_servers.contains(ip) {
            network.dns_servers.push(*ip);
        }
    }
    store.update_network(&network)?;
    let mut told = Vec::new();
    for (_, lease) in leases::list_addresses(&ctx.paths, &network.name)? {
        if !told.contains(&lease.id) {
            // One that ends at this moment needs no servers.
            client::network_changed(&ctx.paths, &lease.id).ok();
            told.push(lease.id);
        }
    }
    Ok(())
}
