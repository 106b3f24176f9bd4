//! rtnetlink messages: links (bridge, veth), addresses, routes; each function adds one message to a batch
//! or reads one kind of answer. What to set up in which order is `net`'s matter.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::netlink::{
    Batch, Error, F_ACK, F_CREATE, F_DUMP, F_EXCL, F_REPLACE, Family, Reply, Socket, attributes, text_of,
    u32_of,
};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const VETH_INFO_PEER: u16 = 1;
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_NONE: u8 = 1;
/// Position of `forwarding` and `route_localnet` in the kernel's list of IPv4 device settings.
const CONF_FORWARDING: u16 = 1;
const CONF_ROUTE_LOCALNET: u16 = 26;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_F_NODAD: u32 = 0x02;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

const IFF_UP: u32 = 1;

fn ifinfo(index: i32, flags: u32, change: u32) -> [u8; 16] {
    let mut h = [0_u8; 16];
    h[4..8].copy_from_slice(&index.to_ne_bytes());
    h[8..12].copy_from_slice(&flags.to_ne_bytes());
    h[12..16].copy_from_slice(&change.to_ne_bytes());
    h
}

fn octets(ip: IpAddr) -> (u8, Vec<u8>) {
    match ip {
        IpAddr::V4(a) => (libc::AF_INET as u8, a.octets().to_vec()),
        IpAddr::V6(a) => (libc::AF_INET6 as u8, a.octets().to_vec()),
    }
}

fn ip_of(value: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(value) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from)
}

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Index.
    pub index: i32,
    /// Name.
    pub name: String,
    /// Administratively up.
    pub up: bool,
    /// Index of the bridge it is a port of, or 0.
    pub master: u32,
    /// `bridge`, `veth` … or empty.
    pub kind: String,
    /// MTU.
    pub mtu: u32,
    /// Forwards IPv4.
    pub forwarding: bool,
    /// Routes 127.0.0.0/8.
    pub route_localnet: bool,
}

fn parse_link(reply: &Reply) -> Option<Link> {
    let index = i32::from_ne_bytes(reply.body.get(4..8)?.try_into().ok()?);
    let flags = u32_of(reply.body.get(8..12)?);
    let mut link = Link {
        index,
        name: String::new(),
        up: flags & IFF_UP != 0,
        master: 0,
        kind: String::new(),
        mtu: 0,
        forwarding: false,
        route_localnet: false,
    };
    for (kind, value) in attributes(reply.body.get(16..)?) {
        match kind {
            IFLA_IFNAME => link.name = text_of(value),
            IFLA_MTU => link.mtu = u32_of(value),
            IFLA_MASTER => link.master = u32_of(value),
            IFLA_LINKINFO => {
                if let Some((_, v)) = attributes(value).find(|(k, _)| *k == IFLA_INFO_KIND) {
                    link.kind = text_of(v);
                }
            }
            IFLA_AF_SPEC => {
                let inet = attributes(value).find(|(k, _)| i32::from(*k) == libc::AF_INET);
                let conf = inet.and_then(|(_, v)| attributes(v).find(|(k, _)| *k == IFLA_INET_CONF));
                let at = |n: u16| {
                    let start = usize::from(n - 1) * 4;
                    conf.and_then(|(_, v)| v.get(start..start + 4)).is_some_and(|b| u32_of(b) != 0)
                };
                link.forwarding = at(CONF_FORWARDING);
                link.route_localnet = at(CONF_ROUTE_LOCALNET);
            }
            _ => {}
        }
    }
    Some(link)
}

/// The link called `name`, if there is one.
///
/// # Errors
/// The kernel's answer, but for "no such device".
pub fn link(socket: &mut Socket, name: &str) -> Result<Option<Link>, Error> {
    let mut batch = Batch::new();
    batch.message(format!("looking for the interface {name}"), RTM_GETLINK, F_ACK, &ifinfo(0, 0, 0));
    batch.attr_str(IFLA_IFNAME, name);
    match socket.run(batch) {
        Ok(replies) => Ok(replies.iter().find_map(parse_link)),
        Err(e) if e.errno() == libc::ENODEV => Ok(None),
        Err(e) => Err(e),
    }
}

/// All links.
///
/// # Errors
/// The kernel's answer.
pub fn links(socket: &mut Socket) -> Result<Vec<Link>, Error> {
    let mut batch = Batch::new();
    batch.message("listing interfaces", RTM_GETLINK, F_DUMP, &ifinfo(0, 0, 0));
    Ok(socket.run(batch)?.iter().filter_map(parse_link).collect())
}

/// A bridge to be made.
#[derive(Debug, Clone, Copy)]
pub struct Bridge<'a> {
    /// Name.
    pub name: &'a str,
    /// Its own MAC, fixed so that it does not change with its ports.
    pub mac: [u8; 6],
    /// MTU, if not the default.
    pub mtu: Option<u32>,
}

/// Makes a bridge; fails if the name is taken.
pub fn new_bridge(batch: &mut Batch, bridge: &Bridge<'_>) {
    let what = format!("making the bridge {}", bridge.name);
    batch.message(what, RTM_NEWLINK, F_ACK | F_CREATE | F_EXCL, &ifinfo(0, 0, 0));
    batch.attr_str(IFLA_IFNAME, bridge.name);
    batch.attr(IFLA_ADDRESS, &bridge.mac);
    if let Some(mtu) = bridge.mtu {
        batch.attr_u32(IFLA_MTU, mtu);
    }
    batch.nest(IFLA_LINKINFO, |b| b.attr_str(IFLA_INFO_KIND, "bridge"));
}

/// A veth pair to be made.
#[derive(Debug, Clone, Copy)]
pub struct Veth<'a> {
    /// Name of the end that stays.
    pub host: &'a str,
    /// Index of the bridge that it becomes a port of.
    pub master: i32,
    /// Name of the end that goes.
    pub name: &'a str,
    /// Index that it shall have there; 0 leaves it to the kernel.
    pub index: i32,
    /// Where it goes.
    pub netns: BorrowedFd<'a>,
    /// Its MAC.
    pub mac: [u8; 6],
    /// MTU of both, if not the default.
    pub mtu: Option<u32>,
}

/// Makes a veth pair, one end a port of a bridge here, the other straight in another namespace; both down
/// (the kernel refuses a peer that is to be up at once). One queue each: with the default, one for each
/// processor, making the pair costs a sysfs directory for each queue, and veth does not use them.
pub fn new_veth(batch: &mut Batch, veth: &Veth<'_>) {
    let what = format!("making the interface {} ({} inside)", veth.host, veth.name);
    batch.message(what, RTM_NEWLINK, F_ACK | F_CREATE | F_EXCL, &ifinfo(0, 0, 0));
    batch.attr_str(IFLA_IFNAME, veth.host);
    batch.attr_u32(IFLA_MASTER, veth.master.cast_unsigned());
    let common = |b: &mut Batch| {
        b.attr_u32(IFLA_NUM_TX_QUEUES, 1);
        b.attr_u32(IFLA_NUM_RX_QUEUES, 1);
        if let Some(mtu) = veth.mtu {
            b.attr_u32(IFLA_MTU, mtu);
        }
    };
    common(batch);
    batch.nest(IFLA_LINKINFO, |b| {
        b.attr_str(IFLA_INFO_KIND, "veth");
        b.nest(IFLA_INFO_DATA, |b| {
            b.nest(VETH_INFO_PEER, |b| {
                b.raw(&ifinfo(veth.index, 0, 0));
                b.attr_str(IFLA_IFNAME, veth.name);
                b.attr(IFLA_ADDRESS, &veth.mac);
                b.attr_u32(IFLA_NET_NS_FD, veth.netns.as_raw_fd().cast_unsigned());
                common(b);
            });
        });
    });
}

/// What to change of a link.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    /// Bring it up.
    pub up: bool,
    /// Give it no IPv6 link-local address (no duplicate detection, no multicast chatter).
    pub no_link_local: bool,
    /// IPv4 `route_localnet`.
    pub route_localnet: bool,
    /// Bridge port may send frames back where they came from.
    pub hairpin: bool,
    /// Bridge port does not talk to other ports with this setting.
    pub isolated: bool,
}

/// Which link.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// By name.
    Name(&'a str),
    /// By index.
    Index(i32),
}

/// Changes a link.
pub fn change_link(batch: &mut Batch, which: Which<'_>, change: Change) {
    let up = if change.up { IFF_UP } else { 0 };
    let (what, index) = match which {
        Which::Name(name) => (format!("configuring the interface {name}"), 0),
        Which::Index(index) => (format!("configuring interface {index}"), index),
    };
    let mut setting = |family: i32, inside: &dyn Fn(&mut Batch)| {
        batch.message(what.clone(), RTM_NEWLINK, F_ACK, &ifinfo(index, 0, 0));
        if let Which::Name(name) = which {
            batch.attr_str(IFLA_IFNAME, name);
        }
        batch.nest(IFLA_AF_SPEC, |b| b.nest(family as u16, |b| inside(b)));
    };
    // Settings come before "up" in messages of their own: the kernel raises flags before it reads them, and
    // a link-local address would be there already.
    if change.route_localnet {
        setting(libc::AF_INET, &|b| b.nest(IFLA_INET_CONF, |b| b.attr_u32(CONF_ROUTE_LOCALNET, 1)));
    }
    if change.no_link_local {
        setting(libc::AF_INET6, &|b| b.attr(IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_NONE]));
        // A kernel booted without IPv6 refuses, and has no link-local addresses either.
        batch.optional();
    }
    if change.up || change.hairpin || change.isolated {
        batch.message(what, RTM_NEWLINK, F_ACK, &ifinfo(index, up, up));
        if let Which::Name(name) = which {
            batch.attr_str(IFLA_IFNAME, name);
        }
        if change.hairpin || change.isolated {
            batch.nest(IFLA_LINKINFO, |b| {
                b.attr_str(IFLA_INFO_SLAVE_KIND, "bridge");
                b.nest(IFLA_INFO_SLAVE_DATA, |b| {
                    b.attr(IFLA_BRPORT_MODE, &[u8::from(change.hairpin)]);
                    b.attr(IFLA_BRPORT_ISOLATED, &[u8::from(change.isolated)]);
                });
            });
        }
    }
}

/// Removes a link.
pub fn delete_link(batch: &mut Batch, name: &str) {
    batch.message(format!("removing the interface {name}"), RTM_DELLINK, F_ACK, &ifinfo(0, 0, 0));
    batch.attr_str(IFLA_IFNAME, name);
}

/// Gives a link an address; one that it has already stays.
pub fn add_address(batch: &mut Batch, index: i32, ip: IpAddr, prefix: u8) {
    let (family, bytes) = octets(ip);
    let mut header = [family, prefix, 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let what = format!("adding the address {ip}/{prefix}");
    batch.message(what, RTM_NEWADDR, F_ACK | F_CREATE | F_REPLACE, &header);
    batch.attr(IFA_LOCAL, &bytes);
    batch.attr(IFA_ADDRESS, &bytes);
    match ip {
        IpAddr::V4(a) if prefix < 31 => {
            let broadcast = a.to_bits() | (u32::MAX >> prefix);
            batch.attr(IFA_BROADCAST, &broadcast.to_be_bytes());
        }
        IpAddr::V4(_) => {}
        // The address is leased: waiting a second for duplicate detection finds nothing.
        IpAddr::V6(_) => batch.attr_u32(IFA_FLAGS, IFA_F_NODAD),
    }
}

/// Adds a default route by `gateway` through interface `index`.
pub fn add_default_route(batch: &mut Batch, index: i32, gateway: IpAddr) {
    const RT_TABLE_MAIN: u8 = 254;
    const RTPROT_STATIC: u8 = 4;
    const RTN_UNICAST: u8 = 1;
    let (family, bytes) = octets(gateway);
    let header = [family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST, 0, 0, 0, 0];
    let what = format!("adding the default route by {gateway}");
    batch.message(what, RTM_NEWROUTE, F_ACK | F_CREATE | F_REPLACE, &header);
    batch.attr(RTA_GATEWAY, &bytes);
    batch.attr_u32(RTA_OIF, index.cast_unsigned());
}

/// Adds a route to a network by `gateway` through interface `index`.
pub fn add_route(
    batch: &mut Batch,
    index: i32,
    (destination, prefix): (IpAddr, u8),
    gateway: IpAddr,
    metric: Option<u32>,
) {
    const RT_TABLE_MAIN: u8 = 254;
    const RTPROT_STATIC: u8 = 4;
    const RTN_UNICAST: u8 = 1;
    const RTA_DST: u16 = 1;
    const RTA_PRIORITY: u16 = 6;
    let (family, bytes) = octets(gateway);
    let header = [family, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST, 0, 0, 0, 0];
    let what = format!("adding the route to {destination}/{prefix} by {gateway}");
    batch.message(what, RTM_NEWROUTE, F_ACK | F_CREATE | F_REPLACE, &header);
    if prefix > 0 {
        batch.attr(RTA_DST, &octets(destination).1);
    }
    batch.attr(RTA_GATEWAY, &bytes);
    batch.attr_u32(RTA_OIF, index.cast_unsigned());
    if let Some(metric) = metric {
        batch.attr_u32(RTA_PRIORITY, metric);
    }
}

/// A destination that the host knows a way to, or an address that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destination.
    pub destination: IpAddr,
    /// Prefix length.
    pub prefix: u8,
    /// Interface index, 0 if none.
    pub index: u32,
    /// By which gateway.
    pub gateway: Option<IpAddr>,
}

/// All routes but default ones, of all tables but the kernel's `local`.
///
/// # Errors
/// The kernel's answer.
pub fn routes(socket: &mut Socket) -> Result<Vec<Route>, Error> {
    const RT_TABLE_LOCAL: u8 = 255;
    let mut batch = Batch::new();
    batch.message("listing routes", RTM_GETROUTE, F_DUMP, &[0; 12]);
    let parse = |reply: &Reply| {
        let prefix = *reply.body.get(1)?;
        if *reply.body.get(4)? == RT_TABLE_LOCAL || prefix == 0 {
            return None;
        }
        let (mut destination, mut index, mut gateway) = (None, 0, None);
        for (kind, value) in attributes(reply.body.get(12..)?) {
            match kind {
                RTA_DST => destination = ip_of(value),
                RTA_OIF => index = u32_of(value),
                RTA_GATEWAY => gateway = ip_of(value),
                _ => {}
            }
        }
        Some(Route { destination: destination?, prefix, index, gateway })
    };
    Ok(socket.run(batch)?.iter().filter_map(parse).collect())
}

/// Index of the interface that the default route of a family goes through.
///
/// # Errors
/// The kernel's answer.
pub fn default_interface(socket: &mut Socket, six: bool) -> Result<Option<u32>, Error> {
    const RT_TABLE_MAIN: u8 = 254;
    let mut header = [0; 12];
    header[0] = if six { libc::AF_INET6 } else { libc::AF_INET } as u8;
    let mut batch = Batch::new();
    batch.message("looking for the default route", RTM_GETROUTE, F_DUMP, &header);
    let parse = |reply: &Reply| {
        if *reply.body.get(1)? != 0 || *reply.body.get(4)? != RT_TABLE_MAIN {
            return None;
        }
        attributes(reply.body.get(12..)?).find(|(k, _)| *k == RTA_OIF).map(|(_, v)| u32_of(v))
    };
    Ok(socket.run(batch)?.iter().find_map(parse))
}

/// All addresses of all interfaces: interface index, address, prefix.
///
/// # Errors
/// The kernel's answer.
pub fn addresses(socket: &mut Socket) -> Result<Vec<(u32, IpAddr, u8)>, Error> {
    let mut batch = Batch::new();
    batch.message("listing addresses", RTM_GETADDR, F_DUMP, &[0; 8]);
    let parse = |reply: &Reply| {
        let prefix = *reply.body.get(1)?;
        let index = u32_of(reply.body.get(4..8)?);
        let attrs: Vec<_> = attributes(reply.body.get(8..)?).collect();
        let find = |kind| attrs.iter().find(|(k, _)| *k == kind).and_then(|(_, v)| ip_of(v));
        Some((index, find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?, prefix))
    };
    Ok(socket.run(batch)?.iter().filter_map(parse).collect())
}

/// Addresses of a link that somebody gave it for good and that are not for this link alone.
///
/// # Errors
/// The kernel's answer.
pub fn lasting_addresses(socket: &mut Socket, index: i32) -> Result<Vec<(IpAddr, u8)>, Error> {
    const IFA_F_PERMANENT: u8 = 0x80;
    const RT_SCOPE_UNIVERSE: u8 = 0;
    let mut batch = Batch::new();
    batch.message("listing addresses", RTM_GETADDR, F_DUMP, &[0; 8]);
    let parse = |reply: &Reply| {
        let (flags, scope) = (*reply.body.get(2)?, *reply.body.get(3)?);
        let ours = u32_of(reply.body.get(4..8)?) == index.cast_unsigned();
        if !ours || flags & IFA_F_PERMANENT == 0 || scope != RT_SCOPE_UNIVERSE {
            return None;
        }
        let attrs: Vec<_> = attributes(reply.body.get(8..)?).collect();
        let find = |kind| attrs.iter().find(|(k, _)| *k == kind).and_then(|(_, v)| ip_of(v));
        Some((find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?, *reply.body.get(1)?))
    };
    Ok(socket.run(batch)?.iter().filter_map(parse).collect())
}

/// Moves a link into another network namespace, under a name that must be free there.
pub fn move_link(batch: &mut Batch, index: i32, name: &str, netns: BorrowedFd<'_>, inside: &str) {
    let what = format!("moving the interface {name} into the container as {inside}");
    batch.message(what, RTM_NEWLINK, F_ACK, &ifinfo(index, 0, 0));
    batch.attr_u32(IFLA_NET_NS_FD, netns.as_raw_fd().cast_unsigned());
    batch.attr_str(IFLA_IFNAME, inside);
}

/// Opens an rtnetlink socket here.
///
/// # Errors
/// The failed call.
pub fn open() -> Result<Socket, Error> {
    Socket::open(Family::Route)
}
