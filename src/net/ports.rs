//! Published ports: a host port is reserved by a bound socket that the monitor holds as long as the container
//! runs, so that no other process takes it and a port in use is found out before the container starts.

use std::os::fd::OwnedFd;

use super::Error;
use crate::model::network::PortMapping;

/// A reserved host port. Dropping it gives the port back.
#[derive(Debug)]
pub struct Reservation {
    /// The mapping, with `host_port` filled in.
    pub mapping: PortMapping,
    /// Bound sockets (TCP ones do not listen).
    pub sockets: Vec<OwnedFd>,
}

/// Reserves the host port of `mapping`; port 0 takes a free one from `ip_local_port_range`.
///
/// # Errors
/// [`Error::AddrInUse`] names who has it, [`Error::NoSuchAddress`] if the address is not the host's.
pub fn reserve(mapping: &PortMapping) -> Result<Reservation, Error> {
    todo!("{mapping:?}")
}

/// Reserves all of them, or none.
///
/// # Errors
/// As [`reserve`].
pub fn reserve_all(mappings: &[PortMapping]) -> Result<Vec<Reservation>, Error> {
    mappings.iter().map(reserve).collect()
}
