//! Quantities as docker writes them: byte sizes (`64m`), CPUs (`0.5`), durations (`1m30s`), and
//! their human forms in listings (`1.2GB`, `3 minutes ago`).

use serde::{Deserialize, Serialize};

/// A number of bytes. Parsed from docker's `b k m g t` forms (powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

/// CPUs in billionths (docker's NanoCpus): `--cpus 0.5` is 500,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoCpus(pub u64);
