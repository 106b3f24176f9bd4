//! namespaces of the OCI spec.
