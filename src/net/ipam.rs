//! Addresses: which ones a subnet has to give, and which subnets are free on this host. Choosing is pure;
//! holding an address is a lease file, which is `storage::leases`' matter.

use std::net::IpAddr;

use super::Error;
use crate::model::network::{Network, Subnet};

/// Every address of `subnet` that may be given to a container, starting after `last` (the one given last, a
/// mere hint) and wrapping round once: not the network's own, not the broadcast address, not the gateway,
/// within the range if there is one. An IPv6 subnet yields at most 65536.
pub fn candidates(subnet: &Subnet, last: Option<IpAddr>) -> impl Iterator<Item = IpAddr> {
    let _ = (subnet, last);
    std::iter::empty()
}

/// Whether `ip` may be asked for (`--ip`) in `subnet`.
///
/// # Errors
/// Says why not: outside, the gateway, the network or broadcast address.
pub fn check(subnet: &Subnet, ip: IpAddr) -> Result<(), Error> {
    todo!("{subnet:?} {ip}")
}

/// A subnet for a new network that meets neither a route nor an address of the host nor one of `existing`
/// networks: 10.88.0.0/16 when `default` (the default network), else the first free /24 of 10.89.0.0/16 and on.
///
/// # Errors
/// [`Error::NoSubnet`] if there is none.
pub fn pick_subnet(existing: &[Network], default: bool) -> Result<Subnet, Error> {
    todo!("{existing:?} {default}")
}

/// An IPv6 subnet (unique local, /64) for a new network.
///
/// # Errors
/// [`Error::NoSubnet`] if there is none.
pub fn pick_subnet6(existing: &[Network]) -> Result<Subnet, Error> {
    todo!("{existing:?}")
}

/// Whether a wanted subnet is free.
///
/// # Errors
/// [`Error::Clash`] names the route or network it meets.
pub fn check_subnet(subnet: &Subnet, existing: &[Network]) -> Result<(), Error> {
    todo!("{subnet:?} {existing:?}")
}
