//! `port`: published ports in force.

use super::context::Context;
use super::error::Error;
use super::select::Selection;
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

/// The published ports of each container.
///
/// # Errors
/// No such container.
pub fn port(_ctx: &Context, _which: &Selection) -> Result<Vec<Ports>, Error> {
    todo!()
}
