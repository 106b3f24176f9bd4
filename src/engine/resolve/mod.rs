//! [`CreateOptions`], image and configuration become a [`ContainerSpec`] with every default written out.
//!
//! Pure but for [`World`], through which it asks what exists (containers, networks, volumes, host paths); tests
//! answer these questions from tables. One small function per part; every part is destructured without `..`, so that a field
//! that is forgotten here does not compile. An option that cannot be honoured is refused by name
//! ([`refuse`]), never dropped.

mod health;
mod lifecycle;
mod limits;
mod mounts;
pub mod names;
mod namespaces;
mod network;
mod ports;
mod process;
mod refuse;
mod secrets;
mod security;
mod sysctl;
mod systemd;
#[cfg(test)]
mod tests;
mod userns;
mod world;

use crate::model::container::{ContainerSpec, RootQuota, RootSpec};
use crate::model::create::CreateOptions;
use crate::model::id::ContainerId;
use crate::model::image::Image;
use crate::model::namespace::NsMode;
use crate::model::security::DeviceRequest;
use crate::model::units::ByteSize;

use super::config::Config;
use super::error::{Error, Kind};
use super::host::Host;

pub use limits::check_resources;
pub use mounts::NewVolume;
pub use ports::{expand_publish, parse_exposed};
pub use process::{env_merge, exec_capabilities};
pub(super) use refuse::is_own as is_own_runtime;
pub use userns::is_automatic;
pub use world::{Neighbour, PathKind, World};

/// All that a resolution reads.
pub struct Inputs<'a> {
    /// What the caller said.
    pub options: &'a CreateOptions,
    /// Id given to the container.
    pub id: ContainerId,
    /// Name given to it.
    pub name: String,
    /// Time of creation.
    pub now: jiff::Timestamp,
    /// The image; `None` with a directory root.
    pub image: Option<&'a Image>,
    /// Configuration.
    pub config: &'a Config,
    /// Facts of the host.
    pub host: &'a Host,
    /// What exists.
    pub world: &'a dyn World,
}

/// A container ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The container.
    pub spec: ContainerSpec,
    /// Volumes to make before it is stored.
    pub volumes: Vec<NewVolume>,
    /// Host directories to make: missing sources of `-v`.
    pub directories: Vec<String>,
    /// Things worth saying that are no errors.
    pub warnings: Vec<String>,
}

/// An error of the request itself.
fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, message)
}

/// Resolves a wish.
///
/// # Errors
/// Options that contradict each other, that name what does not exist or that cannot be honoured.
pub fn resolve(inputs: &Inputs<'_>) -> Result<Resolved, Error> {
    refuse::check(inputs.options)?;
    let mut warnings = Vec::new();
    let o = inputs.options;
    let image_config = inputs.image.map(|i| i.config.clone()).unwrap_or_default();
    let mounts = mounts::resolve(inputs, &image_config)?;
    let namespaces = namespaces::resolve(inputs)?;
    let network = network::resolve(inputs, &image_config, &mut warnings)?;
    let (hostname, domainname) = namespaces::hostname(inputs, &namespaces, &network)?;
    let security = security::resolve(inputs, &mut warnings)?;
    if security.writable_cgroups && namespaces.cgroup != NsMode::Private {
        let why = "--security-opt writable-cgroups needs a cgroup namespace of the container's own";
        return Err(invalid(why).hint("leave out --cgroupns, or say private"));
    }
    let mut process = process::resolve(inputs, &image_config, &hostname, &mut warnings)?;
    let systemd = systemd::resolve(o.systemd.as_deref(), &mut process)?;
    let resources = limits::resolve(&o.resources, inputs, &mut warnings)?;
    let devices = devices(inputs)?;
    let sysctls = sysctl::resolve(inputs, &namespaces, &network)?;
    let unasked_sysctls = sysctl::unasked(inputs, &namespaces, &network, &sysctls);
    let lifecycle = lifecycle::resolve(inputs, &image_config, systemd)?;
    let spec = ContainerSpec {
        version: ContainerSpec::VERSION,
        id: inputs.id.clone(),
        name: inputs.name.clone(),
        created: inputs.now,
        root: RootSpec { quota: quota(o)?, ..root(inputs)? },
        process,
        resources,
        mounts: mounts.mounts,
        shm_size: o
            .shm_size
            .or(inputs.config.containers.shm_size)
            .unwrap_or(crate::runtime::defaults::SHM_SIZE),
        shm_size_systemd: o.shm_size_systemd,
        chroot_dirs: chroot_dirs(o)?,
        rdt_class: o.rdt_class.clone().filter(|class| !class.is_empty()),
        cdi_dirs: cdi_dirs(inputs, &devices),
        devices,
        device_rules: o.device_rules.clone(),
        namespaces,
        hostname,
        domainname,
        network,
        cgroup_parent: match o.cgroup_parent.as_deref() {
            Some(text) => cgroup_parent(text),
            // Programs know podman's containers by it.
            None if inputs.config.podman => "/libpod_parent".to_owned(),
            None => String::new(),
        },
        cgroups: o
            .cgroups
            .as_ref()
            .or(inputs.config.containers.cgroups.as_ref())
            .is_none_or(|c| c != "disabled"),
        security,
        sysctls,
        unasked_sysctls,
        lifecycle,
        labels: labels(&image_config.labels, &o.labels),
        annotations: annotations(inputs)?,
        timezone: timezone(inputs)?,
        secrets: secrets::resolve(inputs)?,
        systemd,
        passwd: o
            .passwd
            .unwrap_or(inputs.config.podman || o.passwd_entry.is_some() || o.group_entry.is_some()),
        passwd_entry: o.passwd_entry.clone(),
        group_entry: o.group_entry.clone(),
        host_users: host_users(inputs)?,
        requires: requires(inputs)?,
        runtime: None,
        personality: o.personality.clone(),
        hooks: Vec::new(),
        oci_config: false,
        subscriptions: Vec::new(),
        options: o.clone(),
    };
    Ok(Resolved { spec, volumes: mounts.volumes, directories: mounts.directories, warnings })
}

/// `--storage-opt`.
fn quota(o: &CreateOptions) -> Result<Option<RootQuota>, Error> {
    if o.storage_opts.is_empty() {
        return Ok(None);
    }
    if o.root_directory()?.is_some_and(|(_, overlay)| !overlay) {
        return Err(invalid("--storage-opt limits a writable layer, which --rootfs does not have"));
    }
    let mut quota = RootQuota::default();
    for (key, value) in &o.storage_opts {
        let bad = || invalid(format!("invalid value {value:?} of --storage-opt {key}"));
        match key.as_str() {
            "size" => quota.size = Some(value.parse::<ByteSize>().map_err(|_| bad())?.0),
            "inodes" => quota.inodes = Some(value.parse().map_err(|_| bad())?),
            other => {
                return Err(invalid(format!("unknown --storage-opt {other:?}")).hint("known: size, inodes"));
            }
        }
    }
    Ok(Some(quota))
}

fn root(inputs: &Inputs<'_>) -> Result<RootSpec, Error> {
    let o = inputs.options;
    let read_only = o.read_only.unwrap_or(inputs.config.containers.read_only);
    let directory = o.root_directory()?;
    Ok(RootSpec {
        image_name: if o.rootfs.is_some() { String::new() } else { o.image.clone() },
        image_id: inputs.image.map(|i| i.id.clone()),
        layers: inputs.image.map(|i| i.layers.clone()).unwrap_or_default(),
        directory: directory.map(|(path, _)| mounts::absolute(inputs, path)),
        overlay: directory.is_some_and(|(_, overlay)| overlay),
        read_only,
        quota: None,
        read_only_tmpfs: read_only && o.read_only_tmpfs.unwrap_or(true),
    })
}

/// `--chrootdirs`: below the root, wherever that is.
fn chroot_dirs(o: &CreateOptions) -> Result<Vec<String>, Error> {
    let clean = |dir: &String| {
        if !dir.starts_with('/') {
            return Err(invalid(format!("--chrootdirs {dir:?}: the path must be absolute")));
        }
        Ok(mounts::clean(dir))
    };
    o.chroot_dirs.iter().map(clean).filter(|dir| dir.as_ref().map_or(true, |dir| dir != "/")).collect()
}

/// The image's labels with the caller's over them; sorted, as docker shows them.
fn labels(image: &[(String, String)], own: &[(String, String)]) -> Vec<(String, String)> {
    let mut all: std::collections::BTreeMap<&str, &str> =
        image.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    all.extend(own.iter().map(|(k, v)| (k.as_str(), v.as_str())));
    all.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The zone, which must be one that the host knows.
fn timezone(inputs: &Inputs<'_>) -> Result<Option<String>, Error> {
    let said = inputs.options.timezone.clone().filter(|z| !z.is_empty());
    let zone = said.or_else(|| inputs.config.containers.timezone.clone());
    let Some(name) = zone.as_deref().filter(|z| !z.is_empty() && *z != "local") else { return Ok(zone) };
    if name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(invalid(format!("invalid time zone {name:?}")));
    }
    let why = match inputs.world.path(&std::path::Path::new("/usr/share/zoneinfo").join(name)) {
        PathKind::Missing => "",
        PathKind::Directory => ": it is a directory",
        PathKind::File => return Ok(zone),
    };
    Err(invalid(format!("invalid time zone {name:?}{why}"))
        .hint("name a zone such as Europe/Berlin; the host needs the package tzdata"))
}

fn annotations(inputs: &Inputs<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut all = std::collections::BTreeMap::new();
    for text in &inputs.config.containers.annotations {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| invalid(format!("containers.conf: annotation {text:?} is not KEY=VALUE")))?;
        all.insert(key.to_owned(), value.to_owned());
    }
    if inputs.config.podman {
        // What OCI hooks and others know podman's containers by.
        all.insert("io.container.manager".to_owned(), "libpod".to_owned());
        if inputs.options.process.init.unwrap_or(inputs.config.containers.init) {
            all.insert("io.podman.annotations.init".to_owned(), "TRUE".to_owned());
        }
        if !inputs.options.volumes_from.is_empty() {
            let key = "io.podman.annotations.volumes-from".to_owned();
            all.insert(key, inputs.options.volumes_from.join(";"));
        }
    }
    all.extend(inputs.options.annotations.iter().cloned());
    Ok(all.into_iter().collect())
}

/// Those of the caller, and those of containers.conf whose place is not taken.
fn devices(inputs: &Inputs<'_>) -> Result<Vec<DeviceRequest>, Error> {
    let mut all = inputs.options.devices.clone();
    if let Some(text) = &inputs.options.gpus {
        for name in security::gpus(text)? {
            all.push(DeviceRequest { host: name, container: String::new(), permissions: String::new() });
        }
    }
    // podman's users hear of it before the container is made.
    if let Some(missing) = all.iter().find(|d| {
        inputs.config.podman
            && d.host.starts_with('/')
            && inputs.world.path(std::path::Path::new(&d.host)) == PathKind::Missing
    }) {
        return Err(invalid(format!("device {} cannot be used: no such file or directory", missing.host)));
    }
    for text in &inputs.config.containers.devices {
        let device: DeviceRequest = text.parse()?;
        if device.container.is_empty() || !all.iter().any(|have| have.container == device.container) {
            all.push(device);
        }
    }
    Ok(all)
}

fn cdi_dirs(inputs: &Inputs<'_>, devices: &[DeviceRequest]) -> Vec<String> {
    if !devices.iter().any(|d| d.container.is_empty()) {
        return Vec::new();
    }
    inputs.config.engine.cdi_spec_dirs.iter().map(|d| d.to_string_lossy().into_owned()).collect()
}

/// `--hostuser`, by name or number.
fn host_users(inputs: &Inputs<'_>) -> Result<Vec<String>, Error> {
    let line = |name: &String| {
        let line = inputs.world.host_user(name)?;
        line.ok_or_else(|| invalid(format!("--hostuser {name}: the host has no such user")))
    };
    inputs.options.hostuser.iter().map(line).collect()
}

fn requires(inputs: &Inputs<'_>) -> Result<Vec<ContainerId>, Error> {
    inputs.options.requires.iter().map(|name| Ok(inputs.world.container(name)?.id)).collect()
}

/// `..` leads no higher than the root of the cgroups, as docker has it.
fn cgroup_parent(text: &str) -> String {
    if text.split('/').any(|part| part == "..") { mounts::clean(text) } else { text.to_owned() }
}
