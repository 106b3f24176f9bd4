//! Checkpoint: the processes of a container become files.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;

use super::rpc::{Message, Notice, Request, Worker};
use super::{DESCRIPTORS, Options, external_mounts, external_namespaces, field, folder};
use crate::runtime::Error;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::manage::delete;
use crate::runtime::state::{Container, Status, Store};
use crate::sys::atomic::{self, Durability};
use crate::sys::fd;
use crate::sys::root::Root;

/// What only a checkpoint can be told.
#[derive(Debug, Default)]
pub struct Dump {
    /// What a restore can be told too.
    pub options: Options,
    /// Images of an earlier pre-dump, relative to these.
    pub parent: Option<PathBuf>,
    /// The container runs on.
    pub leave_running: bool,
    /// Memory only, the container runs on.
    pub pre_dump: bool,
    /// TCP connections that are being made are left out.
    pub tcp_skip_in_flight: bool,
    /// Files that were unlinked get a name for the while.
    pub link_remap: bool,
    /// Where memory goes to or, lazily, is handed out.
    pub page_server: Option<PageServer>,
}

/// An address of memory on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageServer {
    /// Address or name.
    pub address: String,
    /// TCP port.
    pub port: u16,
}

const LOG: &str = "dump.log";

/// Writes a checkpoint of a running container, which is deleted then unless it is to run on. `status` gets a zero byte,
/// and is closed, as soon as memory can be asked for, where that is handed out lazily.
///
/// # Errors
/// [`Error`]; the container runs on then.
pub fn dump(store: &Store, id: &str, dump: &Dump, mut status: Option<OwnedFd>) -> Result<(), Error> {
    let container = store.open(id)?;
    let _lock = container.lock()?;
    match container.status()? {
        Status::Running | Status::Paused => {}
        status => {
            let word = status.word();
            return Err(Error::refused(format!("a container that is {word} cannot be checkpointed")));
        }
    }
    let spec = container.spec()?;
    let mut asked = Asked::new(dump, container.state.init.pid)?;
    Options::config_file(&spec, &mut asked.options);
    let root = container.state.rootfs.display().to_string();
    asked.options.bytes(field::ROOT, root.as_bytes());
    describe(&container, &spec, dump, &mut asked.options)?;
    let told = |notice: Notice<'_>| {
        if let Some(listener) = status.take_if(|_| notice.script == "status-ready")
            && let Err(e) = fd::write(&listener, &[0])
        {
            // Who does not listen any more misses nothing.
            tracing::warn!("telling that memory can be asked for: {e}");
        }
        Ok(())
    };
    asked.ask(dump, told)?;
    if dump.leave_running || dump.pre_dump {
        return Ok(());
    }
    delete::destroy(container)
}

/// A request for a dump, and the folders that it names by descriptors.
pub(super) struct Asked {
    pub(super) options: Message,
    _folders: (OwnedFd, Option<OwnedFd>),
}

impl Asked {
    /// What is the same for every container.
    pub(super) fn new(dump: &Dump, pid: i32) -> Result<Self, Error> {
        let parent = parent(dump)?;
        std::fs::create_dir_all(&dump.options.images).map_err(|e| {
            crate::sys::Error::from_io("mkdir", dump.options.images.display().to_string(), &e)
        })?;
        let images = folder(&dump.options.images, true)?;
        let work = dump.options.work.as_deref().map(|w| folder(w, true)).transpose()?;
        let mut options = dump.options.common(&images, work.as_ref(), LOG);
        options
            .number(field::PID, pid.into())
            .flag(field::LEAVE_RUNNING, dump.leave_running)
            .flag(field::TCP_SKIP_IN_FLIGHT, dump.tcp_skip_in_flight)
            .flag(field::LINK_REMAP, dump.link_remap);
        if let Some(parent) = parent {
            options.bytes(field::PARENT_IMG, parent.as_bytes()).flag(field::TRACK_MEM, true);
        } else if dump.pre_dump {
            options.flag(field::TRACK_MEM, true);
        }
        if let Some(server) = &dump.page_server {
            let mut inside = Message::default();
            inside.bytes(1, server.address.as_bytes()).number(2, server.port.into());
            options.inside(field::PAGE_SERVER, &inside);
        }
        Ok(Self { options, _folders: (images, work) })
    }

    /// Has criu do it.
    pub(super) fn ask(
        &self,
        dump: &Dump,
        told: impl FnMut(Notice<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut worker = Worker::start(&[], dump.options.path.as_deref())?;
        let kind = if dump.pre_dump { Request::PreDump } else { Request::Dump };
        worker.ask(kind, &self.options, told).map(drop).map_err(|e| dump.options.explained(LOG, e))
    }
}

/// The cgroup that criu freezes.
pub(super) fn freezer(cgroup: &Cgroup, options: &mut Message) {
    let directories = cgroup.directories();
    let freezer = directories.iter().find(|(c, _)| c.is_empty() || c.split(',').any(|c| c == "freezer"));
    if let Some((_, directory)) = freezer {
        options.bytes(field::FREEZE_CGROUP, directory.as_bytes());
    }
}

/// Keeps the links of the first three descriptors with the images.
pub(super) fn keep_descriptors(dump: &Dump, links: &[String; 3]) -> Result<(), Error> {
    let file = dump.options.images.join(DESCRIPTORS);
    Ok(atomic::write(&file, serde_json::json!(links).to_string().as_bytes(), 0o600, Durability::None)?)
}

/// Relative to the images, and there.
fn parent(dump: &Dump) -> Result<Option<String>, Error> {
    let Some(parent) = dump.parent.as_ref().filter(|p| !p.as_os_str().is_empty()) else { return Ok(None) };
    if parent.is_absolute() {
        return Err(Error::refused("--parent-path must be relative to the images"));
    }
    std::fs::create_dir_all(&dump.options.images).ok();
    match std::fs::metadata(dump.options.images.join(parent)) {
        Ok(found) if found.is_dir() => Ok(Some(parent.display().to_string())),
        Ok(_) => Err(Error::refused(format!("invalid --parent-path {}: not a directory", parent.display()))),
        Err(e) => Err(Error::refused(format!("invalid --parent-path {}: {e}", parent.display()))),
    }
}

/// What of the container comes from outside, and its cgroup, which criu freezes.
fn describe(container: &Container, spec: &Spec, dump: &Dump, options: &mut Message) -> Result<(), Error> {
    for (kind, key, path) in external_namespaces(spec) {
        let inode = std::fs::metadata(&path)
            .map_err(|e| crate::sys::Error::from_io("stat", path.display().to_string(), &e))?
            .ino();
        options.bytes(field::EXTERNAL, format!("{kind}[{inode}]:{key}").as_bytes());
    }
    let cgroup = container.cgroup()?;
    if let Some(cgroup) = &cgroup {
        freezer(cgroup, options);
    }
    if dump.pre_dump {
        return Ok(());
    }
    let pid = container.state.init.pid;
    let root = Root::open_host(Path::new(&format!("/proc/{pid}/root")))?;
    for (place, _) in external_mounts(spec, cgroup.as_ref(), &root) {
        options.pair(field::EXT_MNT, &place, &place);
    }
    for (path, is_dir) in masks(spec, &root) {
        if !is_dir {
            options.pair(field::EXT_MNT, &path, "/dev/null");
        }
    }
    for device in spec.linux().iter().filter_map(|l| l.devices().as_ref()).flatten() {
        let path = device.path().display().to_string();
        options.pair(field::EXT_MNT, &path, &path);
    }
    let link =
        |n| std::fs::read_link(format!("/proc/{pid}/fd/{n}")).unwrap_or_default().display().to_string();
    keep_descriptors(dump, &std::array::from_fn(link))
}

/// Masked paths that are there, and whether each is a directory.
fn masks(spec: &Spec, root: &Root) -> Vec<(String, bool)> {
    let paths = spec.linux().as_ref().and_then(|l| l.masked_paths().as_deref()).unwrap_or_default();
    let look = |path: &String| {
        let found = root.resolve(Path::new(path.trim_start_matches('/'))).ok()?;
        debug_assert!(found.as_raw_fd() > 2);
        let is_dir = fd::stat(&found).ok()?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        Some((path.clone(), is_dir))
    };
    paths.iter().filter_map(look).collect()
}
