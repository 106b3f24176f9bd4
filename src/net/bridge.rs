//! The bridge of a network: made when its first container comes, left there until the network is removed.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use super::{Error, ipam};
use crate::model::network::Network;
use crate::sys::netlink::{Batch, Socket};
use crate::sys::rtnl::{self, Bridge, Change, Link, Which};

/// The bridge of `network`, made if need be.
pub(super) fn ensure(socket: &mut Socket, network: &Network) -> Result<Link, Error> {
    let found = rtnl::link(socket, &network.interface)?;
    if let Some(link) = found.filter(|l| l.up && l.forwarding && l.route_localnet) {
        check_kind(network, &link)?;
        return Ok(link);
    }
    make(socket, network)
}

fn check_kind(network: &Network, link: &Link) -> Result<(), Error> {
    if link.kind == "bridge" {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the host has an interface {} that is not a bridge; network {} needs that name",
        network.interface, network.name
    )))
}

/// Makes or completes it. Two processes may do this at once: each step tolerates that the other was faster,
/// and "up", which [`ensure`] looks at, comes last.
fn make(socket: &mut Socket, network: &Network) -> Result<Link, Error> {
    let name = network.interface.as_str();
    if rtnl::link(socket, name)?.is_none() {
        for subnet in &network.subnets {
            ipam::check_routes(socket, subnet)?;
        }
        let mut batch = Batch::new();
        let mtu = mtu_option(network).or(uplink_mtu(socket)?);
        rtnl::new_bridge(&mut batch, &Bridge { name, mac: mac(network), mtu });
        match socket.run(batch) {
            Err(e) if e.errno() == 17 => {}
            other => drop(other?),
        }
    }
    let link = rtnl::link(socket, name)?.ok_or_else(|| vanished(name))?;
    check_kind(network, &link)?;
    // Before it is up: neither an address of its own making nor router advertisements from a container.
    if network.ipv6 {
        set(&format!("ipv6/conf/{name}/disable_ipv6"), "0")?;
        set(&format!("ipv6/conf/{name}/accept_ra"), "0")?;
        forward_ipv6()?;
    } else {
        set(&format!("ipv6/conf/{name}/disable_ipv6"), "1")?;
    }
    set("ipv4/ip_forward", "1")?;
    let mut batch = Batch::new();
    for subnet in &network.subnets {
        if let Some(gateway) = subnet.gateway {
            rtnl::add_address(&mut batch, link.index, gateway, subnet.prefix);
        }
    }
    let change = Change { up: true, route_localnet: true, ..Change::default() };
    rtnl::change_link(&mut batch, Which::Index(link.index), change);
    socket.run(batch)?;
    Ok(Link { up: true, forwarding: true, route_localnet: true, ..link })
}

fn vanished(name: &str) -> Error {
    Error::kernel(format!("looking for the bridge {name}"), io::ErrorKind::NotFound.into())
}

/// Removes it with its ports.
pub(super) fn remove(socket: &mut Socket, network: &Network) -> Result<(), Error> {
    if rtnl::link(socket, &network.interface)?.is_none_or(|l| l.kind != "bridge") {
        return Ok(());
    }
    let mut batch = Batch::new();
    rtnl::delete_link(&mut batch, &network.interface);
    match socket.run(batch) {
        Err(e) if e.errno() == 19 => Ok(()),
        other => {
            let _: () = drop(other?);
            Ok(())
        }
    }
}

/// A MAC that stays the same whatever ports come and go, so that containers' neighbour entries stay true.
fn mac(network: &Network) -> [u8; 6] {
    let gateway = network.subnets.iter().find_map(|s| match s.gateway {
        Some(IpAddr::V4(a)) => Some(a),
        _ => None,
    });
    gateway.map_or_else(
        || {
            let bytes = network.id.as_bytes();
            let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
            [0x02, 0x43, at(0), at(1), at(2), at(3)]
        },
        |a: Ipv4Addr| super::Mac::for_ip(a).0,
    )
}

/// The `mtu` option of a network, docker's or podman's name.
fn mtu_option(network: &Network) -> Option<u32> {
    let is = |k: &str| k == "mtu" || k == "com.docker.network.driver.mtu";
    network.options.iter().find(|(k, _)| is(k)).and_then(|(_, v)| v.parse().ok())
}

/// The MTU of the interface that leads out, if it is smaller than Ethernet's: packets of containers shall fit.
fn uplink_mtu(socket: &mut Socket) -> Result<Option<u32>, Error> {
    let Some(index) = rtnl::default_interface(socket, false)? else { return Ok(None) };
    let links = rtnl::links(socket)?;
    let mtu = links.iter().find(|l| l.index.cast_unsigned() == index).map_or(1500, |l| l.mtu);
    Ok((1280..1500).contains(&mtu).then_some(mtu))
}

/// Forwarding of IPv6 makes the kernel ignore router advertisements, by which the host may have its own
/// default route: interfaces that listened to them go on doing so.
fn forward_ipv6() -> Result<(), Error> {
    if std::fs::read("/proc/sys/net/ipv6/conf/all/forwarding").is_ok_and(|v| v.starts_with(b"1")) {
        return Ok(());
    }
    let interfaces = std::fs::read_dir("/proc/sys/net/ipv6/conf").into_iter().flatten().flatten();
    for interface in interfaces {
        let name = interface.file_name();
        let name = name.to_string_lossy();
        let path = interface.path().join("accept_ra");
        if std::fs::read(path).is_ok_and(|v| v.starts_with(b"1")) {
            set(&format!("ipv6/conf/{name}/accept_ra"), "2")?;
        }
    }
    set("ipv6/conf/all/forwarding", "1")
}

/// Writes a setting below /proc/sys/net of the calling thread's namespace, unless it has that value. A setting
/// that does not exist (a kernel without IPv6) is no error.
pub(super) fn set(key: &str, value: &str) -> Result<(), Error> {
    let path = format!("/proc/sys/net/{key}");
    match std::fs::write(&path, value) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => {
            // A read-only /proc/sys (nested containers) is well if the value is right already.
            if std::fs::read_to_string(&path).is_ok_and(|v| v.trim() == value) {
                return Ok(());
            }
            Err(Error::kernel(format!("writing {value} to {path}"), e))
        }
    }
}
