//! Restore: files of a checkpoint become a container again, of the same bundle.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{Mount, Spec};

use super::rpc::{FIRST_EXTRA, Message, Request, Worker};
use super::{DESCRIPTORS, Options, external_mounts, external_namespaces, field, folder, is_bind};
use crate::runtime::bundle::Bundle;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::manage::cgroups::make_cgroup;
use crate::runtime::manage::create::{self, Request as Making};
use crate::runtime::rdt::{self, Groups};
use crate::runtime::state::Container;
use crate::runtime::{Error, hooks};
use crate::sys::mount::{self, Attributes, Propagation};
use crate::sys::process::{self, PidFd};
use crate::sys::root::Root;
use crate::sys::{atomic, fd};

/// What only a restore can be told.
#[derive(Debug, Default)]
pub struct Restore {
    /// What a checkpoint can be told too.
    pub options: Options,
    /// `TYPE:NAME` of an LSM profile to use instead.
    pub lsm_profile: Option<String>,
    /// LSM context of its mounts.
    pub lsm_mount_context: Option<String>,
}

pub(super) const LOG: &str = "restore.log";

/// A container that runs again.
#[derive(Debug)]
pub struct Restored {
    /// Its record.
    pub container: Container,
    /// Handle on its first process, a child of ours.
    pub pidfd: PidFd,
    /// Its terminal, where no console socket took it.
    pub console: Option<OwnedFd>,
}

/// Makes a container of a checkpoint.
///
/// # Errors
/// [`Error`]; nothing is left then.
pub fn restore(making: &Making<'_>, wish: &Restore) -> Result<Restored, Error> {
    let bundle = Bundle::load(making.bundle, making.config)?;
    let images = folder(&wish.options.images, false)?;
    let (dir, _lock) = making.store.reserve(making.id)?;
    let mut early = create::Undo::new(&dir, None);
    atomic::create_new(&dir.join(crate::runtime::state::CONFIG), &bundle.text, 0o600)?;
    let cgroup = make_cgroup(&bundle, making)?;
    early.disarm();
    let mut undo = create::Undo::new(&dir, cgroup.as_ref());
    let root = BoundRoot::make(&bundle.rootfs, &dir)?;
    make_places(&bundle.spec, &bundle.rootfs)?;
    let work = wish.options.work.as_deref().map(|w| folder(w, true)).transpose()?;
    let mut options = wish.options.common(&images, work.as_ref(), LOG);
    Options::config_file(&bundle.spec, &mut options);
    options
        .flag(field::EVASIVE_DEVICES, true)
        .flag(field::RST_SIBLING, true)
        .bytes(field::ROOT, root.path.display().to_string().as_bytes());
    if let Some(profile) = &wish.lsm_profile {
        options.bytes(field::LSM_PROFILE, profile.as_bytes());
    }
    if let Some(context) = &wish.lsm_mount_context {
        options.bytes(field::LSM_MOUNT_CONTEXT, context.as_bytes());
    }
    let namespaces = open_namespaces(&bundle.spec, &mut options)?;
    describe(&bundle, cgroup.as_ref(), &wish.options, &mut options)?;
    let extra: Vec<BorrowedFd<'_>> = namespaces.iter().map(AsFd::as_fd).collect();
    let shares = bundle.spec.linux().as_ref().and_then(|l| l.intel_rdt().as_ref());
    // criu and what it makes have the groups of their parent.
    let groups = Groups::joined(rdt::check(shares)?, shares, making.id, process::pid())?;
    let mut worker = Worker::start(&extra, wish.options.path.as_deref())?;
    if let Some(cgroup) = &cgroup {
        enter(cgroup, &worker, &mut options)?;
    }
    let mut console = None;
    let asked = worker.ask(Request::Restore, &options, |mut notice| {
        match notice.script {
            "orphan-pts-master" => console = notice.fds.pop(),
            "setup-namespaces" => outside_hooks(&bundle, making.id, notice.pid)?,
            _ => {}
        }
        Ok(())
    });
    let pid = asked.map_err(|e| wish.options.explained(LOG, e))?;
    drop((worker, root));
    let pidfd = PidFd::open(pid)?;
    let recorded = record(making, &bundle, cgroup.as_ref(), groups, (pid, console));
    match recorded {
        Ok((container, console)) => {
            undo.disarm();
            Ok(Restored { container, pidfd, console })
        }
        Err(e) => {
            let _gone = pidfd.signal(libc::SIGKILL);
            let _reaped = pidfd.wait();
            Err(e)
        }
    }
}

/// Whoever is to know of it does, and its state is kept.
fn record(
    making: &Making<'_>,
    bundle: &Bundle,
    cgroup: Option<&Cgroup>,
    groups: Option<Groups>,
    (pid, mut console): (i32, Option<OwnedFd>),
) -> Result<(Container, Option<OwnedFd>), Error> {
    if let (Some(path), Some(master)) = (making.console_socket, &console) {
        create::send_console(path, master)?;
        console = None;
    }
    let container = create::record(making, bundle, cgroup, groups, pid)?;
    let after = hooks::poststart(&bundle.spec);
    if !after.is_empty() {
        let state = hooks::state_json(making.id, "running", pid, &bundle.path, &bundle.spec);
        hooks::run("poststart", after, &state)?;
    }
    Ok((container, console))
}

/// The root as a mount point whose parent nothing covers: criu's wish.
struct BoundRoot {
    path: std::path::PathBuf,
}

impl BoundRoot {
    fn make(rootfs: &Path, dir: &Path) -> Result<Self, Error> {
        let path = dir.join("criu-root");
        drop(folder(&path, true)?);
        let tree = mount::open_tree_path(rootfs, true)?;
        let private = Attributes { propagation: Some(Propagation::Private), ..Default::default() };
        mount::set_attributes(&tree, &private, true)?;
        mount::move_mount_to_path(&tree, &path)?;
        Ok(Self { path: path.canonicalize().unwrap_or(path) })
    }
}

impl Drop for BoundRoot {
    fn drop(&mut self) {
        let _unmounted = mount::unmount_detach(&self.path);
        let _removed = std::fs::remove_dir(&self.path);
    }
}

/// Mount points that a start would make, but for those on a tmpfs, whose files are in the images.
pub(super) fn make_places(spec: &Spec, rootfs: &Path) -> Result<(), Error> {
    let root = Root::open_host(rootfs)?;
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    let on_tmpfs = |m: &Mount| {
        let over = |o: &Mount| o.typ().as_deref() == Some("tmpfs") && o.destination() != m.destination();
        mounts.iter().any(|o| over(o) && m.destination().starts_with(o.destination()))
    };
    for (i, m) in mounts.iter().enumerate() {
        if matches!(m.typ().as_deref(), Some("cgroup" | "cgroup2")) || on_tmpfs(m) {
            continue;
        }
        // Its place may be on a bind that comes before it, which is not made yet.
        let over = mounts[..i].iter().rev().find(|o| {
            is_bind(o) && m.destination().starts_with(o.destination()) && m.destination() != o.destination()
        });
        let bound = over.and_then(|o| Some((o.source().as_ref()?, o.destination())));
        let (base, place) = match bound {
            Some((source, destination)) => (
                Root::open_host(source)?,
                m.destination().strip_prefix(destination).unwrap_or(m.destination()),
            ),
            None => (root.try_clone()?, m.destination().strip_prefix("/").unwrap_or(m.destination())),
        };
        let file = is_bind(m) && m.source().as_ref().is_some_and(|s| s.exists() && !s.is_dir());
        if file {
            base.make_file_target(place)?;
        } else {
            base.mkdir_all(place, 0o755)?;
        }
    }
    Ok(())
}

/// Namespaces that are not the container's: criu gets them by descriptor.
fn open_namespaces(spec: &Spec, options: &mut Message) -> Result<Vec<OwnedFd>, Error> {
    let mut out = Vec::new();
    for ((_, key, path), number) in external_namespaces(spec).into_iter().zip(FIRST_EXTRA..) {
        out.push(fd::open(&path, fd::OpenFlags::RDONLY | fd::OpenFlags::CLOEXEC, 0)?);
        inherit(options, key, number);
    }
    Ok(out)
}

pub(super) fn inherit(options: &mut Message, key: &str, number: i32) {
    let mut one = Message::default();
    one.bytes(1, key.as_bytes()).number(2, number.into());
    options.inside(field::INHERIT_FD, &one);
}

/// What of the container comes from outside.
fn describe(
    bundle: &Bundle,
    cgroup: Option<&Cgroup>,
    wish: &Options,
    options: &mut Message,
) -> Result<(), Error> {
    let spec = &bundle.spec;
    let root = Root::open_host(&bundle.rootfs)?;
    for (place, source) in external_mounts(spec, cgroup, &root) {
        options.pair(field::EXT_MNT, &place, &source);
    }
    if spec.linux().as_ref().and_then(|l| l.masked_paths().as_ref()).is_some_and(|m| !m.is_empty()) {
        options.pair(field::EXT_MNT, "/dev/null", "/dev/null");
    }
    for device in spec.linux().iter().filter_map(|l| l.devices().as_ref()).flatten() {
        let path = device.path().display().to_string();
        options.pair(field::EXT_MNT, &path, &path);
    }
    let text = fd::read_file(&wish.images.join(DESCRIPTORS))?;
    let links: Vec<String> = serde_json::from_slice(&text)
        .map_err(|e| Error::spec(wish.images.join(DESCRIPTORS).display().to_string(), e.to_string()))?;
    for (link, number) in links.iter().zip(0..3) {
        if link.contains("pipe:") {
            inherit(options, link, number);
        }
    }
    Ok(())
}

/// criu works in the container's cgroup, and so does all that it makes.
pub(super) fn enter(cgroup: &Cgroup, worker: &Worker, options: &mut Message) -> Result<(), Error> {
    cgroup.attach(worker.pid())?;
    let text = fd::read_file(Path::new(&format!("/proc/{}/cgroup", worker.pid())))?;
    for line in String::from_utf8_lossy(&text).lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        if let (Some(controllers), Some(path)) = (parts.next(), parts.next()) {
            options.pair(field::CG_ROOT, controllers, path);
        }
    }
    Ok(())
}

fn outside_hooks(bundle: &Bundle, id: &str, pid: i32) -> Result<(), Error> {
    let state = hooks::state_json(id, "creating", pid, &bundle.path, &bundle.spec);
    hooks::run("prestart", hooks::prestart(&bundle.spec), &state)?;
    hooks::run("createRuntime", hooks::create_runtime(&bundle.spec), &state)
}
