//! `rcon port`.

use crate::cli::Ctx;
use crate::cli::args::select::{SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::model::network::{PortMapping, Protocol, parse_expose};

/// Flags of `port`.
#[derive(clap::Args)]
struct PortArgs {
    /// Show the ports of all containers
    #[arg(short, long)]
    all: bool,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Container and port
    #[arg(value_name = "CONTAINER", hide = true, num_args = 0..=2)]
    words: Vec<String>,
}

pub(super) const DEF: Def = def!(
    PortArgs,
    run,
    Section::Everyday,
    ["port", "container port"],
    "[OPTIONS] CONTAINER [PRIVATE_PORT[/PROTOCOL]]",
    "Show published ports of a container"
);

fn run(args: PortArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.all && ctx.manner == Manner::Podman && !args.words.is_empty() {
        return Err(Failure::usage("no arguments are needed with --all"));
    }
    let mut words = args.words.into_iter();
    let name = if args.all || args.latest { None } else { words.next() };
    let wanted = words.next().map(|text| port(&text)).transpose()?;
    let choice = SelectArgs { all: args.all, latest: args.latest, ..SelectArgs::default() };
    let which = selection(name.into_iter().collect(), choice, false, "port")?;
    let all = crate::engine::port::port(ctx.engine()?, &which)?;
    let mut found = false;
    for container in &all {
        let prefix = if args.all { format!("{}\t", container.id.short()) } else { String::new() };
        for mapping in &container.ports {
            match wanted {
                None => ui.line(format_args!("{prefix}{}", long(mapping))),
                Some(w) if w == (mapping.container_port, mapping.protocol) => {
                    found = true;
                    ui.line(format_args!("{prefix}{}", host(mapping)));
                }
                Some(_) => {}
            }
        }
    }
    match wanted {
        Some((port, protocol)) if !found && !args.all => {
            let name = which.names.first().cloned().unwrap_or_default();
            Err(Failure::new(format!("No public port '{port}/{protocol}' published for {name}")))
        }
        _ => Ok(Exit::OK),
    }
}

fn port(text: &str) -> Result<(u16, Protocol), Failure> {
    let (first, last, protocol) = parse_expose(text)?;
    if first != last {
        return Err(Failure::usage(format!("invalid port {text:?}: want one port")));
    }
    Ok((first, protocol))
}

fn host(m: &PortMapping) -> String {
    std::net::SocketAddr::new(m.host_ip, m.host_port).to_string()
}

fn long(m: &PortMapping) -> String {
    format!("{}/{} -> {}", m.container_port, m.protocol, host(m))
}
