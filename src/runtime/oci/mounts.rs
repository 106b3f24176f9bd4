//! mounts of the OCI spec.
