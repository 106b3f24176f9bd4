//! JSON as podman's commands print it, for a program of that name: its names and types where they are not docker's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use crate::cli::Ctx;
use crate::cli::exit::Manner;
use crate::cli::ui::Ui;
use crate::engine::images::ListEntry;
use crate::engine::ps::ContainerListing;
use crate::model::network::{Network, Subnet};

/// Whether the program is called podman and its JSON is wanted.
pub(super) fn is_wanted(ctx: &Ctx, format: Option<&str>) -> bool {
    ctx.manner == Manner::Podman && format.map(str::trim) == Some("json")
}

/// Whether a format of a single document means all of it as JSON: `json`, and to podman `{{json}}` and `{{json .}}`.
pub(super) fn means_all(ctx: &Ctx, format: &str) -> bool {
    let inner = format.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim);
    let word = inner.map(|text| text.strip_suffix('.').unwrap_or(text).trim());
    format == "json" || ctx.manner == Manner::Podman && word == Some("json")
}

/// A list, one document; podman's is never empty text.
pub(super) fn show(ui: &mut Ui, all: Vec<Value>) {
    ui.line(super::inspect::indented(&Value::Array(all)));
}

fn map(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect::<Map<_, _>>().into()
}

/// A line of `ps`.
pub(super) fn container(c: &ContainerListing, created: String) -> Value {
    let port = |p: &crate::model::network::PortMapping| {
        let address = if p.host_ip.is_unspecified() { String::new() } else { p.host_ip.to_string() };
        json!({
            "host_ip": address,
            "container_port": p.container_port,
            "host_port": p.host_port,
            "range": 1,
            "protocol": p.protocol.to_string(),
        })
    };
    json!({
        "AutoRemove": c.auto_remove,
        "Command": c.command,
        "CreatedAt": created,
        "CIDFile": "",
        "Exited": c.state == "exited",
        "ExitedAt": c.exited_at.map_or(-62_135_596_800, jiff::Timestamp::as_second),
        "ExitCode": c.exit_code,
        "ExposedPorts": null,
        "Id": c.id.as_str(),
        "Image": c.image,
        "ImageID": c.image_id.trim_start_matches("sha256:"),
        "IsInfra": false,
        "Labels": if c.labels.is_empty() { Value::Null } else { map(&c.labels) },
        "Mounts": c.mounts.iter().map(|m| m.target.as_str()).collect::<Vec<_>>(),
        "Names": [c.name],
        "Namespaces": namespaces(c),
        "Networks": c.networks.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        "Pid": c.pid,
        "Pod": "",
        "PodName": "",
        "Ports": if c.ports.is_empty() { Value::Null } else { c.ports.iter().map(port).collect() },
        "Restarts": c.restarts,
        "Size": c.size.map(|s| json!({ "rootFsSize": s.root_fs, "rwSize": s.rw })),
        "StartedAt": c.started.map_or(-62_135_596_800, jiff::Timestamp::as_second),
        "State": c.state,
        "Status": c.status,
        "Created": c.created.as_second(),
    })
}

/// The namespaces of `ps --ns`; templates reach in by podman's field names.
pub(super) fn namespaces(c: &ContainerListing) -> Value {
    let keys = [
        ("cgroup", "Cgroup"),
        ("ipc", "IPC"),
        ("mnt", "MNT"),
        ("net", "NET"),
        ("pid", "PIDNS"),
        ("user", "User"),
        ("uts", "UTS"),
    ];
    let inode = |kind: &str| c.namespaces.iter().find(|(n, _)| *n == kind).map(|(_, inode)| inode.as_str());
    let found = keys.iter().filter_map(|(kind, key)| Some(((*key).to_owned(), inode(kind)?.into())));
    Value::Object(found.collect())
}

/// The images of `images`: one document for each, whatever names it has.
pub(super) fn images(all: &[ListEntry]) -> Vec<Value> {
    let mut seen: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for e in all {
        if seen.contains(&e.id.as_str()) {
            continue;
        }
        seen.push(e.id.as_str());
        let image = &e.image;
        let digest = e.digest.as_ref().unwrap_or_else(|| image.index.as_ref().unwrap_or(&image.manifest));
        let mut value = json!({
            "Id": e.id.hex(),
            "ParentId": "",
            "RepoTags": image.names,
            "RepoDigests": image.digests,
            "Size": e.size,
            "SharedSize": 0,
            "VirtualSize": e.size,
            "Labels": if image.config.labels.is_empty() { Value::Null } else { map(&image.config.labels) },
            "Containers": e.containers,
            "Digest": digest.as_str(),
            "History": image.names,
            "Created": e.created.map_or(0, jiff::Timestamp::as_second),
            "CreatedAt": e.created.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |t| t.to_string()),
        });
        if e.read_only {
            value["ReadOnly"] = true.into();
        }
        if image.names.is_empty() {
            value["RepoTags"] = Value::Null;
            value["Dangling"] = true.into();
        } else {
            value["Names"] = image.names.clone().into();
        }
        out.push(value);
    }
    out
}

/// A network of `network ls`.
pub(super) fn network(n: &Network) -> Value {
    let mut value = json!({
        "name": n.name,
        "id": n.id,
        "driver": n.driver,
        "network_interface": n.interface,
        "created": n.created.to_string(),
        "subnets": n.subnets.iter().map(subnet).collect::<Vec<_>>(),
        "ipv6_enabled": n.ipv6,
        "internal": n.internal,
        "dns_enabled": n.dns_enabled,
        "ipam_options": { "driver": "host-local" },
    });
    if !n.labels.is_empty() {
        value["labels"] = map(&n.labels);
    }
    if !n.options.is_empty() {
        value["options"] = map(&n.options);
    }
    if !n.dns_servers.is_empty() {
        value["network_dns_servers"] = n.dns_servers.iter().map(|ip| Value::from(ip.to_string())).collect();
    }
    value
}

fn subnet(s: &Subnet) -> Value {
    let mut value = json!({ "subnet": format!("{}/{}", s.address, s.prefix) });
    if let Some(gateway) = s.gateway {
        value["gateway"] = gateway.to_string().into();
    }
    if let Some((first, last)) = s.range {
        let first = if first == s.address { after(first) } else { first };
        value["lease_range"] = json!({ "start_ip": first.to_string(), "end_ip": last.to_string() });
    }
    value
}

/// The address after one: the network's own is none to be given out.
fn after(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits().wrapping_add(1)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits().wrapping_add(1)).into(),
    }
}

/// A network of `network inspect`: as `ls` has it, with what docker's document says of who is in it.
pub(super) fn inspected_network(n: &Network, docker: &Value) -> Value {
    let mut containers = Map::new();
    for (id, c) in docker["Containers"].as_object().into_iter().flatten() {
        let addresses = ["IPv4Address", "IPv6Address"].iter().filter_map(|key| c[*key].as_str());
        let addresses = addresses.filter(|a| !a.is_empty()).map(|a| json!({ "ipnet": a }));
        let interface = json!({ "subnets": addresses.collect::<Vec<_>>(), "mac_address": c["MacAddress"] });
        let name = c["Interface"].as_str().unwrap_or_default();
        containers.insert(id.clone(), json!({ "name": c["Name"], "interfaces": { name: interface } }));
    }
    let mut value = network(n);
    value["name"] = docker["Name"].clone();
    value["containers"] = containers.into();
    let routes: Vec<Value> = docker["Routes"].as_array().into_iter().flatten().map(lower).collect();
    if !routes.is_empty() {
        value["routes"] = routes.into();
    }
    value
}

/// A document with podman's keys, `lease_range` for `LeaseRange`.
fn lower(value: &Value) -> Value {
    let Value::Object(all) = value else { return value.clone() };
    let key = |name: &str| {
        let mut out = String::new();
        let mut small = false;
        for c in name.chars() {
            if c.is_uppercase() && small {
                out.push('_');
            }
            small = !c.is_uppercase();
            out.extend(c.to_lowercase());
        }
        out
    };
    all.iter().map(|(name, inner)| (key(name), lower(inner))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_podman_s() {
        let docker = json!({ "Subnet": "10.0.0.0/8", "LeaseRange": { "StartIP": "10.0.0.1" } });
        assert_eq!(
            lower(&docker),
            json!({ "subnet": "10.0.0.0/8", "lease_range": { "start_ip": "10.0.0.1" } })
        );
    }
}
