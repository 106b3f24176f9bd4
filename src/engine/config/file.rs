//! One containers.conf: the keys that rcon heeds.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Config;
use crate::engine::error::{Error, Kind};
use crate::model::units::ByteSize;

/// A list of texts, with `{append=true}` or `{append=false}` among them.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Vec<Item>")]
struct List {
    items: Vec<String>,
    append: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Item {
    Text(String),
    Attribute { append: bool },
}

impl From<Vec<Item>> for List {
    fn from(all: Vec<Item>) -> Self {
        let mut list = Self::default();
        for item in all {
            match item {
                Item::Text(text) => list.items.push(text),
                Item::Attribute { append } => list.append = Some(append),
            }
        }
        list
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    containers: Containers,
    engine: Engine,
    network: Network,
    secrets: Secrets,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Secrets {
    driver: Option<String>,
    opts: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Containers {
    annotations: Option<List>,
    base_hosts_file: Option<String>,
    default_capabilities: Option<List>,
    default_sysctls: Option<List>,
    default_ulimits: Option<List>,
    devices: Option<List>,
    dns_options: Option<List>,
    dns_searches: Option<List>,
    dns_servers: Option<List>,
    env: Option<List>,
    env_host: Option<bool>,
    host_containers_internal_ip: Option<String>,
    http_proxy: Option<bool>,
    init: Option<bool>,
    label: Option<bool>,
    log_driver: Option<String>,
    log_path: Option<PathBuf>,
    log_size_max: Option<i64>,
    log_tag: Option<String>,
    netns: Option<String>,
    pidns: Option<String>,
    ipcns: Option<String>,
    utsns: Option<String>,
    userns: Option<String>,
    cgroupns: Option<String>,
    cgroups: Option<String>,
    container_name_as_hostname: Option<bool>,
    no_hosts: Option<bool>,
    mounts: Option<List>,
    oom_score_adj: Option<i32>,
    pids_limit: Option<i64>,
    privileged: Option<bool>,
    read_only: Option<bool>,
    seccomp_profile: Option<PathBuf>,
    shm_size: Option<String>,
    tz: Option<String>,
    umask: Option<String>,
    volumes: Option<List>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Engine {
    cdi_spec_dirs: Option<List>,
    cgroup_manager: Option<String>,
    detach_keys: Option<String>,
    events_container_create_inspect_data: Option<bool>,
    events_logger: Option<String>,
    healthcheck_events: Option<bool>,
    hooks_dir: Option<List>,
    stop_timeout: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    default_host_ips: Option<List>,
    default_network: Option<String>,
    default_subnet: Option<String>,
}

/// Puts what a file says over what was there.
pub(super) fn apply(config: &mut Config, path: &Path, text: &str) -> Result<(), Error> {
    let file: File = toml::from_str(text).map_err(|e| {
        Error::with_source(Kind::Invalid, format!("{} does not parse", path.display()), e.to_string())
    })?;
    let File { containers, engine, network, secrets } = file;
    let Secrets { driver, opts } = secrets;
    config.engine.secret_driver = driver.filter(|d| !d.is_empty()).or(config.engine.secret_driver.take());
    if let Some(opts) = opts {
        config.engine.secret_options = opts.into_iter().collect();
    }
    apply_containers(config, path, containers)?;
    let Engine {
        cdi_spec_dirs,
        cgroup_manager,
        detach_keys,
        events_container_create_inspect_data: inspect_data,
        events_logger,
        healthcheck_events,
        hooks_dir,
        stop_timeout,
    } = engine;
    set(&mut config.engine.events_inspect_data, inspect_data);
    // `file` and `journald` are both kept in our own journal: a configuration made for podman goes on working.
    set(&mut config.engine.no_events, events_logger.map(|logger| logger == "none"));
    let e = &mut config.engine;
    e.health_events = healthcheck_events.or(e.health_events);
    let appending = &mut config.appending;
    list(&mut e.cdi_spec_dirs, cdi_spec_dirs, "cdi_spec_dirs", appending);
    e.cgroup_manager = cgroup_manager.filter(|m| !m.is_empty()).or(e.cgroup_manager.take());
    e.detach_keys = detach_keys.or(e.detach_keys.take());
    list(&mut e.hooks_dirs, hooks_dir, "hooks_dir", appending);
    e.stop_timeout = stop_timeout.or(e.stop_timeout);
    let Network { default_host_ips, default_network, default_subnet } = network;
    if let Some(ips) = default_host_ips {
        let parse = |text: &String| text.parse::<IpAddr>().map_err(|_| bad(path, "default_host_ips", text));
        let parsed = ips.items.iter().map(parse).collect::<Result<Vec<_>, Error>>()?;
        put(&mut e.default_host_ips, parsed, ips.append, "default_host_ips", appending);
    }
    e.default_network = default_network.filter(|n| !n.is_empty()).or(e.default_network.take());
    e.default_subnet = default_subnet.or(e.default_subnet.take());
    Ok(())
}

fn bad(path: &Path, key: &str, value: &str) -> Error {
    Error::new(Kind::Invalid, format!("{}: {key} = {value:?} is not understood", path.display()))
}

/// A list of a file over what was there before.
fn list<T: From<String>>(
    slot: &mut Vec<T>,
    wanted: Option<List>,
    key: &'static str,
    appending: &mut Vec<&'static str>,
) {
    if let Some(List { items, append }) = wanted {
        put(slot, items.into_iter().map(T::from).collect(), append, key, appending);
    }
}

/// Replaces a list, or adds to it: once it was said that a list is added to, that holds for later files too.
fn put<T>(
    slot: &mut Vec<T>,
    items: Vec<T>,
    append: Option<bool>,
    key: &'static str,
    appending: &mut Vec<&'static str>,
) {
    if let Some(append) = append {
        appending.retain(|k| *k != key);
        appending.extend(append.then_some(key));
    }
    if !appending.contains(&key) {
        slot.clear();
    }
    slot.extend(items);
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn apply_containers(config: &mut Config, path: &Path, file: Containers) -> Result<(), Error> {
    let bad = |key: &str, value: &str| bad(path, key, value);
    let (c, appending) = (&mut config.containers, &mut config.appending);
    set(&mut c.env_host, file.env_host);
    set(&mut c.privileged, file.privileged);
    list(&mut c.annotations, file.annotations, "annotations", appending);
    c.base_hosts_file = file.base_hosts_file.filter(|f| !f.is_empty()).or(c.base_hosts_file.take());
    if let Some(wanted) = file.default_capabilities {
        let all = c.default_capabilities.get_or_insert_default();
        list(all, Some(wanted), "default_capabilities", appending);
    }
    if let Some(sysctls) = file.default_sysctls {
        let pair = |text: &String| {
            let (k, v) = text.split_once('=').ok_or_else(|| bad("default_sysctls", text))?;
            Ok((k.to_owned(), v.to_owned()))
        };
        let pairs: Vec<_> = sysctls.items.iter().map(pair).collect::<Result<_, Error>>()?;
        put(&mut c.default_sysctls, pairs, sysctls.append, "default_sysctls", appending);
    }
    list(&mut c.default_ulimits, file.default_ulimits, "default_ulimits", appending);
    list(&mut c.devices, file.devices, "devices", appending);
    list(&mut c.dns_options, file.dns_options, "dns_options", appending);
    list(&mut c.dns_searches, file.dns_searches, "dns_searches", appending);
    list(&mut c.dns_servers, file.dns_servers, "dns_servers", appending);
    list(&mut c.env, file.env, "env", appending);
    if let Some(ip) = file.host_containers_internal_ip.filter(|ip| !ip.is_empty()) {
        if ip != "none" && ip.parse::<IpAddr>().is_err() {
            return Err(bad("host_containers_internal_ip", &ip));
        }
        c.host_containers_internal_ip = Some(ip);
    }
    set(&mut c.http_proxy, file.http_proxy);
    set(&mut c.init, file.init);
    c.label = file.label.or(c.label);
    c.log_driver = file.log_driver.filter(|d| !d.is_empty()).or(c.log_driver.take());
    c.log_path = file.log_path.filter(|p| !p.as_os_str().is_empty()).or(c.log_path.take());
    c.log_tag = file.log_tag.filter(|t| !t.is_empty()).or(c.log_tag.take());
    if let Some(size) = file.log_size_max {
        // -1 is "no limit", which we store as 0.
        c.log_size_max = Some(u64::try_from(size).unwrap_or(0));
    }
    list(&mut c.mounts, file.mounts, "mounts", appending);
    c.oom_score_adj = file.oom_score_adj.or(c.oom_score_adj);
    c.pids_limit = file.pids_limit.or(c.pids_limit);
    set(&mut c.read_only, file.read_only);
    set(&mut c.no_hosts, file.no_hosts);
    set(&mut c.name_as_hostname, file.container_name_as_hostname);
    c.cgroups = file.cgroups.filter(|mode| !mode.is_empty()).or(c.cgroups.take());
    for (slot, said) in [
        (&mut c.netns, file.netns),
        (&mut c.pidns, file.pidns),
        (&mut c.ipcns, file.ipcns),
        (&mut c.utsns, file.utsns),
        (&mut c.userns, file.userns),
        (&mut c.cgroupns, file.cgroupns),
    ] {
        *slot = said.filter(|mode| !mode.is_empty()).or(slot.take());
    }
    c.seccomp_profile = file.seccomp_profile.or(c.seccomp_profile.take());
    if let Some(size) = file.shm_size {
        c.shm_size = Some(size.parse::<ByteSize>().map_err(|_| bad("shm_size", &size))?.0);
    }
    c.timezone = file.tz.filter(|t| !t.is_empty()).or(c.timezone.take());
    if let Some(umask) = file.umask {
        c.umask = Some(u32::from_str_radix(&umask, 8).map_err(|_| bad("umask", &umask))?);
    }
    list(&mut c.volumes, file.volumes, "volumes", appending);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_win_key_by_key_and_unknown_keys_are_passed_over() {
        let mut config = Config::default();
        let path = Path::new("/etc/containers/containers.conf");
        apply(&mut config, path, "[containers]\nshm_size = \"128m\"\ninit = true\nnot_ours = 1\n")
            .expect("first");
        apply(&mut config, path, "[containers]\ninit = false\n[engine]\nstop_timeout = 3\n").expect("second");
        assert_eq!(config.containers.shm_size, Some(128 << 20));
        assert!(!config.containers.init);
        assert_eq!(config.engine.stop_timeout, Some(3));
        let e = apply(&mut config, path, "[containers]\numask = \"9\"\n").expect_err("bad octal");
        assert!(e.to_string().contains("umask"), "{e}");
    }

    #[test]
    fn lists_are_replaced_unless_they_say_that_they_append() {
        let mut config = Config::default();
        let mut env = |text: &str| {
            let text = format!("[containers]\nenv = [{text}]\n");
            apply(&mut config, Path::new("/x"), &text).expect("parses");
            config.containers.env.join(" ")
        };
        assert_eq!(env("\"A=1\""), "A=1");
        assert_eq!(env("\"B=1\""), "B=1");
        assert_eq!(env("\"C=1\", {append=true}"), "B=1 C=1");
        assert_eq!(env("\"D=1\""), "B=1 C=1 D=1");
        assert_eq!(env("{append=false}, \"E=1\""), "E=1");
    }
}
