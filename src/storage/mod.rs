//! Filled by its slice; see docs/architecture.md.
