//! Volumes as stored.

use serde::{Deserialize, Serialize};

/// A volume: what `volume create` makes and `volume inspect` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Name; 64 hex digits where it is anonymous.
    pub name: String,
    /// Driver, `local`.
    pub driver: String,
    /// Host path of its content.
    pub mountpoint: String,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
    /// Driver options (`type`, `device`, `o`, `size`).
    #[serde(default)]
    pub options: Vec<(String, String)>,
    /// Made for a container without a name.
    #[serde(default)]
    pub anonymous: bool,
}
