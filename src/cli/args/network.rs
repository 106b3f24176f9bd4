//! Network of a container: attachments, published ports, DNS, hosts.

use std::net::IpAddr;

use super::super::exit::Failure;
use super::commas;
use crate::engine::networks::{ALIAS_HINT, NO_ALIAS};
use crate::model::network::{
    AttachmentRequest, DEFAULT_NETWORK, DnsOptions, NetworkMode, NetworkOptions, PortRequest, parse_expose,
    parse_extra_host,
};

/// Flags for the network.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Connect to a network: NAME[:ip=…,alias=…], none, host, container:NAME, ns:PATH
    #[arg(long, alias = "net", value_name = "NETWORK")]
    pub network: Vec<String>,
    /// Publish a port of the container
    #[arg(short, long, value_name = "[[IP:][HOST]:]PORT[/PROTOCOL]")]
    pub publish: Vec<PortRequest>,
    /// Publish all exposed ports on free ports of the host
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Note a port that the container listens on
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    pub expose: Vec<String>,
    /// Further name on the network
    #[arg(long, visible_alias = "net-alias", value_name = "NAME")]
    pub network_alias: Vec<String>,
    /// Fixed IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// Fixed IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<String>,
    /// Fixed MAC address
    #[arg(long, value_name = "MAC")]
    pub mac_address: Option<String>,
    /// Line for /etc/hosts
    #[arg(long, value_name = "NAME[;NAME]:IP")]
    pub add_host: Vec<String>,
    /// Name server; "none" leaves resolv.conf alone
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<String>,
    /// Options of resolv.conf
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    pub dns_option: Vec<String>,
    /// Search domains; "." for none
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Base of /etc/hosts: a file, "image" or "none"
    #[arg(long, value_name = "FILE")]
    pub hosts_file: Option<String>,
    /// Do not write /etc/hosts
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = super::boolean, value_name = "BOOL")]
    pub no_hosts: Option<bool>,
    /// Do not write /etc/hostname
    #[arg(long)]
    pub no_hostname: bool,
    /// Make another container known under a name
    #[arg(long, value_name = "CONTAINER[:ALIAS]")]
    pub link: Vec<String>,
    /// Host name of the container
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Domain name of the container
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
}

impl NetworkArgs {
    /// The options. Host and domain name are taken by `create`.
    ///
    /// # Errors
    /// Values that do not parse or exclude each other.
    pub fn into_options(self) -> Result<NetworkOptions, Failure> {
        let mode = self.mode()?;
        let mut expose = Vec::new();
        for text in commas(self.expose) {
            expose.push(parse_expose(&text)?);
        }
        let mut hosts = Vec::new();
        for text in &self.add_host {
            hosts.extend(parse_extra_host(text)?);
        }
        if self.no_hosts == Some(true) && !hosts.is_empty() {
            return Err(Failure::usage("--no-hosts and --add-host cannot be set together"));
        }
        Ok(NetworkOptions {
            mode,
            publish: self.publish,
            publish_all: self.publish_all,
            expose,
            dns: DnsOptions {
                servers: servers(&commas(self.dns))?,
                search: commas(self.dns_search),
                options: self.dns_option,
                hosts,
                no_hosts: self.no_hosts,
                no_hostname: self.no_hostname,
                host_ip: None,
                hosts_file: self.hosts_file,
            },
            links: self.link,
        })
    }

    /// `--network` joined with the flags that speak about its first attachment.
    fn mode(&self) -> Result<Option<NetworkMode>, Failure> {
        let mut mode = NetworkMode::from_values(&self.network)?;
        let fixed = [
            ("--ip", self.ip.is_some()),
            ("--ip6", self.ip6.is_some()),
            ("--mac-address", self.mac_address.is_some()),
            ("--network-alias", !self.network_alias.is_empty()),
        ];
        let Some((flag, _)) = fixed.iter().find(|(_, said)| *said) else {
            return Ok(mode);
        };
        let default = || AttachmentRequest { network: DEFAULT_NETWORK.to_owned(), ..Default::default() };
        let first = match &mut mode {
            Some(NetworkMode::Networks(list)) => &mut list[0],
            None | Some(NetworkMode::Private) => {
                mode = Some(NetworkMode::Networks(vec![default()]));
                let Some(NetworkMode::Networks(list)) = &mut mode else {
                    return Ok(mode);
                };
                &mut list[0]
            }
            Some(_) => {
                let hint = match *flag {
                    "--network-alias" => ALIAS_HINT.to_owned(),
                    _ => format!("{flag} does not go with --network {}", self.network.join(",")),
                };
                return Err(Failure::usage(match *flag {
                    "--network-alias" => NO_ALIAS,
                    "--mac-address" => "conflicting options: mac-address and the network mode",
                    _ => "user specified IP address is supported on user defined networks only",
                })
                .hint(hint));
            }
        };
        first.set_fixed(self.ip.as_deref(), self.ip6.as_deref(), self.mac_address.as_deref())?;
        first.aliases.extend(self.network_alias.iter().cloned());
        Ok(mode)
    }
}

fn servers(texts: &[String]) -> Result<Option<Vec<IpAddr>>, Failure> {
    if texts.is_empty() {
        return Ok(None);
    }
    if texts.iter().any(|t| t == "none") {
        if texts.len() > 1 {
            return Err(Failure::usage("conflicting options: --dns none and another --dns"));
        }
        return Ok(Some(Vec::new()));
    }
    let parse = |t: &String| {
        t.parse().map_err(|_| {
            Failure::usage(format!("invalid argument {t:?} for \"--dns\" flag: {t} is not an ip address"))
        })
    };
    texts.iter().map(parse).collect::<Result<_, _>>().map(Some)
}
