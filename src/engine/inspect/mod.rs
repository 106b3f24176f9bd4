//! `inspect`: all that is known of a container, in docker's JSON shape with podman's additions.
//!
//! docker's fields have docker's names, types and empty forms (scripts test for `null` and `""`); where podman
//! uses the same name for something else, docker wins. What podman alone has is added beside.
//!
//! [`state`] and [`network`] come from what runs, [`config`] and [`host_config`] from the spec.

mod as_run;
mod config;
mod host_config;
mod network;
mod state;

pub(crate) use state::sessions;

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::context::Context;
use super::error::{Error, Kind as ErrorKind};
use super::view::Container;
use crate::model::container::{ContainerSpec, Phase};
use crate::model::mount::{MountKind, MountSpec};
use crate::model::network::DEFAULT_NETWORK;
use crate::storage::{Error as StorageError, Store};

/// What is to be inspected (`--type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// The first that has the name: container, image, network, volume.
    #[default]
    Any,
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

/// One container as JSON.
///
/// # Errors
/// No such container.
pub fn container(ctx: &Context, name: &str, size: bool) -> Result<Value, Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    let spec = container.spec(&store)?;
    let phase = &container.phase;
    let mut all = Map::new();
    let mut put = |key: &str, value: Value| {
        all.insert(key.to_owned(), value);
    };
    let image = spec.root.image_id.as_ref().map(|d| d.as_str().to_owned()).unwrap_or_default();
    put("Id", spec.id.as_str().into());
    put("Created", spec.created.to_string().into());
    put("Path", spec.process.argv.first().cloned().unwrap_or_default().into());
    put("Args", spec.process.argv.get(1..).unwrap_or_default().into());
    put("State", state::state(ctx, phase, &spec));
    put("Image", image.into());
    for (key, file) in
        [("ResolvConfPath", "resolv.conf"), ("HostnamePath", "hostname"), ("HostsPath", "hosts")]
    {
        let path = ctx.paths.run_container(&spec.id).join(file);
        put(key, if phase.running().is_some() { path.display().to_string().into() } else { "".into() });
    }
    let log = log_path(ctx, &spec);
    put("LogPath", log.clone().into());
    put("Name", format!("/{}", container.row.name).into());
    put("RestartCount", state::restarts(phase).into());
    put("Driver", "overlay2".into());
    put("Platform", "linux".into());
    put("MountLabel", "".into());
    put("ProcessLabel", spec.security.selinux_label.clone().unwrap_or_default().into());
    put("AppArmorProfile", spec.security.apparmor.clone().unwrap_or_default().into());
    put("ExecIDs", state::execs(ctx, phase, &spec));
    put("HostConfig", host_config::host_config(&spec, &log));
    put("GraphDriver", graph_driver(ctx, &spec));
    if size {
        let rw = store.container_size(&spec.id)?;
        put("SizeRw", rw.into());
        put("SizeRootFs", (rw + image_size(&store, &spec)).into());
    }
    // docker tells of --tmpfs in HostConfig.Tmpfs alone.
    let shown = spec.mounts.iter().filter(|m| m.kind != MountKind::Tmpfs || typed(&spec, m).is_none());
    put("Mounts", shown.map(|m| mount(m, typed(&spec, m))).collect());
    put("Config", config::config(&spec));
    let mut networks = network::settings(&store, &spec, phase, ctx.podman)?;
    if let Some(attached) = networks["Networks"].as_object_mut().filter(|_| ctx.podman)
        && let Some(default) = attached.remove(DEFAULT_NETWORK)
    {
        attached.insert(ctx.network_name(DEFAULT_NETWORK).to_owned(), default);
    }
    put("NetworkSettings", networks);
    podman(ctx, &spec, phase, &mut all);
    podman_image(&store, &spec, &mut all);
    if ctx.podman {
        // Where nothing is said others may join.
        as_podman(&mut all, spec.options.namespaces.ipc.is_some());
        if spec.process.init {
            all.insert("Path".to_owned(), "/run/podman-init".into());
            let argv = spec.process.argv.iter().map(String::as_str);
            all.insert("Args".to_owned(), std::iter::once("--").chain(argv).collect());
        }
        if !ctx.host.apparmor() {
            all.insert("AppArmorProfile".to_owned(), "".into());
        }
        // podman tells of variables that are secrets, not of their values.
        let secret = spec.secrets.iter().filter_map(|s| s.env.as_ref()).map(|name| format!("{name}=*******"));
        if let Some(Value::Array(env)) = all.get_mut("Config").and_then(|c| c.get_mut("Env")) {
            env.extend(secret.map(Value::from));
            // Known when it has been started once.
            let home = env.iter().any(|e| e.as_str().is_some_and(|e| e.starts_with("HOME=")));
            if !home && !matches!(phase, Phase::Created) {
                env.extend(home_of(ctx, &spec).map(|home| Value::from(format!("HOME={home}"))));
            }
        }
    }
    Ok(Value::Object(all))
}

/// The home directory that the container's user has in its own /etc/passwd.
fn home_of(ctx: &Context, spec: &ContainerSpec) -> Option<String> {
    let root = super::rootfs::layers_only(ctx, spec).ok()?;
    crate::runtime::user::lookup(&root, &spec.process.user, &[]).ok().map(|user| user.home)
}

/// docker's `Config` of a container, which a commit makes into an image's.
pub(super) fn config(spec: &ContainerSpec) -> Value {
    config::config(spec)
}

/// What podman has and docker has not.
fn podman(ctx: &Context, spec: &ContainerSpec, phase: &Phase, all: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| {
        all.insert(key.to_owned(), value);
    };
    put("Rootfs", spec.root.directory.clone().unwrap_or_default().into());
    put("Pod", "".into());
    put("Namespace", "".into());
    put("IsInfra", false.into());
    put("IsService", false.into());
    put("OCIRuntime", "rcon".into());
    let folder = ctx.paths.container(&spec.id);
    let config =
        if spec.oci_config { folder.join("config.json").display().to_string() } else { String::new() };
    put("OCIConfigPath", config.into());
    put("StaticDir", folder.display().to_string().into());
    put("BoundingCaps", spec.process.capabilities.clone().into());
    // Capabilities of a process that is not root are not in its effective set.
    let root = matches!(spec.process.user.split(':').next(), None | Some("" | "0" | "root"));
    let effective = if root { &spec.process.capabilities } else { &spec.process.ambient };
    put("EffectiveCaps", list_or_null(effective));
    put("Dependencies", spec.requires.iter().map(|id| Value::from(id.as_str())).collect());
    put("lockNumber", 0.into());
    let file = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
    put("PidFile", file(&spec.lifecycle.pidfile).into());
    put("ConmonPidFile", file(&spec.lifecycle.monitor_pidfile).into());
    if let Some(running) = phase.running() {
        put("CgroupPath", running.cgroup.clone().into());
    }
}

/// Where podman has another form for the same field.
fn as_podman(all: &mut Map<String, Value>, private_ipc: bool) {
    for (key, prefix) in [("Name", "/"), ("Image", "sha256:")] {
        if let Some(bare) = all[key].as_str().and_then(|text| text.strip_prefix(prefix)).map(str::to_owned) {
            all.insert(key.to_owned(), bare.into());
        }
    }
    if all["HostConfig"]["IpcMode"] == "private" && !private_ipc {
        all["HostConfig"]["IpcMode"] = "shareable".into();
    }
    all.insert("Driver".to_owned(), "overlay".into());
    for limit in all["HostConfig"]["Ulimits"].as_array_mut().into_iter().flatten() {
        let name = limit["Name"].as_str().unwrap_or_default().to_uppercase();
        limit["Name"] = format!("RLIMIT_{name}").into();
    }
    for key in ["CapAdd", "CapDrop"] {
        if let Some(list) = all["HostConfig"][key].as_array_mut() {
            list.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        } else {
            all["HostConfig"][key] = json!([]);
        }
    }
    for mount in all["Mounts"].as_array_mut().into_iter().flatten() {
        let bound = matches!(mount["Type"].as_str(), Some("bind" | "volume"));
        if let Some(options) = mount["Options"].as_array_mut().filter(|_| bound) {
            options.push("rbind".into());
        }
    }
    for key in ["ExecIDs", "Mounts"] {
        if all[key].is_null() {
            all.insert(key.to_owned(), json!([]));
        }
    }
}

/// podman's words about the image: its whole name, and the digest it was pulled by.
fn podman_image(store: &Store, spec: &ContainerSpec, all: &mut Map<String, Value>) {
    let typed = &spec.root.image_name;
    // An image that is gone is known by what was typed.
    let image = spec.root.image_id.as_ref().and_then(|id| store.image(id).ok());
    let fits = |name: &&String| {
        let tagged = format!("{typed}:latest");
        [typed.as_str(), tagged.as_str()]
            .iter()
            .any(|t| name.strip_suffix(t).is_some_and(|rest| rest.is_empty() || rest.ends_with('/')))
    };
    let named = image.as_ref().and_then(|i| i.names.iter().find(fits));
    let first = || image.as_ref().filter(|i| i.id.hex().starts_with(typed.as_str()))?.names.first();
    let name = named.or_else(first).unwrap_or(typed);
    let digest = image.as_ref().map(|i| {
        let by_name = i.digests.iter().find_map(|d| d.split_once('@'));
        by_name.map_or_else(
            || i.index.as_ref().unwrap_or(&i.manifest).as_str().to_owned(),
            |(_, digest)| digest.to_owned(),
        )
    });
    all.insert("ImageName".to_owned(), name.clone().into());
    all.insert("ImageDigest".to_owned(), digest.unwrap_or_default().into());
}

fn image_size(store: &Store, spec: &ContainerSpec) -> u64 {
    spec.root.image_id.as_ref().and_then(|id| store.image(id).ok()).map_or(0, |i| i.size)
}

fn log_path(ctx: &Context, spec: &ContainerSpec) -> String {
    match spec.lifecycle.log.driver.as_str() {
        "json-file" | "k8s-file" => ctx.paths.log_of(spec).display().to_string(),
        _ => String::new(),
    }
}

fn graph_driver(ctx: &Context, spec: &ContainerSpec) -> Value {
    let lowers = ctx.paths.lowers(&spec.root);
    let lower: Vec<String> = lowers.iter().map(|path| path.display().to_string()).collect();
    if lower.is_empty() {
        return json!({ "Name": "overlay2", "Data": Value::Null });
    }
    json!({
        "Name": "overlay2",
        "Data": {
            "LowerDir": lower.join(":"),
            // The root is mounted in the container's own mount namespace, nowhere on the host.
            "MergedDir": "",
            "UpperDir": ctx.paths.upper(&spec.id).display().to_string(),
            "WorkDir": ctx.paths.work(&spec.id).display().to_string(),
        }
    })
}

/// The options of the `-v` or `--tmpfs` that a mount came from.
fn typed<'a>(spec: &'a ContainerSpec, m: &MountSpec) -> Option<&'a str> {
    let same = |target: &str| target.trim_end_matches('/') == m.target;
    spec.options.mounts.iter().find(|r| same(&r.target))?.options.typed.as_deref()
}

fn mount(m: &MountSpec, typed: Option<&str>) -> Value {
    let kind = match m.kind {
        MountKind::Bind | MountKind::Glob => "bind",
        MountKind::Volume => "volume",
        MountKind::Tmpfs => "tmpfs",
        MountKind::Ramfs => "ramfs",
        MountKind::Image => "image",
        MountKind::Devpts => "devpts",
    };
    let mut value = json!({ "Type": kind });
    if m.kind == MountKind::Volume {
        value["Name"] = m.name.clone().unwrap_or_default().into();
    }
    value["Source"] = match m.kind {
        MountKind::Image => m.name.clone().unwrap_or_default(),
        _ => m.source.clone(),
    }
    .into();
    value["Destination"] = m.target.clone().into();
    value["Driver"] = if m.kind == MountKind::Volume { "local" } else { "" }.into();
    value["Mode"] = match typed {
        // docker relabels volumes by default, and says so.
        Some("") if m.kind == MountKind::Volume && !m.anonymous => "z",
        Some(typed) => typed,
        None => "",
    }
    .into();
    value["Options"] = m.flags.clone().into();
    value["RW"] = (!m.read_only).into();
    if let Some(subpath) = &m.subpath {
        value["SubPath"] = subpath.clone().into();
    }
    value["Propagation"] = match m.kind {
        MountKind::Bind | MountKind::Glob => m.propagation.clone(),
        _ => String::new(),
    }
    .into();
    value
}

/// A map of texts; `null` when it is empty and docker shows it so.
fn text_map<'a>(pairs: impl IntoIterator<Item = &'a (String, String)>) -> Value {
    Value::Object(pairs.into_iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect())
}

/// `null` for an empty list.
fn list_or_null(list: &[String]) -> Value {
    if list.is_empty() { Value::Null } else { list.into() }
}

/// The command line that makes the container (`inspect --as-run`), as an argument list.
///
/// # Errors
/// No such container.
pub fn as_run(ctx: &Context, name: &str) -> Result<Vec<String>, Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    Ok(as_run::command_line(&container.spec(&store)?))
}

/// Whether a container of that name or id exists (`container exists`).
///
/// # Errors
/// A store that cannot be read.
pub fn exists(ctx: &Context, name: &str) -> Result<bool, Error> {
    match ctx.store()?.find_container(name) {
        Ok(_) => Ok(true),
        Err(e) if e.is_not_found() => Ok(false),
        Err(e @ StorageError::Ambiguous { .. }) => Err(Error::new(ErrorKind::Invalid, e.to_string())),
        Err(e) => Err(e.into()),
    }
}
