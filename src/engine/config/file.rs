//! One containers.conf: the keys that rcon heeds.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Config;
use crate::engine::error::{Error, Kind};
use crate::model::units::ByteSize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    containers: Containers,
    engine: Engine,
    network: Network,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Containers {
    annotations: Option<Vec<String>>,
    base_hosts_file: Option<String>,
    default_capabilities: Option<Vec<String>>,
    default_sysctls: Option<Vec<String>>,
    default_ulimits: Option<Vec<String>>,
    devices: Option<Vec<String>>,
    dns_options: Option<Vec<String>>,
    dns_searches: Option<Vec<String>>,
    dns_servers: Option<Vec<String>>,
    env: Option<Vec<String>>,
    http_proxy: Option<bool>,
    init: Option<bool>,
    label: Option<bool>,
    log_driver: Option<String>,
    log_size_max: Option<i64>,
    mounts: Option<Vec<String>>,
    oom_score_adj: Option<i32>,
    pids_limit: Option<i64>,
    read_only: Option<bool>,
    seccomp_profile: Option<PathBuf>,
    shm_size: Option<String>,
    tz: Option<String>,
    umask: Option<String>,
    volumes: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Engine {
    cdi_spec_dirs: Option<Vec<PathBuf>>,
    cgroup_manager: Option<String>,
    detach_keys: Option<String>,
    hooks_dir: Option<Vec<PathBuf>>,
    stop_timeout: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    default_network: Option<String>,
    default_subnet: Option<String>,
}

/// Puts what a file says over what was there.
pub(super) fn apply(config: &mut Config, path: &Path, text: &str) -> Result<(), Error> {
    let file: File = toml::from_str(text).map_err(|e| {
        Error::with_source(Kind::Invalid, format!("{} does not parse", path.display()), e.to_string())
    })?;
    let File { containers, engine, network } = file;
    apply_containers(config, path, containers)?;
    let Engine { cdi_spec_dirs, cgroup_manager, detach_keys, hooks_dir, stop_timeout } = engine;
    let e = &mut config.engine;
    set(&mut e.cdi_spec_dirs, cdi_spec_dirs);
    e.cgroup_manager = cgroup_manager.filter(|m| !m.is_empty()).or(e.cgroup_manager.take());
    e.detach_keys = detach_keys.or(e.detach_keys.take());
    set(&mut e.hooks_dirs, hooks_dir);
    e.stop_timeout = stop_timeout.or(e.stop_timeout);
    let Network { default_network, default_subnet } = network;
    e.default_network = default_network.filter(|n| !n.is_empty()).or(e.default_network.take());
    e.default_subnet = default_subnet.or(e.default_subnet.take());
    Ok(())
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn apply_containers(config: &mut Config, path: &Path, file: Containers) -> Result<(), Error> {
    let bad = |key: &str, value: &str| {
        Error::new(Kind::Invalid, format!("{}: {key} = {value:?} is not understood", path.display()))
    };
    let c = &mut config.containers;
    set(&mut c.annotations, file.annotations);
    c.base_hosts_file = file.base_hosts_file.filter(|f| !f.is_empty()).or(c.base_hosts_file.take());
    c.default_capabilities = file.default_capabilities.or(c.default_capabilities.take());
    if let Some(list) = file.default_sysctls {
        let pair = |text: &String| {
            let (k, v) = text.split_once('=').ok_or_else(|| bad("default_sysctls", text))?;
            Ok((k.to_owned(), v.to_owned()))
        };
        c.default_sysctls = list.iter().map(pair).collect::<Result<_, Error>>()?;
    }
    set(&mut c.default_ulimits, file.default_ulimits);
    set(&mut c.devices, file.devices);
    set(&mut c.dns_options, file.dns_options);
    set(&mut c.dns_searches, file.dns_searches);
    set(&mut c.dns_servers, file.dns_servers);
    set(&mut c.env, file.env);
    set(&mut c.http_proxy, file.http_proxy);
    set(&mut c.init, file.init);
    c.label = file.label.or(c.label);
    c.log_driver = file.log_driver.filter(|d| !d.is_empty()).or(c.log_driver.take());
    if let Some(size) = file.log_size_max {
        // -1 is "no limit", which we store as 0.
        c.log_size_max = Some(u64::try_from(size).unwrap_or(0));
    }
    set(&mut c.mounts, file.mounts);
    c.oom_score_adj = file.oom_score_adj.or(c.oom_score_adj);
    c.pids_limit = file.pids_limit.or(c.pids_limit);
    set(&mut c.read_only, file.read_only);
    c.seccomp_profile = file.seccomp_profile.or(c.seccomp_profile.take());
    if let Some(size) = file.shm_size {
        c.shm_size = Some(size.parse::<ByteSize>().map_err(|_| bad("shm_size", &size))?.0);
    }
    c.timezone = file.tz.filter(|t| !t.is_empty()).or(c.timezone.take());
    if let Some(umask) = file.umask {
        c.umask = Some(u32::from_str_radix(&umask, 8).map_err(|_| bad("umask", &umask))?);
    }
    set(&mut c.volumes, file.volumes);
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
}
