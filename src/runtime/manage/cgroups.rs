//! The cgroup of a container of a bundle: its path, who makes it, and when there is none.

use oci_spec::runtime::LinuxResources;

use super::create::Request;
use crate::runtime::Error;
use crate::runtime::bundle::Bundle;
use crate::runtime::cgroup::{Cgroup, Manager, Unit};

/// Who makes the cgroup of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroups {
    /// We do, by the files of the hierarchies.
    Files,
    /// systemd does, at our wish.
    Systemd,
    /// It has none, and stays in that of the caller.
    None,
}

/// Makes it, its limits in force.
pub(in crate::runtime) fn make_cgroup(
    bundle: &Bundle,
    request: &Request<'_>,
) -> Result<Option<Cgroup>, Error> {
    let linux = bundle.spec.linux().as_ref();
    let given = linux.and_then(|l| l.cgroups_path().as_ref()).map(|p| p.to_string_lossy().into_owned());
    let path_given = given.as_ref().is_some_and(|p| !p.is_empty());
    let systemd = request.cgroups == Cgroups::Systemd;
    if request.cgroups == Cgroups::None {
        return without_cgroup(linux);
    }
    if systemd && !crate::runtime::cgroup::systemd_runs() {
        return Err(Error::refused("--systemd-cgroup: systemd not running on this host, leave the flag out"));
    }
    let path = match given.filter(|p| !p.is_empty()) {
        Some(path) if systemd || path.starts_with('/') => path,
        Some(path) => format!("/{path}"),
        None if systemd => format!(":rcon:{}", request.id),
        None => format!("/{}", request.id),
    };
    let resources = linux.and_then(|l| l.resources().clone()).unwrap_or_default();
    let asked = resources != LinuxResources::default();
    let manager = match Manager::detect() {
        // Nothing is mounted, and nothing is asked for.
        Err(crate::runtime::cgroup::Error::NotMounted) if !asked => return Ok(None),
        manager => manager?,
    };
    refuse_frozen(&manager, &path)?;
    let unit = match systemd {
        true => Unit::of_bundle(bundle.spec.annotations().as_ref())?,
        false => Unit::default(),
    };
    match manager.create_unit(&path, &resources, unit) {
        Err(e) if request.rootless && !path_given && e.is_denied() => {
            tracing::warn!("no cgroup is made: {e}");
            Ok(None)
        }
        made => Ok(Some(made?)),
    }
}

/// No cgroup was wanted; what only a cgroup can hold to is refused.
fn without_cgroup(linux: Option<&oci_spec::runtime::Linux>) -> Result<Option<Cgroup>, Error> {
    let mut resources = linux.and_then(|l| l.resources().clone()).unwrap_or_default();
    // The rules of devices are in every configuration, and whoever disables cgroups knows that they go with them.
    if resources.devices().as_ref().is_some_and(|rules| !rules.is_empty()) {
        tracing::warn!("linux.resources.devices has no effect: the cgroup manager is disabled");
        resources.set_devices(None);
    }
    if resources != LinuxResources::default() {
        return Err(Error::spec(
            "linux.resources",
            "limits need a cgroup, and the cgroup manager is disabled",
        ));
    }
    Ok(None)
}

/// A cgroup that is frozen already would never let its first process do anything.
fn refuse_frozen(manager: &Manager, path: &str) -> Result<(), Error> {
    match manager.open(path) {
        Ok(there) if there.is_frozen().unwrap_or(false) => {
            Err(Error::refused(format!("container's cgroup unexpectedly frozen: {path}")))
        }
        _ => Ok(()),
    }
}
