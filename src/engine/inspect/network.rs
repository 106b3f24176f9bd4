//! `NetworkSettings`: addresses and ports in force.

use serde_json::{Map, Value, json};

use crate::engine::error::Error;
use crate::model::container::{AttachmentState, ContainerSpec, Phase};
use crate::model::network::{DEFAULT_NETWORK, NetworkMode, NetworkModeSpec};
use crate::storage::Store;

pub(super) fn settings(
    store: &Store,
    spec: &ContainerSpec,
    phase: &Phase,
    podman: bool,
) -> Result<Value, Error> {
    let running = phase.running();
    let live: &[AttachmentState] = running.map(|r| r.network.as_slice()).unwrap_or_default();
    let mut networks = Map::new();
    for state in live {
        networks.insert(state.network.clone(), endpoint(spec, state, podman));
    }
    for wish in &spec.network.attachments {
        if !networks.contains_key(&wish.network) {
            let id = store.find_network(&wish.network).map(|n| n.id).unwrap_or_default();
            let state = empty(&wish.network, id, &wish.aliases);
            networks.insert(wish.network.clone(), endpoint(spec, &state, podman));
        }
    }
    // To podman these are no networks; and who was disconnected from the last one is in none.
    let alone = match spec.network.mode {
        NetworkModeSpec::None if spec.options.network.mode == Some(NetworkMode::None) => Some("none"),
        NetworkModeSpec::Host => Some("host"),
        _ => None,
    };
    if let Some(name) = alone.filter(|_| !podman) {
        networks.insert(name.to_owned(), endpoint(spec, &empty(name, String::new(), &[]), podman));
    }
    let first = live.iter().find(|a| a.network == DEFAULT_NETWORK);
    let key = running.map(|r| format!("/proc/{}/ns/net", r.init.pid)).unwrap_or_default();
    let mut value = json!({
        "Bridge": "",
        "SandboxID": if running.is_some() { spec.id.as_str() } else { "" },
        "SandboxKey": key,
        "Ports": ports(spec, phase, podman),
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": Value::Null,
        "SecondaryIPv6Addresses": Value::Null,
    });
    // docker shows the default network's addresses here once more.
    let top = first.map_or_else(|| addresses(&empty("", String::new(), &[])), addresses);
    if let (Value::Object(all), Value::Object(top)) = (&mut value, top) {
        let id = if first.is_some() { endpoint_id(spec, DEFAULT_NETWORK) } else { String::new() };
        all.insert("EndpointID".to_owned(), id.into());
        all.extend(top);
        all.insert("MacAddress".to_owned(), first.map(|f| f.mac.clone()).unwrap_or_default().into());
        all.insert("Networks".to_owned(), Value::Object(networks));
    }
    Ok(value)
}

fn empty(network: &str, id: String, aliases: &[String]) -> AttachmentState {
    AttachmentState {
        network: network.to_owned(),
        network_id: id,
        interface: String::new(),
        host_interface: String::new(),
        mac: String::new(),
        ip: None,
        gateway: None,
        ip6: None,
        gateway6: None,
        aliases: aliases.to_vec(),
    }
}

/// Every exposed port: with its host side while it is published and runs, else `null`. To podman what is wished is in force
/// also while nothing runs.
fn ports(spec: &ContainerSpec, phase: &Phase, podman: bool) -> Value {
    let published = match phase.running() {
        Some(running) => &running.ports,
        None if podman => &spec.network.ports,
        None => return json!({}),
    };
    // What is exposed is of no matter to podman where the network is another's.
    let foreign = matches!(spec.network.mode, NetworkModeSpec::Host | NetworkModeSpec::Container(_));
    if podman && foreign {
        return json!({});
    }
    let mut map: Map<String, Value> = Map::new();
    for e in &spec.network.exposed {
        map.insert(format!("{}/{}", e.port, e.protocol), Value::Null);
    }
    for p in published {
        let slot = map.entry(format!("{}/{}", p.container_port, p.protocol)).or_insert(Value::Null);
        let binding = json!({ "HostIp": p.host_ip.to_string(), "HostPort": p.host_port.to_string() });
        match slot {
            Value::Array(list) => list.push(binding),
            other => *other = json!([binding]),
        }
    }
    Value::Object(map)
}

fn addresses(state: &AttachmentState) -> Value {
    json!({
        "Gateway": state.gateway.map(|g| g.to_string()).unwrap_or_default(),
        "GlobalIPv6Address": state.ip6.map(|(ip, _)| ip.to_string()).unwrap_or_default(),
        "GlobalIPv6PrefixLen": state.ip6.map_or(0, |(_, prefix)| prefix),
        "IPAddress": state.ip.map(|(ip, _)| ip.to_string()).unwrap_or_default(),
        "IPPrefixLen": state.ip.map_or(0, |(_, prefix)| prefix),
        "IPv6Gateway": state.gateway6.map(|g| g.to_string()).unwrap_or_default(),
    })
}

/// rcon keeps no endpoint objects; the id of a container with the number of its network is as unique.
fn endpoint_id(spec: &ContainerSpec, network: &str) -> String {
    let all = &spec.network.attachments;
    let index = all.iter().position(|a| a.network == network).unwrap_or(all.len());
    let id = spec.id.as_str();
    format!("{}{index:04x}", &id[..id.len().saturating_sub(4)])
}

fn endpoint(spec: &ContainerSpec, state: &AttachmentState, podman: bool) -> Value {
    let wish = spec.network.attachments.iter().find(|a| a.network == state.network);
    let fixed = wish.filter(|a| a.ip.is_some() || a.ip6.is_some());
    let ipam = fixed.map_or(Value::Null, |a| {
        let mut map = Map::new();
        if let Some(ip) = a.ip {
            map.insert("IPv4Address".to_owned(), ip.to_string().into());
        }
        if let Some(ip) = a.ip6 {
            map.insert("IPv6Address".to_owned(), ip.to_string().into());
        }
        map.into()
    });
    let named = state.network != DEFAULT_NETWORK && state.network != "host" && state.network != "none";
    let mut dns_names: Vec<String> = Vec::new();
    if named {
        dns_names.push(spec.name.clone());
        dns_names.extend(state.aliases.iter().cloned());
        dns_names.push(spec.id.short().to_owned());
    }
    // The short id answers, too; docker has it among the names of DNS.
    let mut aliases = state.aliases.clone();
    if podman && !aliases.iter().any(|a| a == spec.id.short()) {
        aliases.push(spec.id.short().to_owned());
    }
    let mut value = json!({
        "IPAMConfig": ipam,
        "Links": Value::Null,
        "Aliases": if aliases.is_empty() { Value::Null } else { aliases.into() },
        "MacAddress": state.mac,
        "DriverOpts": Value::Null,
        "GwPriority": 0,
        "NetworkID": state.network_id,
        "EndpointID": if state.interface.is_empty() { String::new() } else { endpoint_id(spec, &state.network) },
    });
    if let (Value::Object(all), Value::Object(addresses)) = (&mut value, addresses(state)) {
        all.extend(addresses);
        all.insert("DNSNames".to_owned(), if dns_names.is_empty() { Value::Null } else { dns_names.into() });
        all.insert("InterfaceName".to_owned(), state.interface.clone().into());
    }
    value
}
