//! What can go wrong in `net`.

use std::net::IpAddr;

use crate::model::network::{PortMapping, Protocol};
use crate::sys::netlink;

/// An error of `net`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the kernel failed.
    #[error("{what}")]
    Kernel {
        /// What was being done, to which thing.
        what: String,
        /// The kernel's answer.
        #[source]
        source: std::io::Error,
    },
    /// The host port is in use.
    #[error("port {}/{} on {} is already in use: port is already allocated{}", .mapping.host_port, proto(.mapping.protocol), .mapping.host_ip, by(.holder))]
    AddrInUse {
        /// The mapping that was wanted.
        mapping: PortMapping,
        /// Who holds it, if it could be found out: "nginx (pid 12)".
        holder: Option<String>,
    },
    /// The host address of a mapping is not on this host.
    #[error("cannot publish on {0}: it is no address of this host")]
    NoSuchAddress(IpAddr),
    /// A subnet meets a route or an address of the host.
    #[error("subnet {subnet} clashes with the route {route}")]
    Clash {
        /// The subnet that was wanted.
        subnet: String,
        /// The route, as `ip route` shows it.
        route: String,
    },
    /// No subnet is free.
    #[error("no free subnet is left in the private ranges; give one with --subnet")]
    NoSubnet,
    /// A MAC address that cannot be read.
    #[error("invalid MAC address {0:?}")]
    Mac(String),
    /// The plan contradicts itself.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// The kernel's answer while doing `what`.
    pub(crate) fn kernel(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Kernel { what: what.into(), source }
    }
}

impl From<netlink::Error> for Error {
    fn from(e: netlink::Error) -> Self {
        Self::Kernel { what: e.to_string(), source: e.source }
    }
}

/// docker's word for a protocol.
pub(crate) fn proto(p: Protocol) -> &'static str {
    match p {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

fn by(holder: &Option<String>) -> String {
    holder.as_ref().map(|h| format!(" by {h}")).unwrap_or_default()
}
