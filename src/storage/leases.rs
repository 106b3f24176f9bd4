//! Leases of addresses and ports, on tmpfs: `<run>/leases/net/<network>/<ip>` and
//! `<run>/leases/ports/<proto>-<ip>-<port>`.
//!
//! A lease is a symbolic link whose target is its JSON text: made with its content in one system call that fails
//! when the name exists, so there is no lock and no half-written lease. A lease whose container's run lock is
//! free is garbage and is taken over. Hold the container's [`super::volatile::RunDir`] before you take one.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::error::Result;
use super::paths::Paths;
use crate::model::id::ContainerId;
use crate::model::network::Protocol;

/// Who has an address, and what DNS answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Further names on this network.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// MAC address, if known.
    #[serde(default)]
    pub mac: Option<String>,
}

/// Takes `ip` on `network` for `lease.id`. `Ok(false)`: a living container has it, try the next.
///
/// # Errors
/// What the kernel says.
pub fn take_address(paths: &Paths, network: &str, ip: IpAddr, lease: &Lease) -> Result<bool> {
    let _ = (paths, network, ip, lease);
    todo!()
}

/// All leases of a network whose containers live.
///
/// # Errors
/// What the kernel says.
pub fn list_addresses(paths: &Paths, network: &str) -> Result<Vec<(IpAddr, Lease)>> {
    let _ = (paths, network);
    todo!()
}

/// Who holds an address.
///
/// # Errors
/// What the kernel says.
pub fn address_holder(paths: &Paths, network: &str, ip: IpAddr) -> Result<Option<Lease>> {
    let _ = (paths, network, ip);
    todo!()
}

/// Lets an address go, if `id` has it.
///
/// # Errors
/// What the kernel says.
pub fn release_address(paths: &Paths, network: &str, ip: IpAddr, id: &ContainerId) -> Result<()> {
    let _ = (paths, network, ip, id);
    todo!()
}

/// Takes a host port. `ip` unspecified is every address (conflicts with single addresses are found by the bound
/// socket, not here).
///
/// # Errors
/// [`super::Error::Leased`] names the living holder.
pub fn take_port(paths: &Paths, protocol: Protocol, ip: IpAddr, port: u16, id: &ContainerId) -> Result<()> {
    let _ = (paths, protocol, ip, port, id);
    todo!()
}

/// The living container that holds a port, on this address or on every address.
///
/// # Errors
/// What the kernel says.
pub fn port_holder(paths: &Paths, protocol: Protocol, ip: IpAddr, port: u16) -> Result<Option<ContainerId>> {
    let _ = (paths, protocol, ip, port);
    todo!()
}

/// Lets a port go, if `id` has it.
///
/// # Errors
/// What the kernel says.
pub fn release_port(
    paths: &Paths,
    protocol: Protocol,
    ip: IpAddr,
    port: u16,
    id: &ContainerId,
) -> Result<()> {
    let _ = (paths, protocol, ip, port, id);
    todo!()
}

/// Lets everything go that `id` holds (a sweep, for containers whose monitor died).
///
/// # Errors
/// What the kernel says.
pub fn release_all(paths: &Paths, id: &ContainerId) -> Result<()> {
    let _ = (paths, id);
    todo!()
}
