//! `rcon network …`: named networks of containers, and the default one.

use super::context::Context;
use super::error::{Error, Kind};
use crate::model::network::{DEFAULT_NETWORK, Network};
use crate::net::{self, ipam};
use crate::storage::Store;

/// The default network's bridge.
const DEFAULT_BRIDGE: &str = "rcon0";

/// A network by name, id or prefix; `bridge`, `podman` and `default` are the default one, which is made (its
/// subnet chosen, its row stored) when it is not there yet.
///
/// # Errors
/// No such network, or no free subnet for the default one.
pub fn find(ctx: &Context, store: &Store, name: &str) -> Result<Network, Error> {
    let _ = ctx;
    if !is_default(name) {
        return Ok(store.find_network(name)?);
    }
    store.ensure_network(DEFAULT_NETWORK, |existing| default_network(existing))
}

fn is_default(name: &str) -> bool {
    [DEFAULT_NETWORK, "podman", "default"].contains(&name)
}

fn default_network(existing: &[Network]) -> Result<Network, Error> {
    Ok(Network {
        id: super::random::id().as_str().to_owned(),
        name: DEFAULT_NETWORK.to_owned(),
        driver: "bridge".to_owned(),
        interface: DEFAULT_BRIDGE.to_owned(),
        subnets: vec![ipam::pick_subnet(existing, true)?],
        ipv6: false,
        internal: false,
        dns_enabled: false,
        options: Vec::new(),
        labels: Vec::new(),
        created: jiff::Timestamp::now(),
    })
}

impl From<net::Error> for Error {
    fn from(e: net::Error) -> Self {
        use std::error::Error as _;
        let kind = match &e {
            net::Error::AddrInUse { .. } | net::Error::Clash { .. } => Kind::Conflict,
            net::Error::NoSuchAddress(_) | net::Error::Mac(_) | net::Error::Invalid(_) => Kind::Invalid,
            net::Error::NoSubnet => Kind::Conflict,
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
