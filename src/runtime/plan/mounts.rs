//! The spec's mounts, with the sources of binds opened as detached clones.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, Spec};

use super::host_tree::{HostTree, Wanted};
use super::namespaces::{NamespacePlan, ranges};
use super::options::Options;
use crate::runtime::Error;
use crate::runtime::cgroup::Cgroup;
use crate::sys::idmap::{self, Range};
use crate::sys::mount::{self, Attributes, Propagation, attr};
use crate::sys::{fd, ns, selinux};

/// One mount to make.
#[derive(Debug)]
pub(crate) struct MountPlan {
    /// Where, as the spec has it.
    pub destination: PathBuf,
    pub what: What,
    pub options: Options,
}

/// What is mounted.
#[derive(Debug)]
pub(crate) enum What {
    /// A clone of something of the host.
    Bind { tree: OwnedFd, is_dir: bool },
    /// A clone to be made when its turn has come.
    BindLater { source: PathBuf, of: Of, shift: Option<Shift> },
    /// A new instance of a file system.
    Fs { kind: CString, source: Option<CString> },
    /// The container's view of cgroups.
    Cgroup(CgroupView),
    /// A change of what is mounted there already.
    Remount,
}

/// What a bind that is made later is a clone of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// The container's own root: an earlier mount brings it.
    OwnRoot,
    /// The host, of which only the child may clone something.
    Host,
}

/// Ids of a mount shifted by the maps of a user namespace.
#[derive(Debug)]
pub(crate) struct Shift {
    pub userns: OwnedFd,
    pub recursive: bool,
}

/// How the container sees its cgroup.
#[derive(Debug)]
pub(crate) enum CgroupView {
    /// A new mount of cgroup2 (its cgroup namespace makes the own cgroup the root).
    Unified,
    /// A clone of a host directory: the whole hierarchy, or the own cgroup.
    Directory(HostTree),
    /// One directory per v1 hierarchy below a tmpfs: its name (`cpu,cpuacct`), and the own cgroup.
    Legacy(Vec<(String, HostTree)>),
}

const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// All mounts in order.
pub(crate) fn plan(
    spec: &Spec,
    mut prepared: Vec<(String, OwnedFd)>,
    namespaces: &NamespacePlan,
    cgroup: Option<&Cgroup>,
    rootfs: Option<&Path>,
) -> Result<Vec<MountPlan>, Error> {
    let given = spec.mounts().as_deref().unwrap_or_default();
    let mut out = Vec::with_capacity(given.len());
    let label = label(spec, selinux::enabled())?;
    for (i, m) in given.iter().enumerate() {
        let words = m.options().as_deref().unwrap_or_default();
        let mut options = Options::parse(words, &format!("mounts[{i}].options"))?;
        let ready = prepared
            .iter()
            .position(|(target, _)| Path::new(target) == m.destination())
            .map(|at| prepared.swap_remove(at).1);
        let what = what(i, m, &options, ready, Context { spec, namespaces, cgroup, rootfs })?;
        options.label = label.clone().filter(|_| takes_label(m, &options));
        let destination = strip(m.destination(), rootfs).unwrap_or(m.destination()).to_owned();
        out.push(MountPlan { destination, what, options });
    }
    Ok(out)
}

/// `linux.mountLabel`, which means nothing where the kernel has no SELinux, as runc has it.
fn label(spec: &Spec, enabled: bool) -> Result<Option<CString>, Error> {
    let given = spec.linux().as_ref().and_then(|l| l.mount_label().as_ref());
    let given = given.filter(|l| enabled && !l.is_empty());
    given
        .map(|l| CString::new(l.as_str()))
        .transpose()
        .map_err(|e| Error::spec("linux.mountLabel", e.to_string()))
}

/// The kernel labels procfs and sysfs itself, binds have what their files have, and a context in the options is more to
/// the point.
fn takes_label(m: &Mount, options: &Options) -> bool {
    let kind = m.typ().as_deref().unwrap_or_default();
    let named = options.data.iter().any(|(key, _)| key.as_c_str() == c"context");
    options.bind.is_none() && !matches!(kind, "proc" | "sysfs" | "bind" | "rbind" | "cgroup2") && !named
}

#[derive(Clone, Copy)]
struct Context<'a> {
    spec: &'a Spec,
    namespaces: &'a NamespacePlan,
    cgroup: Option<&'a Cgroup>,
    rootfs: Option<&'a Path>,
}

/// A path of the host as one beneath the root. Some name destinations so, as runc lets them.
fn strip<'p>(path: &'p Path, rootfs: Option<&Path>) -> Option<&'p Path> {
    path.strip_prefix(rootfs?).ok()
}

/// The source beneath the root, where it lies on a mount that comes before this one.
fn below_earlier(i: usize, source: &Path, context: Context<'_>) -> Option<PathBuf> {
    let source = Path::new("/").join(strip(source, context.rootfs)?);
    let earlier = context.spec.mounts().iter().flatten().take(i);
    let mut places =
        earlier.map(|m| strip(m.destination(), context.rootfs).unwrap_or(m.destination()).to_owned());
    places.any(|place| source.starts_with(Path::new("/").join(place))).then_some(source)
}

fn what(
    i: usize,
    m: &Mount,
    options: &Options,
    ready: Option<OwnedFd>,
    context: Context<'_>,
) -> Result<What, Error> {
    if options.remount {
        return Ok(What::Remount);
    }
    let shift = shift(i, m, options, context)?;
    let made = |tree| {
        bind(tree, options, shift.as_ref()).map_err(|e| match &shift {
            Some(_) => Error::spec(format!("mounts[{i}]"), format!("mapping ids of the mount: {e}")),
            None => e,
        })
    };
    if let Some(tree) = ready {
        return made(tree);
    }
    let kind = m.typ().as_deref().unwrap_or_default();
    if options.bind.is_some() || kind == "bind" || kind == "rbind" {
        let source =
            m.source().as_ref().ok_or_else(|| Error::spec(format!("mounts[{i}].source"), "missing"))?;
        if let Some(source) = below_earlier(i, source, context) {
            return Ok(What::BindLater { source, of: Of::OwnRoot, shift });
        }
        if context.namespaces.clones_in_child() {
            // The child stands elsewhere.
            let source = std::path::absolute(source).map_err(|e| {
                Error::spec(format!("mounts[{i}].source"), format!("{}: {e}", source.display()))
            })?;
            return Ok(What::BindLater { source, of: Of::Host, shift });
        }
        let tree = mount::open_tree_path(source, options.bind.unwrap_or(true)).map_err(|e| {
            Error::spec(format!("mounts[{i}].source"), format!("{}: {}", source.display(), e.reason()))
        })?;
        return made(tree);
    }
    match kind {
        "" | "none" => Err(Error::spec(format!("mounts[{i}].type"), "missing")),
        "cgroup" | "cgroup2" => Ok(What::Cgroup(cgroup_view(context.namespaces, context.cgroup)?)),
        _ => Ok(What::Fs {
            kind: fd::c_string(kind)?,
            source: m.source().as_ref().map(|s| fd::c_path(s)).transpose()?,
        }),
    }
}

/// Gives a clone its attributes while nobody can see it yet.
fn bind(tree: OwnedFd, options: &Options, shift: Option<&Shift>) -> Result<What, Error> {
    let is_dir = fd::stat(&tree)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
    dress(&tree, options, shift)?;
    Ok(What::Bind { tree, is_dir })
}

/// The attributes, the propagation and the shift of ids of a bind.
pub(crate) fn dress(tree: &OwnedFd, options: &Options, shift: Option<&Shift>) -> crate::sys::Result<()> {
    let (propagation, deep) = options.propagation.unwrap_or((Propagation::Private, true));
    let change = Attributes { propagation: Some(propagation), ..Default::default() };
    mount::set_attributes(tree, &change, deep)?;
    // "rw", "exec" and the like lift nothing that the host has put on the source; "rrw" and so on do.
    let clear = options.clear & attr::ATIME_MASK;
    if options.set != 0 || clear != 0 {
        mount::set_attributes(tree, &Attributes { set: options.set, clear, ..Default::default() }, false)?;
    }
    if deep_sys(tree, options)? {
        mount::set_attributes(tree, &Attributes { set: attr::RDONLY, ..Default::default() }, true)?;
    }
    if options.recursive_set != 0 || options.recursive_clear != 0 {
        let (set, clear) = (options.recursive_set, options.recursive_clear);
        mount::set_attributes(tree, &Attributes { set, clear, ..Default::default() }, true)?;
    }
    shift.map_or(Ok(()), |shift| shift_ids(tree, &shift.userns, shift.recursive))
}

/// Shifts the ids of a mount that nobody can see yet.
pub(crate) fn shift_ids(tree: &OwnedFd, userns: &OwnedFd, recursive: bool) -> crate::sys::Result<()> {
    let change = Attributes { userns: Some(userns.as_fd()), ..Default::default() };
    mount::set_attributes(tree, &change, recursive)
}

/// Rule R14: below a read-only /sys of the host are the host's cgroups, which may be the user's own. They are no more
/// to be written to than it is (CVE-2023-25809).
fn deep_sys(tree: &OwnedFd, options: &Options) -> crate::sys::Result<bool> {
    let read_only = options.set & attr::RDONLY != 0 && options.bind != Some(false);
    Ok(read_only && fd::fs_magic(tree)? == SYSFS_MAGIC)
}

/// An idmapped mount: the mount's own maps, those in its option, or the container's.
fn shift(i: usize, m: &Mount, options: &Options, context: Context<'_>) -> Result<Option<Shift>, Error> {
    let own_uids = ranges(m.uid_mappings().as_deref().unwrap_or_default());
    let own_gids = ranges(m.gid_mappings().as_deref().unwrap_or_default());
    let word = options.idmap.clone().unwrap_or_default();
    let (uids, gids) = if !own_uids.is_empty() && !own_gids.is_empty() {
        (own_uids, own_gids)
    } else if options.idmap.is_none() {
        return Ok(None);
    } else if !word.maps.is_empty() {
        parse_idmap(&word.maps, context.spec).ok_or_else(|| {
            Error::spec(
                format!("mounts[{i}].options"),
                format!("idmap={:?} is not uids=A-B-C;gids=A-B-C", word.maps),
            )
        })?
    } else if let Some((uids, gids)) = &context.namespaces.maps {
        (uids.clone(), gids.clone())
    } else if let Some(joined) = context.namespaces.joined_user() {
        return Ok(Some(Shift { userns: fd::dup(joined, 3)?, recursive: word.recursive }));
    } else {
        return Err(Error::spec(format!("mounts[{i}].options"), "idmap without mappings"));
    };
    Ok(Some(Shift { userns: idmap::namespace(&uids, &gids)?, recursive: word.recursive }))
}

/// podman's `uids=0-1000-10#10-2000-5;gids=…`; a range that begins with `@` is inside the container's map.
fn parse_idmap(text: &str, spec: &Spec) -> Option<(Vec<Range>, Vec<Range>)> {
    let linux = spec.linux().as_ref();
    let own =
        |list: Option<&Vec<oci_spec::runtime::LinuxIdMapping>>| list.map(|l| ranges(l)).unwrap_or_default();
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    for part in text.split(';') {
        let (which, list) = part.split_once('=')?;
        let (out, maps) = match which {
            "uids" => (&mut uids, own(linux.and_then(|l| l.uid_mappings().as_ref()))),
            "gids" => (&mut gids, own(linux.and_then(|l| l.gid_mappings().as_ref()))),
            _ => return None,
        };
        for range in list.split('#') {
            out.push(one_range(range, &maps)?);
        }
    }
    (!uids.is_empty() && !gids.is_empty()).then_some((uids, gids))
}

fn one_range(text: &str, container: &[Range]) -> Option<Range> {
    let (relative, text) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
    let mut numbers = text.split('-').map(str::parse::<u32>);
    let (from, to, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    if numbers.next().is_some() {
        return None;
    }
    if !relative {
        return Some(Range { inside: from, outside: to, count });
    }
    let map = container.iter().find(|r| r.inside <= to && to - r.inside < r.count)?;
    Some(Range { inside: from, outside: map.outside + (to - map.inside), count })
}

/// Rule R14: the own cgroup only, where there is a cgroup namespace or v1; the host's view elsewhere.
fn cgroup_view(namespaces: &NamespacePlan, cgroup: Option<&Cgroup>) -> Result<CgroupView, Error> {
    let private = namespaces.is_private(ns::Kind::Cgroup);
    let Some(cgroup) = cgroup else {
        let unified =
            fd::open_path(Path::new(CGROUP_ROOT)).and_then(fd::fs_magic).is_ok_and(|m| m == CGROUP2_MAGIC);
        if unified && private {
            return Ok(CgroupView::Unified);
        }
        return Ok(CgroupView::Directory(private_clone(Path::new(CGROUP_ROOT), true, namespaces)?));
    };
    if cgroup.is_unified() {
        if private {
            return Ok(CgroupView::Unified);
        }
        return Ok(CgroupView::Directory(private_clone(Path::new(CGROUP_ROOT), true, namespaces)?));
    }
    let mut out: Vec<(String, HostTree)> = Vec::new();
    for (_, directory) in cgroup.directories() {
        let Some(name) =
            Path::new(&directory).strip_prefix(CGROUP_ROOT).ok().and_then(|p| p.components().next())
        else {
            continue;
        };
        let name = name.as_os_str().to_string_lossy().into_owned();
        if !out.iter().any(|(n, _)| *n == name) {
            out.push((name, private_clone(Path::new(&directory), false, namespaces)?));
        }
    }
    Ok(CgroupView::Legacy(out))
}

const CGROUP2_MAGIC: i64 = 0x6367_7270;
const SYSFS_MAGIC: i64 = 0x6265_6572;

fn private_clone(path: &Path, recursive: bool, namespaces: &NamespacePlan) -> Result<HostTree, Error> {
    let propagation = Some(Propagation::Private);
    Ok(Wanted { propagation, ..Wanted::new(path, recursive) }.tree(namespaces)?)
}

/// Whether /dev is the container's own: not where something of the host is bound there.
pub(crate) fn sets_up_dev(spec: &Spec) -> bool {
    !spec.mounts().iter().flatten().any(|m| {
        let bound = m.typ().as_deref() == Some("bind")
            || m.options().iter().flatten().any(|o| o == "bind" || o == "rbind");
        bound && m.destination().components().eq(Path::new("/dev").components())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_for_file_systems_of_the_container() {
        let spec: Spec = serde_json::from_value(serde_json::json!({
            "ociVersion": "1.2.0", "linux": { "mountLabel": "system_u:object_r:container_file_t:s0:c1,c2" },
        }))
        .unwrap();
        assert_eq!(label(&spec, false).unwrap(), None);
        assert_eq!(label(&spec, true).unwrap().unwrap(), *c"system_u:object_r:container_file_t:s0:c1,c2");
        for (kind, words, takes) in [
            ("tmpfs", &["nosuid"][..], true),
            ("devpts", &[], true),
            ("mqueue", &[], true),
            ("cgroup", &[], true),
            ("tmpfs", &["context=own"], false),
            ("proc", &[], false),
            ("sysfs", &[], false),
            ("bind", &[], false),
            ("none", &["rbind"], false),
        ] {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            let options = Options::parse(&words, "mounts[0].options").unwrap();
            let mut m = Mount::default();
            m.set_typ(Some(kind.to_owned()));
            assert_eq!(takes_label(&m, &options), takes, "{kind} {words:?}");
        }
    }

    #[test]
    fn podmans_idmap_words() {
        let spec = Spec::default();
        let (uids, gids) = parse_idmap("uids=0-1000-10#10-5-1;gids=0-100-1", &spec).unwrap();
        assert_eq!(
            uids,
            [Range { inside: 0, outside: 1000, count: 10 }, Range { inside: 10, outside: 5, count: 1 }]
        );
        assert_eq!(gids.len(), 1);
        assert!(parse_idmap("uids=0-1", &spec).is_none());
        let inside = [Range { inside: 0, outside: 100_000, count: 10 }];
        assert_eq!(one_range("@0-5-1", &inside).unwrap().outside, 100_005);
    }
}
