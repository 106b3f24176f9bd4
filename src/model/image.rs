//! Images as the engine sees them: config fields that steer a container, ids, layers, platform.

use serde::{Deserialize, Serialize};

use super::digest::{ChainId, DiffId, Digest};
use super::lifecycle::HealthCheck;

/// The part of an image's config that steers containers (OCI image spec, "Image Configuration", with
/// docker's additions). Every text in it is hostile (rule R9).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// `User`.
    pub user: String,
    /// `ExposedPorts` keys, `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// `Env`, `NAME=value`.
    pub env: Vec<String>,
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
    /// `Volumes` keys.
    pub volumes: Vec<String>,
    /// `WorkingDir`.
    pub working_dir: String,
    /// `Labels`.
    pub labels: Vec<(String, String)>,
    /// `StopSignal`.
    pub stop_signal: String,
    /// `Healthcheck`.
    pub healthcheck: Option<HealthCheck>,
    /// `Shell`.
    pub shell: Vec<String>,
    /// `OnBuild`.
    pub on_build: Vec<String>,
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Digest of the config: the image id.
    pub id: Digest,
    /// Digest of the platform's manifest as pulled.
    pub manifest: Digest,
    /// Digest of the index it was chosen from, if any.
    pub index: Option<Digest>,
    /// Names, `docker.io/library/nginx:latest`, sorted.
    pub names: Vec<String>,
    /// Names with digests, `docker.io/library/nginx@sha256:…`, sorted.
    pub digests: Vec<String>,
    /// When it was built.
    pub created: Option<jiff::Timestamp>,
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v8`, or empty.
    pub variant: String,
    /// Author.
    pub author: String,
    /// Docker version or similar, comment of the last history entry.
    pub comment: String,
    /// Steering config.
    pub config: ImageConfig,
    /// diffIDs, lowest first.
    pub diff_ids: Vec<DiffId>,
    /// chainIDs, lowest first: `layers[i]` is the layer directory of `diff_ids[..=i]`.
    pub layers: Vec<ChainId>,
    /// Sum of the unpacked layers' sizes in bytes.
    pub size: u64,
}

/// A platform, `os/architecture[/variant]`, in the normal form of the OCI image index (Go's names).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v7`, or empty.
    pub variant: String,
}

impl Platform {
    /// The platform of this program.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "aarch64" => ("arm64", ""),
            "x86" => ("386", ""),
            "arm" => ("arm", "v7"),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", ""),
            "loongarch64" => ("loong64", ""),
            other => (other, ""),
        };
        Self { os: "linux".into(), architecture: architecture.into(), variant: variant.into() }
    }

    /// The platform of these parts, spelt as Go spells it: `x86_64` is `amd64`, `arm64/v8` is `arm64`.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let (arch, var) = (architecture.to_ascii_lowercase(), variant.to_ascii_lowercase());
        let (arch, var) = match (arch.as_str(), var.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64", ""),
            ("x86_64" | "x86-64", v) => ("amd64", v),
            ("i386" | "i686" | "386", _) => ("386", ""),
            ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
            ("aarch64", v) => ("arm64", v),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            (a, v) => (a, v),
        };
        let os = if os.is_empty() { "linux".to_owned() } else { os.to_ascii_lowercase() };
        Self { os, architecture: arch.to_owned(), variant: var.to_owned() }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl std::str::FromStr for Platform {
    type Err = super::ParseError;

    /// `linux/arm64/v8`, or one part alone: an operating system (`linux`) or an architecture (`arm64`).
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let err = |why: &str| Err(super::ParseError::new("platform", s, why));
        let parts: Vec<&str> = s.split('/').collect();
        if parts.iter().any(|p| {
            p.is_empty() || !p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        }) {
            return err("want os/architecture[/variant]");
        }
        match parts[..] {
            ["linux"] => Ok(Self::host()),
            ["windows" | "darwin" | "freebsd" | "netbsd" | "openbsd" | "solaris" | "aix" | "wasip1"] => {
                Ok(Self::new(parts[0], &Self::host().architecture, ""))
            }
            [arch] => {
                let p = Self::new("linux", arch, "");
                let known = [
                    "amd64", "386", "arm64", "arm", "ppc64le", "ppc64", "s390x", "riscv64", "mips64le",
                    "mips64", "mipsle", "mips", "loong64", "wasm",
                ];
                if known.contains(&p.architecture.as_str()) {
                    Ok(p)
                } else {
                    err(
                        "neither an operating system nor an architecture that is known; want os/architecture[/variant]",
                    )
                }
            }
            [os, arch] => Ok(Self::new(os, arch, "")),
            [os, arch, variant] => Ok(Self::new(os, arch, variant)),
            _ => err("want os/architecture[/variant]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_a_normal_form() {
        for (given, want) in [
            ("linux/amd64", "linux/amd64"),
            ("x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/arm64/v8", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v7"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(given.parse::<Platform>().unwrap().to_string(), want, "{given}");
        }
        assert_eq!("linux".parse::<Platform>().unwrap(), Platform::host());
        for bad in ["", "linux/", "a/b/c/d", "pdp11", "linux/a b"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
