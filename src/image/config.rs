//! Image configs (OCI "Image Configuration" with docker's additions): parsed, checked, cleaned.
//!
//! Every text in a config is hostile (rule R9): environment entries that are not `NAME=value` are dropped here,
//! so that no later code can take one for "copy the host's variable". Pure, no I/O.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::Error;
use crate::model::digest::DiffId;
use crate::model::image::{ImageConfig, Platform};
use crate::model::lifecycle::HealthCheck;

/// Most bytes of a config.
pub const MAX_CONFIG: u64 = 8 << 20;

/// A parsed config document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What steers containers.
    pub config: ImageConfig,
    /// diffIDs, lowest first.
    pub diff_ids: Vec<DiffId>,
    /// When it was built.
    pub created: Option<jiff::Timestamp>,
    /// Platform as written; empty texts where it says nothing.
    pub os: String,
    /// Architecture as written.
    pub architecture: String,
    /// Variant as written.
    pub variant: String,
    /// Author.
    pub author: String,
    /// Comment, or that of the last history entry.
    pub comment: String,
    /// History, oldest first.
    pub history: Vec<History>,
}

/// One step of an image's making.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct History {
    /// When.
    #[serde(deserialize_with = "timestamp")]
    pub created: Option<jiff::Timestamp>,
    /// Command.
    #[serde(deserialize_with = "null_default")]
    pub created_by: String,
    /// Author.
    #[serde(deserialize_with = "null_default")]
    pub author: String,
    /// Comment.
    #[serde(deserialize_with = "null_default")]
    pub comment: String,
    /// It made no layer.
    #[serde(deserialize_with = "null_default")]
    pub empty_layer: bool,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "timestamp")]
    created: Option<jiff::Timestamp>,
    #[serde(default, deserialize_with = "null_default")]
    author: String,
    #[serde(default, deserialize_with = "null_default")]
    comment: String,
    #[serde(default, deserialize_with = "null_default")]
    os: String,
    #[serde(default, deserialize_with = "null_default")]
    architecture: String,
    #[serde(default, deserialize_with = "null_default")]
    variant: String,
    #[serde(default, deserialize_with = "null_default")]
    config: RawConfig,
    rootfs: Option<RootFs>,
    #[serde(default, deserialize_with = "null_default")]
    history: Vec<History>,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "null_default")]
    diff_ids: Vec<DiffId>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawConfig {
    #[serde(deserialize_with = "null_default")]
    user: String,
    #[serde(deserialize_with = "null_default")]
    exposed_ports: Map<String, Value>,
    #[serde(deserialize_with = "null_default")]
    env: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    volumes: Map<String, Value>,
    #[serde(deserialize_with = "null_default")]
    working_dir: String,
    #[serde(deserialize_with = "null_default")]
    labels: Map<String, Value>,
    #[serde(deserialize_with = "null_default")]
    stop_signal: String,
    healthcheck: Option<RawHealth>,
    #[serde(deserialize_with = "null_default")]
    shell: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    on_build: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawHealth {
    #[serde(deserialize_with = "null_default")]
    test: Vec<String>,
    interval: i64,
    timeout: i64,
    start_period: i64,
    start_interval: i64,
    retries: i64,
}

fn null_default<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// A time that is no time is no reason to refuse an image.
fn timestamp<'de, D: Deserializer<'de>>(d: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.and_then(|s| s.parse().ok()))
}

/// Parses a config; `what` names it in errors.
///
/// # Errors
/// [`Error::Invalid`].
pub fn parse(bytes: &[u8], what: &str) -> Result<Config, Error> {
    let invalid = |why: String| Error::Invalid { what: what.to_owned(), why };
    let raw: Raw = serde_json::from_slice(bytes).map_err(|e| invalid(e.to_string()))?;
    let rootfs = raw.rootfs.ok_or_else(|| invalid("it has no rootfs".into()))?;
    if rootfs.kind != "layers" {
        return Err(invalid(format!("rootfs.type is {:?}, want \"layers\"", rootfs.kind)));
    }
    let comment = match raw.comment.is_empty() {
        true => raw.history.last().map(|h| h.comment.clone()).unwrap_or_default(),
        false => raw.comment,
    };
    Ok(Config {
        config: clean(raw.config),
        diff_ids: rootfs.diff_ids,
        created: raw.created,
        os: raw.os,
        architecture: raw.architecture,
        variant: raw.variant,
        author: raw.author,
        comment,
        history: raw.history,
    })
}

impl Config {
    /// The platform in normal form; linux where nothing is said.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, &self.variant)
    }
}

fn clean(raw: RawConfig) -> ImageConfig {
    let env_ok = |e: &String| {
        e.split_once('=').is_some_and(|(name, _)| !name.is_empty() && !name.contains('*'))
            && !e.contains('\0')
    };
    let text = |v: Value| match v {
        Value::String(s) => s,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    ImageConfig {
        user: raw.user,
        exposed_ports: raw.exposed_ports.into_iter().map(|(k, _)| k).collect(),
        env: raw.env.into_iter().filter(env_ok).collect(),
        entrypoint: raw.entrypoint,
        cmd: raw.cmd,
        volumes: raw.volumes.into_iter().map(|(k, _)| k).filter(|k| !k.is_empty()).collect(),
        working_dir: raw.working_dir,
        labels: raw.labels.into_iter().map(|(k, v)| (k, text(v))).collect(),
        stop_signal: raw.stop_signal,
        healthcheck: raw.healthcheck.filter(|h| !h.test.is_empty()).map(health),
        shell: raw.shell,
        on_build: raw.on_build,
    }
}

fn health(raw: RawHealth) -> HealthCheck {
    let duration = |n: i64| u64::try_from(n).unwrap_or(0);
    HealthCheck {
        test: raw.test,
        interval: duration(raw.interval),
        timeout: duration(raw.timeout),
        start_period: duration(raw.start_period),
        start_interval: duration(raw.start_interval),
        retries: u32::try_from(raw.retries).unwrap_or(0),
        startup: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_of_docker_is_read() {
        let text = r#"{
            "architecture": "arm", "variant": "v7", "os": "linux", "created": "2024-01-02T03:04:05.678901234Z",
            "author": "me", "config": {
              "User": "www", "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "Env": ["PATH=/bin", "EMPTY=", "HOME", "A*=1", "=x"],
              "Cmd": ["nginx"], "Entrypoint": null, "Volumes": {"/data": {}}, "WorkingDir": "/w", "Labels": {"b": "1", "a": "2"},
              "OnBuild": null, "StopSignal": "SIGQUIT", "Shell": ["/bin/bash", "-c"],
              "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5000000000, "Retries": 2}, "ArgsEscaped": true},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
            "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "ADD", "comment": "buildkit"}, {"empty_layer": true, "comment": "last"}]}"#;
        let c = parse(text.as_bytes(), "x").unwrap();
        assert_eq!(c.config.env, ["PATH=/bin", "EMPTY="]);
        assert_eq!(c.config.exposed_ports, ["80/tcp", "53/udp"]);
        assert_eq!(c.config.labels, [("b".into(), "1".into()), ("a".into(), "2".into())]);
        assert_eq!(c.config.volumes, ["/data"]);
        assert!(c.config.entrypoint.is_empty());
        assert_eq!(c.config.healthcheck.as_ref().unwrap().retries, 2);
        assert_eq!((c.comment.as_str(), c.history.len(), c.diff_ids.len()), ("last", 2, 1));
        assert_eq!(c.platform().to_string(), "linux/arm/v7");
        assert!(c.created.is_some());
    }

    #[test]
    fn little_is_enough_and_nonsense_is_refused() {
        let c = parse(br#"{"rootfs":{"type":"layers","diff_ids":null},"config":null}"#, "x").unwrap();
        assert!(c.diff_ids.is_empty());
        for text in [
            "{}",
            "[]",
            r#"{"rootfs":{"type":"windows","diff_ids":[]}}"#,
            r#"{"rootfs":{"type":"layers","diff_ids":["x"]}}"#,
            r#"{"rootfs":{"type":"layers"},"config":{"Env":"A=B"}}"#,
        ] {
            assert!(matches!(parse(text.as_bytes(), "x"), Err(Error::Invalid { .. })), "{text}");
        }
    }
}
