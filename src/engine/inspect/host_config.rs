//! `HostConfig`: the part of a container that speaks of the host, with every field that docker has.

use serde_json::{Map, Value, json};

use super::{list_or_null, text_map};
use crate::model::container::ContainerSpec;
use crate::model::lifecycle::RestartPolicy;
use crate::model::mount::{MountKind, MountRequest};
use crate::model::namespace::{IdMap, NsMode, UserNsMode};
use crate::model::network::NetworkModeSpec;
use crate::model::resources::DeviceValue;
use crate::model::units::human_size_fine;

pub(super) fn host_config(spec: &ContainerSpec, log_path: &str) -> Value {
    let mut all = Map::new();
    general(spec, &mut all);
    all.insert("LogConfig".to_owned(), log_config(spec, log_path));
    isolation(spec, &mut all);
    limits(spec, &mut all);
    Value::Object(all)
}

fn general(spec: &ContainerSpec, all: &mut Map<String, Value>) {
    let o = &spec.options;
    let mut put = |key: &str, value: Value| {
        all.insert(key.to_owned(), value);
    };
    let dns = &spec.network.dns;
    put("Binds", list_or_null(&binds(spec)));
    put("ContainerIDFile", "".into());
    put("NetworkMode", network_mode(spec).into());
    put("PortBindings", port_bindings(spec));
    put("RestartPolicy", restart_policy(spec.lifecycle.restart));
    put("AutoRemove", spec.lifecycle.auto_remove.into());
    put("AutoRemoveImage", spec.lifecycle.remove_image.into());
    put("VolumeDriver", "".into());
    put("VolumesFrom", list_or_null(&o.volumes_from));
    put("ConsoleSize", json!([0, 0]));
    put("Annotations", text_map(&spec.annotations));
    put("CapAdd", list_or_null(&caps(&o.process.cap_add)));
    put("CapDrop", list_or_null(&caps(&o.process.cap_drop)));
    put("CgroupnsMode", ns(&spec.namespaces.cgroup).into());
    let servers = dns.servers.iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
    put("Dns", servers.into());
    put("DnsOptions", dns.options.clone().into());
    put("DnsSearch", dns.search.clone().into());
    let hosts: Vec<String> = dns.hosts.iter().map(|(name, ip)| format!("{name}:{ip}")).collect();
    put("ExtraHosts", list_or_null(&hosts));
    put("GroupAdd", list_or_null(&spec.process.group_add));
    put("Init", if spec.process.init { true.into() } else { Value::Null });
    put("PublishAllPorts", o.network.publish_all.into());
    put("ReadonlyRootfs", spec.root.read_only.into());
    put("StorageOpt", if o.storage_opts.is_empty() { Value::Null } else { text_map(&o.storage_opts) });
    put("Tmpfs", tmpfs(spec));
    put("ShmSize", spec.shm_size.into());
    put("Sysctls", if spec.sysctls.is_empty() { Value::Null } else { text_map(&spec.sysctls) });
    put("Runtime", "rcon".into());
    let mounts: Vec<Value> =
        o.mounts.iter().filter(|m| m.options.typed.is_none()).filter_map(mount).collect();
    if !mounts.is_empty() {
        put("Mounts", mounts.into());
    }
}

/// docker's `Type` and `Config`; podman's `Path`, `Tag` and `Size`.
fn log_config(spec: &ContainerSpec, path: &str) -> Value {
    let log = &spec.lifecycle.log;
    let tag = log.options.iter().find(|(key, _)| key == "tag").map_or("", |(_, value)| value.as_str());
    json!({
        "Type": log.driver,
        "Config": text_map(&log.options),
        "Path": path,
        "Tag": tag,
        "Size": human_size_fine(log.max_size),
    })
}

fn isolation(spec: &ContainerSpec, all: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| {
        all.insert(key.to_owned(), value);
    };
    put("IpcMode", ns(&spec.namespaces.ipc).into());
    put("Cgroup", "".into());
    let links = spec.options.network.links.iter().map(|text| {
        let (name, alias) = text.split_once(':').unwrap_or((text, text));
        let name = name.trim_start_matches('/');
        format!("/{name}:/{}/{}", spec.name, alias.trim_start_matches('/'))
    });
    put("Links", list_or_null(&links.collect::<Vec<_>>()));
    put("OomScoreAdj", spec.process.oom_score_adj.unwrap_or(0).into());
    let pid = ns(&spec.namespaces.pid);
    put("PidMode", if pid == "private" { String::new() } else { pid }.into());
    put("Privileged", spec.security.privileged.into());
    put("SecurityOpt", list_or_null(&spec.security.as_typed));
    let uts = ns(&spec.namespaces.uts);
    put("UTSMode", if uts == "private" { String::new() } else { uts }.into());
    let user = match &spec.namespaces.user {
        UserNsMode::Host => String::new(),
        UserNsMode::Mapped(_) => match &spec.options.namespaces.user {
            Some(UserNsMode::Other(text)) => text.clone(),
            _ => "private".to_owned(),
        },
        UserNsMode::Other(text) => text.clone(),
        UserNsMode::Container(id) => format!("container:{id}"),
        UserNsMode::Path(path) => format!("ns:{path}"),
    };
    put("UsernsMode", user.into());
    if let UserNsMode::Mapped(maps) = &spec.namespaces.user {
        let list = |ranges: &[IdMap]| -> Vec<String> {
            ranges.iter().map(|r| format!("{}:{}:{}", r.inside, r.outside, r.count)).collect()
        };
        put("IDMappings", json!({ "UidMap": list(&maps.uids), "GidMap": list(&maps.gids) }));
    }
    put("Isolation", "".into());
    put("MaskedPaths", list_or_null(&spec.security.masked_paths));
    put("ReadonlyPaths", list_or_null(&spec.security.readonly_paths));
    put("CgroupManager", "cgroupfs".into());
    if let Some(class) = &spec.rdt_class {
        put("IntelRdtClosID", class.clone().into());
    }
    put("Cgroups", if spec.cgroups { "default" } else { "disabled" }.into());
}

fn limits(spec: &ContainerSpec, all: &mut Map<String, Value>) {
    let r = &spec.resources;
    let mut put = |key: &str, value: Value| {
        all.insert(key.to_owned(), value);
    };
    put("CpuShares", r.cpu_shares.unwrap_or(0).into());
    put("Memory", r.memory.map_or(0, |m| m.0).into());
    put("NanoCpus", r.nano_cpus.map_or(0, |c| c.0).into());
    put("CgroupParent", spec.cgroup_parent.clone().into());
    put("BlkioWeight", r.blkio_weight.unwrap_or(0).into());
    put("BlkioWeightDevice", devices_of(&r.blkio_weight_device, "Weight"));
    put("BlkioDeviceReadBps", devices_of(&r.read_bps, "Rate"));
    put("BlkioDeviceWriteBps", devices_of(&r.write_bps, "Rate"));
    put("BlkioDeviceReadIOps", devices_of(&r.read_iops, "Rate"));
    put("BlkioDeviceWriteIOps", devices_of(&r.write_iops, "Rate"));
    put("CpuPeriod", r.cpu_period.unwrap_or(0).into());
    put("CpuQuota", r.cpu_quota.unwrap_or(0).into());
    put("CpuRealtimePeriod", r.cpu_rt_period.unwrap_or(0).into());
    put("CpuRealtimeRuntime", r.cpu_rt_runtime.unwrap_or(0).into());
    put("CpusetCpus", r.cpuset_cpus.clone().unwrap_or_default().into());
    put("CpusetMems", r.cpuset_mems.clone().unwrap_or_default().into());
    let devices: Vec<Value> = spec
        .devices
        .iter()
        .map(|d| {
            json!({
                "PathOnHost": d.host,
                "PathInContainer": d.container,
                "CgroupPermissions": d.permissions,
            })
        })
        .collect();
    put("Devices", devices.into());
    put("DeviceCgroupRules", list_or_null(&spec.device_rules));
    put("DeviceRequests", Value::Null);
    put("MemoryReservation", r.memory_reservation.map_or(0, |m| m.0).into());
    put("MemorySwap", r.memory_swap.unwrap_or(0).into());
    put("MemorySwappiness", r.memory_swappiness.map_or(Value::Null, Value::from));
    put("OomKillDisable", r.oom_kill_disable.unwrap_or(false).into());
    put("PidsLimit", r.pids_limit.map_or(Value::Null, Value::from));
    put("Ulimits", ulimits(spec));
    for key in ["CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth"] {
        put(key, 0.into());
    }
}

/// Only what the user asked for: docker shows its own defaults nowhere.
fn ulimits(spec: &ContainerSpec) -> Value {
    let asked = spec.process.rlimits.iter().filter(|l| l.asked);
    let value = |v: u64| i64::try_from(v).unwrap_or(-1);
    asked
        .map(|l| {
            let name = l.kind.strip_prefix("RLIMIT_").unwrap_or(&l.kind).to_ascii_lowercase();
            json!({ "Name": name, "Hard": value(l.hard), "Soft": value(l.soft) })
        })
        .collect()
}

fn devices_of(list: &[DeviceValue], key: &str) -> Value {
    let values = list.iter().map(|d| {
        let mut one = Map::new();
        one.insert("Path".to_owned(), d.path.clone().into());
        one.insert(key.to_owned(), d.value.into());
        Value::Object(one)
    });
    values.collect()
}

fn caps(list: &[String]) -> Vec<String> {
    let name = |c: &String| {
        let upper = c.to_ascii_uppercase();
        if upper == "ALL" || upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
    };
    list.iter().map(name).collect()
}

/// A namespace mode in docker's words.
fn ns(mode: &NsMode) -> String {
    match mode {
        NsMode::Private => "private".to_owned(),
        NsMode::Host => "host".to_owned(),
        NsMode::Container(id) => format!("container:{id}"),
        NsMode::Path(path) => format!("ns:{path}"),
        NsMode::Shareable => "shareable".to_owned(),
        NsMode::None => "none".to_owned(),
    }
}

fn network_mode(spec: &ContainerSpec) -> String {
    match &spec.network.mode {
        NetworkModeSpec::Bridge => {
            spec.network.attachments.first().map_or_else(|| "bridge".to_owned(), |a| a.network.clone())
        }
        NetworkModeSpec::None => "none".to_owned(),
        NetworkModeSpec::Host => "host".to_owned(),
        NetworkModeSpec::Container(id) => format!("container:{id}"),
        NetworkModeSpec::Path(path) => format!("ns:{path}"),
    }
}

/// Published ports as asked for: a random host port is an empty text.
fn port_bindings(spec: &ContainerSpec) -> Value {
    let mut map: Map<String, Value> = Map::new();
    for p in &spec.network.ports {
        // docker shows the address that was typed; "any" that nobody typed is empty.
        let typed = spec.options.network.publish.iter().any(|wish| {
            wish.host_ip == Some(p.host_ip)
                && wish.protocol == p.protocol
                && (wish.container.0..=wish.container.1).contains(&p.container_port)
        });
        let ip = if p.host_ip.is_unspecified() && !typed { String::new() } else { p.host_ip.to_string() };
        let port = match (p.host_port, p.host_last) {
            (0, _) => String::new(),
            (first, 0) => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let binding = json!({ "HostIp": ip, "HostPort": port });
        let slot = map.entry(format!("{}/{}", p.container_port, p.protocol)).or_insert_with(|| json!([]));
        if let Value::Array(list) = slot {
            list.push(binding);
        }
    }
    Value::Object(map)
}

fn restart_policy(policy: RestartPolicy) -> Value {
    let (name, max) = match policy {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::OnFailure { max } => ("on-failure", max),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
    };
    json!({ "Name": name, "MaximumRetryCount": max })
}

/// `-v` mounts in their short form, as they were typed.
fn binds(spec: &ContainerSpec) -> Vec<String> {
    let requests = spec.options.mounts.iter();
    requests
        .filter(|m| matches!(m.kind, MountKind::Bind | MountKind::Volume))
        .filter_map(|m| {
            let (source, typed) = (m.source.as_deref()?, m.options.typed.as_deref()?);
            let colon = if typed.is_empty() { "" } else { ":" };
            Some(format!("{source}:{}{colon}{typed}", m.target))
        })
        .collect()
}

/// `--mount` in the form of docker's API; volumes of `-v` are among `Binds`.
fn mount(m: &MountRequest) -> Option<Value> {
    let kind = match m.kind {
        MountKind::Bind => "bind",
        MountKind::Volume => "volume",
        MountKind::Tmpfs => "tmpfs",
        MountKind::Image => "image",
        _ => return None,
    };
    Some(json!({
        "Type": kind,
        "Source": m.source,
        "Target": m.target,
        "ReadOnly": m.options.read_only.unwrap_or(false),
    }))
}

fn tmpfs(spec: &ContainerSpec) -> Value {
    let all = spec.options.mounts.iter().filter(|m| m.kind == MountKind::Tmpfs);
    let map: Map<String, Value> =
        all.filter_map(|m| Some((m.target.clone(), m.options.typed.clone()?.into()))).collect();
    if map.is_empty() { Value::Null } else { map.into() }
}
