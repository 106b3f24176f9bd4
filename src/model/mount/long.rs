//! The long syntax: `--mount type=…,source=…,target=…,…`.

use std::str::FromStr;

use super::short::{bind_option, check_target, tmpfs_option};
use super::{MountKind, MountOptions, MountRequest, csv};
use crate::model::ParseError;
use crate::model::id::check_name;

impl FromStr for MountRequest {
    type Err = ParseError;

    /// `--mount`. The type is `volume` unless said; keys are docker's and podman's.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: String| ParseError::new("mount", text, why);
        let fields = csv::fields(text)?;
        let kind = kind_of(&fields).map_err(bad)?;
        let mut mount = Self { kind, source: None, target: String::new(), options: MountOptions::default() };
        contradictions(kind, &fields).map_err(bad)?;
        for field in &fields {
            let (key, value) = match field.split_once('=') {
                Some((k, v)) => (k, Some(v)),
                None => (field.as_str(), None),
            };
            if !set_place(&mut mount, key, value).map_err(bad)? {
                set_option(&mut mount, field, key, value).map_err(bad)?;
            }
        }
        check(&mut mount, text)?;
        Ok(mount)
    }
}

/// What says two things of one matter: podman's words beside docker's, which may be said twice.
fn contradictions(kind: MountKind, fields: &[String]) -> Result<(), String> {
    let keys = || fields.iter().map(|f| f.split_once('=').map_or(f.as_str(), |(key, _)| key));
    let count = |words: &[&str]| keys().filter(|key| words.contains(key)).count();
    if count(&["rw", "readwrite"]) > 0 && count(&["ro", "readonly", "rw", "readwrite"]) > 1 {
        return Err("readonly, ro and rw are said together".to_owned());
    }
    if count(&["tmpcopyup"]) > 0 && count(&["notmpcopyup"]) > 0 {
        return Err("tmpcopyup and notmpcopyup are said together".to_owned());
    }
    match keys().find(|key| matches!(*key, "tmpcopyup" | "notmpcopyup")) {
        Some(key) if kind == MountKind::Bind => Err(format!("{key} is not for a bind mount")),
        _ => Ok(()),
    }
}

fn kind_of(fields: &[String]) -> Result<MountKind, String> {
    let mut kind = MountKind::Volume;
    for value in fields.iter().filter_map(|f| f.strip_prefix("type=")) {
        kind = match value.to_ascii_lowercase().as_str() {
            "bind" => MountKind::Bind,
            "volume" => MountKind::Volume,
            "tmpfs" => MountKind::Tmpfs,
            "ramfs" => MountKind::Ramfs,
            "image" => MountKind::Image,
            "devpts" => MountKind::Devpts,
            "glob" => MountKind::Glob,
            "npipe" => return Err("type npipe is for Windows".to_owned()),
            other => {
                return Err(format!(
                    "invalid mount type {other:?}: want bind, volume, tmpfs, ramfs, image, devpts or glob"
                ));
            }
        };
    }
    Ok(kind)
}

/// `type`, `source` and `target` with their spellings; true if the key was one of them.
fn set_place(mount: &mut MountRequest, key: &str, value: Option<&str>) -> Result<bool, String> {
    let needed = || value.filter(|v| !v.is_empty()).ok_or_else(|| format!("{key} needs a value"));
    match key {
        "type" => {
            needed()?;
        }
        "source" | "src" => mount.source = Some(needed()?.to_owned()),
        "target" | "dst" | "dest" | "destination" => needed()?.clone_into(&mut mount.target),
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_option(mount: &mut MountRequest, field: &str, key: &str, value: Option<&str>) -> Result<(), String> {
    let kind = mount.kind;
    let options = &mut mount.options;
    let on = || switch(key, value);
    match key {
        "readonly" | "ro" => options.read_only = Some(on()?),
        "rw" | "readwrite" => options.read_only = Some(!on()?),
        "bind-propagation" => bind_option(options, value.unwrap_or_default())
            .map_err(|_| format!("unexpected key '{key}' in '{field}'"))?,
        "bind-nonrecursive" => options.non_recursive = on()?,
        "bind-recursive" => match value {
            Some("enabled") => options.non_recursive = false,
            Some("disabled") => options.non_recursive = true,
            Some("writable") => options.read_only_below = Some(false),
            Some("readonly") => options.read_only_below = Some(true),
            _ => {
                return Err(format!("invalid value for {key}: want enabled, disabled, writable or readonly"));
            }
        },
        "consistency" => {}
        "relabel" => {
            options.relabel = Some(match value {
                Some("shared") => 'z',
                Some("private") => 'Z',
                _ => return Err("relabel must be shared or private".to_owned()),
            });
        }
        "U" | "chown" => options.chown = on()?,
        "no-dereference" => options.no_dereference = on()?,
        "idmap" => options.idmap = Some(value.unwrap_or_default().to_owned()),
        "create-mountpoint" | "bind-create-src" => options.create_source = on()?,
        "subpath" | "volume-subpath" | "image-subpath" => {
            options.subpath = Some(value.unwrap_or_default().to_owned());
        }
        "volume-nocopy" | "nocopy" => options.no_copy = on()?,
        "volume-driver" => options.volume_driver = value.map(str::to_owned),
        "volume-label" => options.volume_labels.push(pair(value.unwrap_or_default())),
        "volume-opt" => options.volume_opts.push(pair(value.unwrap_or_default())),
        "tmpfs-size" => tmpfs_option(options, &format!("size={}", value.unwrap_or_default()))?,
        "tmpfs-mode" => tmpfs_option(options, &format!("mode={}", value.unwrap_or_default()))?,
        "size" | "mode" | "uid" | "gid" | "tmpcopyup" | "notmpcopyup" | "noswap" | "nr_inodes" | "max"
        | "ptmxmode"
            if !matches!(kind, MountKind::Bind | MountKind::Volume | MountKind::Glob) =>
        {
            match (kind, key) {
                (MountKind::Devpts, _) => options.fs_options.push(field.to_owned()),
                _ => tmpfs_option(options, field)?,
            }
        }
        _ => bind_option(options, field).map_err(|_| match value {
            Some(_) => format!("unexpected key '{key}' in '{field}'"),
            None => format!("invalid field '{field}' must be a key=value pair"),
        })?,
    }
    Ok(())
}

fn switch(key: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("1" | "true") => Ok(true),
        Some("0" | "false") => Ok(false),
        Some(v) => Err(format!("invalid value for {key}: {v}: want true or false")),
    }
}

fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

/// What the kind needs and what it does not take.
fn check(mount: &mut MountRequest, text: &str) -> Result<(), ParseError> {
    let bad = |why: &str| Err(ParseError::new("mount", text, why));
    let source = mount.source.as_deref();
    if mount.target.is_empty() {
        match (mount.kind, source) {
            // podman: the matches of a glob keep their own paths.
            (MountKind::Glob, Some(_)) => "/".clone_into(&mut mount.target),
            _ => return bad("target is required"),
        }
    } else {
        check_target("mount", text, &mount.target)?;
    }
    match mount.kind {
        MountKind::Bind | MountKind::Glob | MountKind::Image if source.is_none() => {
            return bad("source is required for this type");
        }
        MountKind::Bind if !source.is_some_and(|s| s.starts_with(['/', '.'])) => {
            return bad("the source of a bind mount must be an absolute path, or begin with ./ or ../");
        }
        MountKind::Tmpfs | MountKind::Ramfs | MountKind::Devpts if source.is_some() => {
            return bad("source must not be specified for this type");
        }
        MountKind::Volume => {
            if let Some(name) = source {
                check_name("mount", name).map_err(|e| ParseError::new("mount", text, e.why))?;
            }
        }
        _ => {}
    }
    let o = &mount.options;
    if o.read_only_below == Some(true) && o.read_only != Some(true) {
        return bad("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
    }
    if o.read_only_below == Some(true) && o.propagation.as_deref() != Some("rprivate") {
        return bad(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
        );
    }
    if mount.kind != MountKind::Volume
        && (o.volume_driver.is_some() || !o.volume_labels.is_empty() || !o.volume_opts.is_empty())
    {
        return bad("cannot mix 'volume-*' options with this mount type");
    }
    if mount.kind != MountKind::Tmpfs
        && mount.kind != MountKind::Ramfs
        && (o.tmpfs_size.is_some() || o.tmpfs_mode.is_some())
    {
        return bad("cannot mix 'tmpfs-*' options with this mount type");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<MountRequest, String> {
        text.parse().map_err(|e: ParseError| e.why)
    }

    #[test]
    fn each_kind() {
        for (text, kind) in [
            ("type=bind,source=/a,target=/b", MountKind::Bind),
            ("type=bind,src=./a,dst=/b,ro", MountKind::Bind),
            ("source=v,target=/b", MountKind::Volume),
            ("target=/b", MountKind::Volume),
            ("type=tmpfs,target=/b,tmpfs-size=1m,tmpfs-mode=1770", MountKind::Tmpfs),
            ("type=image,source=busybox,target=/b,subpath=etc,rw=true", MountKind::Image),
            ("type=devpts,destination=/dev/pts,uid=1,max=10", MountKind::Devpts),
            ("type=glob,src=/usr/lib/lib*,destination=/b,ro", MountKind::Glob),
            ("type=glob,src=/usr/lib/lib*", MountKind::Glob),
            ("type=ramfs,target=/b", MountKind::Ramfs),
        ] {
            assert_eq!(parse(text).map(|m| m.kind), Ok(kind), "{text}");
        }
    }

    #[test]
    fn options() {
        let m = parse(
            "type=bind,source=/a,target=/b,readonly,bind-propagation=rshared,bind-nonrecursive=true,U=true",
        )
        .expect("valid");
        assert_eq!(m.options.read_only, Some(true));
        assert_eq!(m.options.propagation.as_deref(), Some("rshared"));
        assert!(m.options.non_recursive && m.options.chown && !m.options.create_source);
        let v =
            parse("type=volume,src=v,dst=/b,volume-label=a=b,volume-nocopy,\"volume-opt=o=size=1m,uid=1\"")
                .expect("valid");
        assert_eq!(v.options.volume_labels, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(v.options.volume_opts, [("o".to_owned(), "size=1m,uid=1".to_owned())]);
        assert!(v.options.no_copy);
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "foo",
            "type=foo,target=/b",
            "type=bind,target=/b",
            "type=bind,source=a,target=/b",
            "type=bind,source=/a",
            "type=bind,source=/a,target=b",
            "type=bind,source=/a,target=/",
            "type=bind,source=/a,target=/b,foo=bar",
            "type=bind,source=/a,target=/b,readonly=maybe",
            "type=bind,source=/a,target=/b,volume-nocopy=x",
            "type=bind,source=/a,target=/b,tmpfs-size=1m",
            "type=tmpfs,source=/a,target=/b",
            "type=tmpfs,target=/b,tmpfs-size=x",
            "type=volume,source=a/b,target=/c",
            "source=,target=/c",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
