//! The interfaces of a container: veth pairs from the bridges into its network namespace, and what is
//! configured inside it.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use super::{Attachment, Error, bridge};
use crate::model::container::AttachmentState;
use crate::model::id::ContainerId;
use crate::sys::netlink::{self, Batch, Family, Socket};
use crate::sys::rtnl::{self, Change, Link, Veth, Which};

const LOOPBACK: i32 = 1;
/// The first index after `lo` in a new namespace.
const FIRST: i32 = 2;
const EEXIST: i32 = 17;
const EBUSY: i32 = 16;

/// Brings `lo` up.
pub(super) fn loopback(netns: BorrowedFd<'_>) -> Result<(), Error> {
    let mut batch = Batch::new();
    let up = Change { up: true, ..Change::default() };
    rtnl::change_link(&mut batch, Which::Index(LOOPBACK), up);
    Socket::open_in(netns, Family::Route)?.run(batch)?;
    Ok(())
}

/// Makes the interfaces and configures them. In a `fresh` namespace the indexes are known beforehand, which
/// saves looking them up, and `lo` is brought up too.
pub(super) fn make(netns: BorrowedFd<'_>, attachments: &[Attachment], fresh: bool) -> Result<(), Error> {
    let mut host = rtnl::open()?;
    let mut made = Vec::with_capacity(attachments.len());
    for (attachment, index) in attachments.iter().zip(FIRST..) {
        let bridge = bridge::ensure(&mut host, &attachment.network)?;
        let wanted = if fresh { index } else { 0 };
        made.push((attachment, pair(&mut host, netns, attachment, &bridge, wanted)?));
    }
    let mut inside = enter(netns, attachments)?;
    let mut batch = Batch::new();
    if fresh {
        let up = Change { up: true, ..Change::default() };
        rtnl::change_link(&mut batch, Which::Index(LOOPBACK), up);
    }
    let mut has_default = |six| Ok::<_, Error>(rtnl::default_interface(&mut inside, six)?.is_some());
    let mut routed = if fresh { (false, false) } else { (has_default(false)?, has_default(true)?) };
    for (attachment, index) in made {
        let index = match index {
            0 => rtnl::link(&mut inside, &attachment.interface)?
                .map(|l| l.index)
                .ok_or_else(|| Error::Invalid(format!("interface {} vanished", attachment.interface)))?,
            known => known,
        };
        configure(&mut batch, attachment, index, &mut routed);
    }
    inside.run(batch)?;
    Ok(())
}

/// Opens a socket inside, and closes the ways by which neighbours could configure the container: without an
/// IPv6 network no IPv6 on the interface, with one no router advertisements (the address and route are given).
fn enter(netns: BorrowedFd<'_>, attachments: &[Attachment]) -> Result<Socket, Error> {
    netlink::in_netns(netns, || {
        for a in attachments {
            let setting = if a.network.ipv6 { ("accept_ra", "0") } else { ("disable_ipv6", "1") };
            bridge::set(&format!("ipv6/conf/{}/{}", a.interface, setting.0), setting.1)?;
        }
        Ok(Socket::open(Family::Route)?)
    })?
}

/// Makes one veth pair; returns the inner index, or 0 if the kernel chose it.
fn pair(
    host: &mut Socket,
    netns: BorrowedFd<'_>,
    attachment: &Attachment,
    bridge: &Link,
    index: i32,
) -> Result<i32, Error> {
    let mut veth = Veth {
        host: &attachment.host_interface,
        master: bridge.index,
        name: &attachment.interface,
        index,
        netns,
        mac: attachment.mac_address().0,
        mtu: (bridge.mtu != 1500).then_some(bridge.mtu),
    };
    let change = Change {
        up: true,
        no_link_local: true,
        hairpin: bridged_packets_are_filtered(),
        isolated: super::firewall::isolates_ports(&attachment.network),
        ..Change::default()
    };
    // Two reasons to try once more: the pair of the container's last run is still on its way out with its
    // namespace, or the module of some tunnel has put its device into the new namespace and has the index.
    for _ in 0..3 {
        let mut batch = Batch::new();
        rtnl::new_veth(&mut batch, &veth);
        rtnl::change_link(&mut batch, Which::Name(veth.host), change);
        match host.run(batch) {
            Err(e) if e.errno() == EEXIST => remove_with(host, veth.host)?,
            Err(e) if e.errno() == EBUSY && veth.index != 0 => veth.index = 0,
            other => return other.map(|_| veth.index).map_err(Error::from),
        }
    }
    Err(Error::Invalid(format!("the interface {} is in use", veth.host)))
}

/// With br_netfilter (docker switches it on) destination NAT happens inside the bridge, and a container that
/// reaches itself by its published port gets its frames back through its own port. Without it hairpin mode is
/// harmful: duplicate detection of IPv6 sees its own echo.
fn bridged_packets_are_filtered() -> bool {
    std::fs::read("/proc/sys/net/bridge/bridge-nf-call-iptables").is_ok_and(|v| v.starts_with(b"1"))
}

/// Address and way out of one interface. `routed` says for each family whether there is a default route.
fn configure(batch: &mut Batch, attachment: &Attachment, index: i32, routed: &mut (bool, bool)) {
    rtnl::change_link(batch, Which::Index(index), Change { up: true, ..Change::default() });
    let addresses = [attachment.ip.map(IpAddr::V4), attachment.ip6.map(IpAddr::V6)];
    for ip in addresses.into_iter().flatten() {
        let Some(subnet) = super::plan::subnet_of(&attachment.network, ip) else { continue };
        rtnl::add_address(batch, index, ip, subnet.prefix);
        let routed = if ip.is_ipv4() { &mut routed.0 } else { &mut routed.1 };
        if let (Some(gateway), false, true) = (subnet.gateway, *routed, attachment.network.leads_out()) {
            rtnl::add_default_route(batch, index, gateway);
            *routed = true;
        }
    }
    for route in &attachment.network.routes {
        let to = (route.destination, route.prefix);
        rtnl::add_route(batch, index, to, route.gateway, route.metric);
    }
}

/// Makes the default routes lead through an attachment's gateways where there are none.
pub(super) fn route(netns: BorrowedFd<'_>, state: &AttachmentState) -> Result<(), Error> {
    let mut inside = Socket::open_in(netns, Family::Route)?;
    let Some(link) = rtnl::link(&mut inside, &state.interface)? else { return Ok(()) };
    let mut batch = Batch::new();
    for gateway in [state.gateway.map(IpAddr::V4), state.gateway6.map(IpAddr::V6)].into_iter().flatten() {
        if rtnl::default_interface(&mut inside, gateway.is_ipv6())?.is_none() {
            rtnl::add_default_route(&mut batch, link.index, gateway);
        }
    }
    inside.run(batch)?;
    Ok(())
}

/// Removes an interface of the host; a missing one is no error.
pub(super) fn remove(name: &str) -> Result<(), Error> {
    remove_with(&mut rtnl::open()?, name)
}

fn remove_with(host: &mut Socket, name: &str) -> Result<(), Error> {
    let mut batch = Batch::new();
    rtnl::delete_link(&mut batch, name);
    batch.optional();
    host.run(batch)?;
    Ok(())
}

/// Removes all host interfaces of a container; returns their number.
pub(super) fn remove_all(container: &ContainerId) -> Result<usize, Error> {
    let mut host = rtnl::open()?;
    let prefix = format!("rv{}", container.short());
    let found = rtnl::links(&mut host)?;
    let mut batch = Batch::new();
    for link in found.iter().filter(|l| l.name.starts_with(&prefix)) {
        rtnl::delete_link(&mut batch, &link.name);
        batch.optional();
    }
    let count = batch.len();
    if count > 0 {
        host.run(batch)?;
    }
    Ok(count)
}
