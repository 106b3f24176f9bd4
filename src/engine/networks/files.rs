//! Networks that are defined in files (`--network-config-dir`): netavark's JSON, one network each, as podman keeps them
//! and as administrators write them. They are taken up when the store is opened, and go when their file does. Networks that
//! are made meanwhile get a file, too, so that all who use the directory have the same ones.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::error::{Error, Kind};
use super::super::random;
use super::create::{check_interface, parse_within};
use crate::model::id::check_name;
use crate::model::network::{DEFAULT_NETWORK, Network, Route, Subnet};
use crate::storage::{Error as StorageError, Store};

#[derive(Deserialize, Serialize)]
struct File {
    name: String,
    id: String,
    driver: String,
    #[serde(default)]
    network_interface: String,
    created: Option<jiff::Timestamp>,
    #[serde(default)]
    subnets: Vec<FileSubnet>,
    #[serde(default)]
    routes: Vec<FileRoute>,
    #[serde(default)]
    ipv6_enabled: bool,
    #[serde(default)]
    internal: bool,
    #[serde(default)]
    dns_enabled: bool,
    #[serde(default)]
    network_dns_servers: Vec<IpAddr>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    ipam_options: BTreeMap<String, String>,
}

#[derive(Deserialize, Serialize)]
struct FileSubnet {
    subnet: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_range: Option<Range>,
}

#[derive(Deserialize, Serialize)]
struct Range {
    start_ip: IpAddr,
    end_ip: IpAddr,
}

#[derive(Deserialize, Serialize)]
struct FileRoute {
    destination: String,
    gateway: IpAddr,
    metric: Option<u32>,
}

/// Takes up the networks of the files in `dir` that are not there yet, and drops those whose file has gone. What does not
/// parse is passed over with a warning: one bad file must not keep every command from working.
pub(in crate::engine) fn take_up(store: &Store, dir: &Path) -> Result<(), Error> {
    let known = store.list_networks()?;
    let gone = |n: &&Network| n.file.as_ref().is_some_and(|f| f.starts_with(dir) && !f.exists());
    for network in known.iter().filter(gone) {
        match store.remove_network(&network.name) {
            Ok(()) | Err(StorageError::InUse { .. } | StorageError::NotFound { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let mut taken = Vec::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for path in entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json")) {
        if known.iter().any(|n| n.file.as_ref() == Some(&path)) {
            continue;
        }
        match read(&path) {
            Ok(network) if known.iter().any(|n| n.name == network.name) => {}
            Ok(mut network) => {
                // Two files may have the same id, copied by hand; what is referred to is the name.
                if known.iter().any(|n| n.id == network.id) || taken.contains(&network.id) {
                    network.id = random::id().as_str().to_owned();
                }
                taken.push(network.id.clone());
                match store.insert_network(&network) {
                    Ok(()) | Err(StorageError::Exists { .. }) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            Err(why) => tracing::warn!("the network of {} is passed over: {why}", path.display()),
        }
    }
    Ok(())
}

/// The file that a new network gets in `dir`.
pub(super) fn place(dir: Option<&Path>, name: &str) -> Option<PathBuf> {
    dir.map(|dir| dir.join(format!("{}.json", outer_name(name))))
}

/// The default network's name in files.
const OUTER_DEFAULT: &str = "podman";

/// A network's name in files.
fn outer_name(ours: &str) -> &str {
    if ours == DEFAULT_NETWORK { OUTER_DEFAULT } else { ours }
}

/// Writes the file of a network that has one.
pub(super) fn write(network: &Network) -> Result<(), Error> {
    let Some(path) = &network.file else { return Ok(()) };
    let failed =
        |e: std::io::Error| Error::with_source(Kind::Internal, format!("writing {}", path.display()), e);
    let file = File {
        name: outer_name(&network.name).to_owned(),
        id: network.id.clone(),
        driver: network.driver.clone(),
        network_interface: network.interface.clone(),
        created: Some(network.created),
        subnets: network.subnets.iter().map(FileSubnet::of).collect(),
        routes: network.routes.iter().map(FileRoute::of).collect(),
        ipv6_enabled: network.ipv6,
        internal: network.internal,
        dns_enabled: network.dns_enabled,
        network_dns_servers: network.dns_servers.clone(),
        labels: network.labels.iter().cloned().collect(),
        options: network.options.iter().cloned().collect(),
        ipam_options: BTreeMap::from([("driver".to_owned(), "host-local".to_owned())]),
    };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    let text = serde_json::to_vec_pretty(&file)
        .map_err(|e| Error::with_source(Kind::Internal, format!("writing {}", path.display()), e))?;
    crate::sys::atomic::write(path, &text, 0o644, crate::sys::atomic::Durability::None)
        .map_err(|e| failed(std::io::Error::other(e)))
}

impl FileSubnet {
    fn of(s: &Subnet) -> Self {
        Self {
            subnet: format!("{}/{}", s.address, s.prefix),
            gateway: s.gateway,
            lease_range: s.range.map(|(start_ip, end_ip)| Range { start_ip, end_ip }),
        }
    }
}

impl FileRoute {
    fn of(r: &Route) -> Self {
        Self { destination: format!("{}/{}", r.destination, r.prefix), gateway: r.gateway, metric: r.metric }
    }
}

/// Deletes the file of a network that was removed: it would come back.
pub(super) fn remove(file: &Path) -> Result<(), Error> {
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::with_source(Kind::Internal, format!("removing {}", file.display()), e))
        }
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<Network, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let file: File = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    if file.driver != "bridge" {
        return Err(format!("network driver {:?} is not supported", file.driver));
    }
    if path.file_stem().is_none_or(|stem| stem != file.name.as_str()) {
        return Err(format!("the file is not named after its network {:?}", file.name));
    }
    check_name("network name", &file.name).map_err(|e| e.to_string())?;
    if !file.network_interface.is_empty() {
        check_interface(&file.network_interface).map_err(|e| e.to_string())?;
    }
    let created = file.created.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let name = if file.name == OUTER_DEFAULT { DEFAULT_NETWORK.to_owned() } else { file.name };
    Ok(Network {
        interface: file.network_interface,
        id: file.id,
        name,
        driver: file.driver,
        subnets: file.subnets.into_iter().map(subnet).collect::<Result<_, _>>()?,
        ipv6: file.ipv6_enabled,
        internal: file.internal,
        attachable: false,
        dns_enabled: file.dns_enabled,
        dns_servers: file.network_dns_servers,
        routes: file.routes.into_iter().map(route).collect::<Result<_, _>>()?,
        options: file.options.into_iter().collect(),
        labels: file.labels.into_iter().collect(),
        created,
        file: Some(path.to_owned()),
    })
}

fn subnet(of: FileSubnet) -> Result<Subnet, String> {
    let (address, prefix) = parse_within("subnet", &of.subnet).map_err(|e| e.to_string())?;
    let range = of.lease_range.map(|r| (r.start_ip, r.end_ip));
    Ok(Subnet { address, prefix, gateway: of.gateway, range, auxiliary: Vec::new() })
}

fn route(of: FileRoute) -> Result<Route, String> {
    let (destination, prefix) = parse_within("route", &of.destination).map_err(|e| e.to_string())?;
    Ok(Route { destination, prefix, gateway: of.gateway, metric: of.metric })
}
