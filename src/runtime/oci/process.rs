//! process of the OCI spec.
