//! `config.json`: the OCI document of a start as others may read it, where somebody is to read it: hooks, whose bundle it is
//! in, and whoever follows podman's `OCIConfigPath`.
//!
//! rcon itself never reads it. What the runtime gets as descriptors has the path that it came from here.

use std::path::PathBuf;

use oci_spec::runtime::Spec;

use super::Start;
use crate::model::mount::MountKind;
use crate::monitor::proto::Failure;
use crate::sys::atomic::{self, Durability};

impl Start<'_> {
    /// The directory that hooks are told of: the one with `config.json`.
    pub(super) fn bundle(&self) -> PathBuf {
        match self.handoff.spec.oci_config {
            true => self.world.paths.container(&self.world.id),
            false => PathBuf::from("/"),
        }
    }

    /// Writes the document, where it is wanted.
    pub(super) fn write_config(&self, document: &mut Spec) -> Result<(), Failure> {
        let spec = &self.handoff.spec;
        if !spec.oci_config {
            return Ok(());
        }
        let root = spec.root.directory.as_ref().filter(|_| spec.root.is_lent()).map(PathBuf::from);
        if let Some(at) = document.root_mut() {
            at.set_path(root.unwrap_or_else(|| self.world.paths.merged(&self.world.id)));
        }
        let mut told = document.clone();
        for mount in told.mounts_mut().iter_mut().flatten() {
            let own = spec.mounts.iter().find(|m| mount.destination().as_os_str() == m.target.as_str());
            let Some(own) = own.filter(|m| matches!(m.kind, MountKind::Bind | MountKind::Volume)) else {
                continue;
            };
            mount.set_source(Some(PathBuf::from(&own.source)));
            // In podman's order, and without what is so anyway.
            let options = mount.options().clone().unwrap_or_default();
            let (bind, other): (Vec<_>, Vec<_>) = options.into_iter().partition(|o| o.ends_with("bind"));
            mount.set_options(Some(other.into_iter().filter(|o| o != "rw").chain(bind).collect()));
        }
        let step = "writing the OCI document";
        let text = serde_json::to_vec(&told).map_err(|e| Failure::internal(step, &e))?;
        // The variables of its environment are nobody else's business.
        atomic::write(&self.bundle().join("config.json"), &text, 0o600, Durability::None)
            .map_err(|e| Failure::internal(step, &e))
    }
}
