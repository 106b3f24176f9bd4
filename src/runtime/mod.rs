//! The OCI runtime, in process: an OCI spec and descriptors in, a container out.
//!
//! [`oci`] turns a container's spec into the OCI's (pure). [`plan`] turns that into what the child
//! will do, with everything it needs made beforehand (pure but for opening sources). [`spawn`] is the
//! parent's side of a start, [`init`] the child's, [`sync`] what they say to each other, `steps` the
//! single deeds; [`exec`] puts a second process into a running container with the same steps.
//! Not here: overlay mounts, networks, logs, records; those come in as descriptors or stay outside.

pub mod bundle;
pub mod cdi;
pub mod cgroup;
pub mod criu;
pub mod defaults;
pub mod devices;
pub mod error;
pub mod exec;
pub mod features;
pub mod hooks;
mod init;
mod inside;
mod lenient;
pub mod manage;
mod maps;
mod netdev;
pub mod oci;
mod plan;
pub mod rdt;
pub mod reaper;
pub mod seccomp;
pub mod spawn;
pub mod state;
mod steps;
mod sync;
pub mod user;

pub use error::Error;
