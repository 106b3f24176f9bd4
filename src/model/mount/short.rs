//! The short syntaxes: `-v [SOURCE:]TARGET[:OPTIONS]` and `--tmpfs TARGET[:OPTIONS]`.

use super::{MountKind, MountOptions, MountRequest};
use crate::model::ParseError;
use crate::model::id::check_name;

/// Mount flags as mount(8) spells them.
const FLAGS: [&str; 16] = [
    "dev",
    "nodev",
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "sync",
    "async",
    "dirsync",
];
const PROPAGATION: [&str; 8] =
    ["shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable"];

impl MountRequest {
    /// `-v`. A source that begins with `/` or `.` is a host path (the caller makes it absolute), any other the
    /// name of a volume; without source it is an anonymous volume.
    ///
    /// # Errors
    /// Says which part is wrong.
    pub fn parse_volume(text: &str) -> Result<Self, ParseError> {
        let bad = |why: &str| ParseError::new("volume specification", text, why);
        if text.is_empty() {
            return Err(bad("invalid empty volume spec"));
        }
        let parts: Vec<&str> = text.splitn(3, ':').collect();
        let (source, target, options) = match parts.as_slice() {
            [target] => (None, *target, ""),
            [target, options] if !options.starts_with('/') && target.starts_with('/') => {
                return Err(bad(if options_of(options).is_ok() {
                    "a volume without source takes no options: want SOURCE:TARGET:OPTIONS"
                } else {
                    "the path in the container must be absolute"
                }));
            }
            [source, target] => (Some(*source), *target, ""),
            [source, target, options] => (Some(*source), *target, *options),
            _ => return Err(bad("want [SOURCE:]TARGET[:OPTIONS]")),
        };
        // docker takes a relative one that stands alone from the root on, podman refuses it: who resolves it knows.
        let rooted = if source.is_none() { format!("/{target}") } else { target.to_owned() };
        check_target("volume specification", text, &rooted)?;
        let (kind, source) = match source {
            None => (MountKind::Volume, None),
            Some("") => return Err(bad("empty section between colons")),
            Some(s) if s.starts_with(['/', '.']) => (MountKind::Bind, Some(s.to_owned())),
            Some(name) => {
                check_name("volume name", name)
                    .map_err(|e| bad(&format!("{}; a host path must begin with / or ./", e.why)))?;
                (MountKind::Volume, Some(name.to_owned()))
            }
        };
        if kind == MountKind::Bind
            && let Some(mode) = options.split(',').find(|o| matches!(*o, "copy" | "nocopy"))
        {
            return Err(bad(&format!("invalid mode: {mode} is for volumes")));
        }
        let typed = options.to_owned();
        let mut options = options_of(options).map_err(|why| bad(&why))?;
        options.typed = Some(typed);
        options.create_source = kind == MountKind::Bind;
        Ok(Self { kind, source, target: target.to_owned(), options })
    }

    /// `--tmpfs`.
    ///
    /// # Errors
    /// Says which part is wrong.
    pub fn parse_tmpfs(text: &str) -> Result<Self, ParseError> {
        let bad = |why: String| ParseError::new("tmpfs mount", text, why);
        let (target, list) = text.split_once(':').unwrap_or((text, ""));
        check_target("tmpfs mount", text, target)?;
        let mut options = MountOptions { typed: Some(list.to_owned()), ..MountOptions::default() };
        for option in list.split(',').filter(|o| !o.is_empty()) {
            tmpfs_option(&mut options, option).map_err(bad)?;
        }
        Ok(Self { kind: MountKind::Tmpfs, source: None, target: target.to_owned(), options })
    }
}

/// A target must be absolute and not the root itself.
pub(super) fn check_target(what: &'static str, text: &str, target: &str) -> Result<(), ParseError> {
    if !target.starts_with('/') {
        return Err(ParseError::new(what, text, "the path in the container must be absolute"));
    }
    let depth = target.split('/').fold(0_i32, |depth, part| match part {
        "" | "." => depth,
        ".." => (depth - 1).max(0),
        _ => depth + 1,
    });
    if depth == 0 {
        return Err(ParseError::new(what, text, "the path in the container cannot be '/'"));
    }
    Ok(())
}

/// One option that both syntaxes of tmpfs know.
pub(super) fn tmpfs_option(options: &mut MountOptions, option: &str) -> Result<(), String> {
    let number = |v: &str| v.parse::<u64>().is_ok();
    match option.split_once('=') {
        None => match option {
            "ro" => options.read_only = Some(true),
            "rw" => options.read_only = Some(false),
            "tmpcopyup" => options.tmpcopyup = Some(true),
            "notmpcopyup" => options.tmpcopyup = Some(false),
            "U" => options.chown = true,
            "z" | "Z" => options.relabel = option.chars().next(),
            "noswap" => options.fs_options.push(option.to_owned()),
            _ if FLAGS.contains(&option) => options.flags.push(option.to_owned()),
            _ if PROPAGATION.contains(&option) => options.propagation = Some(option.to_owned()),
            _ => return Err(format!("invalid tmpfs option {option:?}")),
        },
        Some(("size", v)) if v.ends_with('%') => options.fs_options.push(format!("size={v}")),
        Some(("size", v)) => {
            options.tmpfs_size = Some(v.parse().map_err(|e: ParseError| e.to_string())?);
        }
        Some(("mode", v)) => {
            let mode = u32::from_str_radix(v, 8).ok().filter(|m| *m <= 0o7777);
            options.tmpfs_mode = Some(mode.ok_or_else(|| format!("invalid mode {v:?}: want octal digits"))?);
        }
        Some(("uid" | "gid", v)) if number(v) => options.fs_options.push(option.to_owned()),
        Some(("nr_inodes" | "nr_blocks" | "huge" | "mpol", _)) => options.fs_options.push(option.to_owned()),
        Some(_) => return Err(format!("invalid tmpfs option {option:?}")),
    }
    Ok(())
}

fn options_of(list: &str) -> Result<MountOptions, String> {
    let mut options = MountOptions::default();
    for option in list.split(',').filter(|o| !o.is_empty()) {
        bind_option(&mut options, option)?;
    }
    Ok(options)
}

/// One option of `-v`.
pub(super) fn bind_option(options: &mut MountOptions, option: &str) -> Result<(), String> {
    match option {
        "ro" | "readonly" => options.read_only = Some(true),
        "rw" => options.read_only = Some(false),
        "z" | "Z" => options.relabel = option.chars().next(),
        "U" => options.chown = true,
        "O" => options.overlay = true,
        "copy" => options.no_copy = false,
        "nocopy" => options.no_copy = true,
        "bind" => options.non_recursive = true,
        "rbind" => options.non_recursive = false,
        "no-dereference" => options.no_dereference = true,
        "idmap" => options.idmap = Some(String::new()),
        // Hints for virtual machines on other systems: without meaning on Linux, as in docker.
        "consistent" | "cached" | "delegated" | "default" => {}
        _ if PROPAGATION.contains(&option) => options.propagation = Some(option.to_owned()),
        _ if FLAGS.contains(&option) => options.flags.push(option.to_owned()),
        _ => match option.split_once('=') {
            Some(("upperdir", v)) => options.upper_dir = Some(v.to_owned()),
            Some(("workdir", v)) => options.work_dir = Some(v.to_owned()),
            Some(("idmap", v)) => options.idmap = Some(v.to_owned()),
            Some(("subpath", v)) => options.subpath = Some(v.to_owned()),
            _ => return Err(format!("invalid mode: {option}")),
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::ByteSize;

    fn volume(text: &str) -> Result<(MountKind, Option<String>, String), String> {
        MountRequest::parse_volume(text).map(|m| (m.kind, m.source, m.target)).map_err(|e| e.why)
    }

    #[test]
    fn volumes() {
        let some = |s: &str| Some(s.to_owned());
        for (text, kind, source, target) in [
            ("/data", MountKind::Volume, None, "/data"),
            ("vol:/data", MountKind::Volume, some("vol"), "/data"),
            ("/a:/data", MountKind::Bind, some("/a"), "/data"),
            ("./a:/data:ro", MountKind::Bind, some("./a"), "/data"),
            ("data", MountKind::Volume, None, "data"),
            (".:/data", MountKind::Bind, some("."), "/data"),
            ("/a:/data:ro,z,rshared", MountKind::Bind, some("/a"), "/data"),
        ] {
            assert_eq!(volume(text), Ok((kind, source, target.to_owned())), "{text}");
        }
        for text in [
            "",
            "..",
            "vol:data",
            "/:/:ro",
            "/a:/",
            "/a:/..",
            "/data:ro",
            "/a:/b:foo",
            "/a:/b:ro:x",
            ":/b",
            "a/b:/c",
            "-x:/c",
        ] {
            assert!(volume(text).is_err(), "{text}");
        }
    }

    #[test]
    fn volume_options() {
        let options = |o: &str| MountRequest::parse_volume(&format!("/a:/b:{o}")).map(|m| m.options);
        assert!(options("nocopy").is_err() && options("ro,copy").is_err());
        assert!(MountRequest::parse_volume("v:/b:nocopy").expect("a volume").options.no_copy);
        let all = options("ro,Z,rslave,U,noexec,idmap=uids=0-1-10").expect("all are known");
        assert_eq!(all.read_only, Some(true));
        assert_eq!(all.relabel, Some('Z'));
        assert_eq!(all.propagation.as_deref(), Some("rslave"));
        assert!(all.chown && all.create_source);
        assert_eq!(all.flags, ["noexec"]);
        assert_eq!(all.idmap.as_deref(), Some("uids=0-1-10"));
        assert_eq!(
            options("O,upperdir=/u,workdir=/w").map(|o| (o.overlay, o.upper_dir)),
            Ok((true, Some("/u".to_owned())))
        );
    }

    #[test]
    fn tmpfs() {
        let t = MountRequest::parse_tmpfs("/tmp:size=64m,mode=1777,uid=5,noexec,ro").expect("valid");
        assert_eq!(t.options.tmpfs_size, Some(ByteSize(64 << 20)));
        assert_eq!(t.options.tmpfs_mode, Some(0o1777));
        assert_eq!(t.options.fs_options, ["uid=5"]);
        assert_eq!(t.options.read_only, Some(true));
        assert!(MountRequest::parse_tmpfs("/tmp").is_ok());
        for text in ["", "tmp", "/", "/tmp:foo", "/tmp:size=x", "/tmp:mode=99", "/tmp:uid=root"] {
            assert!(MountRequest::parse_tmpfs(text).is_err(), "{text}");
        }
    }
}
