//! Mounts: `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's volumes become host paths with
//! every option written out, in the order in which they have to be mounted.

use std::path::Path;

use super::world::PathKind;
use super::{Inputs, invalid};
use crate::engine::error::{Error, Kind};
use crate::model::id::check_name;
use crate::model::image::ImageConfig;
use crate::model::mount::{MountKind, MountOptions, MountRequest, MountSpec, OverlayDirs};

/// A volume that has to be made for the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVolume {
    /// Its name; 64 hex digits where it is anonymous.
    pub name: String,
    /// It belongs to this container alone.
    pub anonymous: bool,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Driver options.
    pub options: Vec<(String, String)>,
}

/// Files of /proc that may be covered: what tells a container of its limits instead of the machine's. Anything else
/// there would lie to the programs that confine the container by it, which runc refuses too.
const PROC_FILES: [&str; 10] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
];

/// The outcome.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub(super) mounts: Vec<MountSpec>,
    pub(super) volumes: Vec<NewVolume>,
    pub(super) directories: Vec<String>,
}

pub(super) fn resolve(inputs: &Inputs<'_>, image: &ImageConfig) -> Result<Mounts, Error> {
    let mut out = Mounts::default();
    let o = inputs.options;
    let config = &inputs.config.containers;
    let configured = config.volumes.iter().map(|v| MountRequest::parse_volume(v));
    let configured = configured.chain(config.mounts.iter().map(|m| m.parse::<MountRequest>()));
    let configured: Vec<MountRequest> = configured.collect::<Result<_, _>>()?;
    let mut taken: Vec<String> = Vec::new();
    for request in &o.mounts {
        let target = target(request, inputs.config.podman)?;
        if request.kind != MountKind::Glob {
            if taken.contains(&target) {
                return Err(invalid(format!("Duplicate mount point: {target}")));
            }
            taken.push(target.clone());
        }
        if !is_anonymous(request) {
            one(inputs, request, target, &mut out)?;
        }
    }
    // Of several containers the last one counts.
    let own = out.mounts.len();
    for text in &o.volumes_from {
        from(inputs, text, own, &mut out)?;
    }
    // An anonymous volume gives way to what another container has there, as the image's volumes do.
    for request in o.mounts.iter().filter(|r| is_anonymous(r)).chain(&configured) {
        let target = target(request, inputs.config.podman)?;
        if !out.mounts.iter().any(|m| m.target == target) {
            one(inputs, request, target, &mut out)?;
        }
    }
    image_volumes(inputs, image, &mut out)?;
    // Parents before children; the order as given otherwise.
    out.mounts.sort_by_key(|m| m.target.split('/').filter(|p| !p.is_empty()).count());
    Ok(out)
}

fn is_anonymous(request: &MountRequest) -> bool {
    request.kind == MountKind::Volume && request.source.as_deref().is_none_or(str::is_empty)
}

/// A path without `.`, `..`, doubled and trailing slashes. `path` is absolute.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

fn target(request: &MountRequest, podman: bool) -> Result<String, Error> {
    let given = &request.target;
    let alone = request.kind == MountKind::Volume && request.source.is_none();
    let rooted = format!("/{given}");
    let given = if alone && !podman { &rooted } else { given };
    if !given.starts_with('/') {
        return Err(invalid(format!("invalid mount path: '{given}' mount path must be absolute")));
    }
    let target = clean(given);
    // A glob without a target: what it matches keeps its own paths.
    if target == "/" && request.kind != MountKind::Glob {
        return Err(invalid("invalid specification: destination can't be '/'"));
    }
    let below_proc = target.strip_prefix("/proc/");
    let from_proc = request.source.as_deref().is_some_and(|s| clean(s).starts_with("/proc/"));
    if below_proc.is_some_and(|file| !PROC_FILES.contains(&file)) && !from_proc {
        return Err(invalid(format!("{target:?} cannot be mounted because it is inside /proc")));
    }
    Ok(target)
}

fn one(inputs: &Inputs<'_>, request: &MountRequest, target: String, out: &mut Mounts) -> Result<(), Error> {
    let mut spec = base(request, target);
    if matches!(request.kind, MountKind::Bind | MountKind::Volume) {
        spec.read_only_below =
            spec.read_only && request.options.read_only_below.unwrap_or(!inputs.config.podman);
    }
    match request.kind {
        MountKind::Bind => bind(inputs, request, spec, out)?,
        MountKind::Volume => volume(inputs, request, spec, out)?,
        MountKind::Tmpfs | MountKind::Ramfs | MountKind::Devpts => {
            // Podman's users have what the image has there, unless they say otherwise.
            if request.kind == MountKind::Tmpfs && request.options.tmpcopyup.is_none() {
                spec.copy_up = inputs.config.podman;
            }
            if request.source.as_deref().is_some_and(|s| !s.is_empty() && s != "tmpfs") {
                return Err(invalid(
                    "invalid mount config for type \"tmpfs\": field Source must not be specified",
                ));
            }
            spec.flags.extend(fs_options(&request.options));
            // podman forbids programs in what --tmpfs makes, not in what --mount does.
            let said = |word: &str| spec.flags.iter().any(|flag| flag == word);
            if inputs.config.podman && request.options.typed.is_none() && !said("noexec") {
                spec.flags.push("exec".to_owned());
            }
            out.mounts.push(spec);
        }
        MountKind::Image => {
            let name = source(request, "image")?;
            let image = inputs.world.image(name)?;
            spec.name = Some(name.to_owned());
            spec.layers = image.layers;
            spec.read_only = request.options.read_only.unwrap_or(true);
            out.mounts.push(spec);
        }
        MountKind::Glob => glob(inputs, request, &spec, out)?,
    }
    Ok(())
}

/// What all kinds have in common.
fn base(request: &MountRequest, target: String) -> MountSpec {
    let MountOptions {
        read_only,
        read_only_below: _,
        propagation,
        non_recursive,
        flags,
        no_copy: _,
        chown,
        relabel: _,
        overlay,
        upper_dir,
        work_dir,
        idmap,
        subpath,
        tmpfs_size: _,
        tmpfs_mode: _,
        fs_options: _,
        tmpcopyup,
        volume_driver: _,
        volume_labels: _,
        volume_opts: _,
        typed: _,
        create_source: _,
        no_dereference: _,
    } = &request.options;
    MountSpec {
        kind: request.kind,
        name: None,
        source: String::new(),
        target,
        read_only: read_only.unwrap_or(false),
        read_only_below: false,
        recursive: !non_recursive,
        propagation: propagation.clone().unwrap_or_else(|| "rprivate".to_owned()),
        flags: flags.clone(),
        copy_up: matches!(request.kind, MountKind::Tmpfs) && *tmpcopyup == Some(true),
        give: false,
        anonymous: false,
        chown: *chown,
        overlay: overlay.then(|| OverlayDirs { upper: upper_dir.clone(), work: work_dir.clone() }),
        idmap: idmap.clone(),
        layers: Vec::new(),
        subpath: subpath.clone(),
    }
}

/// A mount as its request alone makes it, for the tables of other tests.
#[cfg(test)]
pub(super) fn tests_base(request: &MountRequest) -> MountSpec {
    base(request, request.target.clone())
}

fn fs_options(options: &MountOptions) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(size) = options.tmpfs_size {
        all.push(format!("size={}", size.0));
    }
    if let Some(mode) = options.tmpfs_mode {
        all.push(format!("mode={mode:o}"));
    }
    all.extend(options.fs_options.iter().cloned());
    all
}

fn source<'a>(request: &'a MountRequest, kind: &str) -> Result<&'a str, Error> {
    request.source.as_deref().filter(|s| !s.is_empty()).ok_or_else(|| {
        invalid(format!("invalid mount config for type \"{kind}\": field Source must not be empty"))
    })
}

pub(super) fn absolute(inputs: &Inputs<'_>, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&inputs.world.cwd().join(path).to_string_lossy()) }
}

fn bind(
    inputs: &Inputs<'_>,
    request: &MountRequest,
    mut spec: MountSpec,
    out: &mut Mounts,
) -> Result<(), Error> {
    spec.source = absolute(inputs, source(request, "bind")?);
    if inputs.world.path(Path::new(&spec.source)) == PathKind::Missing {
        if !request.options.create_source {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "invalid mount config for type \"bind\": bind source path does not exist: {}",
                    spec.source
                ),
            )
            .hint("make it first, or use -v, which makes it"));
        }
        out.directories.push(spec.source.clone());
    }
    if request.options.subpath.is_some() {
        return Err(invalid("subpath is for volumes and images; name the directory itself as the source"));
    }
    out.mounts.push(spec);
    Ok(())
}

fn volume(
    inputs: &Inputs<'_>,
    request: &MountRequest,
    mut spec: MountSpec,
    out: &mut Mounts,
) -> Result<(), Error> {
    let options = &request.options;
    if let Some(mode) = options.propagation.as_deref().filter(|p| !p.ends_with("private")) {
        return Err(invalid(format!(
            "invalid mount config for type \"volume\": {mode:?} is for host directories only"
        )));
    }
    if let Some(driver) = options.volume_driver.as_deref().filter(|d| !d.is_empty() && *d != "local") {
        return Err(Error::new(
            Kind::Unsupported,
            format!("volume driver {driver:?} is not supported: only local volumes exist"),
        ));
    }
    let (name, anonymous) = match request.source.as_deref().filter(|s| !s.is_empty()) {
        Some(name) => {
            check_name("volume name", name).map_err(|_| {
                invalid(format!(
                    "{name:?} includes invalid characters for a local volume name, only \
                     \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed"
                ))
                .hint("if you intended to pass a host directory, use an absolute path")
            })?;
            (name.to_owned(), false)
        }
        None => (inputs.world.random_name(), true),
    };
    spec.source = inputs.world.volume_path(&name).to_string_lossy().into_owned();
    spec.anonymous = anonymous;
    if options.subpath.as_deref().is_some_and(|path| path.starts_with('/')) && !inputs.config.podman {
        return Err(invalid("subpath must be a relative path within the volume"));
    }
    if inputs.config.podman {
        for (careful, opposite) in [("nosuid", "suid"), ("nodev", "dev")] {
            if !spec.flags.iter().any(|flag| flag == careful || flag == opposite) {
                spec.flags.push(careful.to_owned());
            }
        }
    }
    // podman fills a part of a volume, too.
    spec.give = inputs.config.podman;
    spec.copy_up = !options.no_copy && (options.subpath.is_none() || inputs.config.podman);
    if inputs.world.volume(&name)?.is_none() && !out.volumes.iter().any(|v| v.name == name) {
        out.volumes.push(NewVolume {
            name: name.clone(),
            anonymous,
            labels: options.volume_labels.clone(),
            options: options.volume_opts.clone(),
        });
    }
    spec.name = Some(name);
    out.mounts.push(spec);
    Ok(())
}

/// Each match of the glob is bound beneath the target, under its own file name.
fn glob(
    inputs: &Inputs<'_>,
    request: &MountRequest,
    spec: &MountSpec,
    out: &mut Mounts,
) -> Result<(), Error> {
    let pattern = absolute(inputs, source(request, "glob")?);
    let matches = inputs.world.glob(&pattern);
    if matches.is_empty() {
        return Err(invalid(format!("no host path matches the glob {pattern}")));
    }
    for path in matches {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        out.mounts.push(MountSpec {
            kind: MountKind::Bind,
            source: path.to_string_lossy().into_owned(),
            target: match spec.target.as_str() {
                "/" => path.to_string_lossy().into_owned(),
                target => format!("{target}/{name}"),
            },
            ..spec.clone()
        });
    }
    Ok(())
}

/// `--volumes-from NAME[:ro|rw|z]`: its binds and volumes, unless one of the first `own` mounts is there already.
fn from(inputs: &Inputs<'_>, text: &str, own: usize, out: &mut Mounts) -> Result<(), Error> {
    let (name, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut read_only, mut labelled) = (None, false);
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" | "rw" if read_only.is_none() => read_only = Some(option == "ro"),
            "z" | "Z" if labelled && inputs.config.podman => {
                return Err(invalid(format!("invalid --volumes-from {text}: {option} is said twice")));
            }
            "z" | "Z" => labelled = true,
            other => return Err(invalid(format!("invalid mode: {other} in --volumes-from {text}"))),
        }
    }
    for mount in inputs.world.container(name)?.mounts {
        if !matches!(mount.kind, MountKind::Bind | MountKind::Volume | MountKind::Image)
            || out.mounts[..own].iter().any(|m| m.target == mount.target)
        {
            continue;
        }
        let mut at = 0;
        out.mounts.retain(|m| {
            at += 1;
            at <= own || m.target != mount.target
        });
        // What the owner may only read, a borrower may not write.
        let read_only = read_only.unwrap_or(false) || mount.read_only;
        // The volume stays its owner's: `rm -v` of the borrower leaves it alone, and its image fills nothing.
        let read_only_below = mount.read_only_below || read_only && !inputs.config.podman;
        let own =
            MountSpec { read_only, read_only_below, anonymous: false, copy_up: false, give: false, ..mount };
        out.mounts.push(own);
    }
    Ok(())
}

fn image_volumes(inputs: &Inputs<'_>, image: &ImageConfig, out: &mut Mounts) -> Result<(), Error> {
    let kind = match inputs.options.image_volume.as_deref() {
        None | Some("" | "anonymous" | "bind") => MountKind::Volume,
        Some("tmpfs") => MountKind::Tmpfs,
        Some("ignore") => return Ok(()),
        Some(other) => {
            return Err(invalid(format!(
                "invalid image-volume type {other:?}: use anonymous, tmpfs or ignore"
            )));
        }
    };
    for path in &image.volumes {
        let request = MountRequest {
            kind,
            source: None,
            target: if path.starts_with('/') { path.clone() } else { format!("/{path}") },
            options: MountOptions {
                // An image's directory keeps what it could do.
                flags: if kind == MountKind::Tmpfs { vec!["exec".to_owned()] } else { Vec::new() },
                ..MountOptions::default()
            },
        };
        let target = target(&request, inputs.config.podman)?;
        if out.mounts.iter().any(|m| m.target == target) {
            continue;
        }
        one(inputs, &request, target, out)?;
    }
    Ok(())
}
