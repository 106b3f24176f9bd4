//! Ports: `-p` ranges become single mappings, `EXPOSE` and `--expose` a sorted list.

use std::net::{IpAddr, Ipv4Addr};

use super::invalid;
use crate::engine::error::Error;
use crate::model::network::{ExposedPort, PortMapping, PortRequest, parse_expose};

/// The single mappings of `-p` requests, those that name no host address at each of `default_ips` (none: at any); two that
/// ask for the same host port are an error.
///
/// # Errors
/// Ranges of different length, port 0 of the container, duplicates.
pub fn expand_publish(requests: &[PortRequest], default_ips: &[IpAddr]) -> Result<Vec<PortMapping>, Error> {
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    let default_ips = if default_ips.is_empty() { &any } else { default_ips };
    let mut all: Vec<PortMapping> = Vec::new();
    for request in requests {
        let own = request.host_ip.map(|ip| [ip]);
        let host_ips = own.as_ref().map_or(default_ips, |own| own.as_slice());
        for mapping in expand(request, host_ips)? {
            if all.contains(&mapping) {
                // The same twice is harmless; docker folds it too.
                continue;
            }
            if let Some(other) = all.iter().find(|m| clash(m, &mapping)) {
                return Err(invalid(format!(
                    "host port {}/{} is published twice, for container ports {} and {}",
                    mapping.host_port, mapping.protocol, other.container_port, mapping.container_port
                )));
            }
            all.push(mapping);
        }
    }
    Ok(all)
}

fn clash(a: &PortMapping, b: &PortMapping) -> bool {
    a.host_port != 0
        && a.host_port == b.host_port
        // Of a range each takes what is free at its start.
        && a.host_last == 0
        && b.host_last == 0
        && a.protocol == b.protocol
        && (a.host_ip == b.host_ip
            || (a.host_ip.is_unspecified() && a.host_ip.is_ipv4() == b.host_ip.is_ipv4())
            || (b.host_ip.is_unspecified() && a.host_ip.is_ipv4() == b.host_ip.is_ipv4()))
}

fn expand(request: &PortRequest, host_ips: &[IpAddr]) -> Result<Vec<PortMapping>, Error> {
    let PortRequest { host_ip: _, host, container: (first, last), protocol } = *request;
    if first == 0 || last < first {
        return Err(invalid(format!("invalid containerPort: {first}-{last}")));
    }
    let mut all = Vec::new();
    for host_ip in host_ips {
        let one = |host_port: u16, container_port: u16| PortMapping {
            host_ip: *host_ip,
            host_port,
            host_last: 0,
            container_port,
            protocol,
        };
        all.extend(at_address(host, (first, last), &one)?);
    }
    Ok(all)
}

/// The mappings at one address of the host.
fn at_address(
    host: Option<(u16, u16)>,
    (first, last): (u16, u16),
    one: &dyn Fn(u16, u16) -> PortMapping,
) -> Result<Vec<PortMapping>, Error> {
    match host {
        None => Ok((first..=last).map(|c| one(0, c)).collect()),
        Some((h, l)) if l >= h && l - h == last - first => {
            Ok((first..=last).enumerate().map(|(i, c)| one(h + u16::try_from(i).unwrap_or(0), c)).collect())
        }
        Some((h, l)) if l > h && h != 0 && first == last => {
            Ok(vec![PortMapping { host_last: l, ..one(h, first) }])
        }
        Some((h, l)) => Err(invalid(format!(
            "invalid ranges specified for container and host Ports: {first}-{last} and {h}-{l}"
        ))
        .hint("both ranges must have the same length")),
    }
}

/// An image's `EXPOSE` value: `80`, `80/tcp`, `8000-8010/udp`.
///
/// # Errors
/// Names the value.
pub fn parse_exposed(text: &str) -> Result<Vec<ExposedPort>, Error> {
    let (first, last, protocol) = parse_expose(text)?;
    if first == 0 || last < first {
        return Err(invalid(format!("invalid exposed port {text:?}")));
    }
    Ok((first..=last).map(|port| ExposedPort { port, protocol }).collect())
}
