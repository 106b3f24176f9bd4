//! The desired rules, as data: what the table `inet rcon` looks like and which elements a network or a
//! container has in it. Pure; `apply` sends it to the kernel.
//!
//! All that changes with containers and networks are elements of sets and maps; the rules are the same on every
//! host and are written once:
//!
//! ```text
//! set networks  { ifname }            every bridge of ours
//! set open      { ifname }            bridges with a way out (not --internal)
//! set same      { ifname . ifname }   (bridge, the same bridge): traffic that may pass between its ports
//! map publish4  { proto . address . port : address . port }     published on one address
//! map any4      { proto . port           : address . port }     published on every address
//! map publish6, any6                                            the same for IPv6
//!
//! guard       prerouting, raw    packets from outside for 127.0.0.0/8 are dropped before NAT sees them: a port
//!                                published on loopback cannot be reached from the LAN, whatever else is reloaded
//! prerouting  nat                to an address of the host → publish
//! output      nat                the same for local processes
//! publish                        destination NAT by the maps, the more precise one first
//! postrouting nat                masquerade: the way out; published ports used by containers (hairpin: a
//!                                neighbour would answer directly, with the wrong source); from 127.0.0.1
//! forward     filter             rcon-user first (the administrator's own rules; never touched by us), then
//!                                to a container: replies, the same network, published ports, else drop;
//!                                from a container: only networks with a way out
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::network::{Network, PortMapping, Protocol};
use crate::sys::nft::{Base, Ct, Element, Expr, Hook, Meta, Reg, Set, Type, Verdict, field, interface};

/// The table's name.
pub(crate) const TABLE: &str = "rcon";
/// Chains whose rules are the administrator's.
pub(crate) const USER_CHAIN: &str = "rcon-user";

/// Every bridge. Renamed when the rules change, so that an older layout is found out by a missing set.
pub(crate) const NETWORKS: Set = Set { name: "networks", key: &[Type::Interface], data: &[], timed: false };
/// Bridges with a way out.
pub(crate) const OPEN: Set = Set { name: "open", key: &[Type::Interface], data: &[], timed: false };
/// Pairs of the same bridge.
pub(crate) const SAME: Set =
    Set { name: "same", key: &[Type::Interface, Type::Interface], data: &[], timed: false };
/// Published on one IPv4 address.
pub(crate) const PUBLISH4: Set = Set {
    name: "publish4",
    key: &[Type::Protocol, Type::Ipv4, Type::Port],
    data: &[Type::Ipv4, Type::Port],
    timed: true,
};
/// Published on every IPv4 address.
pub(crate) const ANY4: Set =
    Set { name: "any4", key: &[Type::Protocol, Type::Port], data: &[Type::Ipv4, Type::Port], timed: true };
/// Published on one IPv6 address.
pub(crate) const PUBLISH6: Set = Set {
    name: "publish6",
    key: &[Type::Protocol, Type::Ipv6, Type::Port],
    data: &[Type::Ipv6, Type::Port],
    timed: true,
};
/// Published on every IPv6 address.
pub(crate) const ANY6: Set =
    Set { name: "any6", key: &[Type::Protocol, Type::Port], data: &[Type::Ipv6, Type::Port], timed: true };

/// All sets and maps.
pub(crate) const SETS: [Set; 7] = [NETWORKS, OPEN, SAME, PUBLISH4, ANY4, PUBLISH6, ANY6];
/// The maps of published ports.
pub(crate) const MAPS: [Set; 4] = [PUBLISH4, ANY4, PUBLISH6, ANY6];

/// A chain with its rules.
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    pub(crate) base: Option<Base>,
    pub(crate) rules: Vec<Vec<Expr>>,
}

const RAW: i32 = -300;
const DNAT: i32 = -100;
const FILTER: i32 = 0;
const SNAT: i32 = 100;

const R0: Reg = Reg(0);

fn ipv4() -> [Expr; 2] {
    [Expr::Meta(Meta::NetworkProtocol, R0), Expr::Equal(R0, vec![2])]
}

fn ipv6() -> [Expr; 2] {
    [Expr::Meta(Meta::NetworkProtocol, R0), Expr::Equal(R0, vec![10])]
}

fn loopback(offset: u32) -> [Expr; 3] {
    [Expr::Network(offset, 4, R0), Expr::Mask(R0, vec![255, 0, 0, 0]), Expr::Equal(R0, vec![127, 0, 0, 0])]
}

fn rule<const N: usize>(parts: [&[Expr]; N]) -> Vec<Expr> {
    parts.concat()
}

/// The chains, in an order in which each is defined before it is jumped to.
pub(crate) fn chains() -> Vec<Chain> {
    vec![guard(), publish(), prerouting(), output(), postrouting(), inward(), forward()]
}

/// `::1`.
const LOOPBACK6: [u8; 16] = std::net::Ipv6Addr::LOCALHOST.octets();

fn guard() -> Chain {
    let outside = [Expr::Meta(Meta::InputName, R0), Expr::Different(R0, interface("lo"))];
    let six = [Expr::Network(24, 16, R0), Expr::Equal(R0, LOOPBACK6.to_vec())];
    let drop = [Expr::Verdict(Verdict::Drop)];
    Chain {
        name: "guard",
        base: Some(Base { kind: "filter", hook: Hook::Prerouting, priority: RAW }),
        rules: vec![rule([&outside, &ipv4(), &loopback(16), &drop]), rule([&outside, &ipv6(), &six, &drop])],
    }
}

fn publish() -> Chain {
    // Key registers: protocol, address (one or four), port; the result after them.
    let one = |six: bool, set: &Set| {
        let (offset, length, words) = if six { (24, 16, 4) } else { (16, 4, 1) };
        let port = 1 + words;
        [
            Expr::Meta(Meta::TransportProtocol, R0),
            Expr::Network(offset, length, Reg(1)),
            Expr::Transport(2, 2, Reg(port)),
            Expr::Map(set.name, R0, Reg(8)),
            Expr::DestinationNat(six, Reg(8), Reg(8 + words)),
        ]
    };
    let any = |six: bool, set: &Set| {
        let words = if six { 4 } else { 1 };
        [
            Expr::Meta(Meta::TransportProtocol, R0),
            Expr::Transport(2, 2, Reg(1)),
            Expr::Map(set.name, R0, Reg(8)),
            Expr::DestinationNat(six, Reg(8), Reg(8 + words)),
        ]
    };
    Chain {
        name: "publish",
        base: None,
        rules: vec![
            rule([&ipv4(), &one(false, &PUBLISH4)]),
            rule([&ipv4(), &any(false, &ANY4)]),
            rule([&ipv6(), &one(true, &PUBLISH6)]),
            // What is redirected from ::1 gets no answer: `relay` carries it.
            rule([
                &ipv6(),
                &[Expr::Network(24, 16, R0), Expr::Different(R0, LOOPBACK6.to_vec())],
                &any(true, &ANY6),
            ]),
        ],
    }
}

const RTN_LOCAL: u32 = 2;

fn to_host() -> Vec<Expr> {
    vec![
        Expr::FibDestinationType(R0),
        Expr::Equal(R0, RTN_LOCAL.to_ne_bytes().to_vec()),
        Expr::Verdict(Verdict::Jump("publish")),
    ]
}

fn prerouting() -> Chain {
    let base = Base { kind: "nat", hook: Hook::Prerouting, priority: DNAT };
    Chain { name: "prerouting", base: Some(base), rules: vec![to_host()] }
}

fn output() -> Chain {
    let base = Base { kind: "nat", hook: Hook::Output, priority: DNAT };
    Chain { name: "output", base: Some(base), rules: vec![to_host()] }
}

/// Goes on for connections whose destination was translated.
fn translated() -> [Expr; 3] {
    const DST_NAT: u32 = 1 << 5;
    [
        Expr::Ct(Ct::Status, R0),
        Expr::Mask(R0, DST_NAT.to_ne_bytes().to_vec()),
        Expr::Different(R0, vec![0; 4]),
    ]
}

fn within() -> [Expr; 3] {
    [Expr::Meta(Meta::InputName, Reg(0)), Expr::Meta(Meta::OutputName, Reg(4)), Expr::In(SAME.name, Reg(0))]
}

fn into(set: &Set) -> [Expr; 2] {
    [Expr::Meta(Meta::OutputName, R0), Expr::In(set.name, R0)]
}

fn postrouting() -> Chain {
    let masquerade = [Expr::Masquerade];
    let from_ours = [Expr::Meta(Meta::InputName, R0), Expr::In(NETWORKS.name, R0)];
    let from_open = [Expr::Meta(Meta::InputName, R0), Expr::In(OPEN.name, R0)];
    let out = [Expr::Meta(Meta::OutputName, R0), Expr::NotIn(NETWORKS.name, R0)];
    // With br_netfilter (docker loads it) a published port used by a neighbour is translated inside the bridge,
    // and no input interface is told here: then the source that is no address of the host tells.
    let bridged = [
        Expr::Meta(Meta::InputName, R0),
        Expr::Equal(R0, interface("")),
        Expr::FibSourceType(R0),
        Expr::Different(R0, RTN_LOCAL.to_ne_bytes().to_vec()),
    ];
    // A container of an internal network has no route back to the host's other addresses.
    let not_open = [Expr::Meta(Meta::OutputName, R0), Expr::NotIn(OPEN.name, R0)];
    Chain {
        name: "postrouting",
        base: Some(Base { kind: "nat", hook: Hook::Postrouting, priority: SNAT }),
        rules: vec![
            rule([&from_open, &out, &masquerade]),
            rule([&from_ours, &into(&NETWORKS), &translated(), &masquerade]),
            rule([&bridged, &into(&NETWORKS), &translated(), &masquerade]),
            rule([&into(&NETWORKS), &ipv4(), &loopback(12), &masquerade]),
            rule([&into(&NETWORKS), &not_open, &translated(), &masquerade]),
        ],
    }
}

fn inward() -> Chain {
    const ESTABLISHED_RELATED: u32 = 2 | 4;
    let reply = [
        Expr::Ct(Ct::State, R0),
        Expr::Mask(R0, ESTABLISHED_RELATED.to_ne_bytes().to_vec()),
        Expr::Different(R0, vec![0; 4]),
    ];
    let accept = [Expr::Verdict(Verdict::Accept)];
    Chain {
        name: "inward",
        base: None,
        rules: vec![
            rule([&reply, &accept]),
            rule([&within(), &accept]),
            rule([&into(&OPEN), &translated(), &accept]),
            vec![Expr::Counter, Expr::Verdict(Verdict::Drop)],
        ],
    }
}

fn forward() -> Chain {
    let from = [Expr::Meta(Meta::InputName, R0), Expr::In(NETWORKS.name, R0)];
    let not_open = [Expr::Meta(Meta::InputName, R0), Expr::NotIn(OPEN.name, R0)];
    let inward = [Expr::Verdict(Verdict::Jump("inward"))];
    let drop = [Expr::Counter, Expr::Verdict(Verdict::Drop)];
    // A container of an internal network reaches its own network only, not even ports published by others.
    let elsewhere = [
        Expr::Meta(Meta::InputName, Reg(0)),
        Expr::Meta(Meta::OutputName, Reg(4)),
        Expr::NotIn(SAME.name, Reg(0)),
    ];
    Chain {
        name: "forward",
        base: Some(Base { kind: "filter", hook: Hook::Forward, priority: FILTER }),
        rules: vec![
            vec![Expr::Verdict(Verdict::Jump(USER_CHAIN))],
            rule([&from, &not_open, &elsewhere, &drop]),
            rule([&into(&NETWORKS), &inward]),
        ],
    }
}

/// Whether containers of a network must not reach one another (docker's `enable_icc=false`).
pub(crate) fn isolates_ports(network: &Network) -> bool {
    let names = ["com.docker.network.bridge.enable_icc", "icc"];
    network.options.iter().any(|(k, v)| names.contains(&k.as_str()) && v == "false")
}

/// The elements of a network.
pub(crate) fn network_elements(network: &Network) -> Vec<(Set, Element)> {
    let name = interface(&network.interface);
    let plain =
        |key: Vec<u8>| Element { key, data: Vec::new(), comment: format!("rcon network {}", network.name) };
    let mut all = vec![(NETWORKS, plain(name.clone()))];
    if !network.internal {
        all.push((OPEN, plain(name.clone())));
    }
    if !isolates_ports(network) {
        all.push((SAME, plain([name.clone(), name].concat())));
    }
    all
}

/// The comment that tags everything of a container.
pub(crate) fn tag(short_id: &str) -> String {
    format!("rcon {short_id}")
}

/// The elements of published ports that lead to a container with these addresses. A port published on an
/// IPv4 address leads to the IPv4 address, one on IPv6 to the IPv6 address; without such an address it has none.
pub(crate) fn port_elements(
    short_id: &str,
    ports: &[PortMapping],
    ip: Option<Ipv4Addr>,
    ip6: Option<Ipv6Addr>,
) -> Vec<(Set, Element)> {
    let element = |p: &PortMapping, target: &[u8]| {
        let protocol = field(&[number(p.protocol)]);
        let host_port = field(&p.host_port.to_be_bytes());
        let data = [field(target), field(&p.container_port.to_be_bytes())].concat();
        let middle = match p.host_ip {
            a if a.is_unspecified() => Vec::new(),
            IpAddr::V4(a) => a.octets().to_vec(),
            IpAddr::V6(a) => a.octets().to_vec(),
        };
        Element { key: [protocol, middle, host_port].concat(), data, comment: tag(short_id) }
    };
    let mut all = Vec::new();
    // Nothing can be redirected from ::1: see `relay`.
    for p in ports.iter().filter(|p| !super::relay::is_for(p)) {
        match p.host_ip {
            IpAddr::V4(a) => {
                if let Some(ip) = ip {
                    let set = if a.is_unspecified() { ANY4 } else { PUBLISH4 };
                    all.push((set, element(p, &ip.octets())));
                }
                // docker's "every address" has both families.
                if let (true, Some(ip6)) = (a.is_unspecified(), ip6) {
                    all.push((ANY6, element(p, &ip6.octets())));
                }
            }
            IpAddr::V6(a) => {
                if let Some(ip6) = ip6 {
                    let set = if a.is_unspecified() { ANY6 } else { PUBLISH6 };
                    all.push((set, element(p, &ip6.octets())));
                }
            }
        }
    }
    // The same key twice (0.0.0.0 and :: on both families) is one element.
    let mut seen = std::collections::HashSet::new();
    all.retain(|(set, e)| seen.insert((set.name, e.key.clone())));
    all
}

/// The protocol's number.
pub(crate) fn number(p: Protocol) -> u8 {
    match p {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(host_ip: &str, port: u16) -> PortMapping {
        PortMapping {
            host_ip: host_ip.parse().expect("an address"),
            host_port: port,
            host_last: 0,
            container_port: 80,
            protocol: Protocol::Tcp,
        }
    }

    #[test]
    fn a_port_on_one_address_and_on_every_address_are_elements_of_different_maps() {
        let ip = Some(Ipv4Addr::new(10, 88, 0, 2));
        let ports = [mapping("127.0.0.1", 8080), mapping("0.0.0.0", 8081)];
        let e = port_elements("0123456789ab", &ports, ip, None);
        assert_eq!(e.iter().map(|(s, _)| s.name).collect::<Vec<_>>(), ["publish4", "any4"]);
        assert_eq!(e[0].1.key, [6, 0, 0, 0, 127, 0, 0, 1, 0x1f, 0x90, 0, 0]);
        assert_eq!(e[0].1.data, [10, 88, 0, 2, 0, 80, 0, 0]);
        assert_eq!(e[1].1.key, [6, 0, 0, 0, 0x1f, 0x91, 0, 0]);
        assert_eq!(e[0].1.comment, "rcon 0123456789ab");
    }

    #[test]
    fn every_address_has_both_families_where_the_container_has() {
        let ports = [mapping("0.0.0.0", 80), mapping("::", 80)];
        let e = port_elements(
            "0123456789ab",
            &ports,
            Some(Ipv4Addr::LOCALHOST),
            Some(Ipv6Addr::from_bits(0xfd00_u128 << 112 | 2)),
        );
        assert_eq!(e.iter().map(|(s, _)| s.name).collect::<Vec<_>>(), ["any4", "any6"]);
    }

    #[test]
    fn every_chain_is_defined_before_it_is_jumped_to() {
        let mut known = vec![USER_CHAIN];
        for chain in chains() {
            for e in chain.rules.iter().flatten() {
                if let Expr::Verdict(Verdict::Jump(to)) = e {
                    assert!(known.contains(to), "{to} in {}", chain.name);
                }
            }
            known.push(chain.name);
        }
    }
}
