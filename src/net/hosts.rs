//! The texts of /etc/hosts, /etc/resolv.conf and /etc/hostname of a container. Pure, but for
//! [`host_resolv_conf`].

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::network::DnsOptions;

/// The responder's address inside a container.
pub const EMBEDDED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// Longest base text that is taken over.
const MAX_BASE: usize = 1024 * 1024;

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
    /// Whether the container has IPv6 at all.
    pub ipv6: bool,
}

/// The text of /etc/hosts.
#[must_use]
pub fn hosts_file(hosts: &Hosts<'_>) -> String {
    let mut text = String::with_capacity(512);
    if let Some(base) = hosts.base {
        text.push_str(base.get(..MAX_BASE).unwrap_or(base));
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }
    // What the caller says comes first: the first match counts.
    for (name, address) in hosts.extra {
        let address = match (address.as_str(), hosts.gateway) {
            ("host-gateway", Some(gateway)) => gateway.to_string(),
            ("host-gateway", None) => continue,
            (other, _) => other.to_owned(),
        };
        for name in name.split(';').filter(|n| !n.is_empty()) {
            line(&mut text, &address, &[name]);
        }
    }
    let localhost = |address: &str| hosts.base.is_some_and(|base| has_localhost(base, address));
    if !localhost("127.0.0.1") {
        line(&mut text, "127.0.0.1", &["localhost"]);
    }
    if hosts.ipv6 && !localhost("::1") {
        line(&mut text, "::1", &["localhost", "ip6-localhost", "ip6-loopback"]);
    }
    if hosts.ipv6 && hosts.base.is_none() {
        line(&mut text, "fe00::", &["ip6-localnet"]);
        line(&mut text, "ff00::", &["ip6-mcastprefix"]);
        line(&mut text, "ff02::1", &["ip6-allnodes"]);
        line(&mut text, "ff02::2", &["ip6-allrouters"]);
    }
    if let Some(gateway) = hosts.gateway {
        let said = |n: &str| hosts.extra.iter().any(|(names, _)| names.split(';').any(|x| x == n));
        let names: Vec<_> =
            ["host.containers.internal", "host.docker.internal"].into_iter().filter(|n| !said(n)).collect();
        line(&mut text, &gateway.to_string(), &names);
    }
    own_lines(&mut text, hosts);
    text
}

/// Whether a text names localhost at this address.
fn has_localhost(text: &str, address: &str) -> bool {
    text.lines().any(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        words.next() == Some(address) && words.any(|name| name == "localhost")
    })
}

/// A text of /etc/hosts after its container was attached or detached: without the lines at `gone`, with one at each of
/// `new` for `names`.
#[must_use]
pub fn moved(text: &str, gone: &[IpAddr], new: &[IpAddr], names: &[&str]) -> String {
    let is_gone = |line: &str| {
        let address = line.split_ascii_whitespace().next().and_then(|word| word.parse::<IpAddr>().ok());
        address.is_some_and(|address| gone.contains(&address))
    };
    let mut kept: String = text.lines().filter(|line| !is_gone(line)).flat_map(|line| [line, "\n"]).collect();
    for address in new {
        line(&mut kept, &address.to_string(), names);
    }
    kept
}

/// The container's own names: at its addresses, or at loopback where it has none.
fn own_lines(text: &mut String, hosts: &Hosts<'_>) {
    let full = if hosts.domainname.is_empty() {
        String::new()
    } else {
        format!("{}.{}", hosts.hostname, hosts.domainname)
    };
    let mut names = Vec::new();
    // A host name with a domain in it is known by its first part, too.
    let short = hosts.hostname.split('.').next().unwrap_or_default();
    for name in [full.as_str(), hosts.hostname, short, hosts.name] {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    if hosts.addresses.is_empty() {
        line(text, "127.0.1.1", &names);
    }
    for address in hosts.addresses {
        line(text, &address.to_string(), &names);
    }
}

fn line(text: &mut String, address: &str, names: &[&str]) {
    if names.is_empty() {
        return;
    }
    // A name with a line break in it must not become a line of its own.
    let clean = |s: &str| s.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
    let _ = write!(text, "{}\t", clean(address));
    let _ = writeln!(text, "{}", names.iter().map(|n| clean(n)).collect::<Vec<_>>().join(" "));
}

/// A container's resolv.conf, and the servers that queries would have gone to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// The text of /etc/resolv.conf.
    pub text: String,
    /// Upstream servers for the embedded responder, those on the host's loopback included.
    pub upstream: Vec<IpAddr>,
}

/// Makes a container's resolv.conf from the host's text and the container's options: loopback servers are
/// left out unless `host_network`, docker's public servers come in if none is left, and with `embedded` the
/// only server is 127.0.0.11.
#[must_use]
pub fn resolv_conf(host_text: &str, dns: &DnsOptions, embedded: bool, host_network: bool) -> Resolver {
    let host = parse(host_text);
    let given = dns.servers.as_deref().filter(|s| !s.is_empty());
    let mut servers: Vec<IpAddr> = given.map_or_else(|| host.servers.clone(), <[IpAddr]>::to_vec);
    // The responder asks from the host, where servers on the host's loopback are reachable.
    let upstream = servers.clone();
    if given.is_none() && !host_network {
        servers.retain(|ip| !ip.is_loopback() && !is_scoped(*ip));
        if servers.is_empty() {
            servers = vec![IpAddr::from([8, 8, 8, 8]), IpAddr::from([8, 8, 4, 4])];
        }
    }
    let search = match dns.search.as_slice() {
        [] => host.search,
        [dot] if dot == "." => Vec::new(),
        some => some.to_vec(),
    };
    let mut options = if dns.options.is_empty() { host.options } else { dns.options.clone() };
    if embedded && !options.iter().any(|o| o.starts_with("ndots:")) {
        // Container names have no dot: ask for them as they are, before any search domain (R12).
        options.push("ndots:0".to_owned());
    }
    let mut text = String::new();
    if embedded {
        let _ = writeln!(text, "nameserver {EMBEDDED}");
    } else {
        for server in &servers {
            let _ = writeln!(text, "nameserver {server}");
        }
    }
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", words(&search));
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", words(&options));
    }
    let upstream = if upstream.is_empty() { servers } else { upstream };
    Resolver { text, upstream }
}

fn words(list: &[String]) -> String {
    let clean = |s: &String| s.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
    list.iter().map(clean).filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A link-local server is only reachable with the host's interface.
fn is_scoped(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

#[derive(Debug, Default)]
struct Parsed {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    options: Vec<String>,
}

fn parse(text: &str) -> Parsed {
    let mut p = Parsed::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or("");
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => {
                let address = words.next().map(|w| w.split('%').next().unwrap_or(w));
                p.servers.extend(address.and_then(|w| w.parse::<IpAddr>().ok()));
            }
            // The last one counts.
            Some("search" | "domain") => p.search = words.map(str::to_owned).collect(),
            Some("options") => p.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    p
}

/// The host's resolv.conf; systemd-resolved's list of real servers where /etc/resolv.conf names only its stub.
#[must_use]
pub fn host_resolv_conf() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let text = read("/etc/resolv.conf");
    let stub = |ip: &IpAddr| *ip == IpAddr::from([127, 0, 0, 53]) || *ip == IpAddr::V6(Ipv6Addr::LOCALHOST);
    let servers = parse(&text).servers;
    if !servers.is_empty() && servers.iter().all(stub) {
        let real = read("/run/systemd/resolve/resolv.conf");
        if !parse(&real).servers.is_empty() {
            return real;
        }
    }
    text
}

/// The file that `ip netns exec NAME` shows as /etc/resolv.conf, for the namespace at a path, if it is one of ip(8)'s with
/// such a file.
#[must_use]
pub fn resolv_conf_of(namespace: &str) -> Option<String> {
    let name = ["/run/netns/", "/var/run/netns/"].iter().find_map(|dir| namespace.strip_prefix(dir))?;
    let plain = !name.is_empty() && name != ".." && !name.contains('/');
    std::fs::read_to_string(format!("/etc/netns/{name}/resolv.conf")).ok().filter(|_| plain)
}

/// The text of /etc/hostname.
#[must_use]
pub fn hostname_file(hostname: &str) -> String {
    format!("{hostname}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts<'a>(addresses: &'a [IpAddr], extra: &'a [(String, String)]) -> Hosts<'a> {
        Hosts {
            ipv6: true,
            hostname: "0123456789ab",
            domainname: "",
            name: "web",
            addresses,
            gateway: Some(IpAddr::from([10, 88, 0, 1])),
            extra,
            base: None,
        }
    }

    #[test]
    fn a_hosts_file_has_localhost_the_gateway_and_itself() {
        let text = hosts_file(&hosts(&[IpAddr::from([10, 88, 0, 2])], &[]));
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"), "{text}");
        assert!(text.contains("10.88.0.1\thost.containers.internal host.docker.internal\n"), "{text}");
        assert!(text.ends_with("10.88.0.2\t0123456789ab web\n"), "{text}");
    }

    #[test]
    fn a_host_name_with_a_domain_is_known_by_its_first_part_too() {
        let address = [IpAddr::from([10, 88, 0, 2])];
        let own = Hosts { hostname: "foobar.example.com", ..hosts(&address, &[]) };
        assert!(hosts_file(&own).ends_with("10.88.0.2\tfoobar.example.com foobar web\n"));
    }

    #[test]
    fn added_hosts_come_first_and_win() {
        let extra = [
            ("db;database".to_owned(), "192.0.2.7".to_owned()),
            ("host.docker.internal".to_owned(), "host-gateway".to_owned()),
        ];
        let text = hosts_file(&hosts(&[], &extra));
        let start = "192.0.2.7\tdb\n192.0.2.7\tdatabase\n10.88.0.1\thost.docker.internal\n";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("10.88.0.1\thost.containers.internal\n"), "{text}");
        assert!(text.contains("127.0.1.1\t0123456789ab web\n"), "{text}");
    }

    #[test]
    fn a_base_without_localhost_gets_it() {
        let base = |base| hosts_file(&Hosts { base: Some(base), ..hosts(&[], &[]) });
        let text = base("192.0.2.9 other # 127.0.0.1 localhost\n::1 ip6 localhost\n");
        assert_eq!(text.matches("\tlocalhost").count(), 1, "{text}");
        assert!(text.contains("127.0.0.1\tlocalhost\n"), "{text}");
        assert!(!text.contains("ip6-allnodes"), "{text}");
    }

    #[test]
    fn names_move_with_the_networks() {
        let text = hosts_file(&hosts(&[IpAddr::from([10, 88, 0, 2])], &[]));
        let now =
            moved(&text, &[IpAddr::from([10, 88, 0, 2])], &[IpAddr::from([10, 89, 0, 7])], &["h", "web"]);
        assert_eq!(now, text.replace("10.88.0.2\t0123456789ab web", "10.89.0.7\th web"));
    }

    #[test]
    fn a_line_break_in_a_name_makes_no_line() {
        let extra = [("a\n6.6.6.6 bank".to_owned(), "192.0.2.7".to_owned())];
        assert!(hosts_file(&hosts(&[], &extra)).starts_with("192.0.2.7\ta6.6.6.6bank\n"));
    }

    #[test]
    fn loopback_servers_are_left_out() {
        let host = "nameserver 127.0.0.53\nnameserver 192.0.2.53 # main\nsearch example.org\noptions edns0\n";
        let r = resolv_conf(host, &DnsOptions::default(), false, false);
        assert_eq!(r.text, "nameserver 192.0.2.53\nsearch example.org\noptions edns0\n");
        let r = resolv_conf("nameserver 127.0.0.1\n", &DnsOptions::default(), false, false);
        assert_eq!(r.text, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        let r = resolv_conf("nameserver 127.0.0.1\n", &DnsOptions::default(), false, true);
        assert_eq!(r.text, "nameserver 127.0.0.1\n");
    }

    #[test]
    fn options_of_the_caller_replace_the_hosts() {
        let dns = DnsOptions {
            servers: Some(vec![IpAddr::from([1, 1, 1, 1])]),
            search: vec![".".to_owned()],
            options: vec!["timeout:1".to_owned()],
            ..DnsOptions::default()
        };
        let r = resolv_conf("nameserver 192.0.2.53\nsearch a b\noptions rotate\n", &dns, false, false);
        assert_eq!(r.text, "nameserver 1.1.1.1\noptions timeout:1\n");
        let r = resolv_conf("", &dns, true, false);
        assert_eq!(r.text, "nameserver 127.0.0.11\noptions timeout:1 ndots:0\n");
        assert_eq!(r.upstream, [IpAddr::from([1, 1, 1, 1])]);
    }
}
