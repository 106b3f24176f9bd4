//! The syntaxes of `-p`, `--expose`, `--network` and `--add-host`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::{AttachmentRequest, INTERFACE_OPTION, NetworkMode, PortMapping, PortRequest, Protocol};
use crate::model::ParseError;

impl FromStr for Protocol {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(ParseError::new("protocol", text, "want tcp, udp or sctp")),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl FromStr for PortRequest {
    type Err = ParseError;

    /// `[[IP:][HOST[-HOST]]:]CONTAINER[-CONTAINER][/PROTOCOL]`; IPv6 addresses in brackets; docker's long form
    /// `published=…,target=…,protocol=…` too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: &str| ParseError::new("port mapping", text, why);
        if text.contains('=') {
            return long_port(text);
        }
        let (address, rest) = split_address(text)?;
        let (ports, protocol) = match rest.rsplit_once('/') {
            Some((ports, protocol)) => (ports, protocol.parse().map_err(|_| bad("want tcp, udp or sctp"))?),
            None => (rest, Protocol::Tcp),
        };
        let (host, container) = match ports.rsplit_once(':') {
            Some((host, container)) => (host, container),
            None if address.is_some() => return Err(bad("want IP:HOST:CONTAINER or IP::CONTAINER")),
            None => ("", ports),
        };
        if container.is_empty() {
            return Err(bad("no port specified"));
        }
        let container =
            range(container).ok_or_else(|| bad(&format!("invalid containerPort: {container}")))?;
        if container.0 == 0 {
            return Err(bad("the container's port must not be 0"));
        }
        let host = match host {
            "" | "0" => None,
            _ => Some(range(host).ok_or_else(|| bad(&format!("invalid hostPort: {host}")))?),
        };
        let host_ip = match address {
            None | Some("") => None,
            Some(a) => Some(a.parse().map_err(|_| bad(&format!("invalid IP address: {a}")))?),
        };
        if let Some(host) = host {
            let (wide, narrow) = (host.1 - host.0, container.1 - container.0);
            if wide != narrow && narrow != 0 {
                return Err(bad(
                    "invalid ranges specified for container and host Ports: they differ in length",
                ));
            }
        }
        Ok(Self { host_ip, host, container, protocol })
    }
}

/// Splits `IP:` off: the part before the second-last colon, or in brackets.
fn split_address(text: &str) -> Result<(Option<&str>, &str), ParseError> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, rest) = inner
            .split_once(']')
            .ok_or_else(|| ParseError::new("port mapping", text, "a closing bracket is missing"))?;
        let rest = rest.strip_prefix(':').ok_or_else(|| {
            ParseError::new("port mapping", text, "want [IP]:HOST:CONTAINER or [IP]::CONTAINER")
        })?;
        return Ok((Some(address), rest));
    }
    let mut colons = text.rmatch_indices(':').map(|(at, _)| at).skip(1);
    match colons.next() {
        Some(at) => Ok((Some(&text[..at]), &text[at + 1..])),
        None => Ok((None, text)),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn long_port(text: &str) -> Result<PortRequest, ParseError> {
    let bad = |why: String| ParseError::new("port mapping", text, why);
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("published", v)) => published = v,
            Some(("target", v)) => target = v,
            Some(("protocol", v)) => protocol = v,
            Some(("mode", "host" | "ingress")) => {}
            _ => return Err(bad(format!("unexpected field {field:?}: want published, target, protocol"))),
        }
    }
    if target.is_empty() {
        return Err(bad("target is missing".to_owned()));
    }
    let short = match published {
        "" => format!("{target}/{protocol}"),
        _ => format!("{published}:{target}/{protocol}"),
    };
    short.parse()
}

impl fmt::Display for PortRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |(a, b): (u16, u16)| if a == b { a.to_string() } else { format!("{a}-{b}") };
        match self.host_ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            None => {}
        }
        match self.host {
            Some(host) => write!(f, "{}:", span(host))?,
            None if self.host_ip.is_some() => f.write_str(":")?,
            None => {}
        }
        write!(f, "{}/{}", span(self.container), self.protocol)
    }
}

impl fmt::Display for PortMapping {
    /// `0.0.0.0:8080->80/tcp`, as `ps` and `port` show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = std::net::SocketAddr::new(self.host_ip, self.host_port);
        write!(f, "{host}->{}/{}", self.container_port, self.protocol)
    }
}

/// `--expose PORT[-PORT][/PROTOCOL]`.
///
/// # Errors
/// Not of that form.
pub fn parse_expose(text: &str) -> Result<(u16, u16, Protocol), ParseError> {
    let bad = |why: &str| ParseError::new("port to expose", text, why);
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.parse().map_err(|_| bad("want tcp, udp or sctp"))?;
    let (first, last) =
        range(ports).ok_or_else(|| bad("invalid range format for --expose: want PORT[-PORT][/PROTOCOL]"))?;
    if first == 0 {
        return Err(bad("the port must not be 0"));
    }
    Ok((first, last, protocol))
}

/// `--add-host NAME[;NAME…]:IP` (or `=`); one pair for each name. The address may be `host-gateway`.
///
/// # Errors
/// Not of that form, or no address.
pub fn parse_extra_host(text: &str) -> Result<Vec<(String, String)>, ParseError> {
    let bad = |why: &str| ParseError::new("extra host", text, why);
    let at = text.find(['=', ':']).ok_or_else(|| bad("want NAME:IP"))?;
    let (names, address) = (&text[..at], &text[at + 1..]);
    let address = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    if names.is_empty() {
        return Err(bad("the name is missing"));
    }
    if address != "host-gateway" && address.parse::<IpAddr>().is_err() {
        return Err(bad("the part behind the name must be an IP address or host-gateway"));
    }
    let names = names.split(';').filter(|n| !n.is_empty());
    Ok(names.map(|n| (n.to_owned(), address.to_owned())).collect())
}

impl NetworkMode {
    /// All `--network` values of a command line together. `None` if there are none.
    ///
    /// # Errors
    /// A value that does not parse, or modes that exclude each other.
    pub fn from_values(values: &[String]) -> Result<Option<Self>, ParseError> {
        let mut networks: Vec<AttachmentRequest> = Vec::new();
        let mut single = None;
        for text in values {
            match exclusive_mode(text)? {
                Some(mode) => single = Some((mode, text)),
                None => networks.extend(attachments(text)?),
            }
        }
        match single {
            Some((_, text)) if !networks.is_empty() || values.len() > 1 => Err(ParseError::new(
                "network",
                text.as_str(),
                "conflicting options: it cannot be used together with another network",
            )),
            Some((mode, _)) => Ok(Some(mode)),
            None if networks.is_empty() => Ok(None),
            None => Ok(Some(Self::Networks(networks))),
        }
    }
}

/// The modes that allow no second `--network`.
fn exclusive_mode(text: &str) -> Result<Option<NetworkMode>, ParseError> {
    let bad = |why: &str| Err(ParseError::new("network", text, why));
    let mode = match text.split_once(':') {
        None => match text {
            "none" => NetworkMode::None,
            "host" => NetworkMode::Host,
            "private" => NetworkMode::Private,
            "pasta" | "slirp4netns" => return bad("it is for rootless containers only"),
            "container" => return bad("invalid container format container:<name|id>"),
            _ => return Ok(None),
        },
        Some(("container", "")) => return bad("invalid container format container:<name|id>"),
        Some(("ns", "")) => return bad("a path is missing after the colon"),
        Some(("container", name)) => NetworkMode::Container(name.to_owned()),
        Some(("ns", path)) => NetworkMode::Path(path.to_owned()),
        Some(("pasta" | "slirp4netns", _)) => return bad("it is for rootless containers only"),
        Some(("none" | "host" | "private", _)) => return bad("this mode takes no options"),
        Some(_) => return Ok(None),
    };
    Ok(Some(mode))
}

/// docker's `name=NET,alias=…`, podman's `NET:alias=…,ip=…`, or a list of names.
fn attachments(text: &str) -> Result<Vec<AttachmentRequest>, ParseError> {
    let named = |name: &str| AttachmentRequest { network: name.to_owned(), ..AttachmentRequest::default() };
    if text.is_empty() {
        return Ok(vec![named(super::DEFAULT_NETWORK)]);
    }
    if let Some((name, options)) = text.split_once(':') {
        let mut request = named(name);
        for option in options.split(',').filter(|o| !o.is_empty()) {
            set_option(&mut request, text, option)?;
        }
        return Ok(vec![request]);
    }
    if text.contains('=') {
        let mut request = AttachmentRequest::default();
        for option in text.split(',') {
            set_option(&mut request, text, option)?;
        }
        if request.network.is_empty() {
            return Err(ParseError::new("network", text, "network name/id is not specified"));
        }
        return Ok(vec![request]);
    }
    Ok(text.split(',').filter(|n| !n.is_empty()).map(named).collect())
}

fn set_option(request: &mut AttachmentRequest, text: &str, option: &str) -> Result<(), ParseError> {
    let bad = |why: String| ParseError::new("network", text, why);
    let (key, value) = match option.split_once('=') {
        Some(pair) => pair,
        // podman's `bridge:same` shares settings inside a pod; outside one it says nothing.
        None if option == "same" => return Err(bad("`same` is only known in pods".to_owned())),
        None => return Err(bad(format!("invalid field {option:?}: want KEY=VALUE"))),
    };
    match key {
        "name" => request.network = value.to_owned(),
        "alias" => request.aliases.push(value.to_owned()),
        "ip" => request.ip = Some(value.parse().map_err(|_| bad(format!("invalid IPv4 address: {value}")))?),
        "ip6" => {
            request.ip6 = Some(value.parse().map_err(|_| bad(format!("invalid IPv6 address: {value}")))?);
        }
        "mac" | "mac-address" => request.mac = Some(parse_mac(value).map_err(|e| bad(e.why))?),
        "interface_name" => request.interface = Some(value.to_owned()),
        "driver-opt" => match value.split_once('=') {
            Some((INTERFACE_OPTION, name)) => request.interface = Some(name.to_owned()),
            _ => {
                return Err(bad(format!(
                    "the driver option {value} is not supported: only {INTERFACE_OPTION} is"
                )));
            }
        },
        "link-local-ip" | "gw-priority" | "host_interface_name" => {
            return Err(bad(format!("the option {key} is not supported")));
        }
        _ => {
            return Err(bad(format!(
                "invalid field key {key}: want name, alias, ip, ip6, mac-address or interface_name"
            )));
        }
    }
    Ok(())
}

/// A MAC address in its normal form, `92:d0:c6:0a:29:33`.
///
/// # Errors
/// Not six groups of two hex digits, or a group address.
pub(super) fn parse_mac(text: &str) -> Result<String, ParseError> {
    let bad = |why: &str| ParseError::new("MAC address", text, why);
    let groups: Vec<&str> = text.split([':', '-']).collect();
    let hex = |g: &&str| g.len() == 2 && g.bytes().all(|b| b.is_ascii_hexdigit());
    if groups.len() != 6 || !groups.iter().all(hex) {
        return Err(bad(&format!("{text} is not a valid mac address: want six groups of two hex digits")));
    }
    let first = u8::from_str_radix(groups[0], 16).map_err(|_| bad("want hex digits"))?;
    if first & 1 == 1 {
        return Err(bad("it is a group address"));
    }
    Ok(groups.join(":").to_ascii_lowercase())
}

impl AttachmentRequest {
    /// Sets what `--ip`, `--ip6`, `--mac-address` say about the only network of a container.
    ///
    /// # Errors
    /// An address that is none.
    pub fn set_fixed(
        &mut self,
        ip: Option<&str>,
        ip6: Option<&str>,
        mac: Option<&str>,
    ) -> Result<(), ParseError> {
        if let Some(ip) = ip {
            match ip.parse::<IpAddr>() {
                Ok(IpAddr::V4(v4)) => self.ip = Some(v4),
                Ok(IpAddr::V6(v6)) => self.ip6 = Some(v6),
                Err(_) => return Err(ParseError::new("IPv4 address", ip, "want an IP address")),
            }
        }
        if let Some(ip6) = ip6 {
            // One that only spells an IPv4 address is none.
            let v6 = ip6.parse::<Ipv6Addr>().ok().filter(|v6| v6.to_ipv4_mapped().is_none());
            self.ip6 = Some(v6.ok_or_else(|| ParseError::new("IPv6 address", ip6, "want an IPv6 address"))?);
        }
        if let Some(mac) = mac {
            self.mac = Some(parse_mac(mac)?);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
