//! The OCI runtime, in process: spec in, container out.
#![allow(clippy::todo, reason = "bodies are filled in slice by slice")]

pub mod cgroup;
pub mod defaults;
pub mod devices;
pub mod oci;
pub mod seccomp;
