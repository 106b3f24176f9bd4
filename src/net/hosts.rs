//! The texts of /etc/hosts, /etc/resolv.conf and /etc/hostname of a container. Pure, but for
//! [`host_resolv_conf`].

use std::net::IpAddr;

use crate::model::network::DnsOptions;

/// What /etc/hosts is made of.
#[derive(Debug, Clone, Copy)]
pub struct Hosts<'a> {
    /// Host name.
    pub hostname: &'a str,
    /// Domain name, or empty.
    pub domainname: &'a str,
    /// The container's name (also resolves to its address), or empty.
    pub name: &'a str,
    /// The container's own addresses.
    pub addresses: &'a [IpAddr],
    /// Gateway: what `host-gateway`, `host.docker.internal` and `host.containers.internal` mean.
    pub gateway: Option<IpAddr>,
    /// `--add-host` and links: name, address or `host-gateway`.
    pub extra: &'a [(String, String)],
    /// A base text (`--hosts-file`) that comes first.
    pub base: Option<&'a str>,
}

/// The text of /etc/hosts.
#[must_use]
pub fn hosts_file(hosts: &Hosts<'_>) -> String {
    todo!("{hosts:?}")
}

/// A container's resolv.conf, and the servers that queries would have gone to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// The text of /etc/resolv.conf.
    pub text: String,
    /// Upstream servers for the embedded responder.
    pub upstream: Vec<IpAddr>,
}

/// Makes a container's resolv.conf from the host's text and the container's options: loopback servers are
/// left out unless `host_network`, docker's public servers come in if none is left, and with `embedded` the
/// only server is 127.0.0.11.
#[must_use]
pub fn resolv_conf(host_text: &str, dns: &DnsOptions, embedded: bool, host_network: bool) -> Resolver {
    todo!("{host_text} {dns:?} {embedded} {host_network}")
}

/// The host's resolv.conf; systemd-resolved's list of real servers where /etc/resolv.conf names only its stub.
#[must_use]
pub fn host_resolv_conf() -> String {
    todo!()
}
