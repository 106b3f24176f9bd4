//! Checkpoint and restore of a container by criu, with runc's options and its images: what one of the two has
//! written the other can read. criu does the work; we tell it what of the container is not the container's own.
//!
//! The conversation is in `rpc`, the two ways in `dump` and `restore`; `held` is both ways for a monitor, whose
//! containers are of mounts that have no path.

pub mod dump;
pub mod held;
pub mod restore;
mod rpc;
pub mod stats;

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Mount, Spec};

use super::Error;
use super::cgroup::Cgroup;
use crate::sys::fd;
use crate::sys::root::Root;
use rpc::Message;

/// Fields of criu's options, by the names of its `rpc.proto`.
mod field {
    pub(super) const IMAGES_DIR_FD: u32 = 1;
    pub(super) const PID: u32 = 2;
    pub(super) const LEAVE_RUNNING: u32 = 3;
    pub(super) const EXT_UNIX_SK: u32 = 4;
    pub(super) const TCP_ESTABLISHED: u32 = 5;
    pub(super) const EVASIVE_DEVICES: u32 = 6;
    pub(super) const SHELL_JOB: u32 = 7;
    pub(super) const FILE_LOCKS: u32 = 8;
    pub(super) const LOG_LEVEL: u32 = 9;
    pub(super) const LOG_FILE: u32 = 10;
    pub(super) const PAGE_SERVER: u32 = 11;
    pub(super) const NOTIFY_SCRIPTS: u32 = 12;
    pub(super) const ROOT: u32 = 13;
    pub(super) const PARENT_IMG: u32 = 14;
    pub(super) const TRACK_MEM: u32 = 15;
    pub(super) const AUTO_DEDUP: u32 = 16;
    pub(super) const WORK_DIR_FD: u32 = 17;
    pub(super) const LINK_REMAP: u32 = 18;
    pub(super) const EXT_MNT: u32 = 23;
    pub(super) const MANAGE_CGROUPS: u32 = 24;
    pub(super) const CG_ROOT: u32 = 25;
    pub(super) const RST_SIBLING: u32 = 26;
    pub(super) const INHERIT_FD: u32 = 27;
    pub(super) const MANAGE_CGROUPS_MODE: u32 = 34;
    pub(super) const EXTERNAL: u32 = 37;
    pub(super) const EMPTY_NS: u32 = 38;
    pub(super) const FREEZE_CGROUP: u32 = 44;
    pub(super) const TCP_SKIP_IN_FLIGHT: u32 = 46;
    pub(super) const LAZY_PAGES: u32 = 48;
    pub(super) const ORPHAN_PTS_MASTER: u32 = 50;
    pub(super) const CONFIG_FILE: u32 = 51;
    pub(super) const TCP_CLOSE: u32 = 52;
    pub(super) const LSM_PROFILE: u32 = 53;
    pub(super) const LSM_MOUNT_CONTEXT: u32 = 63;
}

/// What both ways can be told.
#[derive(Debug, Default)]
pub struct Options {
    /// Folder of the images.
    pub images: PathBuf,
    /// Folder of logs and other files of the work, if not that of the images.
    pub work: Option<PathBuf>,
    /// Established TCP connections are kept.
    pub tcp_established: bool,
    /// Sockets whose other end is outside are allowed.
    pub external_unix_sockets: bool,
    /// The terminal may be another's.
    pub shell_job: bool,
    /// File locks are kept.
    pub file_locks: bool,
    /// Pages of the images are deduplicated.
    pub auto_dedup: bool,
    /// How cgroups are handled.
    pub cgroups: CgroupMode,
    /// The network namespace is made new and its content left to others.
    pub empty_network: bool,
    /// Memory stays where it is until it is used.
    pub lazy_pages: bool,
    /// At a restore, established TCP connections are closed.
    pub tcp_close: bool,
    /// PATH of criu and of what it calls, where that is not ours.
    pub path: Option<String>,
}

/// What criu does about cgroups.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum CgroupMode {
    /// Those that are missing are made.
    #[default]
    Soft,
    /// All are as they were.
    Full,
    /// None may be there.
    Strict,
    /// Nothing.
    Ignore,
}

impl Options {
    fn common(&self, images: &OwnedFd, work: Option<&OwnedFd>, log: &str) -> Message {
        let mut m = Message::default();
        m.number(field::IMAGES_DIR_FD, images.as_raw_fd().into())
            .number(field::LOG_LEVEL, 4)
            .bytes(field::LOG_FILE, log.as_bytes())
            .flag(field::NOTIFY_SCRIPTS, true)
            .flag(field::ORPHAN_PTS_MASTER, true)
            .flag(field::MANAGE_CGROUPS, true)
            .number(field::MANAGE_CGROUPS_MODE, self.cgroups.number())
            .flag(field::TCP_ESTABLISHED, self.tcp_established)
            .flag(field::EXT_UNIX_SK, self.external_unix_sockets)
            .flag(field::SHELL_JOB, self.shell_job)
            .flag(field::FILE_LOCKS, self.file_locks)
            .flag(field::AUTO_DEDUP, self.auto_dedup)
            .flag(field::TCP_CLOSE, self.tcp_close)
            .flag(field::LAZY_PAGES, self.lazy_pages);
        if let Some(work) = work {
            m.number(field::WORK_DIR_FD, work.as_raw_fd().into());
        }
        if self.empty_network {
            m.number(field::EMPTY_NS, libc::CLONE_NEWNET.into());
        }
        m
    }

    /// A file with more of criu's options: the bundle's annotation names it (empty: none), or it is runc's.
    fn config_file(spec: &Spec, options: &mut Message) {
        let usual = Path::new("/etc/criu/runc.conf");
        let named = spec.annotations().as_ref().and_then(|a| a.get("org.criu.config")).cloned();
        let file = named.or_else(|| usual.exists().then(|| usual.display().to_string()));
        if let Some(file) = file.filter(|f| !f.is_empty()) {
            options.bytes(field::CONFIG_FILE, file.as_bytes());
        }
    }

    /// The lines of criu's log that say what went wrong, and where the rest is.
    fn explained(&self, log: &str, error: Error) -> Error {
        let file = self.work.as_ref().unwrap_or(&self.images).join(log);
        let text = fd::read_file(&file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // Those that are no errors: it does not stop there.
        let told = |l: &&str| l.contains("Error") && !l.contains(NO_MATTER) && !l.contains("FAILED");
        let mut lines: Vec<&str> = text.lines().rev().filter(told).take(2).map(str::trim).collect();
        lines.reverse();
        if lines.is_empty() {
            return error;
        }
        // What it answers is one of these lines, or less.
        let text = error.to_string();
        let head = if text.starts_with("criu failed") { "criu failed" } else { &text };
        Error::refused(format!("{head}: {} (more in {})", lines.join("; "), file.display()))
    }
}

/// What criu calls an error where its own limit of open files stays as it is.
const NO_MATTER: &str = "Can't setup RLIMIT_NOFILE";

impl CgroupMode {
    /// criu's number.
    fn number(self) -> i64 {
        match self {
            Self::Ignore => 0,
            Self::Soft => 3,
            Self::Full => 4,
            Self::Strict => 5,
        }
    }
}

/// Opens a folder, made where it is not there.
fn folder(path: &Path, make: bool) -> Result<OwnedFd, Error> {
    if make {
        let made = rustix::fs::mkdir(path, rustix::fs::Mode::from_raw_mode(0o700));
        if let Err(e) = made.map_err(rustix::io::Errno::raw_os_error)
            && e != libc::EEXIST
        {
            return Err(crate::sys::Error::new("mkdir", path.display().to_string(), e).into());
        }
    }
    Ok(fd::open_dir(path)?)
}

/// Mounts of a container that come from outside: their places in it, and what is mounted there.
fn external_mounts(spec: &Spec, cgroup: Option<&Cgroup>, root: &Root) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for m in spec.mounts().iter().flatten() {
        let place = place_of(m, root);
        match m.typ().as_deref() {
            Some("cgroup" | "cgroup2") => cgroup_mounts(&place, cgroup, &mut out),
            _ if is_bind(m) => {
                let given = m.source().as_deref().unwrap_or(Path::new("/"));
                // criu works in a folder of its own.
                let source = std::path::absolute(given).unwrap_or_else(|_| given.to_owned());
                out.push((place, source.display().to_string()));
            }
            _ => {}
        }
    }
    out
}

/// On v1 each hierarchy is a bind of the container's own cgroup.
fn cgroup_mounts(place: &str, cgroup: Option<&Cgroup>, out: &mut Vec<(String, String)>) {
    let Some(cgroup) = cgroup else { return };
    for (controller, directory) in cgroup.directories().into_iter().filter(|(c, _)| !c.is_empty()) {
        let below = Path::new(&directory).strip_prefix("/sys/fs/cgroup").ok();
        let name = below.and_then(|p| p.components().next());
        let name = name.map_or(controller, |n| n.as_os_str().to_string_lossy().into_owned());
        let key = format!("{place}/{name}");
        if !out.iter().any(|(k, _)| *k == key) {
            out.push((key, directory));
        }
    }
}

fn is_bind(m: &Mount) -> bool {
    matches!(m.typ().as_deref(), Some("bind" | "rbind"))
        || m.options().iter().flatten().any(|o| o == "bind" || o == "rbind")
}

/// Where a mount really is: criu looks for it in the mount table, and links are not in there.
fn place_of(m: &Mount, root: &Root) -> String {
    let wanted = m.destination().strip_prefix("/").unwrap_or(m.destination());
    let real = root.resolve(wanted).ok().and_then(|found| std::fs::read_link(fd::proc_path(&found)).ok());
    let base = root.resolve(Path::new(".")).ok().and_then(|r| std::fs::read_link(fd::proc_path(&r)).ok());
    let inside = real.zip(base).and_then(|(real, base)| Some(real.strip_prefix(base).ok()?.to_owned()));
    format!("/{}", inside.unwrap_or_else(|| wanted.to_owned()).display())
}

/// Namespaces of a path: they are not the container's own. criu's names for them.
fn external_namespaces(spec: &Spec) -> Vec<(&'static str, &'static str, PathBuf)> {
    let given = spec.linux().as_ref().and_then(|l| l.namespaces().as_deref()).unwrap_or_default();
    let known = |typ| match typ {
        LinuxNamespaceType::Network => Some(("net", "extRootNetNS")),
        LinuxNamespaceType::Pid => Some(("pid", "extRootPidNS")),
        _ => None,
    };
    let named = given.iter().filter_map(|n| {
        let (kind, key) = known(n.typ())?;
        let path = n.path().clone().filter(|p| !p.as_os_str().is_empty())?;
        Some((kind, key, path))
    });
    named.collect()
}

/// File in the images with the links of the first three descriptors, as runc has it.
const DESCRIPTORS: &str = "descriptors.json";
