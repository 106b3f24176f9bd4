//! The process: argv by docker's entrypoint rules, environment, user, directory, limits.

use super::security::capabilities;
use super::{Inputs, PathKind, invalid};
use crate::engine::error::Error;
use crate::engine::host::Host;
use crate::model::image::ImageConfig;
use crate::model::namespace::UserNsMode;
use crate::model::process::{ProcessOptions, ProcessSpec, Rlimit};
use crate::runtime::defaults::PATH_ENV;

/// Descriptors that a container may open where nobody says otherwise; docker's and podman's default here.
const NOFILE: u64 = 1_048_576;

pub(super) fn resolve(
    inputs: &Inputs<'_>,
    image: &ImageConfig,
    hostname: &str,
    warnings: &mut Vec<String>,
) -> Result<ProcessSpec, Error> {
    let ProcessOptions {
        args,
        entrypoint,
        env: _,
        env_merge: _,
        unset_env: _,
        unset_env_all: _,
        user,
        group_add,
        workdir,
        tty,
        interactive,
        cap_add,
        cap_drop,
        privileged,
        rlimits,
        umask,
        oom_score_adj,
        init,
        preserve_fds,
        preserve_fd,
    } = &inputs.options.process;
    let (entrypoint, cmd) = command(image, entrypoint.as_deref(), args);
    let argv: Vec<String> = entrypoint.iter().chain(&cmd).cloned().collect();
    if argv.is_empty() {
        return Err(invalid("no command specified")
            .hint("the image names no command: give one after the image's name"));
    }
    if argv[0].is_empty() {
        return Err(invalid("the command is an empty string"));
    }
    let oom_score_adj = oom_score_adj.or(inputs.config.containers.oom_score_adj);
    if let Some(adj) = oom_score_adj
        && !(-1000..=1000).contains(&adj)
    {
        return Err(invalid(format!("Invalid value {adj}, range for oom score adj is [-1000, 1000].")));
    }
    let bounding = inputs.host.bounding_capabilities();
    let defaults = inputs.config.containers.default_capabilities.as_deref();
    Ok(ProcessSpec {
        entrypoint,
        cmd,
        argv,
        env: environment(inputs, image, hostname),
        user: user.clone().or_else(|| kept_user(inputs)).unwrap_or_else(|| image.user.clone()),
        group_add: group_add.clone(),
        cwd: cwd(workdir.as_deref(), &image.working_dir)?,
        // podman makes that of the image alone.
        cwd_must_exist: inputs.config.podman && workdir.is_some(),
        tty: *tty,
        interactive: *interactive,
        capabilities: match wanted_capabilities(inputs, image) {
            Some(wanted) if !privileged => {
                let allowed = capabilities(defaults, cap_add, cap_drop, false, bounding)?;
                narrowed(allowed, &wanted, warnings)?
            }
            _ => capabilities(defaults, cap_add, cap_drop, *privileged, bounding)?,
        },
        ambient: if inputs.config.podman && !privileged {
            capabilities(Some(&[]), cap_add, &[], false, bounding)?
        } else {
            Vec::new()
        },
        rlimits: limits(rlimits, &inputs.config.containers.default_ulimits, inputs.host)?,
        umask: umask.or(inputs.config.containers.umask).unwrap_or(0o022),
        oom_score_adj,
        init: init.unwrap_or(inputs.config.containers.init),
        init_path: init_path(inputs)?,
        no_new_privileges: inputs.options.security.no_new_privileges,
        preserve_fds: *preserve_fds,
        preserve_fd: preserve_fd.clone(),
    })
}

/// The user of `--userns=keep-id`.
fn kept_user(inputs: &Inputs<'_>) -> Option<String> {
    let Some(UserNsMode::Other(text)) = &inputs.options.namespaces.user else { return None };
    super::userns::kept_user(text).map(|(uid, gid)| format!("{uid}:{gid}"))
}

/// podman's label by which an image or its user says which capabilities are enough.
const CAPABILITIES_LABEL: &str = "io.containers.capabilities";

fn wanted_capabilities(inputs: &Inputs<'_>, image: &ImageConfig) -> Option<Vec<String>> {
    let own = inputs.options.labels.iter().chain(&image.labels);
    let text = own.filter(|_| inputs.config.podman).find(|(key, _)| key == CAPABILITIES_LABEL)?;
    Some(text.1.split(',').map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect())
}

/// The wanted ones, where all are allowed; else they are not heeded, which is said.
fn narrowed(
    allowed: Vec<String>,
    wanted: &[String],
    warnings: &mut Vec<String>,
) -> Result<Vec<String>, Error> {
    let mut set = wanted.iter().map(|c| super::security::normal(c)).collect::<Result<Vec<_>, _>>()?;
    let beyond: Vec<&str> = set.iter().filter(|c| !allowed.contains(c)).map(String::as_str).collect();
    if !beyond.is_empty() {
        let names = beyond.join(",");
        warnings
            .push(format!("Capabilities requested by user or image are not allowed by default: \"{names}\""));
        return Ok(allowed);
    }
    set.sort();
    set.dedup();
    Ok(set)
}

/// Docker's rules: a given entrypoint drops the image's Cmd; given arguments replace Cmd.
fn command(
    image: &ImageConfig,
    entrypoint: Option<&[String]>,
    args: &[String],
) -> (Vec<String>, Vec<String>) {
    match entrypoint {
        Some(own) => {
            // `--entrypoint ""` arrives as an empty list, or as one empty text.
            let own: Vec<String> =
                if own.len() == 1 && own[0].is_empty() { Vec::new() } else { own.to_vec() };
            (own, args.to_vec())
        }
        None if args.is_empty() => (image.entrypoint.clone(), image.cmd.clone()),
        None => (image.entrypoint.clone(), args.to_vec()),
    }
}

fn environment(inputs: &Inputs<'_>, image: &ImageConfig, hostname: &str) -> Vec<String> {
    let o = &inputs.options.process;
    let mut env = vec![format!("HOSTNAME={hostname}")];
    if !o.unset_env_all {
        env.insert(0, format!("PATH={PATH_ENV}"));
        if o.tty {
            env.push("TERM=xterm".to_owned());
        }
        if inputs.config.podman {
            env.push("container=podman".to_owned());
        }
        env_merge(&mut env, image.env.iter().map(String::as_str));
        env_merge(&mut env, inputs.config.containers.env.iter().map(String::as_str));
        if inputs.options.http_proxy.unwrap_or(inputs.config.containers.http_proxy) {
            let proxies: Vec<String> =
                inputs.config.proxies.iter().map(|(n, v)| format!("{n}={v}")).collect();
            env_merge(&mut env, proxies.iter().map(String::as_str));
        }
    }
    let host: Vec<String> = inputs.config.host_env.iter().map(|(n, v)| format!("{n}={v}")).collect();
    env_merge(&mut env, host.iter().map(String::as_str));
    env.retain(|e| {
        let name = e.split_once('=').map_or(e.as_str(), |(n, _)| n);
        !o.unset_env.iter().any(|u| u == name)
    });
    let own: Vec<String> = o.env.iter().map(|(n, v)| format!("{n}={v}")).collect();
    env_merge(&mut env, own.iter().map(String::as_str));
    for (name, text) in &o.env_merge {
        let merged = format!("{name}={}", expand(text, &env));
        env_merge(&mut env, std::iter::once(merged.as_str()));
    }
    env
}

/// Replaces `${NAME}` and `$NAME` by the values in `env`; an unknown name is empty, as in a shell.
fn expand(text: &str, env: &[String]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let word = |s: &str| s.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(s.len());
        let (name, tail) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(pair) => pair,
            None => rest.split_at(word(rest)),
        };
        if name.is_empty() {
            out.push('$');
            continue;
        }
        let value = env.iter().find_map(|e| e.split_once('=').filter(|(n, _)| *n == name).map(|(_, v)| v));
        out.push_str(value.unwrap_or_default());
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Adds `NAME=value` entries; one that exists is replaced in its place. An entry without `=` removes the name, as docker's
/// `-e NAME` with an unset variable does.
pub fn env_merge<'a>(env: &mut Vec<String>, add: impl Iterator<Item = &'a str>) {
    for entry in add {
        let Some((name, _)) = entry.split_once('=') else {
            env.retain(|e| e.split_once('=').map_or(e.as_str(), |(n, _)| n) != entry);
            continue;
        };
        let slot = env.iter_mut().find(|e| e.split_once('=').is_some_and(|(n, _)| n == name));
        match slot {
            Some(slot) => entry.clone_into(slot),
            None => env.push(entry.to_owned()),
        }
    }
}

fn cwd(own: Option<&str>, image: &str) -> Result<String, Error> {
    let dir = own.unwrap_or(image);
    if dir.is_empty() {
        return Ok("/".to_owned());
    }
    if !dir.starts_with('/') {
        return Err(invalid(format!(
            "the working directory '{dir}' is invalid, it needs to be an absolute path"
        )));
    }
    Ok(super::mounts::clean(dir))
}

/// `--init-path`: a file of the host, which is mounted.
fn init_path(inputs: &Inputs<'_>) -> Result<Option<String>, Error> {
    let Some(given) = inputs.options.init_path.as_deref().filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = inputs.world.cwd().join(given);
    if inputs.world.path(&path) != PathKind::File {
        return Err(invalid(format!("--init-path {given}: there is no such file")));
    }
    Ok(Some(path.display().to_string()))
}

fn limits(own: &[Rlimit], defaults: &[String], host: &Host) -> Result<Vec<Rlimit>, Error> {
    let mut all: Vec<Rlimit> =
        vec![Rlimit { kind: "RLIMIT_NOFILE".to_owned(), soft: NOFILE, hard: NOFILE, asked: false }];
    let configured = defaults
        .iter()
        .map(|text| text.parse::<Rlimit>().map(|l| Rlimit { asked: false, ..l }).map_err(Error::from));
    for limit in configured.chain(own.iter().cloned().map(|l| Ok(Rlimit { asked: true, ..l }))) {
        let limit = limit?;
        if limit.kind == Rlimit::HOST {
            all = host.rlimits();
            continue;
        }
        if limit.soft > limit.hard {
            return Err(invalid(format!(
                "ulimit {}: the soft limit {} is above the hard limit {}",
                limit.kind.trim_start_matches("RLIMIT_").to_ascii_lowercase(),
                limit.soft,
                limit.hard
            )));
        }
        match all.iter_mut().find(|l| l.kind == limit.kind) {
            Some(slot) => *slot = limit,
            None => all.push(limit),
        }
    }
    Ok(all)
}

/// The capabilities of an `exec`: the container's own, with more only for `--privileged`.
///
/// # Errors
/// An unknown capability.
pub fn exec_capabilities(
    container: &[String],
    options: &ProcessOptions,
    bounding: &[String],
) -> Result<Vec<String>, Error> {
    if options.privileged {
        return capabilities(None, &[], &[], true, bounding);
    }
    capabilities(Some(container), &options.cap_add, &options.cap_drop, false, bounding)
}
