//! Addresses: which ones a subnet has to give, and which subnets are free on this host. Choosing is pure;
//! holding an address is a lease file, which is `storage::leases`' matter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Error;
use crate::model::network::{Network, Subnet};
use crate::sys::netlink::Socket;
use crate::sys::rtnl::{self, Route};

/// An address as a number, and the width of its family.
fn number(ip: IpAddr) -> (u128, u8) {
    match ip {
        IpAddr::V4(a) => (u128::from(a.to_bits()), 32),
        IpAddr::V6(a) => (a.to_bits(), 128),
    }
}

fn address(number: u128, width: u8) -> IpAddr {
    if width == 32 {
        IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(number))
    }
}

/// First and last number of a prefix.
fn bounds(ip: IpAddr, prefix: u8) -> (u128, u128, u8) {
    let (n, width) = number(ip);
    let host = if prefix >= width { 0 } else { (1_u128 << (width - prefix).min(127)) - 1 };
    // A /0 of IPv6 has no 1 << 128.
    let host = if width == 128 && prefix == 0 { u128::MAX } else { host };
    (n & !host, n | host, width)
}

fn overlap(a: (IpAddr, u8), b: (IpAddr, u8)) -> bool {
    let (a1, a2, aw) = bounds(a.0, a.1);
    let (b1, b2, bw) = bounds(b.0, b.1);
    aw == bw && a1 <= b2 && b1 <= a2
}

/// First and last address of a prefix.
#[must_use]
pub fn span(ip: IpAddr, prefix: u8) -> (IpAddr, IpAddr) {
    let (first, last, width) = bounds(ip, prefix);
    (address(first, width), address(last, width))
}

/// Whether `ip` is in `subnet`.
#[must_use]
pub fn contains(subnet: &Subnet, ip: IpAddr) -> bool {
    overlap((subnet.address, subnet.prefix), (ip, if ip.is_ipv4() { 32 } else { 128 }))
}

/// First and last number that containers may have, and the width of the family.
fn usable(subnet: &Subnet) -> (u128, u128, u8) {
    let (mut first, mut last, width) = bounds(subnet.address, subnet.prefix);
    // The network's own address, and IPv4's broadcast address; a /31 and a /32 have neither.
    if subnet.prefix + 1 < width {
        first += 1;
        if width == 32 {
            last -= 1;
        }
    }
    if let Some((from, to)) = subnet.range {
        first = first.max(number(from).0);
        last = last.min(number(to).0);
    }
    (first, last, width)
}

/// Every address of `subnet` that may be given to a container, starting after `last` (the one given last, a
/// mere hint) and wrapping round once: not the network's own, not the broadcast address, not the gateway, no
/// auxiliary one, within the range if there is one. An IPv6 subnet yields at most 65536.
pub fn candidates(subnet: &Subnet, last: Option<IpAddr>) -> impl Iterator<Item = IpAddr> + use<> {
    let (from, to, width) = usable(subnet);
    let to = to.min(from.saturating_add(65_535).max(from));
    let others = subnet.auxiliary.iter().map(|(_, ip)| *ip).chain(subnet.gateway);
    let others: Vec<u128> = others.map(|ip| number(ip).0).collect();
    let start =
        last.map(number).filter(|(n, w)| *w == width && (from..to).contains(n)).map_or(from, |(n, _)| n + 1);
    let all = (from <= to).then(|| (start..=to).chain(from..start));
    all.into_iter().flatten().filter(move |n| !others.contains(n)).map(move |n| address(n, width))
}

/// An address somewhere in the subnet, by a number that nobody chose: where to begin on a network that several run
/// directories share (`--network-config-dir`), whose leases do not know of each other.
#[must_use]
pub fn somewhere(subnet: &Subnet, number: u64) -> IpAddr {
    let (from, to, width) = usable(subnet);
    let span = to.min(from.saturating_add(65_535).max(from)).saturating_sub(from).max(1);
    address(from + u128::from(number) % span, width)
}

/// Whether `ip` is in a subnet of `network`, if it has any.
///
/// # Errors
/// Names the subnets.
pub fn check_within(network: &Network, ip: IpAddr) -> Result<(), Error> {
    if network.subnets.is_empty() || network.subnets.iter().any(|subnet| contains(subnet, ip)) {
        return Ok(());
    }
    let subnets: Vec<String> =
        network.subnets.iter().map(|s| format!("{}/{}", s.address, s.prefix)).collect();
    let subnets = subnets.join(", ");
    Err(Error::Invalid(format!(
        "requested address {ip} is not in a subnet of network {} ({subnets})",
        network.name
    )))
}

/// Whether `ip` may be asked for (`--ip`) in `subnet`. A narrowed range does not bind a fixed address.
///
/// # Errors
/// Says why not: outside, the gateway, the network or broadcast address.
pub fn check(subnet: &Subnet, ip: IpAddr) -> Result<(), Error> {
    let shown = format!("{}/{}", subnet.address, subnet.prefix);
    let refuse = |why: &str| Err(Error::Invalid(format!("cannot use the address {ip}: it is {why} {shown}")));
    if !contains(subnet, ip) {
        return refuse("not in the subnet");
    }
    if subnet.gateway == Some(ip) {
        return refuse("the gateway of");
    }
    if subnet.auxiliary.iter().any(|(_, other)| *other == ip) {
        return refuse("an auxiliary address of");
    }
    let (first, last, _) = usable(&Subnet { range: None, ..subnet.clone() });
    if !(first..=last).contains(&number(ip).0) {
        return refuse("the network or broadcast address of");
    }
    Ok(())
}

/// What is in use on this host: routes and addresses.
fn in_use(socket: &mut Socket) -> Result<Vec<Route>, Error> {
    let mut all = rtnl::routes(socket)?;
    for (index, destination, prefix) in rtnl::addresses(socket)? {
        all.push(Route { destination, prefix, index, gateway: None });
    }
    Ok(all)
}

/// A subnet for a new network that meets neither a route nor an address of the host nor one of `existing`
/// networks: 10.88.0.0/16 when `default` (the default network), else the first free /24 of 10.89.0.0/16 and on.
///
/// # Errors
/// [`Error::NoSubnet`] if there is none.
pub fn pick_subnet(existing: &[Network], default: bool) -> Result<Subnet, Error> {
    let used = in_use(&mut rtnl::open()?)?;
    pick(&used, existing, default).ok_or(Error::NoSubnet)
}

fn pick(used: &[Route], existing: &[Network], default: bool) -> Option<Subnet> {
    let first = default.then_some((Ipv4Addr::new(10, 88, 0, 0), 16));
    let blocks = [(Ipv4Addr::new(10, 89, 0, 0), 167 * 256), (Ipv4Addr::new(172, 16, 0, 0), 16 * 256)];
    let last = (Ipv4Addr::new(192, 168, 0, 0), 256);
    let small = blocks.into_iter().chain([last]).flat_map(|(base, count)| {
        (0..count).map(move |i| (Ipv4Addr::from_bits(base.to_bits() + i * 256), 24_u8))
    });
    let mut wanted = first.into_iter().chain(small);
    let (address, prefix) = wanted.find(|&(a, p)| is_free(used, existing, (IpAddr::V4(a), p)))?;
    let gateway = Ipv4Addr::from_bits(address.to_bits() + 1);
    Some(Subnet {
        address: IpAddr::V4(address),
        prefix,
        gateway: Some(IpAddr::V4(gateway)),
        range: None,
        auxiliary: Vec::new(),
    })
}

fn is_free(used: &[Route], existing: &[Network], wanted: (IpAddr, u8)) -> bool {
    let mut taken = existing.iter().flat_map(|n| &n.subnets).map(|s| (s.address, s.prefix));
    !used.iter().any(|r| overlap(wanted, (r.destination, r.prefix))) && !taken.any(|t| overlap(wanted, t))
}

/// An IPv6 subnet (unique local, /64, random as RFC 4193 wants it) for a new network.
///
/// # Errors
/// [`Error::NoSubnet`] if there is none.
pub fn pick_subnet6(existing: &[Network]) -> Result<Subnet, Error> {
    let used = in_use(&mut rtnl::open()?)?;
    for _ in 0..16 {
        let mut random = [0_u8; 8];
        let path = "/dev/urandom";
        let mut file = std::fs::File::open(path).map_err(|e| Error::kernel(format!("opening {path}"), e))?;
        std::io::Read::read_exact(&mut file, &mut random)
            .map_err(|e| Error::kernel(format!("reading {path}"), e))?;
        let n = 0xfd_u128 << 120 | u128::from(u64::from_be_bytes(random) >> 8) << 64;
        let address = IpAddr::V6(Ipv6Addr::from_bits(n));
        if is_free(&used, existing, (address, 64)) {
            let gateway = Some(IpAddr::V6(Ipv6Addr::from_bits(n + 1)));
            return Ok(Subnet { address, prefix: 64, gateway, range: None, auxiliary: Vec::new() });
        }
    }
    Err(Error::NoSubnet)
}

/// Whether a wanted subnet is free: of other networks wholly, of routes and addresses as [`check_routes`] says.
///
/// # Errors
/// [`Error::Clash`] names the route or network it meets.
pub fn check_subnet(subnet: &Subnet, existing: &[Network]) -> Result<(), Error> {
    for network in existing {
        for other in &network.subnets {
            if overlap((subnet.address, subnet.prefix), (other.address, other.prefix)) {
                return Err(Error::Clash {
                    subnet: format!("{}/{}", subnet.address, subnet.prefix),
                    route: format!("{}/{} of network {}", other.address, other.prefix, network.name),
                });
            }
        }
    }
    check_routes(&mut rtnl::open()?, subnet)
}

/// Whether the host has a route to the same subnet or into it. A wider one (a VPN's 10.0.0.0/8) is no clash:
/// the bridge's own route is then the more precise one, and whoever names a subnet wants that.
pub(super) fn check_routes(socket: &mut Socket, subnet: &Subnet) -> Result<(), Error> {
    let wanted = (subnet.address, subnet.prefix);
    let all = in_use(socket)?;
    let Some(route) =
        all.iter().find(|r| r.prefix >= subnet.prefix && overlap(wanted, (r.destination, r.prefix)))
    else {
        return Ok(());
    };
    let links = rtnl::links(socket)?;
    let device =
        links.iter().find(|l| l.index.cast_unsigned() == route.index).map(|l| format!(" dev {}", l.name));
    let gateway = route.gateway.map(|g| format!(" via {g}"));
    Err(Error::Clash {
        subnet: format!("{}/{}", subnet.address, subnet.prefix),
        route: format!(
            "{}/{}{}{}",
            route.destination,
            route.prefix,
            gateway.unwrap_or_default(),
            device.unwrap_or_default()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        let (a, p) = text.split_once('/').expect("a slash");
        Subnet {
            address: a.parse().expect("address"),
            prefix: p.parse().expect("prefix"),
            gateway: None,
            range: None,
            auxiliary: Vec::new(),
        }
    }

    fn list(s: &Subnet, last: Option<&str>) -> Vec<String> {
        let last = last.map(|l| l.parse().expect("address"));
        candidates(s, last).map(|ip| ip.to_string()).collect()
    }

    #[test]
    fn somewhere_is_in_the_subnet() {
        for text in ["10.88.0.0/16", "10.0.0.0/30", "fd00::/64", "10.0.0.0/32"] {
            let s = subnet(text);
            for seed in [0, 1, 0xa8b0_1234_5678, u64::MAX] {
                assert!(contains(&s, somewhere(&s, seed)), "{text} {seed}");
            }
        }
        assert_ne!(
            somewhere(&subnet("10.88.0.0/16"), 0xa8b0_1234),
            somewhere(&subnet("10.88.0.0/16"), 0x1234_a8b0)
        );
    }

    #[test]
    fn candidates_leave_out_network_broadcast_and_gateway() {
        let mut s = subnet("10.0.0.0/29");
        s.gateway = Some("10.0.0.1".parse().expect("address"));
        assert_eq!(list(&s, None), ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        assert_eq!(list(&s, Some("10.0.0.4")), ["10.0.0.5", "10.0.0.6", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
        assert_eq!(list(&s, Some("10.0.0.6"))[0], "10.0.0.2");
        assert_eq!(list(&s, Some("192.168.0.1"))[0], "10.0.0.2");
        s.range = Some(("10.0.0.4".parse().expect("address"), "10.0.0.5".parse().expect("address")));
        assert_eq!(list(&s, None), ["10.0.0.4", "10.0.0.5"]);
    }

    #[test]
    fn tiny_and_huge_subnets() {
        assert_eq!(list(&subnet("10.0.0.0/31"), None), ["10.0.0.0", "10.0.0.1"]);
        assert_eq!(list(&subnet("10.0.0.7/32"), None), ["10.0.0.7"]);
        let six = subnet("fd00::/64");
        assert_eq!(candidates(&six, None).next().map(|i| i.to_string()).as_deref(), Some("fd00::1"));
        assert_eq!(candidates(&six, None).count(), 65_536);
        assert_eq!(candidates(&subnet("::/0"), None).count(), 65_536);
    }

    #[test]
    fn fixed_addresses_are_checked() {
        let mut s = subnet("10.0.0.0/24");
        s.gateway = Some("10.0.0.1".parse().expect("address"));
        let ok = |ip: &str| check(&s, ip.parse().expect("address")).is_ok();
        assert!(ok("10.0.0.9") && !ok("10.0.0.1") && !ok("10.0.0.0") && !ok("10.0.0.255") && !ok("10.0.1.1"));
        assert!(!ok("fd00::1"));
    }

    #[test]
    fn free_subnets_avoid_every_overlap() {
        let route = |text: &str| {
            let s = subnet(text);
            Route { destination: s.address, prefix: s.prefix, index: 1, gateway: None }
        };
        let pick = |used: &[&str], default| {
            let used: Vec<_> = used.iter().map(|u| route(u)).collect();
            pick(&used, &[], default).map(|s| format!("{}/{}", s.address, s.prefix))
        };
        assert_eq!(pick(&[], true).as_deref(), Some("10.88.0.0/16"));
        assert_eq!(pick(&["10.88.7.0/24"], true).as_deref(), Some("10.89.0.0/24"));
        assert_eq!(pick(&["10.89.0.0/23"], false).as_deref(), Some("10.89.2.0/24"));
        assert_eq!(pick(&["10.0.0.0/8"], true).as_deref(), Some("172.16.0.0/24"));
        assert_eq!(pick(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], true), None);
    }
}
