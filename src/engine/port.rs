//! `port`: published ports in force.

use super::context::Context;
use super::error::Error;
use super::select::{Selection, targets};
use crate::model::id::ContainerId;
use crate::model::network::PortMapping;

/// Ports of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// What is published, sorted by container port.
    pub ports: Vec<PortMapping>,
}

/// The published ports of each container; none for one that does not run.
///
/// # Errors
/// No such container.
pub fn port(ctx: &Context, which: &Selection) -> Result<Vec<Ports>, Error> {
    let store = ctx.store()?;
    let mut all = Vec::new();
    for target in targets(ctx, &store, which, |c| c.phase.running().is_some())? {
        let container = target.found?;
        let mut ports = container.phase.running().map(|r| r.ports.clone()).unwrap_or_default();
        ports.sort_by_key(|p| (p.container_port, p.protocol, p.host_ip, p.host_port));
        all.push(Ports { id: container.row.id, name: container.row.name, ports });
    }
    Ok(all)
}
