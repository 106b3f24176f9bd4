//! Events as docker and podman name them.

use serde::{Deserialize, Serialize};

/// One event of the journal that `rcon events` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: jiff::Timestamp,
    /// `container`, `image`, `volume`, `network`, `system`.
    pub kind: String,
    /// docker's word: `create`, `start`, `die`, `destroy`, `pull`, …
    pub action: String,
    /// Id of the thing.
    pub id: String,
    /// Attributes: name, image, exitCode, labels.
    pub attributes: Vec<(String, String)>,
    /// What `inspect` says of a container that was made, where containers.conf asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspect: Option<String>,
    /// Id of the image, where docker has its reference as [`Self::id`] and podman this.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// docker tells of it, podman does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dockers: bool,
}

impl Event {
    /// What happens now.
    #[must_use]
    pub fn now(kind: &str, action: &str, id: &str, attributes: Vec<(String, String)>) -> Self {
        Self {
            time: jiff::Timestamp::now(),
            kind: kind.to_owned(),
            action: action.to_owned(),
            id: id.to_owned(),
            attributes,
            inspect: None,
            image: String::new(),
            dockers: false,
        }
    }
}
