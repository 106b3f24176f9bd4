//! The PORTS column: published and exposed ports, neighbours joined into ranges, as docker shows them.

use std::net::IpAddr;

use crate::model::network::{ExposedPort, PortMapping, Protocol};

/// One or more neighbouring ports with the same address and offset.
struct Run {
    protocol: Protocol,
    host: Option<(IpAddr, u16)>,
    first: u16,
    last: u16,
}

/// `0.0.0.0:8080->80/tcp, 443/tcp`.
#[must_use]
pub fn ports(published: &[PortMapping], exposed: &[ExposedPort]) -> String {
    let mut all: Vec<Run> = published
        .iter()
        .map(|p| Run {
            protocol: p.protocol,
            host: Some((p.host_ip, p.host_port)),
            first: p.container_port,
            last: p.container_port,
        })
        .collect();
    let hidden = exposed
        .iter()
        .filter(|e| !published.iter().any(|p| (p.container_port, p.protocol) == (e.port, e.protocol)));
    all.extend(hidden.map(|e| Run { protocol: e.protocol, host: None, first: e.port, last: e.port }));
    // docker: by address first within a port, so that ranges of one address come together.
    all.sort_by_key(|r| (r.host.map(|h| h.0), r.protocol, r.first, r.host.map(|h| h.1)));
    let mut runs: Vec<Run> = Vec::new();
    for next in all {
        match runs.last_mut() {
            Some(run) if joins(run, &next) => run.last = next.last,
            _ => runs.push(next),
        }
    }
    runs.sort_by_key(|r| (r.first, r.protocol, r.host));
    runs.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn joins(run: &Run, next: &Run) -> bool {
    if run.protocol != next.protocol || run.last.checked_add(1) != Some(next.first) {
        return false;
    }
    match (run.host, next.host) {
        (None, None) => true,
        (Some((a, port)), Some((b, other))) => {
            a == b && u32::from(port) + u32::from(next.first - run.first) == u32::from(other)
        }
        _ => false,
    }
}

fn text(run: &Run) -> String {
    let span = |from: u16| match run.last - run.first {
        0 => from.to_string(),
        more => format!("{from}-{}", from + more),
    };
    let container = format!("{}/{}", span(run.first), run.protocol);
    match run.host {
        // Wished but not chosen yet: shown as the port of the container alone.
        None | Some((_, 0)) => container,
        Some((IpAddr::V6(ip), port)) => format!("[{ip}]:{}->{container}", span(port)),
        Some((ip, port)) => format!("{ip}:{}->{container}", span(port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(ip: &str, host: u16, container: u16) -> PortMapping {
        let host_ip = ip.parse().expect("an address");
        PortMapping {
            host_ip,
            host_port: host,
            host_last: 0,
            container_port: container,
            protocol: Protocol::Tcp,
        }
    }

    #[test]
    fn neighbours_are_joined() {
        let exposed = |port| ExposedPort { port, protocol: Protocol::Tcp };
        assert_eq!(ports(&[map("0.0.0.0", 8080, 80)], &[exposed(80)]), "0.0.0.0:8080->80/tcp");
        assert_eq!(ports(&[], &[exposed(80), exposed(81), exposed(443)]), "80-81/tcp, 443/tcp");
        assert_eq!(
            ports(&[map("0.0.0.0", 8000, 80), map("0.0.0.0", 8001, 81), map("0.0.0.0", 9000, 82)], &[]),
            "0.0.0.0:8000-8001->80-81/tcp, 0.0.0.0:9000->82/tcp"
        );
        assert_eq!(
            ports(&[map("0.0.0.0", 80, 80), map("::", 80, 80)], &[]),
            "0.0.0.0:80->80/tcp, [::]:80->80/tcp"
        );
        assert_eq!(ports(&[], &[]), "");
    }
}
