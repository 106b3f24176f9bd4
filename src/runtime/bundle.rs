//! A bundle on disk: `config.json` read and checked, and the example that `rcon runtime spec` writes.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxResources, Process, Spec};

use super::{Error, cgroup, lenient};
use crate::sys::fd;

/// A loaded bundle.
#[derive(Debug)]
pub struct Bundle {
    /// Its directory, absolute.
    pub path: PathBuf,
    /// What it says.
    pub spec: Spec,
    /// The text as it was read: kept beside the state, because the file may change.
    pub text: Vec<u8>,
    /// Its root file system, absolute.
    pub rootfs: PathBuf,
}

impl Bundle {
    /// Reads `config.json` of a directory, or the file that stands for it.
    ///
    /// # Errors
    /// [`Error::Spec`] naming what is wrong.
    pub fn load(path: &Path, config: Option<&Path>) -> Result<Self, Error> {
        let absolute = std::path::absolute(path).map_err(|e| Error::spec("bundle", e.to_string()))?;
        let file = absolute.join(config.unwrap_or(Path::new("config.json")));
        let text = fd::read_file(&file).map_err(|e| match e.is(libc::ENOENT) {
            true => {
                Error::spec("config.json", format!("JSON specification file {} not found", file.display()))
            }
            false => e.into(),
        })?;
        let (spec, warnings) = parse_with_warnings(&text)?;
        warn(&warnings);
        let rootfs = match spec.root() {
            Some(root) if root.path().is_absolute() => root.path().clone(),
            Some(root) => absolute.join(root.path()),
            None => return Err(Error::spec("root", "there is none")),
        };
        if !rootfs.is_dir() {
            return Err(Error::spec("root.path", format!("{} is no directory", rootfs.display())));
        }
        Ok(Self { path: absolute, spec, text, rootfs })
    }
}

/// Parses a spec and checks its version.
///
/// # Errors
/// [`Error::Spec`].
pub fn parse(text: &[u8]) -> Result<Spec, Error> {
    parse_with_warnings(text).map(|(spec, _)| spec)
}

fn parse_with_warnings(text: &[u8]) -> Result<(Spec, Vec<String>), Error> {
    let wrong = |e: serde_json::Error| Error::spec("config.json", e.to_string());
    let mut value = serde_json::from_slice(text).map_err(wrong)?;
    let warnings = lenient::spec(&mut value)?;
    let spec: Spec = serde_json::from_value(value).map_err(wrong)?;
    match spec.version().split('.').next() {
        Some("1") => Ok((spec, warnings)),
        _ => Err(Error::spec("ociVersion", format!("{:?} is not 1.x", spec.version()))),
    }
}

/// Parses a process, as `exec --process` takes it; what is worth a warning goes to the log.
///
/// # Errors
/// [`Error::Spec`], `file` named in it.
pub fn parse_process(text: &[u8], file: &Path) -> Result<Process, Error> {
    let wrong = |e: serde_json::Error| Error::spec(file.display().to_string(), e.to_string());
    let mut value: serde_json::Value = serde_json::from_slice(text).map_err(wrong)?;
    let mut warnings = Vec::new();
    if let Some(process) = value.as_object_mut() {
        lenient::process(process, &mut warnings);
    }
    warn(&warnings);
    serde_json::from_value(value).map_err(wrong)
}

/// Parses limits, as `update --resources` takes them.
///
/// # Errors
/// [`Error::Spec`], `file` named in it.
pub fn parse_resources(text: &[u8], file: &Path) -> Result<LinuxResources, Error> {
    let wrong = |e: serde_json::Error| Error::spec(file.display().to_string(), e.to_string());
    let mut value: serde_json::Value = serde_json::from_slice(text).map_err(wrong)?;
    lenient::resources(&mut value);
    serde_json::from_value(value).map_err(wrong)
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// The example spec, as JSON: a shell in a read-only root with everything private.
#[must_use]
pub fn example(rootless: Option<(u32, u32)>) -> String {
    let mut spec = match rootless {
        Some((uid, gid)) => Spec::rootless(uid, gid),
        None => Spec::default(),
    };
    spec.set_version(super::oci::OCI_VERSION.to_owned());
    let mut value = serde_json::to_value(&spec).expect("a spec has only string keys");
    value["process"]["terminal"] = true.into();
    // Rule R8: nothing is inherited through an exec.
    for set in ["inheritable", "ambient"] {
        value["process"]["capabilities"][set] = serde_json::json!([]);
    }
    value["linux"]["resources"]["devices"] = serde_json::json!([{ "allow": false, "access": "rwm" }]);
    // On v1 a container sees its own cgroups alone without one, and can be moved with its view intact.
    let unified = cgroup::Manager::detect().is_ok_and(|m| m.layout() == cgroup::Layout::Unified);
    if let Some(namespaces) = value["linux"]["namespaces"].as_array_mut().filter(|_| !unified) {
        namespaces.retain(|n| n["type"] != "cgroup");
    }
    value["hostname"] = "rcon".into();
    format!("{:#}\n", value)
}
