//! Making the kernel match: the network of one container, the firewall in front of it, and the names it sees.
//!
//! This module holds no state and decides nothing that outlives a call. The desired [`Plan`] of one container
//! comes in whole, addresses and ports already leased by `storage::leases`; [`set_up`] makes the kernel so by
//! rtnetlink and nf_tables messages (no helper programs) and says in [`Applied`] what it did; [`tear_down`]
//! takes that back. What needs no undoing is left to the kernel: a veth pair dies with the network namespace
//! of the container. [`sweep`] removes by tag what a container whose monitor is gone left behind.
//!
//! Parts: [`ipam`] (candidate addresses, free subnets), `bridge` (the switch of a network), `link` (veth pairs
//! and the inside of the namespace), `firewall` (desired rules, pure) and `apply` (one transaction), [`ports`]
//! (reserving host ports), [`hosts`] (texts of /etc/hosts and resolv.conf), [`dns`] (the responder of named
//! networks). Not here: leases and network records (`storage`), `network` verbs (`engine::networks`).

#![allow(clippy::todo)]

mod apply;
mod bridge;
pub mod dns;
mod error;
mod firewall;
mod foreign;
mod holder;
pub mod hosts;
pub mod ipam;
mod link;
mod plan;
pub mod ports;
pub mod relay;
mod watch;

use std::os::fd::BorrowedFd;

pub use error::Error;
pub use plan::{Applied, Attachment, Mac, Plan, host_interface};
pub use watch::Watcher;

use crate::model::container::AttachmentState;
use crate::model::id::ContainerId;
use crate::model::network::{Network, PortMapping, Protocol};
use crate::sys::netlink::Socket;
use crate::sys::{conntrack, nft, rtnl};

/// Makes the kernel as `plan` wants it: bridges exist, the container's namespace has its interfaces with
/// addresses and routes, `lo` is up, published ports lead to it. All or nothing: on error what was done is
/// undone. Works from a single-threaded or threaded caller (the calling thread visits the container's network
/// namespace and comes back).
///
/// # Errors
/// Names the network, interface or port that could not be made, with the kernel's answer.
pub fn set_up(plan: &Plan<'_>) -> Result<Applied, Error> {
    let applied = plan.outcome();
    let made = link::make(plan.netns, plan.attachments, true).and_then(|()| ensure(&applied));
    match made {
        Ok(()) => Ok(applied),
        Err(e) => {
            // The first error is the one to tell; what cannot be undone now is swept later by its tag.
            drop(sweep(plan.container));
            Err(e)
        }
    }
}

/// Only brings `lo` up in a namespace that is attached to nothing (`--network none`).
///
/// # Errors
/// The kernel's answer.
pub fn set_up_loopback(netns: BorrowedFd<'_>) -> Result<(), Error> {
    link::loopback(netns)
}

/// Takes back what [`set_up`] did outside the container's namespace: published ports and stale UDP flows.
/// The interfaces die with the namespace.
///
/// # Errors
/// What could not be removed.
pub fn tear_down(applied: &Applied) -> Result<(), Error> {
    let elements = port_elements(applied);
    if elements.is_empty() {
        return Ok(());
    }
    let mut socket = nft::open()?;
    let removed = apply::remove(&mut socket, &elements);
    forget_flows(&mut socket, &applied.ports);
    removed
}

/// Removes by tag whatever a container left: firewall elements that carry its id, host interfaces with its
/// name prefix. Needs neither its namespace nor any record of it. Returns how many things were removed.
///
/// # Errors
/// What could not be removed.
pub fn sweep(container: &ContainerId) -> Result<usize, Error> {
    let elements = apply::remove_tagged(&mut nft::open()?, &firewall::tag(container.short()));
    let links = link::remove_all(container);
    Ok(elements? + links?)
}

/// Adds one attachment to a running container (`network connect`); ports are not touched.
///
/// # Errors
/// As [`set_up`].
pub fn attach(
    container: &ContainerId,
    netns: BorrowedFd<'_>,
    attachment: &Attachment,
) -> Result<AttachmentState, Error> {
    let plan = Plan { container, netns, attachments: std::slice::from_ref(attachment), ports: &[] };
    let applied = plan.outcome();
    link::make(netns, plan.attachments, false)?;
    ensure(&applied)?;
    applied.attachments.into_iter().next().ok_or_else(|| Error::Invalid("no attachment given".to_owned()))
}

/// Removes one attachment of a running container (`network disconnect`) with the published ports that lead to
/// its addresses.
///
/// # Errors
/// What could not be removed.
pub fn detach(container: &ContainerId, state: &AttachmentState, ports: &[PortMapping]) -> Result<(), Error> {
    let (ip, ip6) = (state.ip.map(|(a, _)| a), state.ip6.map(|(a, _)| a));
    let elements = firewall::port_elements(container.short(), ports, ip, ip6);
    let mut socket = nft::open()?;
    // Only what leads to this attachment's addresses: the element's data says so.
    let there = elements.iter().map(|(s, e)| (s.name, e.key.clone(), e.data.clone())).collect::<Vec<_>>();
    let removed = apply::remove_where(&mut socket, |set, e| {
        there.iter().any(|(s, k, d)| *s == set.name && *k == e.key && *d == e.data)
    });
    link::remove(&state.host_interface)?;
    removed.map(drop)
}

/// Makes a running container's default route lead through an attachment, unless it has one (after its former
/// one went with a [`detach`]).
///
/// # Errors
/// The kernel's answer.
pub fn route(netns: BorrowedFd<'_>, state: &AttachmentState) -> Result<(), Error> {
    link::route(netns, state)
}

/// Puts the firewall as `applied` needs it, whatever is there now; idempotent and cheap. For use after a
/// foreign `nft flush ruleset` or firewall reload.
///
/// # Errors
/// The kernel's answer.
pub fn ensure(applied: &Applied) -> Result<(), Error> {
    let mut socket = nft::open()?;
    let mut elements: apply::Elements =
        applied.networks.iter().flat_map(firewall::network_elements).collect();
    elements.extend(port_elements(applied));
    if elements.is_empty() {
        return Ok(());
    }
    apply::add(&mut socket, &elements)?;
    forget_flows(&mut socket, &applied.ports);
    for network in &applied.networks {
        foreign::allow(&mut socket, &network.interface)?;
    }
    Ok(())
}

/// Makes the bridge and firewall entries of a network that has no container yet.
///
/// # Errors
/// The kernel's answer; [`Error::Clash`] if its subnet meets a route of the host.
pub fn ensure_network(network: &Network) -> Result<(), Error> {
    bridge::ensure(&mut rtnl::open()?, network)?;
    let mut socket = nft::open()?;
    apply::add(&mut socket, &firewall::network_elements(network))?;
    foreign::allow(&mut socket, &network.interface)
}

/// The first of `PREFIX0`, `PREFIX1`, … that neither an interface of the host nor one of `existing` has.
///
/// # Errors
/// The kernel's answer.
pub fn free_interface(prefix: &str, existing: &[Network]) -> Result<String, Error> {
    let links = rtnl::links(&mut rtnl::open()?)?;
    let taken =
        |name: &str| links.iter().any(|l| l.name == name) || existing.iter().any(|n| n.interface == name);
    let mut names = (0_u32..).map(|i| format!("{prefix}{i}"));
    Ok(names.find(|name| !taken(name)).expect("there are more numbers than interfaces"))
}

/// Removes the bridge and the firewall entries of a network that is going away. Missing things are no error.
///
/// # Errors
/// The kernel's answer.
pub fn remove_network(network: &Network) -> Result<(), Error> {
    let mut socket = nft::open()?;
    let entries = apply::remove(&mut socket, &firewall::network_elements(network));
    let foreign = foreign::disallow(&mut socket, &network.interface);
    bridge::remove(&mut rtnl::open()?, network)?;
    entries.and(foreign)
}

/// Ports lead to the first attachment that has a way out, or to the first at all.
fn port_elements(applied: &Applied) -> apply::Elements {
    let is_open = |a: &&AttachmentState| applied.networks.iter().any(|n| n.name == a.network && !n.internal);
    let Some(to) = applied.attachments.iter().find(is_open).or(applied.attachments.first()) else {
        return Vec::new();
    };
    let (ip, ip6) = (to.ip.map(|(a, _)| a), to.ip6.map(|(a, _)| a));
    firewall::port_elements(applied.container.short(), &applied.ports, ip, ip6)
}

/// Best effort: a kernel without connection tracking has no flows to forget.
fn forget_flows(socket: &mut Socket, ports: &[PortMapping]) {
    for p in ports.iter().filter(|p| p.protocol == Protocol::Udp) {
        drop(conntrack::forget(socket, p.host_ip.is_ipv6(), firewall::number(p.protocol), p.host_port));
    }
}
