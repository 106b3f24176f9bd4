//! `info`, `version`, `system df`: facts about the engine and its host, in docker's shape. No child processes,
//! no walk over the store: `info` and `version` answer in a few milliseconds.

mod check;
mod df;
mod info;
mod reset;
pub mod service;

pub use check::{CheckOptions, Finding, check};
pub use df::{DiskUsage, Usage, df};
pub use info::info;
pub use reset::reset;

use serde_json::{Value, json};

use super::context::Context;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The docker API version whose words these answers use.
const API_VERSION: &str = "1.47";

/// The platform of this program, as image platforms are written: `linux/amd64`.
pub(crate) fn platform() -> String {
    format!("linux/{}", architecture())
}

/// The architecture in Go's words, which images and docker use.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// The kernel's release.
pub(super) fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// `version` as JSON: `Client` and `Server`, which are the same program.
#[must_use]
pub fn version(_ctx: &Context) -> Value {
    let component = json!({
        "Name": "rcon",
        "Version": VERSION,
        "Details": { "ApiVersion": API_VERSION, "Arch": architecture(), "Os": "linux", "KernelVersion": kernel() },
    });
    json!({
        "Client": {
            "Platform": { "Name": "rcon" },
            "Version": VERSION,
            "APIVersion": API_VERSION,
            "ApiVersion": API_VERSION,
            "DefaultAPIVersion": API_VERSION,
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": architecture(),
            "OsArch": platform(),
            "BuildTime": "",
            "BuiltTime": "",
            "Built": 0,
            "Context": "default",
        },
        "Server": {
            "Platform": { "Name": "rcon" },
            "Components": [component],
            "Version": VERSION,
            "APIVersion": API_VERSION,
            "ApiVersion": API_VERSION,
            "MinAPIVersion": "1.24",
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": architecture(),
            "OsArch": platform(),
            "KernelVersion": kernel(),
            "BuildTime": "",
            "BuiltTime": "",
            "Built": 0,
        },
    })
}
