//! Networks: the mode of a container, its attachments, published ports, DNS and hosts; the syntaxes of
//! `--network`, `-p` and `--add-host`; the definition of a network itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

mod parse;
pub use parse::{parse_expose, parse_extra_host};

use super::id::ContainerId;

/// `--network`: how a container is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// Attached to these bridge (or other driver) networks; `bridge`, `podman` and `default` name the default one.
    Networks(Vec<AttachmentRequest>),
    /// A network namespace with `lo` only.
    None,
    /// The host's network namespace.
    Host,
    /// The network namespace of another container (name or id as typed).
    Container(String),
    /// The network namespace at a path (`ns:PATH`).
    Path(String),
    /// A namespace of its own, attached to nothing (`private` in rootful means the default network).
    Private,
}

/// One `--network NAME[:opt=…]` with its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachmentRequest {
    /// Network name or id.
    pub network: String,
    /// Fixed address (`--ip`).
    pub ip: Option<Ipv4Addr>,
    /// Fixed IPv6 address (`--ip6`).
    pub ip6: Option<Ipv6Addr>,
    /// Fixed MAC (`--mac-address`).
    pub mac: Option<String>,
    /// DNS aliases on that network.
    pub aliases: Vec<String>,
    /// Interface name inside, default `ethN`.
    pub interface: Option<String>,
}

/// Transport protocol of a published or exposed port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// One `-p` as typed: ranges allowed, host part optional.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// Host address; `None` is every address.
    pub host_ip: Option<IpAddr>,
    /// First and last host port; `None` picks free ones.
    pub host: Option<(u16, u16)>,
    /// First and last container port.
    pub container: (u16, u16),
    /// Protocol.
    pub protocol: Protocol,
}

/// A port exposed by the image or `--expose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExposedPort {
    /// Port number.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

/// One published port as it will be. `host_port` 0 means "the monitor picks a free one at start" and is
/// then found in the container's run state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortMapping {
    /// Host address; the unspecified address is every address.
    pub host_ip: IpAddr,
    /// Host port, 0 for "pick one".
    pub host_port: u16,
    /// Last port of a range (`-p 8000-8010:80`) of which the first free one is taken at start; 0 where there is
    /// no range, and always 0 in a run state.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub host_last: u16,
    /// Port in the container.
    pub container_port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u16) -> bool {
    *n == 0
}

/// What the caller said about DNS and hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsOptions {
    /// `--dns`; `Some(vec![])` is `--dns none`: leave resolv.conf alone.
    pub servers: Option<Vec<IpAddr>>,
    /// `--dns-search`; `.` means none.
    pub search: Vec<String>,
    /// `--dns-option`.
    pub options: Vec<String>,
    /// `--add-host NAME[;NAME…]:IP`; the address `host-gateway` is kept as text.
    pub hosts: Vec<(String, String)>,
    /// `--no-hosts`: do not write /etc/hosts; `None` leaves it to containers.conf.
    pub no_hosts: Option<bool>,
    /// `--no-hostname`: do not write /etc/hostname.
    pub no_hostname: bool,
    /// `--hosts-file`: base for /etc/hosts: a path, `image` or `none`.
    pub hosts_file: Option<String>,
    /// containers.conf `host_containers_internal_ip`: the host's address to containers; `none`: no name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<String>,
}

/// Everything said about the network of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkOptions {
    /// `--network`.
    pub mode: Option<NetworkMode>,
    /// `-p`.
    pub publish: Vec<PortRequest>,
    /// `-P`.
    pub publish_all: bool,
    /// `--expose`.
    pub expose: Vec<(u16, u16, Protocol)>,
    /// DNS and hosts.
    pub dns: DnsOptions,
    /// `--link NAME[:ALIAS]`: adds hosts entries.
    pub links: Vec<String>,
}

/// The resolved network of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// How the namespace is had.
    pub mode: NetworkModeSpec,
    /// Attachments in order (`eth0` first).
    #[serde(default)]
    pub attachments: Vec<AttachmentSpec>,
    /// Published ports.
    #[serde(default)]
    pub ports: Vec<PortMapping>,
    /// Exposed ports (image and `--expose`), for `-P`, `ps` and `inspect`.
    #[serde(default)]
    pub exposed: Vec<ExposedPort>,
    /// DNS and hosts.
    #[serde(default)]
    pub dns: DnsOptions,
    /// Containers whose names and ports this one is told of (docker's `--link`).
    #[serde(default)]
    pub links: Vec<LinkSpec>,
    /// Further names that this container's responder answers: what it is called here, and the container's name.
    #[serde(default)]
    pub names: Vec<(String, String)>,
}

/// One resolved `--link`. The address of the other is looked up at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSpec {
    /// The other container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// What it is called here.
    pub alias: String,
    /// Its host name.
    #[serde(default)]
    pub hostname: String,
    /// The network on which both are.
    pub network: String,
    /// Its ports; empty where docker sets no variables (networks of users).
    pub ports: Vec<ExposedPort>,
    /// Its environment, `NAME=value`; likewise.
    pub env: Vec<String>,
    /// Whether variables are set at all.
    pub variables: bool,
}

/// How a container's network namespace is had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkModeSpec {
    /// A namespace of its own, attached to [`NetworkSpec::attachments`].
    Bridge,
    /// A namespace of its own with `lo` only.
    None,
    /// The host's.
    Host,
    /// That of another container.
    Container(ContainerId),
    /// The namespace at a path.
    Path(String),
}

/// One resolved attachment. Addresses that were not fixed by the caller are leased at start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachmentSpec {
    /// Network name.
    pub network: String,
    /// Interface inside.
    pub interface: String,
    /// Fixed IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// Fixed IPv6 address.
    pub ip6: Option<Ipv6Addr>,
    /// Fixed MAC.
    pub mac: Option<String>,
    /// DNS aliases.
    pub aliases: Vec<String>,
}

/// A network as stored: what `network create` makes and `network inspect` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hex digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// Driver: `bridge` (others come with the network issues).
    pub driver: String,
    /// Name of the bridge interface on the host, at most 15 bytes.
    pub interface: String,
    /// Subnets with their gateways.
    pub subnets: Vec<Subnet>,
    /// IPv6 enabled.
    #[serde(default)]
    pub ipv6: bool,
    /// No way out.
    #[serde(default)]
    pub internal: bool,
    /// docker's `--attachable`, which says something of swarm networks only: containers come to all of ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attachable: bool,
    /// Name resolution of containers (off on the default network, as docker's).
    #[serde(default)]
    pub dns_enabled: bool,
    /// Servers that names are asked of, instead of the host's.
    #[serde(default)]
    pub dns_servers: Vec<IpAddr>,
    /// Routes that its containers get.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Driver options (`mtu`, `isolate`, …).
    #[serde(default)]
    pub options: Vec<(String, String)>,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// The file that defines it (`--network-config-dir`); it goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<std::path::PathBuf>,
}

/// Option of a network through which its containers have no default route.
pub const NO_DEFAULT_ROUTE: &str = "no_default_route";

impl Network {
    /// Whether a container's default route may lead through it.
    #[must_use]
    pub fn leads_out(&self) -> bool {
        !self.internal && !self.options.iter().any(|(k, v)| k == NO_DEFAULT_ROUTE && v == "true")
    }
}

/// A route of a network's containers (`network create --route`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Destination network.
    pub destination: IpAddr,
    /// Prefix length.
    pub prefix: u8,
    /// Through which address.
    pub gateway: IpAddr,
    /// Metric; lower wins.
    #[serde(default)]
    pub metric: Option<u32>,
}

/// A subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Network address.
    pub address: IpAddr,
    /// Prefix length.
    pub prefix: u8,
    /// Gateway: the bridge's own address.
    pub gateway: Option<IpAddr>,
    /// First and last address given out, if narrowed (`--ip-range`).
    #[serde(default)]
    pub range: Option<(IpAddr, IpAddr)>,
    /// Addresses that something else than containers has (`--aux-address`), with what it is called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auxiliary: Vec<(String, IpAddr)>,
}

/// docker's option of an attachment: what its interface is called inside.
pub const INTERFACE_OPTION: &str = "com.docker.network.endpoint.ifname";

/// The name of the default network. `bridge`, `podman` and `default` name it too.
pub const DEFAULT_NETWORK: &str = "bridge";
