//! cgroups: make one, limit it, put a process in, measure, freeze, kill, remove. v2, v1 and hybrid
//! behind one type.
//!
//! The start path writes its files itself, with few system calls. A [`Manager`] is what was detected of the
//! machine; a [`Cgroup`] is one cgroup on all the hierarchies that matter. What is to be written is
//! decided purely (`limits_v1`, `limits_v2`, `convert`, `devices`). Not here: translating the model's limits
//! ([`super::oci::resources`]).

pub mod below;
mod convert;
mod dbus;
mod devices;
mod error;
mod freeze;
mod hierarchy;
mod limits_v1;
mod limits_v2;
mod measure;
mod processes;
mod properties;
mod setting;
pub mod stats;
mod systemd;
#[cfg(test)]
mod tests;
mod unit;
mod v1;
mod v2;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use oci_spec::runtime::LinuxResources;

pub use error::Error;
use hierarchy::Hierarchies;
pub use stats::Stats;
pub use unit::Unit;

use crate::sys::cgroup as sys;

/// How long the removal waits for dying processes.
const REMOVE_LIMIT: Duration = Duration::from_secs(5);

/// How cgroups are mounted on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// cgroup v2 alone at /sys/fs/cgroup.
    Unified,
    /// v1 controllers, and a v2 hierarchy beside them.
    Hybrid,
    /// v1 controllers alone.
    Legacy,
    /// No cgroup file system that can be used.
    None,
}

/// The cgroup hierarchies of this machine, looked up once.
#[derive(Debug, Clone)]
pub struct Manager {
    hierarchies: Arc<Hierarchies>,
}

/// Whether systemd runs this machine, so that it can be asked for scopes.
#[must_use]
pub fn systemd_runs() -> bool {
    systemd::booted()
}

impl Manager {
    /// Looks at /sys/fs/cgroup: one statfs on a unified machine.
    ///
    /// # Errors
    /// [`Error::NotMounted`], or what reading the mount table brings.
    pub fn detect() -> Result<Self, Error> {
        Ok(Self { hierarchies: Arc::new(Hierarchies::detect()?) })
    }

    /// How cgroups are mounted.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.hierarchies.layout()
    }

    /// Makes the cgroup (parents too) and applies limits and device rules, so that a process put
    /// into it is never without them. `path` is absolute (`/rcon/<id>`) or, for the systemd driver,
    /// `slice:prefix:name`. An existing empty cgroup is made anew; one with processes is an error.
    ///
    /// A scope of systemd comes into being with its first process only: by [`Cgroup::attach`], which then
    /// applies the limits. Where systemd does not run, or the controllers are on v1, the scope's path is
    /// used as any other.
    ///
    /// # Errors
    /// [`Error`]; what was made is removed again.
    pub fn create(&self, path: &str, limits: &LinuxResources) -> Result<Cgroup, Error> {
        self.create_unit(path, limits, Unit::default())
    }

    /// [`Manager::create`] with wishes for the scope, if systemd makes one.
    ///
    /// # Errors
    /// As [`Manager::create`].
    pub fn create_unit(&self, path: &str, limits: &LinuxResources, unit: Unit) -> Result<Cgroup, Error> {
        let scope = systemd::Scope::parse(path).transpose()?;
        if let Some(scope) = &scope
            && let Some(mount) = self.unified()
            && systemd::booted()
        {
            v2::check(limits)?;
            v2::check_empty(mount, &scope.relative())?;
            let mut cgroup = self.cgroup(&scope.relative(), None);
            cgroup.pending =
                Some(Pending { scope: scope.clone(), unit, limits: properties::rounded(limits) });
            return Ok(cgroup);
        }
        let plain = scope.map(|s| s.relative());
        let relative = relative(plain.as_deref().unwrap_or(path))?;
        let target = match self.unified() {
            Some(mount) => Some(v2::create(mount, relative, limits)?),
            None => {
                v1::create(&self.hierarchies, relative, limits)?;
                None
            }
        };
        Ok(self.cgroup(relative, target))
    }

    /// Opens an existing cgroup, as recorded in [`Cgroup::path`] or as given to [`Manager::create`].
    ///
    /// # Errors
    /// [`Error::Gone`] if it does not exist.
    pub fn open(&self, path: &str) -> Result<Cgroup, Error> {
        let plain = systemd::Scope::parse(path).transpose()?.map(|s| s.relative());
        let relative = relative(plain.as_deref().unwrap_or(path))?;
        let target = match self.unified() {
            Some(mount) => Some(v2::open(&mount.join(relative), relative)?),
            None if v1::directories(&self.hierarchies, relative).is_empty() => {
                return Err(Error::Gone { path: format!("/{relative}") });
            }
            None => None,
        };
        Ok(self.cgroup(relative, target))
    }

    /// The cgroup that a process is in on v2 alone.
    ///
    /// # Errors
    /// [`Error::Gone`] where there is none.
    pub fn of_process(&self, pid: i32) -> Result<Cgroup, Error> {
        let gone = || Error::Gone { path: format!("/proc/{pid}/cgroup") };
        let place = self.unified().and_then(|_| systemd::of_process(pid)).ok_or_else(gone)?;
        self.open(&format!("/{place}"))
    }

    /// Removes a cgroup by its path, whether it is whole or not; for sweeping up.
    ///
    /// # Errors
    /// As [`Cgroup::remove`].
    pub fn remove(&self, path: &str) -> Result<(), Error> {
        self.cgroup(relative(path)?, None).remove()
    }

    /// Names of the cgroups directly below a path, on any hierarchy; for sweeping up.
    #[must_use]
    pub fn children(&self, path: &str) -> Vec<String> {
        let Ok(relative) = relative(path) else { return Vec::new() };
        let mounts = self.hierarchies.v1.iter().map(|h| &h.mount).chain(&self.hierarchies.v2);
        let mut out: Vec<String> = mounts
            .filter_map(|mount| std::fs::read_dir(mount.join(relative)).ok())
            .flatten()
            .filter_map(Result::ok)
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        out.sort();
        out.dedup();
        out
    }

    fn unified(&self) -> Option<&Path> {
        self.hierarchies.v2.as_deref().filter(|_| self.layout() == Layout::Unified)
    }

    fn cgroup(&self, relative: &str, target: Option<OwnedFd>) -> Cgroup {
        Cgroup {
            path: format!("/{relative}"),
            hierarchies: Arc::clone(&self.hierarchies),
            target: target.map_or_else(OnceLock::new, OnceLock::from),
            pending: None,
        }
    }
}

/// The path below the mounts, without the slash at its start.
fn relative(path: &str) -> Result<&str, Error> {
    let refuse = |why| Err(Error::Path { path: path.to_owned(), why });
    let inner = path.trim_matches('/');
    if inner.is_empty() {
        return refuse("it names the root");
    }
    if inner.split('/').any(|p| p.is_empty() || p == "." || p == "..") {
        return refuse("empty parts, . and .. are not allowed");
    }
    if inner.contains(['\0', '\n']) {
        return refuse("control characters are not allowed");
    }
    Ok(inner)
}

/// One cgroup.
#[derive(Debug)]
pub struct Cgroup {
    path: String,
    hierarchies: Arc<Hierarchies>,
    /// The directory on v2, once there is one.
    target: OnceLock<OwnedFd>,
    /// A scope that systemd makes with the first process.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    scope: systemd::Scope,
    unit: Unit,
    limits: LinuxResources,
}

impl Cgroup {
    /// Path below each hierarchy's mount; what [`Manager::open`] takes.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `(controller, directory)` of each hierarchy, for the state document of an OCI runtime; the
    /// controller of v2 is the empty string.
    #[must_use]
    pub fn directories(&self) -> Vec<(String, String)> {
        let text = |p: PathBuf| p.to_string_lossy().into_owned();
        match self.v2_dir() {
            Some(dir) => vec![(String::new(), text(dir))],
            None => v1::directories(&self.hierarchies, self.relative())
                .into_iter()
                .map(|(c, d)| (c.to_owned(), text(d)))
                .collect(),
        }
    }

    /// Whether it is on v2 alone, be it there already or a scope that systemd will make.
    #[must_use]
    pub fn is_unified(&self) -> bool {
        self.hierarchies.layout() == Layout::Unified
    }

    /// On v2 the directory for clone3's CLONE_INTO_CGROUP: the child is born in it, and
    /// [`Cgroup::attach`] need not be called. `None` elsewhere, and for a scope that has no process yet.
    #[must_use]
    pub fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        self.target.get().map(AsFd::as_fd)
    }

    /// On v1 the `tasks` files to which a single-threaded process writes `0` to move itself. Moving
    /// oneself is the only way that takes no lock of all processes, whose taking waits for an RCU
    /// grace period (5 to 16 ms here). `None` where [`Cgroup::attach`] is needed or nothing is.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn join_files(&self) -> Result<Option<Vec<OwnedFd>>, Error> {
        if self.pending.is_some() || self.v2_dir().is_some() {
            return Ok(None);
        }
        v1::join_files(&self.hierarchies, self.relative())
    }

    /// Gives the cgroup to a user who shall make cgroups below it: the directory, and the files that the kernel calls
    /// safe to hand over. On v1 nothing is.
    ///
    /// # Errors
    /// [`Error::Give`].
    pub fn give_to(&self, uid: u32) -> Result<(), Error> {
        let Some(dir) = self.v2_dir() else { return Ok(()) };
        let named = sys::read(Path::new("/sys/kernel/cgroup/delegate")).unwrap_or_default();
        let usual = "cgroup.procs cgroup.subtree_control cgroup.threads";
        let names = if named.is_empty() { usual } else { &named };
        let files = names.split_whitespace().map(|name| dir.join(name));
        for path in std::iter::once(dir.clone()).chain(files) {
            match std::os::unix::fs::chown(&path, Some(uid), None) {
                // The list is of all files, and not each kernel has each.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                done => done.map_err(|source| Error::Give { path, uid, source })?,
            }
        }
        Ok(())
    }

    /// Moves a process, with all its threads, into the cgroup on every hierarchy joined.
    ///
    /// # Errors
    /// [`Error::Attach`]; for a scope of systemd whatever its making brings.
    pub fn attach(&self, pid: i32) -> Result<(), Error> {
        if let (Some(pending), None) = (&self.pending, self.target.get()) {
            return self.start_scope(pending, pid);
        }
        if let Some(dir) = self.v2_dir() {
            return processes::attach(&dir, pid);
        }
        v1::attach(&self.hierarchies, self.relative(), pid)
    }

    /// Changes limits; what is `None` stays as it is. Device rules, if any are given, replace the present ones.
    ///
    /// # Errors
    /// [`Error`].
    pub fn update(&self, limits: &LinuxResources) -> Result<(), Error> {
        match (self.target.get(), &self.hierarchies.v2) {
            (Some(dir), Some(mount)) => {
                let mut limits = v2::completed(&mount.join(self.relative()), limits)?;
                if let Some(unit) = systemd::unit_of(self.relative()) {
                    limits = properties::rounded(&limits);
                    systemd::update(unit, &limits)?;
                }
                v2::update(mount, self.relative(), dir, &limits)
            }
            _ => v1::update(&self.hierarchies, self.relative(), limits),
        }
    }

    /// Measures. Fields that this kernel does not offer stay zero or empty.
    ///
    /// # Errors
    /// [`Error::Gone`] if the cgroup was removed.
    pub fn stats(&self) -> Result<Stats, Error> {
        if !self.exists() {
            return Err(Error::Gone { path: self.path.clone() });
        }
        Ok(match self.v2_dir() {
            Some(dir) => measure::v2(&dir),
            None => measure::v1(&|c| v1::directory(&self.hierarchies, c, self.relative())),
        })
    }

    /// Sends a signal to every process in it and below.
    ///
    /// # Errors
    /// [`Error`].
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        processes::signal(&self.pids()?, signal)
    }

    /// Processes in it and below, in the pid namespace of the caller.
    ///
    /// # Errors
    /// [`Error`].
    pub fn pids(&self) -> Result<Vec<i32>, Error> {
        processes::below(&self.any_dir()?)
    }

    /// How many processes the kernel killed here for memory.
    ///
    /// # Errors
    /// [`Error`].
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let (dir, file) = match self.v2_dir() {
            Some(dir) => (dir, "memory.events"),
            None => match self.controller("memory") {
                Some(dir) => (dir, "memory.oom_control"),
                None => return Ok(0),
            },
        };
        Ok(measure::oom_kills(&dir, file))
    }

    /// Whether processes wait for memory that nobody is killed for (`--oom-kill-disable`, cgroup v1).
    #[must_use]
    pub fn waits_for_memory(&self) -> bool {
        self.v2_dir().is_none()
            && self.controller("memory").is_some_and(|dir| measure::waits_for_memory(&dir))
    }

    /// Something to poll that becomes readable when memory runs out.
    ///
    /// # Errors
    /// [`Error`].
    pub fn watch_oom(&self) -> Result<OomWatch, Error> {
        let no_memory = Error::NoController { setting: "watching for memory", controller: "memory" };
        let (dir, made) = match self.v2_dir() {
            Some(dir) => {
                let made = sys::oom_inotify(&dir);
                (dir, made)
            }
            None => {
                let dir = self.controller("memory").ok_or(no_memory)?;
                let made = sys::oom_eventfd(&dir);
                (dir, made)
            }
        };
        made.map(|fd| OomWatch { fd }).map_err(|source| Error::Read { path: dir, source })
    }

    /// Removes the cgroup and those below it; retried for a moment while processes are dying. Nothing
    /// there is success.
    ///
    /// # Errors
    /// [`Error::Busy`] with the processes that are still in it. The other hierarchies are removed all the same.
    pub fn remove(&self) -> Result<(), Error> {
        let deadline = Instant::now() + REMOVE_LIMIT;
        let mounts = self.hierarchies.v1.iter().map(|h| &h.mount).chain(&self.hierarchies.v2);
        let mut failed = None;
        for mount in mounts {
            if let Err(e) = processes::remove(&mount.join(self.relative()), deadline) {
                failed.get_or_insert(e);
            }
        }
        if let (Some(unit), true) = (systemd::unit_of(self.relative()), self.is_unified()) {
            systemd::forget(unit);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Has systemd make the scope around a process, and limits it before the process is let go.
    fn start_scope(&self, pending: &Pending, pid: i32) -> Result<(), Error> {
        let mount = self.hierarchies.v2.as_deref().ok_or(Error::NotMounted)?;
        let empty = || v2::check_empty(mount, self.relative()).is_ok();
        let relative = systemd::start(&pending.scope, pid, &pending.unit, &pending.limits, empty)?;
        if relative != self.relative() {
            return Err(Error::Unexpected { path: format!("/proc/{pid}/cgroup").into(), text: relative });
        }
        let dir = v2::fill(mount, &relative, &pending.limits)?;
        // Nobody else fills it: a Cgroup is used by one thread while it starts.
        self.target.get_or_init(|| dir);
        Ok(())
    }

    fn relative(&self) -> &str {
        &self.path[1..]
    }

    fn v2_dir(&self) -> Option<PathBuf> {
        let unified = self.hierarchies.layout() == Layout::Unified;
        self.hierarchies.v2.as_ref().filter(|_| unified).map(|m| m.join(self.relative()))
    }

    /// A directory that has all the processes.
    fn any_dir(&self) -> Result<PathBuf, Error> {
        let gone = || Error::Gone { path: self.path.clone() };
        match self.v2_dir() {
            Some(dir) => Ok(dir),
            None => v1::any_directory(&self.hierarchies, self.relative()).ok_or_else(gone),
        }
    }

    fn exists(&self) -> bool {
        self.any_dir().is_ok_and(|d| sys::is_dir(&d))
    }

    fn controller(&self, name: &str) -> Option<PathBuf> {
        v1::directory(&self.hierarchies, name, self.relative()).filter(|d| sys::is_dir(d))
    }
}

/// A descriptor that polls readable (POLLIN) when memory ran out in the cgroup. After that call
/// [`OomWatch::drain`] and look at [`Cgroup::oom_kills`]: the removal of the cgroup wakes it too.
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
}

impl OomWatch {
    /// Takes what is pending, so that the next poll waits.
    pub fn drain(&self) {
        sys::drain(self.fd.as_fd());
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
