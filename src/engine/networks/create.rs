//! `network create`: from docker's flags to a [`Network`].

use std::net::IpAddr;

use super::super::context::Context;
use super::super::error::{Error, Kind};
use super::super::{journal, random};
use super::{files, find, is_reserved};
use crate::model::id::check_name;
use crate::model::network::{DEFAULT_NETWORK, NO_DEFAULT_ROUTE, Network, Route, Subnet};
use crate::net::ipam;

/// What `network create` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Name.
    pub name: String,
    /// `-d`: only `bridge`.
    pub driver: Option<String>,
    /// `--subnet`, each `ADDRESS/PREFIX`.
    pub subnets: Vec<String>,
    /// `--gateway`, each belongs to the subnet that it is in.
    pub gateways: Vec<IpAddr>,
    /// `--ip-range`, each `ADDRESS/PREFIX` or `FIRST-LAST`.
    pub ranges: Vec<String>,
    /// `--aux-address`, what something else has and its address.
    pub auxiliary: Vec<(String, IpAddr)>,
    /// `--ipv4=false`.
    pub no_ipv4: bool,
    /// `--ipv6`.
    pub ipv6: bool,
    /// `--attachable`.
    pub attachable: bool,
    /// `--internal`.
    pub internal: bool,
    /// `--disable-dns`.
    pub disable_dns: bool,
    /// `--interface-name`.
    pub interface: Option<String>,
    /// `--dns`.
    pub dns: Vec<IpAddr>,
    /// `--route`, each `DESTINATION,GATEWAY[,METRIC]`.
    pub routes: Vec<String>,
    /// `-o`.
    pub options: Vec<(String, String)>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// `--ignore`: one that exists is no error.
    pub ignore: bool,
}

/// The host's address on which ports are published that name none.
pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";

/// Options of the bridge driver that mean something here.
const OPTIONS: &[&str] = &[
    "mtu",
    "com.docker.network.driver.mtu",
    "com.docker.network.bridge.name",
    "com.docker.network.bridge.enable_icc",
    "icc",
    "isolate",
    NO_DEFAULT_ROUTE,
    HOST_BINDING,
];

/// Makes a network. Its bridge is made when the first container comes.
///
/// # Errors
/// A bad name, subnet, gateway or option; a name or subnet that is taken; no free subnet.
pub fn create(ctx: &Context, options: &NetworkOptions) -> Result<Network, Error> {
    let unnamed = match options.name.is_empty() && ctx.podman {
        true => Some(free_name(ctx)?),
        false => None,
    };
    let name = unnamed.as_deref().unwrap_or(&options.name);
    check_name("network name", name)?;
    if is_reserved(name) {
        return Err(Error::new(
            Kind::Conflict,
            format!("operation is not permitted on predefined {name} network"),
        ));
    }
    match options.driver.as_deref() {
        None | Some("" | "bridge") => {}
        Some(other) => {
            return Err(Error::new(Kind::Unsupported, format!("network driver {other:?} is not supported"))
                .hint("only bridge networks exist yet"));
        }
    }
    let interface = check_options(options)?;
    let wanted = parse_subnets(ctx.podman, options)?;
    let routes = options.routes.iter().map(|r| parse_route(r)).collect::<Result<Vec<_>, _>>()?;
    if options.disable_dns && !options.dns.is_empty() {
        let text = "conflicting options: --dns and --disable-dns: nobody would ask these servers";
        return Err(Error::new(Kind::Invalid, text));
    }
    let store = ctx.store()?;
    // So that the default network gets its usual subnet, not what is left.
    find(ctx, &store, DEFAULT_NETWORK)?;
    let id = random::id().as_str().to_owned();
    let network = store.ensure_network(name, |existing| {
        let subnets = choose_subnets(&wanted, options, existing)?;
        let interface = interface.clone().unwrap_or_else(|| format!("br-{}", &id[..12]));
        if let Some(other) = existing.iter().find(|n| n.interface == interface) {
            let text = format!("bridge name {interface} is in use by network {}", other.name);
            return Err(Error::new(Kind::Conflict, text));
        }
        Ok::<_, Error>(Network {
            id: id.clone(),
            name: name.to_owned(),
            driver: "bridge".to_owned(),
            interface,
            ipv6: subnets.iter().any(|s| s.address.is_ipv6()),
            subnets,
            internal: options.internal,
            attachable: options.attachable,
            dns_enabled: !options.disable_dns,
            dns_servers: options.dns.clone(),
            routes: routes.clone(),
            options: options.options.iter().map(spelled).collect(),
            labels: options.labels.clone(),
            created: jiff::Timestamp::now(),
            file: files::place(ctx.network_config_dir.as_deref(), name),
        })
    })?;
    if network.id == id {
        files::write(&network)?;
        journal::network(ctx, "create", &network, &[]);
    } else if !options.ignore {
        return Err(Error::new(Kind::Conflict, format!("network with name {name} already exists")));
    }
    Ok(network)
}

/// `podman1`, `podman2` and on: what podman calls a network that is given no name.
fn free_name(ctx: &Context) -> Result<String, Error> {
    let taken: Vec<String> = ctx.store()?.list_networks()?.into_iter().map(|n| n.name).collect();
    let free = (1..).map(|n| format!("podman{n}")).find(|name| !taken.contains(name));
    Ok(free.unwrap_or_default())
}

/// Refuses options that would do nothing; returns the bridge's name if one is asked for.
fn check_options(options: &NetworkOptions) -> Result<Option<String>, Error> {
    let mut interface = options.interface.clone();
    for (key, value) in &options.options {
        let bad = |why: &str| Error::new(Kind::Invalid, format!("invalid option {key}={value}: {why}"));
        match key.as_str() {
            "mtu" | "com.docker.network.driver.mtu" => {
                let mtu = value.parse::<u32>().ok().filter(|m| (68..=65_535).contains(m));
                mtu.ok_or_else(|| bad("want a number from 68 to 65535"))?;
            }
            "com.docker.network.bridge.name" => interface = Some(value.clone()),
            "com.docker.network.bridge.enable_icc" | "icc" => {
                value.parse::<bool>().map_err(|_| bad("want true or false"))?;
            }
            NO_DEFAULT_ROUTE if matches!(value.as_str(), "true" | "1" | "false" | "0") => {}
            NO_DEFAULT_ROUTE => return Err(bad("want true or false")),
            HOST_BINDING => {
                value.parse::<std::net::Ipv4Addr>().map_err(|_| bad("want an IPv4 address"))?;
            }
            // Networks are isolated from each other, always.
            "isolate" if matches!(value.as_str(), "true" | "1" | "strict") => {}
            "isolate" => return Err(bad("networks are always isolated from each other")),
            _ => {
                let text = format!("network option {key:?} is not supported");
                return Err(Error::new(Kind::Unsupported, text)
                    .hint(format!("known options: {}", OPTIONS.join(", "))));
            }
        }
    }
    if let Some(name) = &interface {
        check_interface(name)?;
    }
    Ok(interface)
}

/// As podman shows it, `true` for `1`.
fn spelled((key, value): &(String, String)) -> (String, String) {
    let value = match (key.as_str(), value.as_str()) {
        (NO_DEFAULT_ROUTE, "1") => "true",
        (NO_DEFAULT_ROUTE, "0") => "false",
        (_, value) => value,
    };
    (key.clone(), value.to_owned())
}

/// What the kernel takes for the name of an interface.
pub(super) fn check_interface(name: &str) -> Result<(), Error> {
    let fits = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b':';
    if name.is_empty() || name.len() > 15 || !name.bytes().all(fits) || name == "." || name == ".." {
        let text = format!("invalid interface name {name:?}: want 1 to 15 letters, no slash or colon");
        return Err(Error::new(Kind::Invalid, text));
    }
    Ok(())
}

/// The subnets as asked for, with their gateways and ranges.
fn parse_subnets(podman: bool, options: &NetworkOptions) -> Result<Vec<Subnet>, Error> {
    let mut subnets: Vec<Subnet> = Vec::new();
    for text in &options.subnets {
        // podman takes any address of the network for it.
        let (address, prefix) =
            if podman { parse_within("subnet", text)? } else { parse_cidr("subnet", text)? };
        subnets.push(Subnet { address, prefix, gateway: None, range: None, auxiliary: Vec::new() });
    }
    for (count, what) in [(options.gateways.len(), "gateways"), (options.ranges.len(), "ranges")] {
        if podman && !subnets.is_empty() && count > subnets.len() {
            return Err(Error::new(Kind::Invalid, format!("there are more {what} than subnets")));
        }
    }
    let of = |subnets: &mut Vec<Subnet>, ip: IpAddr, what: &str| -> Result<usize, Error> {
        let mut text = format!("no matching subnet for {what} {ip}");
        if let [only] = subnets.as_slice()
            && podman
        {
            text = format!("{text}: there is {}/{}", only.address, only.prefix);
        }
        let found = subnets.iter().position(|s| ipam::contains(s, ip));
        found.ok_or_else(|| Error::new(Kind::Invalid, text).hint("give its subnet with --subnet"))
    };
    for gateway in &options.gateways {
        let index = of(&mut subnets, *gateway, "gateway")?;
        if subnets[index].gateway.replace(*gateway).is_some() {
            return Err(Error::new(Kind::Invalid, format!("more than one gateway for a subnet: {gateway}")));
        }
    }
    for text in &options.ranges {
        let (first, last) = parse_range(text)?;
        let index = of(&mut subnets, first, "range")?;
        if !ipam::contains(&subnets[index], last) {
            return Err(Error::new(Kind::Invalid, format!("range {text} does not fit into its subnet")));
        }
        subnets[index].range = Some((first, last));
    }
    for (name, ip) in &options.auxiliary {
        let index = of(&mut subnets, *ip, "auxiliary address")?;
        ipam::check(&subnets[index], *ip)?;
        subnets[index].auxiliary.push((name.clone(), *ip));
    }
    for subnet in &mut subnets {
        if subnet.gateway.is_none() {
            subnet.gateway = ipam::candidates(&Subnet { range: None, ..subnet.clone() }, None).next();
        }
        let gateway = subnet.gateway.ok_or_else(|| {
            let text = format!("subnet {}/{} has no address for a gateway", subnet.address, subnet.prefix);
            Error::new(Kind::Invalid, text)
        })?;
        ipam::check(&Subnet { gateway: None, ..subnet.clone() }, gateway)?;
    }
    Ok(subnets)
}

/// `default_subnet` of containers.conf, for the default network.
pub(super) fn configured_subnet(text: &str, existing: &[Network]) -> Result<Subnet, Error> {
    let (address, prefix) = parse_cidr("default_subnet of containers.conf", text)?;
    let mut subnet = Subnet { address, prefix, gateway: None, range: None, auxiliary: Vec::new() };
    subnet.gateway = ipam::candidates(&subnet, None).next();
    ipam::check_subnet(&subnet, existing)?;
    Ok(subnet)
}

fn choose_subnets(
    wanted: &[Subnet],
    options: &NetworkOptions,
    existing: &[Network],
) -> Result<Vec<Subnet>, Error> {
    for (i, subnet) in wanted.iter().enumerate() {
        ipam::check_subnet(subnet, existing)?;
        if wanted[..i].iter().any(|s| ipam::contains(s, subnet.address) || ipam::contains(subnet, s.address))
        {
            let text = format!("subnet {}/{} overlaps with another one given", subnet.address, subnet.prefix);
            return Err(Error::new(Kind::Invalid, text));
        }
    }
    let mut subnets = wanted.to_vec();
    // `--ipv6` means both families: what was not given of either is chosen.
    if options.no_ipv4 {
        if !options.ipv6 && !wanted.iter().any(|s| s.address.is_ipv6()) {
            return Err(Error::new(Kind::Invalid, "IPv4 or IPv6 must be enabled"));
        }
        if let Some(v4) = wanted.iter().find(|s| s.address.is_ipv4()) {
            let text =
                format!("conflicting options: --ipv4=false and the subnet {}/{}", v4.address, v4.prefix);
            return Err(Error::new(Kind::Invalid, text));
        }
    } else if wanted.is_empty() || options.ipv6 && !subnets.iter().any(|s| s.address.is_ipv4()) {
        subnets.push(ipam::pick_subnet(existing, false)?);
    }
    if options.ipv6 && !subnets.iter().any(|s| s.address.is_ipv6()) {
        subnets.push(ipam::pick_subnet6(existing)?);
    }
    Ok(subnets)
}

/// `ADDRESS/PREFIX`; the address must be the network's own, as docker demands.
fn parse_cidr(what: &str, text: &str) -> Result<(IpAddr, u8), Error> {
    let (first, prefix) = parse_within(what, text)?;
    let said = text.split('/').next().and_then(|a| a.parse::<IpAddr>().ok());
    if said != Some(first) {
        let why = format!("invalid {what} {text:?}: it should be {first}/{prefix}");
        return Err(Error::new(Kind::Invalid, why));
    }
    Ok((first, prefix))
}

/// `ADDRESS/PREFIX` as the network that the address is in.
pub(super) fn parse_within(what: &str, text: &str) -> Result<(IpAddr, u8), Error> {
    let bad = |why: &str| Error::new(Kind::Invalid, format!("invalid {what} {text:?}: {why}"));
    let (address, prefix) = text.split_once('/').ok_or_else(|| bad("want ADDRESS/PREFIX"))?;
    let address: IpAddr = address.parse().map_err(|_| bad("not an IP address"))?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.parse::<u8>().ok().filter(|p| (u8::from(what != "route")..=width).contains(p));
    let prefix = prefix.ok_or_else(|| bad("the prefix length does not fit"))?;
    Ok((ipam::span(address, prefix).0, prefix))
}

/// `DESTINATION,GATEWAY[,METRIC]`, podman's.
fn parse_route(text: &str) -> Result<Route, Error> {
    let bad = |why: &str| Error::new(Kind::Invalid, format!("invalid route {text:?}: {why}"));
    let mut fields = text.split(',');
    let (destination, prefix) = parse_cidr("route", fields.next().unwrap_or_default())?;
    let gateway = fields.next().ok_or_else(|| bad("want DESTINATION,GATEWAY[,METRIC]"))?;
    let gateway: IpAddr = gateway.parse().map_err(|_| bad("the gateway is no IP address"))?;
    let metric = fields.next().map(str::parse).transpose().map_err(|_| bad("the metric is no number"))?;
    if fields.next().is_some() || gateway.is_ipv4() != destination.is_ipv4() {
        return Err(bad("want DESTINATION,GATEWAY[,METRIC] of one address family"));
    }
    Ok(Route { destination, prefix, gateway, metric })
}

/// `ADDRESS/PREFIX` (docker) or `FIRST-LAST` (podman).
fn parse_range(text: &str) -> Result<(IpAddr, IpAddr), Error> {
    let Some((first, last)) = text.split_once('-') else {
        let (address, prefix) = parse_cidr("ip range", text)?;
        return Ok(ipam::span(address, prefix));
    };
    let parse = |t: &str, which: &str| {
        t.parse::<IpAddr>().map_err(|_| {
            let why = format!("invalid ip range {text:?}: its {which} {t:?} is no address");
            Error::new(Kind::Invalid, why).hint("want FIRST-LAST")
        })
    };
    let (first, last) = (parse(first, "start")?, parse(last, "end")?);
    if first.is_ipv4() != last.is_ipv4() || first > last {
        return Err(Error::new(
            Kind::Invalid,
            format!("invalid ip range {text:?}: it ends before it begins"),
        ));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(subnets: &[&str], gateways: &[&str], ranges: &[&str]) -> NetworkOptions {
        NetworkOptions {
            subnets: subnets.iter().map(|s| (*s).to_owned()).collect(),
            gateways: gateways.iter().map(|g| g.parse().expect("address")).collect(),
            ranges: ranges.iter().map(|r| (*r).to_owned()).collect(),
            ..NetworkOptions::default()
        }
    }

    #[test]
    fn subnets_get_their_gateways_and_ranges() {
        let o = options(&["10.5.0.0/16", "fd00::/64"], &["10.5.9.9"], &["10.5.4.0/24", "fd00::10-fd00::20"]);
        let s = parse_subnets(false, &o).expect("fine");
        assert_eq!(s[0].gateway, Some("10.5.9.9".parse().expect("ip")));
        assert_eq!(s[0].range.map(|r| r.1.to_string()).as_deref(), Some("10.5.4.255"));
        assert_eq!(s[1].gateway, Some("fd00::1".parse().expect("ip")));
        assert_eq!(s[1].range.map(|r| r.0.to_string()).as_deref(), Some("fd00::10"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (subnets, gateways, ranges) in [
            (&["10.5.0.1/16"][..], &[][..], &[][..]),
            (&["10.5.0.0/33"], &[], &[]),
            (&["10.5.0.0"], &[], &[]),
            (&["10.5.0.0/16"], &["10.6.0.1"], &[]),
            (&["10.5.0.0/16"], &["10.5.0.0"], &[]),
            (&["10.5.0.0/16"], &[], &["10.6.0.0/24"]),
            (&["10.5.0.0/16"], &[], &["10.5.0.9-10.5.0.2"]),
            (&[], &["10.5.0.1"], &[]),
        ] {
            assert!(
                parse_subnets(false, &options(subnets, gateways, ranges)).is_err(),
                "{subnets:?} {gateways:?}"
            );
        }
    }

    #[test]
    fn options_that_would_do_nothing_are_refused() {
        let with = |key: &str, value: &str| NetworkOptions {
            options: vec![(key.to_owned(), value.to_owned())],
            ..NetworkOptions::default()
        };
        assert!(check_options(&with("mtu", "1400")).is_ok());
        assert!(check_options(&with("mtu", "many")).is_err());
        assert!(check_options(&with("vlan", "5")).is_err());
        let name = check_options(&with("com.docker.network.bridge.name", "br0")).expect("fine");
        assert_eq!(name.as_deref(), Some("br0"));
        assert!(check_options(&with("com.docker.network.bridge.name", "a-very-long-name")).is_err());
    }
}
