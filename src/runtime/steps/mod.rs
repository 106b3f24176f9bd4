//! The single deeds of the container's process, each a small function. [`super::init`] and
//! [`super::exec`] call them in order; none of them knows what comes before or after.

pub(super) mod cgroupfs;
pub(super) mod command;
pub(super) mod console;
pub(super) mod copyup;
pub(super) mod devices;
pub(super) mod identity;
pub(super) mod masks;
pub(super) mod mounts;
pub(super) mod namespaces;
pub(super) mod rootfs;
pub(super) mod security;
