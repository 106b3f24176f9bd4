//! The two registry keys of docker's `daemon.json`: `insecure-registries` and `registry-mirrors`.

use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;

use super::{Entry, Error, Mirror, MirrorFor, Registries, host_of};
use crate::model::reference::DEFAULT_REGISTRY;

/// One of `insecure-registries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Insecure {
    /// `host[:port]`.
    Host(String),
    /// `10.0.0.0/8`.
    Net(IpAddr, u8),
}

impl Insecure {
    fn parse(text: &str) -> Self {
        if let Some((addr, bits)) = text.split_once('/')
            && let (Ok(addr), Ok(bits)) = (addr.parse(), bits.parse())
        {
            return Self::Net(addr, bits);
        }
        Self::Host(text.to_owned())
    }

    /// Whether it means this `host[:port]`.
    pub(super) fn covers(&self, registry: &str) -> bool {
        match self {
            Self::Host(h) => h == registry,
            Self::Net(net, bits) => match (host_of(registry).parse(), net) {
                (Ok(IpAddr::V4(ip)), IpAddr::V4(net)) => {
                    let mask = u32::MAX.checked_shl(32 - u32::from((*bits).min(32))).unwrap_or(0);
                    u32::from(ip) & mask == u32::from(*net) & mask
                }
                (Ok(IpAddr::V6(ip)), IpAddr::V6(net)) => {
                    let mask = u128::MAX.checked_shl(128 - u32::from((*bits).min(128))).unwrap_or(0);
                    u128::from(ip) & mask == u128::from(*net) & mask
                }
                _ => false,
            },
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Daemon {
    insecure_registries: Vec<String>,
    registry_mirrors: Vec<String>,
}

/// Adds what docker's file says and registries.conf does not. No such file: nothing.
pub(super) fn add(path: &Path, all: &mut Registries) -> Result<(), Error> {
    let bad = |why: String| Error::File { path: path.to_owned(), why };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) => {
            return Ok(());
        }
        Err(e) => return Err(bad(e.to_string())),
    };
    if text.trim().is_empty() {
        return Ok(());
    }
    let daemon: Daemon = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    all.docker_insecure = daemon.insecure_registries.iter().map(|s| Insecure::parse(s)).collect();
    if daemon.registry_mirrors.is_empty() || all.entries.iter().any(|e| e.prefix == DEFAULT_REGISTRY) {
        return Ok(());
    }
    let mut mirrors = Vec::new();
    for url in &daemon.registry_mirrors {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let location = rest.trim_end_matches('/').to_owned();
        if location.is_empty() || !matches!(scheme, "http" | "https") {
            return Err(bad(format!("registry-mirrors: {url:?} is not a URL")));
        }
        let insecure = scheme == "http" || all.docker_insecure.iter().any(|i| i.covers(&location));
        mirrors.push(Mirror { location, insecure, when: MirrorFor::All });
    }
    all.entries.push(Entry {
        prefix: DEFAULT_REGISTRY.to_owned(),
        location: None,
        insecure: false,
        blocked: false,
        mirrors,
        file: path.to_owned(),
    });
    Ok(())
}
