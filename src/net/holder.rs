//! Who has a port: from /proc/net to the socket's inode, from there to the process that holds it.

use std::fs;
use std::net::IpAddr;

use crate::model::network::{PortMapping, Protocol};

/// The process that holds the port of `mapping`, as "nginx (pid 12)"; `None` if it cannot be found (another
/// user's, or a socket that is bound but does not listen, as the monitors of other containers have).
pub(super) fn find(mapping: &PortMapping) -> Option<String> {
    let tables: &[&str] = match mapping.protocol {
        Protocol::Tcp => &["tcp", "tcp6"],
        Protocol::Udp => &["udp", "udp6"],
        Protocol::Sctp => return None,
    };
    let inode = tables.iter().find_map(|table| {
        let text = fs::read_to_string(format!("/proc/net/{table}")).ok()?;
        text.lines().skip(1).find_map(|line| inode_if_holder(line, mapping))
    })?;
    process_with(&format!("socket:[{inode}]"))
}

/// The inode of one line of /proc/net/{tcp,udp}[6] if that socket stands in the way.
fn inode_if_holder(line: &str, mapping: &PortMapping) -> Option<u64> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if port != mapping.host_port || (mapping.protocol == Protocol::Tcp && *fields.get(3)? != LISTEN) {
        return None;
    }
    let local = parse_address(address)?;
    let meets = local == mapping.host_ip || local.is_unspecified() || mapping.host_ip.is_unspecified();
    meets.then(|| fields.get(9)?.parse().ok()).flatten()
}

/// An address as /proc/net writes it: words in host order.
fn parse_address(text: &str) -> Option<IpAddr> {
    let mut bytes = [0_u8; 16];
    for (i, chunk) in text.as_bytes().chunks(8).enumerate() {
        let word = u32::from_str_radix(std::str::from_utf8(chunk).ok()?, 16).ok()?;
        bytes.get_mut(i * 4..i * 4 + 4)?.copy_from_slice(&word.to_ne_bytes());
    }
    match text.len() {
        8 => <[u8; 4]>::try_from(&bytes[..4]).ok().map(IpAddr::from),
        32 => Some(IpAddr::from(bytes)),
        _ => None,
    }
}

fn process_with(link: &str) -> Option<String> {
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let descriptors = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let mut links = descriptors.filter_map(|d| fs::read_link(d.path()).ok());
        if links.any(|l| l.as_os_str() == link) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", name.trim_end()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_net_tcp() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1";
        let mut m = PortMapping {
            host_ip: "0.0.0.0".parse().expect("ip"),
            host_port: 8080,
            host_last: 0,
            container_port: 80,
            protocol: Protocol::Tcp,
        };
        assert_eq!(inode_if_holder(line, &m), Some(4711));
        m.host_ip = "127.0.0.1".parse().expect("ip");
        assert_eq!(inode_if_holder(line, &m), Some(4711));
        m.host_ip = "192.0.2.1".parse().expect("ip");
        assert_eq!(inode_if_holder(line, &m), None);
        m.host_port = 8081;
        assert_eq!(inode_if_holder(line, &m), None);
        assert_eq!(inode_if_holder("", &m), None);
        assert_eq!(parse_address("00000000000000000000000001000000"), Some("::1".parse().expect("ip")));
    }
}
