//! Published ports: a host port is reserved by a bound socket that the monitor holds as long as the container
//! runs, so that no other process takes it and a port in use is found out before the container starts.
//!
//! The sockets carry no data: packets are redirected by the firewall before they reach them. What the redirection does
//! not cover (IPv6 to a container without it, `[::1]`) is [`super::relay`]'s matter: TCP ones listen only there.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use super::{Error, holder};
use crate::model::network::{PortMapping, Protocol};
use crate::sys::bind::{self, Transport};

/// A reserved host port. Dropping it gives the port back.
#[derive(Debug)]
pub struct Reservation {
    /// The mapping, with `host_port` filled in.
    pub mapping: PortMapping,
    /// Bound sockets: the address of the mapping, and `[::]` where that is every address.
    pub sockets: Vec<OwnedFd>,
}

/// How often a port that the kernel chose for one address family may be taken in the other.
const TRIES: usize = 32;

/// Reserves the host port of `mapping`; port 0 takes a free one from `ip_local_port_range`. Addresses that are `coming` are
/// those of bridges, which the host has as soon as the first container is on them.
///
/// # Errors
/// [`Error::AddrInUse`] names who has it, [`Error::NoSuchAddress`] if the address is not the host's.
pub fn reserve(mapping: &PortMapping, coming: &[IpAddr]) -> Result<Reservation, Error> {
    if mapping.host_last > mapping.host_port {
        return reserve_in(mapping, (mapping.host_port, mapping.host_last), coming);
    }
    if mapping.host_port != 0 {
        return reserve_at(mapping, mapping.host_port, coming);
    }
    for _ in 1..TRIES {
        match reserve_at(mapping, 0, coming) {
            Err(Error::AddrInUse { .. }) => {}
            other => return other,
        }
    }
    reserve_at(mapping, 0, coming)
}

/// Reserves all of them, or none. Those that leave no choice come first, so that a range or a free choice never
/// takes the port that another mapping names.
///
/// # Errors
/// As [`reserve`].
pub fn reserve_all(mappings: &[PortMapping], coming: &[IpAddr]) -> Result<Vec<Reservation>, Error> {
    let mut order: Vec<usize> = (0..mappings.len()).collect();
    order.sort_by_key(|i| match mappings[*i] {
        PortMapping { host_port: 0, .. } => 2,
        PortMapping { host_last: 0, .. } => 0,
        _ => 1,
    });
    let mut made: Vec<(usize, Reservation)> =
        order.into_iter().map(|i| Ok((i, reserve(&mappings[i], coming)?))).collect::<Result<_, Error>>()?;
    made.sort_by_key(|(i, _)| *i);
    Ok(made.into_iter().map(|(_, reservation)| reservation).collect())
}

/// Reserves the first port of `first..=last` that is free (`-p 8000-8010:80`).
///
/// # Errors
/// The last port's error if none is free.
pub fn reserve_in(
    mapping: &PortMapping,
    (first, last): (u16, u16),
    coming: &[IpAddr],
) -> Result<Reservation, Error> {
    let mut outcome = reserve_at(mapping, first, coming);
    for port in first.saturating_add(1)..=last {
        if !matches!(outcome, Err(Error::AddrInUse { .. })) {
            break;
        }
        outcome = reserve_at(mapping, port, coming);
    }
    outcome
}

fn reserve_at(mapping: &PortMapping, port: u16, coming: &[IpAddr]) -> Result<Reservation, Error> {
    let mut mapping = PortMapping { host_port: port, host_last: 0, ..*mapping };
    let Some(transport) = transport(mapping.protocol) else {
        // SCTP sockets need a module that the redirection does not; there the lease alone reserves.
        return Ok(Reservation { mapping, sockets: Vec::new() });
    };
    let first = socket(&mapping, transport, mapping.host_ip, coming)?;
    mapping.host_port = first.1;
    let mut sockets = vec![first.0];
    // "Every address" means both families; a host without IPv6 has only the one.
    if mapping.host_ip.is_unspecified() && mapping.host_ip.is_ipv4() {
        match socket(&mapping, transport, IpAddr::V6(Ipv6Addr::UNSPECIFIED), coming) {
            Ok((fd, _)) => sockets.push(fd),
            Err(e @ Error::AddrInUse { .. }) => return Err(e),
            Err(_) => {}
        }
    }
    Ok(Reservation { mapping, sockets })
}

fn transport(protocol: Protocol) -> Option<Transport> {
    match protocol {
        Protocol::Tcp => Some(Transport::Tcp),
        Protocol::Udp => Some(Transport::Udp),
        Protocol::Sctp => None,
    }
}

fn socket(
    mapping: &PortMapping,
    transport: Transport,
    ip: IpAddr,
    coming: &[IpAddr],
) -> Result<(OwnedFd, u16), Error> {
    use std::io::ErrorKind;
    let bind = if coming.contains(&ip) { bind::bind_early } else { bind::bind };
    bind(SocketAddr::new(ip, mapping.host_port), transport).map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => Error::AddrInUse { mapping: *mapping, holder: holder::find(mapping) },
        ErrorKind::AddrNotAvailable => Error::NoSuchAddress(ip),
        _ => Error::kernel(
            format!("reserving port {}/{} on {ip}", mapping.host_port, super::error::proto(mapping.protocol)),
            e,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(ip: &str, port: u16, protocol: Protocol) -> PortMapping {
        PortMapping {
            host_ip: ip.parse().expect("ip"),
            host_port: port,
            host_last: 0,
            container_port: 80,
            protocol,
        }
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_the_process() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("bound").port();
        let error = reserve(&mapping("0.0.0.0", port, Protocol::Tcp), &[]).expect_err("is taken");
        let text = error.to_string();
        let pid = format!("(pid {})", std::process::id());
        assert!(text.contains(&format!("port {port}/tcp")) && text.contains(&pid), "{text}");
    }

    #[test]
    fn a_reservation_excludes_others_until_it_is_dropped() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let one = reserve(&mapping("0.0.0.0", 0, protocol), &[]).expect("a free port");
            let port = one.mapping.host_port;
            assert_ne!(port, 0);
            assert!(reserve(&mapping("127.0.0.1", port, protocol), &[]).is_err());
            drop(one);
            assert!(reserve(&mapping("127.0.0.1", port, protocol), &[]).is_ok());
        }
    }

    #[test]
    fn a_range_gives_its_first_free_port() {
        let one = reserve(&mapping("127.0.0.1", 0, Protocol::Tcp), &[]).expect("a free port");
        let port = one.mapping.host_port;
        let end = port.saturating_add(5);
        let two = reserve_in(&mapping("127.0.0.1", 0, Protocol::Tcp), (port, end), &[]).expect("one of six");
        assert!(two.mapping.host_port > port);
    }

    #[test]
    fn a_range_leaves_named_ports_to_those_that_name_them() {
        let free =
            reserve(&mapping("127.0.0.1", 0, Protocol::Tcp), &[]).expect("a free port").mapping.host_port;
        let range =
            PortMapping { host_last: free.saturating_add(5), ..mapping("127.0.0.1", free, Protocol::Tcp) };
        let both =
            reserve_all(&[range, mapping("127.0.0.1", free, Protocol::Tcp)], &[]).expect("six ports for two");
        assert_eq!(both[1].mapping.host_port, free);
        assert!(both[0].mapping.host_port > free && both[0].mapping.host_last == 0);
    }

    #[test]
    fn a_foreign_address_is_told() {
        let foreign = mapping("203.0.113.77", 8080, Protocol::Tcp);
        assert!(reserve(&foreign, &[foreign.host_ip]).is_ok(), "it is coming");
        let error = reserve(&foreign, &[]).expect_err("not ours");
        assert!(matches!(error, Error::NoSuchAddress(_)), "{error}");
    }
}
