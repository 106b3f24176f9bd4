//! Profiles in docker's form: the OCI's, plus `archMap`, and rules that apply by capability,
//! architecture or kernel version. What applies here is picked at start, since capabilities decide.

use oci_spec::runtime as oci;
use serde::Deserialize;

use super::Error;
use super::policy::{Arch, native_family};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    #[serde(flatten)]
    base: Base,
    #[serde(default)]
    arch_map: Option<Vec<ArchMap>>,
    #[serde(default)]
    syscalls: Option<Vec<Call>>,
}

/// What both forms share.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Base {
    default_action: oci::LinuxSeccompAction,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Option<Vec<oci::Arch>>,
    #[serde(default)]
    flags: Option<Vec<oci::LinuxSeccompFilterFlag>>,
    #[serde(default)]
    listener_path: Option<std::path::PathBuf>,
    #[serde(default)]
    listener_metadata: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    // Words, not the enum: a profile may name machines that did not exist when this was written.
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: oci::LinuxSeccompAction,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<oci::LinuxSeccompArg>>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// What decides about a rule.
pub(super) struct Here<'a> {
    /// Capabilities of the container.
    pub(super) capabilities: &'a [String],
    /// `uname -r`.
    pub(super) kernel: &'a str,
}

/// Reads a profile and picks what applies here.
pub(super) fn to_oci(json: &str, here: &Here<'_>) -> Result<oci::LinuxSeccomp, Error> {
    let profile: Profile = serde_json::from_str(json).map_err(Error::Json)?;
    let given = profile.base.architectures.as_ref().is_some_and(|a| !a.is_empty());
    let mapped = profile.arch_map.as_ref().is_some_and(|m| !m.is_empty());
    if given && mapped {
        return invalid("architectures", "give either these or archMap");
    }
    let mut calls = Vec::new();
    for call in profile.syscalls.unwrap_or_default() {
        if applies(&call, here)? {
            calls.push(convert(call)?);
        }
    }
    let architectures = if mapped {
        sub_architectures(&profile.arch_map.unwrap_or_default())
    } else {
        profile.base.architectures.unwrap_or_default()
    };
    let mut out = oci::LinuxSeccomp::default();
    out.set_default_action(profile.base.default_action)
        .set_default_errno_ret(profile.base.default_errno_ret)
        .set_architectures(Some(architectures))
        .set_flags(profile.base.flags)
        .set_listener_path(profile.base.listener_path)
        .set_listener_metadata(profile.base.listener_metadata)
        .set_syscalls(Some(calls));
    Ok(out)
}

fn invalid<T>(what: &str, why: &str) -> Result<T, Error> {
    Err(Error::Invalid { what: what.to_owned(), why: why.to_owned() })
}

/// The entry of this machine, as words that the OCI knows.
fn sub_architectures(map: &[ArchMap]) -> Vec<oci::Arch> {
    let own = oci_arch(Arch::native());
    let Some(entry) = map.iter().find(|m| m.architecture == own.to_string()) else { return vec![own] };
    let mut out = vec![own];
    let known = native_family().iter().map(|a| oci_arch(*a));
    let subs = entry.sub_architectures.as_deref().unwrap_or_default();
    out.extend(known.filter(|k| subs.contains(&k.to_string())));
    out
}

pub(super) fn oci_arch(arch: Arch) -> oci::Arch {
    match arch {
        Arch::X86_64 => oci::Arch::ScmpArchX86_64,
        Arch::X86 => oci::Arch::ScmpArchX86,
        Arch::X32 => oci::Arch::ScmpArchX32,
        Arch::Aarch64 => oci::Arch::ScmpArchAarch64,
        Arch::Arm => oci::Arch::ScmpArchArm,
    }
}

/// Docker's word for this machine: Go's.
fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn applies(call: &Call, here: &Here<'_>) -> Result<bool, Error> {
    let has = |c: &String| here.capabilities.contains(c);
    let here_by = |arches: &[String]| arches.iter().any(|a| a == machine());
    if let Some(f) = &call.excludes {
        let by_machine = f.arches.as_deref().is_some_and(here_by);
        let by_capability = f.caps.as_ref().is_some_and(|caps| caps.iter().any(has));
        if by_machine || by_capability || matches!(&f.min_kernel, Some(v) if at_least(here.kernel, v)?) {
            return Ok(false);
        }
    }
    if let Some(f) = &call.includes {
        let by_machine = f.arches.as_deref().is_none_or(|a| a.is_empty() || here_by(a));
        let by_capability = f.caps.as_ref().is_none_or(|caps| caps.iter().all(has));
        let by_kernel = match &f.min_kernel {
            Some(v) => at_least(here.kernel, v)?,
            None => true,
        };
        return Ok(by_machine && by_capability && by_kernel);
    }
    Ok(true)
}

fn convert(call: Call) -> Result<oci::LinuxSyscall, Error> {
    let names = match (call.name.filter(|n| !n.is_empty()), call.names) {
        (Some(name), None) => vec![name],
        (Some(name), Some(names)) if names.is_empty() => vec![name],
        (None, Some(names)) => names,
        (Some(name), Some(_)) => return invalid(&name, "give either name or names"),
        (None, None) => return invalid("syscalls", "a rule has no names"),
    };
    let mut out = oci::LinuxSyscall::default();
    out.set_names(names)
        .set_action(call.action)
        .set_errno_ret(call.errno_ret)
        .set_args(call.args.filter(|a| !a.is_empty()));
    Ok(out)
}

/// Whether a release such as `6.1.0-13-amd64` is at least a version such as `4.8`.
fn at_least(release: &str, version: &str) -> Result<bool, Error> {
    let numbers = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    let well_formed = version.split('.').count() == 2;
    let (Some(wanted), true) = (numbers(version), well_formed) else {
        return invalid("minKernel", "want major.minor, as in 4.8");
    };
    Ok(numbers(release).is_some_and(|have| have >= wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (release, version, yes) in [
            ("6.18.44-fc", "4.8", true),
            ("4.8.0", "4.8", true),
            ("4.7.10", "4.8", false),
            ("10.1", "9.9", true),
            ("x", "4.8", false),
        ] {
            assert_eq!(at_least(release, version).unwrap(), yes, "{release} {version}");
        }
        for bad in ["4", "4.8.1", "a.b", ""] {
            assert!(at_least("6.1", bad).is_err(), "{bad}");
        }
    }
}
