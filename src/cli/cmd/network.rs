//! `rcon network …`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::json;

use super::each::Each;
use super::podman_json;
use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::args::{env, unique_pairs};
use crate::cli::client::{self, Listing};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::listing::{self, Layout, Style};
use crate::cli::ui::template::Data;
use crate::engine::networks::{self, ConnectOptions, NetworkOptions};
use crate::model::network::{INTERFACE_OPTION, Network};

/// Flags of `network create`.
#[derive(clap::Args)]
struct CreateArgs {
    /// Driver: only bridge
    #[arg(short, long, value_name = "NAME")]
    driver: Option<String>,
    /// Who gives out addresses: only default (also called host-local)
    #[arg(long, value_name = "NAME")]
    ipam_driver: Option<String>,
    /// Subnet; once for each of IPv4 and IPv6, or more
    #[arg(long, value_name = "ADDRESS/PREFIX")]
    subnet: Vec<String>,
    /// Gateway, in one of the subnets
    #[arg(long, value_name = "ADDRESS")]
    gateway: Vec<IpAddr>,
    /// Give containers addresses of this part of the subnet only
    #[arg(long, value_name = "RANGE")]
    ip_range: Vec<String>,
    /// Address that something else than a container has, and what that is
    #[arg(long, value_name = "NAME=ADDRESS")]
    aux_address: Vec<String>,
    /// With IPv4 (default true)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean, value_name = "BOOL")]
    ipv4: Option<bool>,
    /// With IPv6; a subnet is chosen if none is given
    #[arg(long)]
    ipv6: bool,
    /// Containers may be attached by hand, as to every network here; network inspect shows it
    #[arg(long)]
    attachable: bool,
    /// Scope: only local
    #[arg(long, value_name = "SCOPE", hide = true)]
    scope: Option<String>,
    /// No way out of the network
    #[arg(long)]
    internal: bool,
    /// Containers do not find each other by name
    #[arg(long)]
    disable_dns: bool,
    /// Name of the bridge on the host
    #[arg(long, value_name = "NAME")]
    interface_name: Option<String>,
    /// Server that names are asked of, instead of the host's
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns: Vec<IpAddr>,
    /// Route for its containers
    #[arg(long, value_name = "DESTINATION,GATEWAY[,METRIC]")]
    route: Vec<String>,
    /// Options: mtu, no_default_route, com.docker.network.bridge.name, com.docker.network.bridge.enable_icc
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// Set a label
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// One that exists is no error
    #[arg(long)]
    ignore: bool,
    /// Name
    #[arg(value_name = "NETWORK", hide = true)]
    name: Option<String>,
}

/// Flags of `network ls`.
#[derive(clap::Args)]
struct LsArgs {
    /// Show those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Do not cut ids
    #[arg(long)]
    no_trunc: bool,
    /// Do not print the titles
    #[arg(short, long)]
    noheading: bool,
    /// Show only ids
    #[arg(short, long)]
    quiet: bool,
}

/// Flags of `network inspect`.
#[derive(clap::Args)]
struct InspectArgs {
    /// Format with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Networks
    #[arg(required = true, value_name = "NETWORK", hide = true)]
    names: Vec<String>,
}

/// Flags of `network rm`.
#[derive(clap::Args)]
struct RmArgs {
    /// What does not exist is no error
    #[arg(short, long)]
    force: bool,
    /// With --force: remove their containers too, killed after so many seconds; -1 waits for ever
    #[arg(short, long, value_name = "SECONDS", allow_hyphen_values = true)]
    time: Option<i64>,
    /// Networks
    #[arg(required = true, value_name = "NETWORK", hide = true)]
    names: Vec<String>,
}

/// Flags of `network prune`.
#[derive(clap::Args)]
struct PruneArgs {
    /// Only those that match
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Flags of `network connect`.
#[derive(clap::Args)]
struct ConnectArgs {
    /// Further name on this network
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// Call another container by a further name
    #[arg(long, value_name = "CONTAINER[:ALIAS]")]
    link: Vec<String>,
    /// IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<Ipv6Addr>,
    /// MAC address
    #[arg(long, value_name = "MAC")]
    mac_address: Option<String>,
    /// Option of the driver: com.docker.network.endpoint.ifname, what its interface is called inside
    #[arg(long, value_name = "KEY=VALUE")]
    driver_opt: Vec<String>,
    /// Network
    #[arg(required = true, value_name = "NETWORK", hide = true)]
    network: String,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

/// Flags of `network disconnect`.
#[derive(clap::Args)]
struct DisconnectArgs {
    /// What is not connected is no error
    #[arg(short, long)]
    force: bool,
    /// Network
    #[arg(required = true, value_name = "NETWORK", hide = true)]
    network: String,
    /// Container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

/// Flags of `network update`.
#[derive(clap::Args)]
struct UpdateArgs {
    /// Add a server that names are asked of
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns_add: Vec<IpAddr>,
    /// Take such a server away
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns_drop: Vec<IpAddr>,
    /// Network
    #[arg(required = true, value_name = "NETWORK", hide = true)]
    name: String,
}

/// Flags of `network reload`.
#[derive(clap::Args)]
struct ReloadArgs {
    #[command(flatten)]
    choice: SelectArgs,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// A network's name alone.
#[derive(clap::Args)]
struct NameArg {
    /// Network
    #[arg(required = true, value_name = "NETWORK", hide = true)]
    name: String,
}

pub(super) const CREATE: Def =
    def!(CreateArgs, create, Section::Networks, ["network create"], "[OPTIONS] NETWORK", "Create a network");
pub(super) const LS: Def =
    def!(LsArgs, ls, Section::Networks, ["network ls", "network list"], "[OPTIONS]", "List networks");
pub(super) const INSPECT: Def = def!(
    InspectArgs,
    inspect,
    Section::Networks,
    ["network inspect"],
    "[OPTIONS] NETWORK [NETWORK...]",
    "Show all that is known of networks"
);
pub(super) const RM: Def = def!(
    RmArgs,
    rm,
    Section::Networks,
    ["network rm", "network remove"],
    "[OPTIONS] NETWORK [NETWORK...]",
    "Remove networks"
);
pub(super) const PRUNE: Def = def!(
    PruneArgs,
    prune,
    Section::Networks,
    ["network prune"],
    "[OPTIONS]",
    "Remove networks that no container uses"
);
pub(super) const CONNECT: Def = def!(
    ConnectArgs,
    connect,
    Section::Networks,
    ["network connect"],
    "[OPTIONS] NETWORK CONTAINER",
    "Attach a container to a network"
);
pub(super) const DISCONNECT: Def = def!(
    DisconnectArgs,
    disconnect,
    Section::Networks,
    ["network disconnect"],
    "[OPTIONS] NETWORK CONTAINER",
    "Detach a container from a network"
);
pub(super) const RELOAD: Def = def!(
    ReloadArgs,
    reload,
    Section::Networks,
    ["network reload"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Put the firewall of containers back after it was flushed"
);
pub(super) const UPDATE: Def = def!(
    UpdateArgs,
    update,
    Section::Networks,
    ["network update"],
    "[OPTIONS] NETWORK",
    "Change the name servers of a network"
);
pub(super) const EXISTS: Def = def!(
    NameArg,
    exists,
    Section::Networks,
    ["network exists"],
    "NETWORK",
    "Tell by the exit code whether a network exists"
);

const LAYOUT: Layout = Layout {
    titles: &[
        ("CreatedAt", "CREATED AT"),
        ("Driver", "DRIVER"),
        ("ID", "NETWORK ID"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("Name", "NAME"),
        ("Scope", "SCOPE"),
    ],
    further: &["NetworkInterface"],
    columns: &["ID", "Name", "Driver", "Scope"],
};
const PODMANS: Layout = Layout { columns: &["ID", "Name", "Driver"], ..LAYOUT };

fn create(args: CreateArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if let Some(other) = args.ipam_driver.filter(|d| !matches!(d.as_str(), "" | "default" | "host-local")) {
        return Err(Failure::new(format!(
            "ipam driver {other:?} is not supported: rcon gives out addresses itself"
        )));
    }
    if let Some(other) = args.scope.filter(|s| !matches!(s.as_str(), "" | "local")) {
        return Err(Failure::new(format!("the scope {other:?} is not supported: there is no swarm")));
    }
    // podman numbers those that have no name.
    let unnamed = ctx.manner == Manner::Podman;
    if args.name.is_none() && !unnamed {
        return Err(Failure::new("'rcon network create' requires 1 argument")
            .hint("See 'rcon network create --help' for more information"));
    }
    let auxiliary = args.aux_address.iter().map(|text| auxiliary(text));
    let options = NetworkOptions {
        auxiliary: auxiliary.collect::<Result<_, _>>()?,
        no_ipv4: args.ipv4 == Some(false),
        attachable: args.attachable,
        name: args.name.unwrap_or_default(),
        driver: args.driver,
        subnets: args.subnet,
        gateways: args.gateway,
        ranges: args.ip_range,
        ipv6: args.ipv6,
        internal: args.internal,
        disable_dns: args.disable_dns,
        interface: args.interface_name,
        dns: args.dns,
        routes: args.route,
        options: unique_pairs(args.opt.iter().map(|t| crate::cli::args::pair(t))),
        labels: env::labels(&[], &args.label)?,
        ignore: args.ignore,
    };
    let network = networks::create(ctx.engine()?, &options)?;
    ui.line(if ctx.manner == Manner::Podman { network.name } else { network.id });
    Ok(Exit::OK)
}

/// `NAME=ADDRESS`.
fn auxiliary(text: &str) -> Result<(String, IpAddr), Failure> {
    let parts = text.split_once('=').and_then(|(name, ip)| Some((name.to_owned(), ip.parse().ok()?)));
    parts.ok_or_else(|| {
        Failure::usage(format!("invalid argument {text:?} for \"--aux-address\" flag: want NAME=ADDRESS"))
    })
}

fn ls(mut args: LsArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    args.format = client::format(ctx, Listing::Networks, args.format.take(), args.quiet);
    let all = networks::ls(ctx.engine()?, &args.filter)?;
    let podman = ctx.manner == Manner::Podman;
    if args.quiet && args.format.is_none() {
        for network in &all {
            ui.line(if podman { &network.name } else { id(network, args.no_trunc) });
        }
        return Ok(Exit::OK);
    }
    if podman_json::is_wanted(ctx, args.format.as_deref()) {
        podman_json::show(ui, all.iter().map(podman_json::network).collect());
        return Ok(Exit::OK);
    }
    let rows: Vec<Data> = all.iter().map(|n| row(n, args.no_trunc)).collect();
    let style = Style { format: args.format.as_deref(), no_heading: args.noheading };
    listing::show(ui, if podman { &PODMANS } else { &LAYOUT }, style, &rows)?;
    Ok(Exit::OK)
}

fn id(network: &Network, whole: bool) -> &str {
    if whole { &network.id } else { network.id.get(..12).unwrap_or(&network.id) }
}

fn row(n: &Network, whole: bool) -> Data {
    let value = json!({
        "CreatedAt": n.created.to_string(),
        "Driver": n.driver,
        "ID": id(n, whole),
        "IPv4": n.subnets.iter().any(|s| s.address.is_ipv4()).to_string(),
        "IPv6": n.ipv6.to_string(),
        "Internal": n.internal.to_string(),
        "Labels": listing::labels_text(&n.labels),
        "Name": n.name,
        "Scope": "local",
        "NetworkInterface": n.interface,
    });
    Data { value, lookups: listing::label_lookup(&n.labels) }
}

fn inspect(args: InspectArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let engine = ctx.engine()?;
    // Templates reach podman's fields in docker's document; the document itself has its own names.
    let whole = matches!(args.format.as_deref().map(str::trim), None | Some("" | "json"));
    super::inspect::show(ui, args.format.as_deref(), &args.names, |name| {
        let value = networks::inspect(engine, name)?;
        match whole && ctx.manner == Manner::Podman {
            true => Ok(podman_json::inspected_network(&networks::network(engine, name)?, &value)),
            false => Ok(value),
        }
    })
}

fn rm(args: RmArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let users = super::volume::removes_users(ctx, args.force, args.time)?;
    let mut each = Each::new(ui);
    let how = networks::Remove { force: args.force, users, timeout: args.time };
    networks::rm(ctx.engine()?, &args.names, how, &mut |done| match done.result {
        Ok(false) => {}
        _ => each.removed(done),
    })?;
    Ok(each.exit())
}

fn prune(args: PruneArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let filters = crate::cli::client::prune_filters(ctx, args.filter);
    let question = "This will remove all custom networks not used by at least one container.";
    if !args.force && !ui.confirm(question)? {
        return super::cancelled(ctx, "network prune");
    }
    let pruned = networks::prune(ctx.engine()?, &filters)?;
    super::show_list(ui, "Deleted Networks:", &pruned.networks);
    Ok(Exit::OK)
}

/// The interface's name, the one option that the driver has.
fn interface_of(options: &[String]) -> Result<Option<String>, Failure> {
    let mut interface = None;
    for text in options {
        match text.split_once('=') {
            Some((INTERFACE_OPTION, name)) => interface = Some(name.to_owned()),
            _ => {
                let why = format!("--driver-opt {text} is not supported: only {INTERFACE_OPTION}=NAME is");
                return Err(Failure::usage(why));
            }
        }
    }
    Ok(interface)
}

fn connect(args: ConnectArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    let options = ConnectOptions {
        ip: args.ip,
        ip6: args.ip6,
        mac: args.mac_address,
        aliases: args.alias,
        links: args.link,
        interface: interface_of(&args.driver_opt)?,
    };
    networks::connect(ctx.engine()?, &args.network, &args.container, &options)?;
    Ok(Exit::OK)
}

fn disconnect(args: DisconnectArgs, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    networks::disconnect(ctx.engine()?, &args.network, &args.container, args.force)?;
    Ok(Exit::OK)
}

fn reload(args: ReloadArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let which = selection(args.containers, args.choice, false, "network reload")?;
    let mut each = Each::new(ui);
    networks::reload(ctx.engine()?, &which, &mut |done| each.show(done, |_, id| id.to_string()))?;
    Ok(each.exit())
}

fn exists(args: NameArg, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    Ok(if networks::exists(ctx.engine()?, &args.name)? { Exit::OK } else { Exit::NO })
}

fn update(args: UpdateArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    networks::update(ctx.engine()?, &args.name, &args.dns_add, &args.dns_drop)?;
    ui.line(args.name);
    Ok(Exit::OK)
}
