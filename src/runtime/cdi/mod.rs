//! CDI, the container device interface: devices that a vendor's specification describes (`--device nvidia.com/gpu=0`).
//! Specifications are files of the host's administrator; what they say is written into the OCI spec.
//!
//! Not here: plain device nodes ([`super::devices`]).

mod yaml;

use std::path::{Path, PathBuf};

use oci_spec::runtime as oci;
use serde::Deserialize;

use super::devices;

/// A CDI device cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not described anywhere.
    #[error("unresolvable CDI device {name}: no specification in {dirs} describes it")]
    Unknown {
        /// The device.
        name: String,
        /// Where was looked.
        dirs: String,
    },
    /// A specification that cannot be used.
    #[error("CDI specification {}: {why}", path.display())]
    Specification {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A device node of a specification.
    #[error(transparent)]
    Device(#[from] devices::Error),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Specification {
    kind: String,
    #[serde(default)]
    devices: Vec<Device>,
    #[serde(default)]
    container_edits: Option<Edits>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    name: Name,
    #[serde(default)]
    container_edits: Option<Edits>,
}

/// YAML takes a device called 0 for a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Number(i64),
}

impl Name {
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Text(own) => own == name,
            Self::Number(own) => own.to_string() == name,
        }
    }
}

/// What a specification may change; what is not known is refused, for it would be missing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Edits {
    env: Option<Vec<String>>,
    device_nodes: Option<Vec<Node>>,
    mounts: Option<Vec<Mount>>,
    hooks: Option<Vec<Hook>>,
    #[serde(rename = "additionalGids")]
    additional_gids: Option<Vec<u32>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    path: String,
    host_path: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    major: Option<u32>,
    minor: Option<u32>,
    file_mode: Option<u32>,
    permissions: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    host_path: String,
    container_path: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    options: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hook {
    hook_name: String,
    path: String,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<String>>,
    timeout: Option<i64>,
}

/// Whether a device is named as CDI names them, `vendor.com/class=name`.
#[must_use]
pub fn is_name(device: &str) -> bool {
    !device.starts_with('/') && device.contains('=')
}

/// Writes what the specifications in `dirs` say about `names` into `document`. Later folders win over earlier ones.
///
/// # Errors
/// [`Error`].
pub fn inject(document: &mut oci::Spec, names: &[&str], dirs: &[PathBuf]) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let all = read_all(dirs)?;
    let mut common: Vec<&Path> = Vec::new();
    for name in names {
        let unknown = || Error::Unknown {
            name: (*name).to_owned(),
            dirs: dirs.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(", "),
        };
        let (kind, device) = name.split_once('=').ok_or_else(unknown)?;
        let found = all.iter().rev().filter(|(_, s)| s.kind == kind).find_map(|(path, s)| {
            s.devices.iter().find(|d| d.name.is(device)).map(|device| (path, s, device))
        });
        let (path, specification, device) = found.ok_or_else(unknown)?;
        // What concerns every device of a file is done once.
        if !common.contains(&path.as_path()) {
            common.push(path);
            apply(document, path, specification.container_edits.as_ref())?;
        }
        apply(document, path, device.container_edits.as_ref())?;
    }
    Ok(())
}

fn read_all(dirs: &[PathBuf]) -> Result<Vec<(PathBuf, Specification)>, Error> {
    let mut all = Vec::new();
    for dir in dirs {
        let Ok(entries) = std::fs::read_dir(dir) else { continue };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            let extension = path.extension().and_then(|e| e.to_str());
            if !matches!(extension, Some("json" | "yaml" | "yml")) {
                continue;
            }
            let bad = |why: String| Error::Specification { path: path.clone(), why };
            let text = std::fs::read_to_string(&path).map_err(|e| bad(e.to_string()))?;
            let value = match extension {
                Some("json") => serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?,
                _ => yaml::parse(&text).map_err(bad)?,
            };
            let specification = serde_json::from_value(value).map_err(|e| bad(e.to_string()))?;
            all.push((path, specification));
        }
    }
    Ok(all)
}

fn apply(document: &mut oci::Spec, path: &Path, edits: Option<&Edits>) -> Result<(), Error> {
    let Some(Edits { env, device_nodes, mounts, hooks, additional_gids }) = edits else { return Ok(()) };
    if let Some(process) = document.process_mut() {
        process.env_mut().get_or_insert_default().extend(env.iter().flatten().cloned());
        let user = process.user_mut();
        user.additional_gids_mut().get_or_insert_default().extend(additional_gids.iter().flatten());
    }
    for node in device_nodes.iter().flatten() {
        add_node(document, node)?;
    }
    for mount in mounts.iter().flatten() {
        let mut made = oci::Mount::default();
        let options = mount.options.clone().unwrap_or_else(|| vec!["rbind".to_owned(), "ro".to_owned()]);
        made.set_destination(mount.container_path.clone().into())
            .set_source(Some(mount.host_path.clone().into()))
            .set_typ(Some(mount.kind.clone().unwrap_or_else(|| "bind".to_owned())))
            .set_options(Some(bound(options)));
        document.mounts_mut().get_or_insert_default().push(made);
    }
    for hook in hooks.iter().flatten() {
        add_hook(document, hook).map_err(|why| Error::Specification { path: path.to_owned(), why })?;
    }
    Ok(())
}

/// A bind mount says so in its options.
fn bound(mut options: Vec<String>) -> Vec<String> {
    if !options.iter().any(|o| o == "bind" || o == "rbind") {
        options.insert(0, "rbind".to_owned());
    }
    options
}

fn add_node(document: &mut oci::Spec, node: &Node) -> Result<(), Error> {
    let access = node.permissions.clone().unwrap_or_else(|| "rwm".to_owned());
    let wish = crate::model::security::DeviceRequest {
        host: node.host_path.clone().unwrap_or_else(|| node.path.clone()),
        container: node.path.clone(),
        permissions: access.clone(),
    };
    let kind = node.kind.as_deref().unwrap_or_default();
    // All that is not said is what the host's own node says.
    let (kind, major, minor, mode) = match (kind, node.major, node.minor) {
        ("c" | "u" | "b" | "p", Some(major), Some(minor)) => {
            let kind = match kind {
                "b" => oci::LinuxDeviceType::B,
                "p" => oci::LinuxDeviceType::P,
                _ => oci::LinuxDeviceType::C,
            };
            (kind, major, minor, node.file_mode.unwrap_or(0o666))
        }
        _ => {
            let found = devices::lookup(&wish)?;
            let Some(first) = found.first() else { return Ok(()) };
            let kind = match first.kind {
                devices::Kind::Block => oci::LinuxDeviceType::B,
                devices::Kind::Fifo => oci::LinuxDeviceType::P,
                devices::Kind::Char => oci::LinuxDeviceType::C,
            };
            (kind, first.major, first.minor, node.file_mode.unwrap_or(first.mode))
        }
    };
    let mut made = oci::LinuxDevice::default();
    made.set_path(node.path.clone().into())
        .set_typ(kind)
        .set_major(i64::from(major))
        .set_minor(i64::from(minor))
        .set_file_mode(Some(mode & 0o777))
        .set_uid(Some(node.uid.unwrap_or(0)))
        .set_gid(Some(node.gid.unwrap_or(0)));
    let mut rule = oci::LinuxDeviceCgroup::default();
    rule.set_allow(true)
        .set_typ(Some(kind))
        .set_major(Some(i64::from(major)))
        .set_minor(Some(i64::from(minor)))
        .set_access(Some(access));
    let linux = document.linux_mut().get_or_insert_default();
    linux.devices_mut().get_or_insert_default().push(made);
    linux.resources_mut().get_or_insert_default().devices_mut().get_or_insert_default().push(rule);
    Ok(())
}

fn add_hook(document: &mut oci::Spec, hook: &Hook) -> Result<(), String> {
    let mut made = oci::Hook::default();
    made.set_path(hook.path.clone().into())
        .set_args(hook.args.clone())
        .set_env(hook.env.clone())
        .set_timeout(hook.timeout);
    let hooks = document.hooks_mut().get_or_insert_default();
    let list = match hook.hook_name.as_str() {
        "createRuntime" => hooks.create_runtime_mut(),
        "createContainer" => hooks.create_container_mut(),
        "startContainer" => hooks.start_container_mut(),
        "poststart" => hooks.poststart_mut(),
        "poststop" => hooks.poststop_mut(),
        // Deprecated, and run at the same time as this one.
        "prestart" => hooks.create_runtime_mut(),
        other => return Err(format!("unknown hook {other:?}")),
    };
    list.get_or_insert_default().push(made);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_reach_the_document() {
        let dir = std::env::temp_dir().join(format!("rcon-cdi-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("folder");
        let text = "cdiVersion: 0.6.0\nkind: v.com/dev\ndevices:\n- name: 0\n  containerEdits:\n    env:\n    - ONE=1\n    \
                    deviceNodes:\n    - path: /dev/x\n      hostPath: /dev/null\n    mounts:\n    - hostPath: /etc\n      \
                    containerPath: /e\n      options: [\"ro\"]\ncontainerEdits:\n  env:\n  - ALL=1\n  hooks:\n  - \
                    hookName: createContainer\n    path: /bin/true\n";
        std::fs::write(dir.join("v.yaml"), text).expect("written");
        let mut document = oci::Spec::default();
        inject(&mut document, &["v.com/dev=0"], std::slice::from_ref(&dir)).expect("injects");
        let env = document.process().as_ref().and_then(|p| p.env().clone()).unwrap_or_default();
        assert!(env.ends_with(&["ALL=1".to_owned(), "ONE=1".to_owned()]), "{env:?}");
        let linux = document.linux().as_ref().expect("linux");
        let device = linux.devices().as_ref().and_then(|d| d.last().cloned()).expect("a device");
        assert_eq!((device.major(), device.minor()), (1, 3));
        assert!(document.hooks().as_ref().expect("hooks").create_container().is_some());
        let mount = document.mounts().as_ref().and_then(|m| m.last().cloned()).expect("a mount");
        assert_eq!(mount.options().clone().unwrap_or_default(), ["rbind", "ro"]);
        let unknown =
            inject(&mut document, &["v.com/dev=1"], std::slice::from_ref(&dir)).expect_err("unknown");
        assert!(unknown.to_string().contains("v.com/dev=1"), "{unknown}");
        std::fs::remove_dir_all(dir).expect("removed");
    }
}
