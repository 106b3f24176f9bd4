//! Checkpoint and restore of a container that its caller holds (a monitor): no record of it is in a state directory, its
//! root and mounts are descriptors, its network namespace is made by the caller, and the ends of its streams are the
//! caller's.
//!
//! What criu is to find by paths is attached in a mount namespace that only criu has: it goes with criu, whoever is killed.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, Spec};

use super::dump::{Asked, Dump, freezer, keep_descriptors};
use super::restore::{LOG, enter, inherit, make_places};
use super::rpc::{FIRST_EXTRA, Request, Worker};
use super::{DESCRIPTORS, Options, external_mounts, field, folder, is_bind};
use crate::runtime::Error;
use crate::runtime::cgroup::Cgroup;
use crate::sys::mount::{self, Attributes, FsContext, Propagation};
use crate::sys::process::{self, PidFd};
use crate::sys::root::Root;
use crate::sys::{fd, mountinfo, ns};

/// A running container.
#[derive(Debug)]
pub struct Held<'a> {
    /// Its first process.
    pub pid: i32,
    /// Its cgroup.
    pub cgroup: Option<&'a Cgroup>,
    /// Links of its first three descriptors (`pipe:[…]`).
    pub descriptors: [String; 3],
}

/// File systems that criu mounts anew, with what was in them.
const OWN: [&str; 7] = ["tmpfs", "devpts", "proc", "sysfs", "mqueue", "cgroup", "cgroup2"];

/// Of these every container of a kernel sees the same one, which is mounted anew all the same.
const SHARED: [&str; 5] = ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"];

/// Writes a checkpoint. Unless it is to run on, its processes have been killed then.
///
/// # Errors
/// [`Error`]; the container runs on then.
pub fn dump(held: &Held<'_>, dump: &Dump) -> Result<(), Error> {
    let mut asked = Asked::new(dump, held.pid)?;
    let options = &mut asked.options;
    if let Some(inode) = network(held.pid)? {
        options.bytes(field::EXTERNAL, format!("net[{inode}]:{NET}").as_bytes());
    }
    if let Some(cgroup) = held.cgroup {
        freezer(cgroup, options);
    }
    if !dump.pre_dump {
        for (place, name) in mounts_from_outside(held.pid)? {
            options.pair(field::EXT_MNT, &place, &name);
        }
        keep_descriptors(dump, &held.descriptors)?;
    }
    asked.ask(dump, |_| Ok(()))
}

/// criu's name for a network namespace that is not the container's to make.
const NET: &str = "extRootNetNS";

/// The inode of the network namespace, unless it is the host's.
fn network(pid: i32) -> Result<Option<u64>, Error> {
    let theirs = inode("net", pid)?;
    Ok((theirs != inode("net", process::pid())?).then_some(theirs))
}

/// The inode of a namespace of a process.
fn inode(kind: &str, pid: i32) -> Result<u64, Error> {
    use std::os::unix::fs::MetadataExt as _;
    let path = format!("/proc/{pid}/ns/{kind}");
    let found = std::fs::metadata(&path).map(|m| m.ino());
    Ok(found.map_err(|e| crate::sys::Error::from_io("stat", path, &e))?)
}

/// Mounts whose file system is not the container's own, by their places, and what a restore calls each.
fn mounts_from_outside(pid: i32) -> Result<Vec<(String, String)>, Error> {
    let ours = mountinfo::of(process::pid())?;
    let root = Root::open_host(Path::new(&format!("/proc/{pid}/root")))?;
    let theirs = mountinfo::of(pid)?;
    // In the machine's namespace of cgroups it has a part of each hierarchy, which cannot be mounted anew.
    let parts = inode("cgroup", pid)? == inode("cgroup", process::pid())?;
    let is_outside = |m: &&mountinfo::Entry| {
        let kind = m.kind.as_str();
        let lent = !SHARED.contains(&kind) && ours.iter().any(|o| o.device == m.device);
        m.place != Path::new("/") && (lent || !OWN.contains(&kind) || parts && kind == "cgroup")
    };
    let named = theirs.iter().filter(is_outside).map(|m| {
        let place = m.place.display().to_string();
        let name = if is_null(&root, &m.place) { NULL.to_owned() } else { place.clone() };
        (place, name)
    });
    Ok(named.collect())
}

/// What masks files.
const NULL: &str = "/dev/null";

fn is_null(root: &Root, place: &Path) -> bool {
    let found = root.resolve(place.strip_prefix("/").unwrap_or(place)).and_then(fd::stat);
    found.is_ok_and(|s| s.st_mode & libc::S_IFMT == libc::S_IFCHR && s.st_rdev == libc::makedev(1, 3))
}

/// A container to be made of a checkpoint.
#[derive(Debug)]
pub struct Making<'a> {
    /// What it is.
    pub spec: &'a Spec,
    /// Its root.
    pub root: OwnedFd,
    /// Detached mounts by destination, taken instead of the source of the spec's mount there.
    pub mounts: Vec<(String, OwnedFd)>,
    /// An empty folder, for the while.
    pub scratch: &'a Path,
    /// Its cgroup, limits in force.
    pub cgroup: Option<&'a Cgroup>,
    /// Its network namespace, if that is not the host's.
    pub network: Option<BorrowedFd<'a>>,
    /// Its ends of its streams, where they are pipes.
    pub pipes: [Option<BorrowedFd<'a>>; 3],
}

/// A container that runs again.
#[derive(Debug)]
pub struct Back {
    /// Its first process, a child of ours.
    pub pid: i32,
    /// Handle on it.
    pub pidfd: PidFd,
    /// Master of its terminal.
    pub console: Option<OwnedFd>,
    /// Which of the pipes it has taken: one whose other end was closed is closed still.
    pub taken: [bool; 3],
}

/// Makes a container of a checkpoint. For callers of one thread.
///
/// # Errors
/// [`Error`]; nothing of it is left then but files in the scratch folder's place.
pub fn restore(making: Making<'_>, wish: &Options) -> Result<Back, Error> {
    let cgroup = making.cgroup;
    let (extra, taken, lent) = lend(&making, wish)?;
    let (mut worker, mut options, _folders) = in_own_mounts(|| {
        // Opened here, for criu works in them and mounts there.
        let images = folder(&wish.images, false)?;
        let work = wish.work.as_deref().map(|w| folder(w, true)).transpose()?;
        let mut options = wish.common(&images, work.as_ref(), LOG);
        options.flag(field::EVASIVE_DEVICES, true).flag(field::RST_SIBLING, true);
        for (key, number) in lent.iter().zip(FIRST_EXTRA..) {
            inherit(&mut options, key, number);
        }
        let (root, spec) = attach(making)?;
        options.bytes(field::ROOT, root.display().to_string().as_bytes());
        for (place, source) in places(&spec, &root, cgroup)? {
            options.pair(field::EXT_MNT, &place, &source);
        }
        options.pair(field::EXT_MNT, NULL, NULL);
        Ok((Worker::start(&extra, wish.path.as_deref())?, options, (images, work)))
    })?;
    if let Some(cgroup) = cgroup {
        enter(cgroup, &worker, &mut options)?;
    }
    let mut console = None;
    let asked = worker.ask(Request::Restore, &options, |mut notice| {
        if notice.script == "orphan-pts-master" {
            console = notice.fds.pop();
        }
        Ok(())
    });
    let pid = asked.map_err(|e| wish.explained(LOG, e))?;
    Ok(Back { pid, pidfd: PidFd::open(pid)?, console, taken })
}

/// Descriptors for criu, which of the streams are among them, and what criu calls each.
type Lent<'f> = (Vec<BorrowedFd<'f>>, [bool; 3], Vec<String>);

/// The network, and for each stream that was a pipe the new one.
fn lend<'f>(making: &Making<'f>, wish: &Options) -> Result<Lent<'f>, Error> {
    let file = wish.images.join(DESCRIPTORS);
    let links: Vec<String> = serde_json::from_slice(&fd::read_file(&file)?)
        .map_err(|e| Error::spec(file.display().to_string(), e.to_string()))?;
    let mut lent: Vec<(String, BorrowedFd<'f>)> = Vec::new();
    lent.extend(making.network.map(|network| (NET.to_owned(), network)));
    let mut taken = [false; 3];
    for ((link, pipe), taken) in links.into_iter().zip(making.pipes).zip(&mut taken) {
        let Some(pipe) = pipe.filter(|_| link.starts_with("pipe:")) else { continue };
        *taken = true;
        // Both outputs may be one.
        if !lent.iter().any(|(key, _)| *key == link) {
            lent.push((link, pipe));
        }
    }
    let (names, fds) = lent.into_iter().unzip();
    Ok((fds, taken, names))
}

/// Does something in a mount namespace that is a copy of ours, and comes back.
fn in_own_mounts<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let ours = ns::open_of_self(ns::Kind::Mount)?;
    ns::unshare(ns::Kind::Mount.flag())?;
    let done = mount::set_propagation_of_all(Propagation::Private).map_err(Error::from).and_then(|()| work());
    ns::join(&ours, ns::Kind::Mount)?;
    done
}

/// Attaches the root and what is mounted in it below the scratch folder. Returns the root's place and the spec with the
/// new places of the sources.
fn attach(making: Making<'_>) -> Result<(PathBuf, Spec), Error> {
    let Making { spec, root, mounts: mut given, scratch, .. } = making;
    let mut spec = spec.clone();
    mount::move_mount_to_path(FsContext::new("tmpfs")?.mount(0)?, scratch)?;
    let base = Root::open_host(scratch)?;
    let private = Attributes { propagation: Some(Propagation::Private), ..Default::default() };
    mount::set_attributes(&root, &private, true)?;
    base.mkdir_all(Path::new("root"), 0o755)?;
    let place = scratch.join("root");
    mount::move_mount_to_path(&root, &place)?;
    let mut all = spec.mounts().clone().unwrap_or_default();
    for (number, m) in all.iter_mut().enumerate().filter(|(_, m)| is_bind(m)) {
        let tree = source(m, &mut given)?;
        let name = format!("m{number}");
        let is_dir = fd::stat(&tree)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        let name = Path::new(&name);
        if is_dir {
            base.mkdir_all(name, 0o755)?
        } else {
            base.make_file_target(name)?
        };
        mount::set_attributes(&tree, &private, true)?;
        mount::move_mount_to_path(&tree, &scratch.join(name))?;
        m.set_source(Some(scratch.join(name)));
    }
    spec.set_mounts(Some(all));
    Ok((place, spec))
}

/// What is to be mounted: as it was made already, or a clone of what is there.
fn source(m: &Mount, given: &mut Vec<(String, OwnedFd)>) -> Result<OwnedFd, Error> {
    if let Some(at) = given.iter().position(|(place, _)| Path::new(place) == m.destination()) {
        return Ok(given.swap_remove(at).1);
    }
    let path = m.source().as_deref().unwrap_or(Path::new("/"));
    let recursive = m.options().iter().flatten().any(|o| o == "rbind");
    Ok(mount::open_tree_path(path, recursive)?)
}

/// Makes the mount points and names all that comes from outside, what is mounted below it too.
fn places(spec: &Spec, root: &Path, cgroup: Option<&Cgroup>) -> Result<Vec<(String, String)>, Error> {
    make_places(spec, root)?;
    let inside = Root::open_host(root)?;
    let mut all = external_mounts(spec, cgroup, &inside);
    let table = mountinfo::of(process::pid())?;
    for at in 0..all.len() {
        let (place, source) = all[at].clone();
        let below = table.iter().filter_map(|m| m.place.strip_prefix(&source).ok());
        for rest in below.filter(|rest| !rest.as_os_str().is_empty()) {
            let join = |base: &str| Path::new(base).join(rest).display().to_string();
            all.push((join(&place), join(&source)));
        }
    }
    Ok(all)
}
