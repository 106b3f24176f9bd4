//! Security: capability sets by docker's rules, seccomp, hidden and read-only paths, labels.

use super::{Inputs, invalid};
use crate::engine::error::{Error, Kind};
use crate::model::security::{SeccompChoice, SecurityOptions, SecuritySpec};
use crate::runtime::defaults;

pub(super) fn resolve(inputs: &Inputs<'_>, warnings: &mut Vec<String>) -> Result<SecuritySpec, Error> {
    let SecurityOptions {
        seccomp,
        seccomp_of_image,
        apparmor,
        labels,
        no_new_privileges: _,
        mask,
        unmask,
        proc_opts,
        systempaths_unconfined,
        writable_cgroups,
    } = &inputs.options.security;
    let privileged = inputs.options.process.privileged;
    let open = privileged || *systempaths_unconfined;
    if !labels.is_empty() && !inputs.host.selinux() && labels.iter().any(|l| l != "disable") {
        warnings.push("--security-opt label= has no effect: this kernel has no SELinux".to_owned());
    }
    Ok(SecuritySpec {
        privileged,
        seccomp: match (seccomp, if *seccomp_of_image { profile_of_image(inputs)? } else { None }) {
            (Some(choice), _) => choice.clone(),
            (None, Some(profile)) => profile,
            (None, None) if privileged => SeccompChoice::Unconfined,
            (None, None) => configured_seccomp(inputs)?,
        },
        apparmor: apparmor_profile(apparmor.as_deref(), inputs)?,
        // `label = false` of containers.conf is `--security-opt label=disable` for those who say nothing.
        selinux_label: match inputs.config.containers.label {
            Some(false) if labels.is_empty() => None,
            _ => selinux_label(labels, inputs)?,
        },
        masked_paths: if open {
            mask_list(&[], mask, unmask)
        } else {
            mask_list(defaults::MASKED_PATHS, mask, unmask)
        },
        readonly_paths: if open { Vec::new() } else { mask_list(defaults::READONLY_PATHS, &[], unmask) },
        writable_cgroups: *writable_cgroups,
        proc_opts: proc_opts.clone(),
        as_typed: as_typed(&inputs.options.security),
    })
}

/// The policy in podman's label of the image.
fn profile_of_image(inputs: &Inputs<'_>) -> Result<Option<SeccompChoice>, Error> {
    let labels = inputs.image.map(|i| &i.config.labels);
    let label = labels.and_then(|all| all.iter().find(|(key, _)| key == "io.containers.seccomp.profile"));
    let Some((key, json)) = label else { return Ok(None) };
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).map_err(|e| {
        let first = json.trim_start().chars().next().filter(|c| *c != '{');
        let why = first.map_or_else(|| e.to_string(), |c| format!("it begins with {c:?}"));
        invalid(format!("loading seccomp profile failed: decoding seccomp profile failed: {why}"))
            .hint(format!("it is the image's label {key}"))
    })?;
    Ok(Some(SeccompChoice::Profile { path: format!("label {key}"), json: json.clone() }))
}

fn configured_seccomp(inputs: &Inputs<'_>) -> Result<SeccompChoice, Error> {
    let Some(path) = &inputs.config.containers.seccomp_profile else { return Ok(SeccompChoice::Default) };
    let json = std::fs::read_to_string(path).map_err(|e| {
        Error::with_source(
            Kind::Invalid,
            format!("reading the seccomp profile {} of containers.conf", path.display()),
            e,
        )
    })?;
    Ok(SeccompChoice::Profile { path: path.display().to_string(), json })
}

fn apparmor_profile(asked: Option<&str>, inputs: &Inputs<'_>) -> Result<Option<String>, Error> {
    match asked {
        None | Some("") => Ok(None),
        Some("unconfined") => Ok(Some("unconfined".to_owned())),
        Some(profile) if !inputs.host.apparmor() => Err(Error::new(
            Kind::Unsupported,
            format!("--security-opt apparmor={profile} is not possible: this kernel has no AppArmor"),
        )),
        Some(profile) => Ok(Some(profile.to_owned())),
    }
}

fn selinux_label(labels: &[String], inputs: &Inputs<'_>) -> Result<Option<String>, Error> {
    if labels.is_empty() || labels.iter().any(|l| l == "disable") || !inputs.host.selinux() {
        return Ok(None);
    }
    let mut parts = ["system_u", "system_r", "container_t", "s0"].map(str::to_owned);
    for label in labels {
        let (key, value) = label
            .split_once(':')
            .ok_or_else(|| invalid(format!("invalid --security-opt label={label}: want KEY:VALUE")))?;
        let slot = match key {
            "user" => 0,
            "role" => 1,
            "type" => 2,
            "level" => 3,
            _ => return Err(invalid(format!("invalid --security-opt label={label}: unknown key {key}"))),
        };
        value.clone_into(&mut parts[slot]);
    }
    Ok(Some(parts.join(":")))
}

/// Default paths and asked-for ones without the unmasked ones; `ALL` unmasks everything.
fn mask_list(defaults: &[&str], mask: &[String], unmask: &[String]) -> Vec<String> {
    let unmasked = |path: &str| {
        unmask.iter().any(|pattern| {
            pattern == "ALL"
                || pattern == path
                || globset::Glob::new(pattern).is_ok_and(|g| g.compile_matcher().is_match(path))
        })
    };
    let kept = defaults.iter().filter(|p| !unmasked(p)).map(|p| (*p).to_owned());
    kept.chain(mask.iter().cloned()).collect()
}

/// The CDI names that `--gpus` means: `all`, a number, or `device=0,2`; with docker's quotes.
pub(super) fn gpus(text: &str) -> Result<Vec<String>, Error> {
    let name = |device: &str| format!("nvidia.com/gpu={device}");
    let text = text.trim_matches('"');
    if text == "all" || text == "-1" {
        return Ok(vec![name("all")]);
    }
    if let Ok(count) = text.parse::<u16>() {
        return Ok((0..count).map(|n| name(&n.to_string())).collect());
    }
    let mut out = Vec::new();
    let mut devices = false;
    for field in text.split(',') {
        match field.trim_matches('"').split_once('=') {
            Some(("device", first)) => {
                devices = true;
                out.push(name(first.trim_matches('"')));
            }
            Some(("count", "all" | "-1")) => out.push(name("all")),
            Some(("driver", "nvidia" | "cdi") | ("capabilities", _)) => devices = false,
            Some(("count", count)) => {
                let count: u16 =
                    count.parse().map_err(|_| invalid(format!("invalid --gpus count {count:?}")))?;
                out.extend((0..count).map(|n| name(&n.to_string())));
            }
            None if devices => out.push(name(field.trim_matches('"'))),
            _ => {
                return Err(invalid(format!("invalid --gpus {text:?}: want all, a number, or device=ID,ID")));
            }
        }
    }
    // Capabilities alone mean every device.
    Ok(if out.is_empty() { vec![name("all")] } else { out })
}

fn as_typed(options: &SecurityOptions) -> Vec<String> {
    let mut all = Vec::new();
    match &options.seccomp {
        Some(SeccompChoice::Unconfined) => all.push("seccomp=unconfined".to_owned()),
        Some(SeccompChoice::Profile { path, .. }) => all.push(format!("seccomp={path}")),
        Some(SeccompChoice::Default) | None => {}
    }
    if let Some(profile) = &options.apparmor {
        all.push(format!("apparmor={profile}"));
    }
    all.extend(options.labels.iter().map(|l| format!("label={l}")));
    if options.no_new_privileges {
        all.push("no-new-privileges".to_owned());
    }
    if !options.mask.is_empty() {
        all.push(format!("mask={}", options.mask.join(":")));
    }
    if !options.unmask.is_empty() {
        all.push(format!("unmask={}", options.unmask.join(":")));
    }
    if !options.proc_opts.is_empty() {
        all.push(format!("proc-opts={}", options.proc_opts.join(",")));
    }
    if options.systempaths_unconfined {
        all.push("systempaths=unconfined".to_owned());
    }
    if options.writable_cgroups {
        all.push("writable-cgroups=true".to_owned());
    }
    all
}

pub(super) fn normal(text: &str) -> Result<String, Error> {
    let upper = text.to_ascii_uppercase();
    if upper == "ALL" {
        return Ok(upper);
    }
    let name = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    if defaults::ALL_CAPABILITIES.contains(&name.as_str()) {
        Ok(name)
    } else {
        Err(invalid(format!("invalid capability: unknown capability {text:?}"))
            .hint("names as in capabilities(7), with or without CAP_, or ALL"))
    }
}

/// The capability set by docker's rules, sorted. `bounding` is what this process can give at all: a default beyond it is
/// left out, one that was asked for by name is an error.
pub(super) fn capabilities(
    defaults_set: Option<&[String]>,
    add: &[String],
    drop: &[String],
    privileged: bool,
    bounding: &[String],
) -> Result<Vec<String>, Error> {
    let add: Vec<String> = add.iter().map(|c| normal(c)).collect::<Result<_, _>>()?;
    let drop: Vec<String> = drop.iter().map(|c| normal(c)).collect::<Result<_, _>>()?;
    let can = |c: &str| bounding.iter().any(|b| b == c);
    for asked in add.iter().filter(|c| *c != "ALL") {
        if !can(asked) {
            return Err(Error::new(
                Kind::Unsupported,
                format!("--cap-add {asked} is not possible: rcon itself runs without that capability"),
            ));
        }
        if drop.contains(asked) {
            return Err(invalid(format!("capability {asked:?} cannot be dropped and added")));
        }
    }
    let everything = || defaults::ALL_CAPABILITIES.iter().map(|c| (*c).to_owned());
    let mut set: Vec<String> = if privileged || add.iter().any(|c| c == "ALL") {
        everything().collect()
    } else if drop.iter().any(|c| c == "ALL") {
        Vec::new()
    } else if let Some(own) = defaults_set {
        own.iter().map(|c| normal(c)).collect::<Result<_, _>>()?
    } else {
        defaults::CAPABILITIES.iter().map(|c| (*c).to_owned()).collect()
    };
    set.extend(add.into_iter().filter(|c| c != "ALL"));
    set.retain(|c| can(c) && !drop.contains(c));
    set.sort();
    set.dedup();
    Ok(set)
}

#[cfg(test)]
mod tests {
    #[test]
    fn gpus_by_dockers_grammar() {
        let names = |text| super::gpus(text).map(|l| l.join(" ").replace("nvidia.com/gpu=", "")).ok();
        assert_eq!(names("all").as_deref(), Some("all"));
        assert_eq!(names("2").as_deref(), Some("0 1"));
        assert_eq!(names("\"device=0,GPU-x\",capabilities=utility").as_deref(), Some("0 GPU-x"));
        assert_eq!(names("capabilities=compute").as_deref(), Some("all"));
        assert_eq!(names("nonsense"), None);
    }
}
