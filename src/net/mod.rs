//! Making the kernel match: the network of one container, the firewall in front of it, and the names it sees.
//!
//! This module holds no state and decides nothing that outlives a call. The desired [`Plan`] of one container
//! comes in whole, addresses and ports already leased by `storage::leases`; [`set_up`] makes the kernel so by
//! rtnetlink and nf_tables messages (no helper programs) and says in [`Applied`] what it did; [`tear_down`]
//! takes that back. What needs no undoing is left to the kernel: a veth pair dies with the network namespace
//! of the container. [`sweep`] removes by tag what a container whose monitor is gone left behind.
//!
//! Parts: [`ipam`] (candidate addresses, free subnets), [`bridge`] (the switch of a network), `link` (veth pairs
//! and the inside of the namespace), [`firewall`] (desired rules, pure) and `apply` (one transaction), [`ports`]
//! (reserving host ports), [`hosts`] (texts of /etc/hosts and resolv.conf), [`dns`] (the responder of named
//! networks). Not here: leases and network records (`storage`), `network` verbs (`engine::networks`).

#![allow(clippy::todo)]

pub mod dns;
mod error;
pub mod hosts;
pub mod ipam;
mod plan;
pub mod ports;

use std::os::fd::{BorrowedFd, OwnedFd};

pub use error::Error;
pub use plan::{Applied, Attachment, Mac, Plan, host_interface};

use crate::model::container::AttachmentState;
use crate::model::id::ContainerId;
use crate::model::network::{Network, PortMapping};

/// Makes the kernel as `plan` wants it: bridges exist, the container's namespace has its interfaces with
/// addresses and routes, `lo` is up, published ports lead to it. All or nothing: on error what was done is
/// undone. Works from a single-threaded or threaded caller (the calling thread visits the container's network
/// namespace and comes back).
///
/// # Errors
/// Names the network, interface or port that could not be made, with the kernel's answer.
pub fn set_up(plan: &Plan<'_>) -> Result<Applied, Error> {
    todo!("{plan:?}")
}

/// Only brings `lo` up in a namespace that is attached to nothing (`--network none`).
///
/// # Errors
/// The kernel's answer.
pub fn set_up_loopback(netns: BorrowedFd<'_>) -> Result<(), Error> {
    todo!("{netns:?}")
}

/// Takes back what [`set_up`] did outside the container's namespace: published ports and stale UDP flows.
/// The interfaces die with the namespace. Goes on after an error and returns the first.
///
/// # Errors
/// What could not be removed.
pub fn tear_down(applied: &Applied) -> Result<(), Error> {
    todo!("{applied:?}")
}

/// Removes by tag whatever a container left: firewall elements that carry its id, host interfaces with its
/// name prefix. Needs neither its namespace nor any record of it. Returns how many things were removed.
///
/// # Errors
/// What could not be removed.
pub fn sweep(container: &ContainerId) -> Result<usize, Error> {
    todo!("{container}")
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
    todo!("{container} {netns:?} {attachment:?}")
}

/// Removes one attachment of a running container (`network disconnect`) with the published ports that lead to
/// its addresses.
///
/// # Errors
/// What could not be removed.
pub fn detach(container: &ContainerId, state: &AttachmentState, ports: &[PortMapping]) -> Result<(), Error> {
    todo!("{container} {state:?} {ports:?}")
}

/// Puts the firewall back as `applied` needs it, whatever is there now; idempotent and cheap. For use after a
/// foreign `nft flush ruleset` or firewall reload.
///
/// # Errors
/// The kernel's answer.
pub fn ensure(applied: &Applied) -> Result<(), Error> {
    todo!("{applied:?}")
}

/// Makes the bridge and firewall entries of a network that has no container yet.
///
/// # Errors
/// The kernel's answer; [`Error::Clash`] if its subnet meets a route of the host.
pub fn ensure_network(network: &Network) -> Result<(), Error> {
    todo!("{network:?}")
}

/// Removes the bridge and the firewall entries of a network that is going away. Missing things are no error.
///
/// # Errors
/// The kernel's answer.
pub fn remove_network(network: &Network) -> Result<(), Error> {
    todo!("{network:?}")
}

/// Tells when someone else changed the firewall: readable when a table, chain or rule was added or removed
/// (not for mere map elements, so that containers do not wake one another).
#[derive(Debug)]
pub struct Watcher {
    socket: OwnedFd,
}

impl Watcher {
    /// Subscribes.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn new() -> Result<Self, Error> {
        todo!()
    }

    /// The descriptor to poll for reading.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd as _;
        self.socket.as_fd()
    }

    /// Reads what has come; true if our table was removed or flushed and [`ensure`] is needed.
    pub fn changed(&mut self) -> bool {
        todo!()
    }
}
