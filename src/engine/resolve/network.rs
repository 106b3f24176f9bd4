//! The network: mode, attachments, published and exposed ports, DNS.

use std::net::IpAddr;

use super::ports::{expand_publish, parse_exposed};
use super::{Inputs, PathKind, invalid};
use crate::engine::error::Error;
use crate::engine::networks::HOST_BINDING;
use crate::model::image::ImageConfig;
use crate::model::network::{
    AttachmentRequest, AttachmentSpec, DEFAULT_NETWORK, DnsOptions, ExposedPort, LinkSpec, NetworkMode,
    NetworkModeSpec, NetworkOptions, NetworkSpec, PortMapping,
};
use crate::net::ipam;

pub(super) fn resolve(
    inputs: &Inputs<'_>,
    image: &ImageConfig,
    warnings: &mut Vec<String>,
) -> Result<NetworkSpec, Error> {
    let NetworkOptions { mode, publish, publish_all, expose, dns, links } = &inputs.options.network;
    contradictions(mode.as_ref(), inputs)?;
    let joins = matches!(mode, Some(NetworkMode::Container(_)));
    let (mode, attachments) = attach(mode.as_ref(), inputs)?;
    let exposed = exposed(image, expose, publish)?;
    let bound = if publish.is_empty() && !publish_all { None } else { host_binding(&attachments, inputs)? };
    let default_ips = match &bound {
        Some(ip) => std::slice::from_ref(ip),
        None => inputs.config.engine.default_host_ips.as_slice(),
    };
    let mut ports = expand_publish(publish, default_ips)?;
    if *publish_all {
        add_exposed(&mut ports, &exposed, default_ips);
    }
    if inputs.config.podman {
        choose(&mut ports, inputs);
    }
    match mode {
        // Docker refuses that, so it is podman's user who gets here.
        _ if joins && !ports.is_empty() => {
            warnings.push("Published ports are discarded when using the network of a container".to_owned());
            ports.clear();
        }
        NetworkModeSpec::Host | NetworkModeSpec::None | NetworkModeSpec::Path(_) if !ports.is_empty() => {
            let word = match mode {
                NetworkModeSpec::Host => "host network mode",
                NetworkModeSpec::None => "network mode none",
                _ => "a network namespace given by path",
            };
            warnings.push(format!("Published ports are discarded when using {word}"));
            ports.clear();
        }
        _ => {}
    }
    for server in dns.servers.iter().flatten().filter(|s| s.is_loopback()) {
        warnings.push(format!("Localhost DNS setting (--dns={server}) may fail in containers."));
    }
    let (names, links) = links_of(links, &mode, &attachments, inputs)?;
    Ok(NetworkSpec { mode, attachments, ports, exposed, dns: dns_options(dns, inputs)?, links, names })
}

/// The host's address that the first network publishes on where `-p` names none.
fn host_binding(attachments: &[AttachmentSpec], inputs: &Inputs<'_>) -> Result<Option<IpAddr>, Error> {
    let Some(first) = attachments.first().filter(|a| a.network != DEFAULT_NETWORK) else { return Ok(None) };
    let options = inputs.world.network(&first.network)?.options;
    Ok(options.iter().find(|(key, _)| key == HOST_BINDING).and_then(|(_, value)| value.parse().ok()))
}

const NO_LINKS: &str = "links are only supported for user-defined networks";
const HOST_LINKS: &str = "conflicting options: host type networking can't be used with links. This would result in undefined behavior";

/// What links come to: names for the responder, and containers to be told of.
type Links = (Vec<(String, String)>, Vec<LinkSpec>);

/// `--link NAME[:ALIAS]`. On the default network the other container is told of by variables and hosts entries; where
/// names are answered, a link is a further name, looked up when it is asked for.
fn links_of(
    wishes: &[String],
    mode: &NetworkModeSpec,
    attachments: &[AttachmentSpec],
    inputs: &Inputs<'_>,
) -> Result<Links, Error> {
    if !wishes.is_empty() && *mode != NetworkModeSpec::Bridge {
        return Err(match mode {
            NetworkModeSpec::Host => invalid(HOST_LINKS).hint(NO_LINKS),
            _ => invalid(NO_LINKS),
        });
    }
    let mut answered = false;
    for attachment in attachments.iter().filter(|_| !wishes.is_empty()) {
        answered |= inputs.world.network(&attachment.network)?.dns_enabled;
    }
    let (mut names, mut all) = (Vec::new(), Vec::new());
    for text in wishes {
        let (name, alias) = text.split_once(':').unwrap_or((text, ""));
        let alias = if alias.is_empty() { name } else { alias };
        if answered {
            names.push((alias.to_owned(), name.trim_start_matches('/').to_owned()));
            continue;
        }
        let other = linked(inputs, name)?;
        let shared = attachments.iter().find(|a| other.networks.contains(&a.network)).ok_or_else(|| {
            invalid(format!("cannot link to {name}: no network has both containers"))
                .hint("start both on the same network")
        })?;
        let variables = shared.network == DEFAULT_NETWORK;
        let kept = |e: &&String| !["PATH=", "HOME=", "HOSTNAME="].iter().any(|n| e.starts_with(n));
        all.push(LinkSpec {
            id: other.id,
            name: other.name,
            alias: alias.to_owned(),
            hostname: other.hostname,
            network: shared.network.clone(),
            ports: if variables { other.exposed } else { Vec::new() },
            env: if variables { other.env.iter().filter(kept).cloned().collect() } else { Vec::new() },
            variables,
        });
    }
    Ok((names, all))
}

/// The container of a link, or the one in whose network it lives.
fn linked(inputs: &Inputs<'_>, name: &str) -> Result<super::world::Neighbour, Error> {
    let mut other =
        inputs.world.container(name).map_err(|e| e.context(format!("could not get container for {name}")))?;
    if other.host_network {
        return Err(invalid(HOST_LINKS));
    }
    // Such chains are made one after the other, so they end.
    while let Some(id) = other.joined.take() {
        other = inputs.world.container(id.as_str())?;
    }
    Ok(other)
}

/// What contradicts the mode by itself, whatever it names.
fn contradictions(mode: Option<&NetworkMode>, inputs: &Inputs<'_>) -> Result<(), Error> {
    let NetworkOptions { publish, publish_all, expose, dns, links, .. } = &inputs.options.network;
    if let (true, Some(NetworkMode::Container(_) | NetworkMode::None)) = (inputs.config.podman, mode) {
        without_dns(dns, matches!(mode, Some(NetworkMode::None)))?;
    }
    let Some(NetworkMode::Container(_)) = mode else { return Ok(()) };
    if inputs.options.hostname.is_some() {
        return Err(invalid("conflicting options: hostname and the network mode"));
    }
    if !links.is_empty() {
        return Err(invalid(
            "conflicting options: container type network can't be used with links. This would result in undefined behavior",
        )
        .hint(NO_LINKS));
    }
    let podman = inputs.config.podman;
    joined(publish.is_empty() && !publish_all || podman, expose.is_empty() || podman, dns)
}

/// To podman, all of what is said of names contradicts a network that it has no part in.
fn without_dns(dns: &DnsOptions, none: bool) -> Result<(), Error> {
    let servers = dns.servers.as_ref().is_some_and(|s| !s.is_empty());
    if !servers && dns.search.is_empty() && dns.options.is_empty() {
        return Ok(());
    }
    let mode = if none { " none" } else { "" };
    Err(invalid(format!("conflicting options: dns and the network mode{mode}")))
}

/// What contradicts `--network container:`.
fn joined(no_ports: bool, no_expose: bool, dns: &DnsOptions) -> Result<(), Error> {
    if !no_ports {
        return Err(invalid("conflicting options: port publishing and the container type network mode"));
    }
    if !no_expose {
        return Err(invalid("conflicting options: port exposing and the container type network mode"));
    }
    if dns.servers.as_ref().is_some_and(|s| !s.is_empty()) {
        return Err(invalid("conflicting options: dns and the network mode"));
    }
    if !dns.hosts.is_empty() {
        return Err(invalid("conflicting options: custom host-to-IP mapping and the network mode"));
    }
    Ok(())
}

fn attach(
    wish: Option<&NetworkMode>,
    inputs: &Inputs<'_>,
) -> Result<(NetworkModeSpec, Vec<AttachmentSpec>), Error> {
    let default = || {
        let name = inputs.config.engine.default_network.clone().unwrap_or_else(|| DEFAULT_NETWORK.to_owned());
        vec![AttachmentRequest { network: name, ..AttachmentRequest::default() }]
    };
    let configured = match (wish, &inputs.config.containers.netns) {
        (None, Some(text)) => NetworkMode::from_values(std::slice::from_ref(text))
            .map_err(|e| Error::from(e).context("reading containers.conf"))?,
        _ => None,
    };
    match wish.or(configured.as_ref()) {
        None | Some(NetworkMode::Private) => Ok((NetworkModeSpec::Bridge, attachments(&default(), inputs)?)),
        // It was disconnected from all that it had.
        Some(NetworkMode::Networks(list)) if list.is_empty() => Ok((NetworkModeSpec::None, Vec::new())),
        Some(NetworkMode::Networks(list)) => Ok((NetworkModeSpec::Bridge, attachments(list, inputs)?)),
        Some(NetworkMode::None) => Ok((NetworkModeSpec::None, Vec::new())),
        Some(NetworkMode::Host) => Ok((NetworkModeSpec::Host, Vec::new())),
        Some(NetworkMode::Container(name)) => {
            if *name == inputs.name {
                return Err(invalid("cannot join own network namespace"));
            }
            Ok((NetworkModeSpec::Container(inputs.world.container(name)?.id), Vec::new()))
        }
        Some(NetworkMode::Path(path)) if path.starts_with('/') => {
            if inputs.world.path(std::path::Path::new(path)) == PathKind::Missing {
                return Err(invalid(format!("--network ns:{path}: there is no such file")));
            }
            Ok((NetworkModeSpec::Path(path.clone()), Vec::new()))
        }
        Some(NetworkMode::Path(path)) => {
            Err(invalid(format!("--network ns:{path}: the path must be absolute")))
        }
    }
}

fn attachments(list: &[AttachmentRequest], inputs: &Inputs<'_>) -> Result<Vec<AttachmentSpec>, Error> {
    let mut all: Vec<AttachmentSpec> = Vec::new();
    for (n, request) in list.iter().enumerate() {
        let AttachmentRequest { network, ip, ip6, mac, aliases, interface } = request;
        let network = inputs.world.network(network)?;
        if all.iter().any(|a| a.network == network.name) {
            return Err(invalid(format!("network {} is named twice", network.name)));
        }
        if !aliases.is_empty() && network.name == DEFAULT_NETWORK {
            return Err(invalid(crate::engine::networks::NO_ALIAS).hint(crate::engine::networks::ALIAS_HINT));
        }
        // podman looks at it when the network is made, at the start.
        for ip in ip.map(IpAddr::V4).into_iter().chain(ip6.map(IpAddr::V6)).filter(|_| !inputs.config.podman)
        {
            ipam::check_within(&network, ip).map_err(|e| invalid(e.to_string()))?;
        }
        all.push(AttachmentSpec {
            network: network.name,
            interface: interface.clone().unwrap_or_else(|| format!("eth{n}")),
            ip: *ip,
            ip6: *ip6,
            mac: mac.clone(),
            aliases: aliases.clone(),
        });
    }
    Ok(all)
}

fn exposed(
    image: &ImageConfig,
    expose: &[(u16, u16, crate::model::network::Protocol)],
    publish: &[crate::model::network::PortRequest],
) -> Result<Vec<ExposedPort>, Error> {
    let mut all = Vec::new();
    for text in &image.exposed_ports {
        all.extend(parse_exposed(text)?);
    }
    let ranges =
        expose.iter().copied().chain(publish.iter().map(|p| (p.container.0, p.container.1, p.protocol)));
    for (first, last, protocol) in ranges {
        if first == 0 || last < first {
            return Err(invalid(format!("invalid range format for --expose: {first}-{last}")));
        }
        all.extend((first..=last).map(|port| ExposedPort { port, protocol }));
    }
    all.sort_by_key(|e| (e.port, e.protocol));
    all.dedup();
    Ok(all)
}

/// `-P`: each exposed port that `-p` does not already publish gets a free host port.
fn add_exposed(ports: &mut Vec<PortMapping>, exposed: &[ExposedPort], default_ips: &[IpAddr]) {
    let any = [IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)];
    let host_ips = if default_ips.is_empty() { &any } else { default_ips };
    for e in exposed {
        if !ports.iter().any(|p| p.container_port == e.port && p.protocol == e.protocol) {
            ports.extend(host_ips.iter().map(|host_ip| PortMapping {
                host_ip: *host_ip,
                host_port: 0,
                host_last: 0,
                container_port: e.port,
                protocol: e.protocol,
            }));
        }
    }
}

/// Podman's containers have their host ports from their creation on.
fn choose(ports: &mut [PortMapping], inputs: &Inputs<'_>) {
    for at in 0..ports.len() {
        let PortMapping { host_ip, protocol, .. } = ports[at];
        if (ports[at].host_port, ports[at].host_last) != (0, 0) {
            continue;
        }
        // One that is drawn twice is drawn anew; what cannot be found here is found at the start.
        for _ in 0..16 {
            let Some(port) = inputs.world.free_port(host_ip, protocol) else { break };
            if !ports.iter().any(|p| p.host_port == port && p.protocol == protocol) {
                ports[at].host_port = port;
                break;
            }
        }
    }
}

fn dns_options(own: &DnsOptions, inputs: &Inputs<'_>) -> Result<DnsOptions, Error> {
    let DnsOptions { servers, search, options, hosts, no_hosts, no_hostname, hosts_file, host_ip } =
        own.clone();
    let config = &inputs.config.containers;
    let servers = match servers {
        Some(list) => Some(list),
        None if config.dns_servers.is_empty() => None,
        None => {
            let parse = |text: &String| {
                text.parse::<IpAddr>().map_err(|_| {
                    invalid(format!("containers.conf: dns_servers holds {text:?}, which is no address"))
                })
            };
            Some(config.dns_servers.iter().map(parse).collect::<Result<_, _>>()?)
        }
    };
    let no_hosts = no_hosts.unwrap_or(config.no_hosts);
    if no_hosts && !hosts.is_empty() {
        return Err(invalid("--no-hosts and --add-host cannot be set together"));
    }
    Ok(DnsOptions {
        servers,
        search: if search.is_empty() { config.dns_searches.clone() } else { search },
        options: if options.is_empty() { config.dns_options.clone() } else { options },
        hosts,
        no_hosts: Some(no_hosts),
        no_hostname,
        hosts_file: hosts_file.or_else(|| inputs.config.containers.base_hosts_file.clone()),
        host_ip: host_ip.or_else(|| config.host_containers_internal_ip.clone()),
    })
}
