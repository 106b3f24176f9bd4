//! The desired network of one container, and what was made of it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::model::container::AttachmentState;
use crate::model::id::ContainerId;
use crate::model::network::{Network, PortMapping, Subnet};

/// The desired network of one container, whole.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Whose.
    pub container: &'a ContainerId,
    /// Its network namespace.
    pub netns: BorrowedFd<'a>,
    /// Attachments in order; the default route goes through the first that is not internal.
    pub attachments: &'a [Attachment],
    /// Published ports, every `host_port` known (see [`super::ports::reserve`]). They lead to the first
    /// attachment that is not internal.
    pub ports: &'a [PortMapping],
}

/// One attachment with its leased addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The network.
    pub network: Network,
    /// Name inside the container (`eth0`).
    pub interface: String,
    /// Name on the host, see [`host_interface`].
    pub host_interface: String,
    /// IPv4 address, leased.
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address, leased.
    pub ip6: Option<Ipv6Addr>,
    /// MAC; `None` derives docker's `02:42:…` from the IPv4 address.
    pub mac: Option<Mac>,
    /// DNS aliases, only carried over into the state.
    pub aliases: Vec<String>,
}

/// The name on the host of the `index`th interface of a container: `rv`, 12 digits of its id, one letter.
#[must_use]
pub fn host_interface(container: &ContainerId, index: usize) -> String {
    let digit = char::from_digit(u32::try_from(index % 36).unwrap_or(0), 36).unwrap_or('0');
    format!("rv{}{digit}", container.short())
}

/// What [`super::set_up`] did; enough to take it back or to do it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Whose.
    pub container: ContainerId,
    /// Networks concerned.
    pub networks: Vec<Network>,
    /// Interfaces with their addresses, as they go into the run state.
    pub attachments: Vec<AttachmentState>,
    /// Published ports in force.
    pub ports: Vec<PortMapping>,
}

/// A MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// docker's address for a container's IPv4 address: `02:42` and the four bytes.
    #[must_use]
    pub fn for_ip(ip: Ipv4Addr) -> Self {
        let [a, b, c, d] = ip.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = || Error::Mac(s.to_owned());
        let mut bytes = [0_u8; 6];
        let mut parts = s.split([':', '-']);
        for b in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
            *b = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        // A multicast or all-zero address cannot be an interface's.
        if parts.next().is_some() || bytes[0] & 1 == 1 || bytes == [0; 6] {
            return Err(bad());
        }
        Ok(Self(bytes))
    }
}

/// The subnet of `network` that `ip` is in.
pub(super) fn subnet_of(network: &Network, ip: IpAddr) -> Option<&Subnet> {
    network.subnets.iter().find(|s| super::ipam::contains(s, ip))
}

impl Plan<'_> {
    /// What it will be when it is done.
    pub(super) fn outcome(&self) -> Applied {
        let mut networks: Vec<Network> = Vec::with_capacity(self.attachments.len());
        for a in self.attachments {
            if !networks.iter().any(|n| n.id == a.network.id) {
                networks.push(a.network.clone());
            }
        }
        Applied {
            container: self.container.clone(),
            networks,
            attachments: self.attachments.iter().map(Attachment::state).collect(),
            ports: self.ports.to_vec(),
        }
    }
}

impl Attachment {
    /// Its MAC: the one asked for, else docker's for its address.
    #[must_use]
    pub fn mac_address(&self) -> Mac {
        self.mac.or(self.ip.map(Mac::for_ip)).unwrap_or_else(|| {
            let six = self.ip6.map_or([0; 16], |a| a.octets());
            Mac([0x02, 0x42, six[12], six[13], six[14], six[15]])
        })
    }

    fn state(&self) -> AttachmentState {
        let find = |ip: IpAddr| subnet_of(&self.network, ip);
        let four = self.ip.and_then(|ip| find(IpAddr::V4(ip)).map(|s| (ip, s)));
        let six = self.ip6.and_then(|ip| find(IpAddr::V6(ip)).map(|s| (ip, s)));
        AttachmentState {
            network: self.network.name.clone(),
            network_id: self.network.id.clone(),
            interface: self.interface.clone(),
            host_interface: self.host_interface.clone(),
            mac: self.mac_address().to_string(),
            ip: four.map(|(ip, s)| (ip, s.prefix)),
            gateway: four.and_then(|(_, s)| match s.gateway {
                Some(IpAddr::V4(g)) => Some(g),
                _ => None,
            }),
            ip6: six.map(|(ip, s)| (ip, s.prefix)),
            gateway6: six.and_then(|(_, s)| match s.gateway {
                Some(IpAddr::V6(g)) => Some(g),
                _ => None,
            }),
            aliases: self.aliases.clone(),
        }
    }
}
