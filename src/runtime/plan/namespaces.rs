//! Which namespaces are made, which are joined and by whom, and the id maps.

use std::os::fd::{BorrowedFd, OwnedFd};

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType};

use crate::runtime::Error;
use crate::runtime::cgroup::Cgroup;
use crate::sys::idmap::{self, Range};
use crate::sys::proc::Proc;
use crate::sys::{caps, fd, ns};

/// Namespaces of a start.
#[derive(Debug)]
pub(crate) struct NamespacePlan {
    /// New ones, as `CLONE_NEW…` flags.
    pub new: u64,
    /// Joined ones, in order.
    pub joined: Vec<(ns::Kind, OwnedFd)>,
    /// The cgroup namespace is made only after the process is in its cgroup.
    pub unshare_cgroup_late: bool,
    /// Maps of a new user namespace.
    pub maps: Option<(Vec<Range>, Vec<Range>)>,
    /// `monotonic 1 0\nboottime …` for a new time namespace.
    pub time_offsets: String,
    /// We are in a user namespace ourselves, as podman's runtime is without root.
    pub lent: bool,
    /// We have none of root's capabilities: what we may not, the child may in its user namespace.
    pub without_root: bool,
}

impl NamespacePlan {
    /// Reads the spec; a namespace given by descriptor counts before one given by path.
    pub(crate) fn new(
        linux: &Linux,
        given: &[(ns::Kind, BorrowedFd<'_>)],
        cgroup: Option<&Cgroup>,
    ) -> Result<Self, Error> {
        let mut out = Self {
            new: 0,
            joined: Vec::new(),
            unshare_cgroup_late: false,
            maps: None,
            time_offsets: String::new(),
            lent: idmap::user_above().is_some(),
            without_root: !caps::has("SYS_ADMIN"),
        };
        for (kind, fd) in given {
            out.joined.push((*kind, fd::dup(fd, 3)?));
        }
        for (i, one) in linux.namespaces().iter().flatten().enumerate() {
            let kind = kind_of(one.typ());
            let again = linux.namespaces().iter().flatten().take(i).any(|o| o.typ() == one.typ());
            if again {
                return Err(Error::spec("linux.namespaces", format!("{} is named twice", kind.file())));
            }
            if given.iter().any(|(k, _)| *k == kind) {
                continue;
            }
            match one.path().as_ref().filter(|p| !p.as_os_str().is_empty()) {
                None => out.new |= kind.flag(),
                Some(path) => {
                    let file = ns::open_path(path, kind)
                        .map_err(|e| Error::spec(format!("linux.namespaces[{i}].path"), e.to_string()))?;
                    // One's own user namespace cannot be entered again, and need not.
                    if kind != ns::Kind::User || !is_own(&file)? {
                        out.joined.push((kind, file));
                    }
                }
            }
        }
        out.joined.sort_by_key(|(kind, _)| ns::Kind::ALL.iter().position(|k| k == kind));
        if out.is_new(ns::Kind::Cgroup) && cgroup.is_some_and(|c| c.clone_target().is_none()) {
            out.new &= !ns::Kind::Cgroup.flag();
            out.unshare_cgroup_late = true;
        }
        out.read_maps(linux)?;
        out.read_time_offsets(linux)?;
        Ok(out)
    }

    /// The user namespace to join, if one is.
    pub(crate) fn joined_user(&self) -> Option<&OwnedFd> {
        self.joined.iter().find(|(kind, _)| *kind == ns::Kind::User).map(|(_, file)| file)
    }

    /// Whether we may clone no mounts, and the child may, in its user namespace.
    pub(crate) fn clones_in_child(&self) -> bool {
        let other_user = self.maps.is_some() || self.joined_user().is_some();
        self.without_root && other_user && self.is_new(ns::Kind::Mount)
    }

    /// Whether supplementary groups that cannot be given up are a user's own, who gains nothing by keeping them. Root's
    /// would be: a user namespace that denies `setgroups` is refused to root (rule R1).
    pub(crate) fn groups_are_a_users(&self) -> bool {
        self.without_root || self.lent
    }

    /// Whether the container is in another user namespace than the machine's.
    pub(crate) fn in_user_namespace(&self) -> bool {
        self.lent || self.maps.is_some() || self.joined_user().is_some()
    }

    /// Whether another's cgroup namespace is joined: who is in it cannot be put into a cgroup outside any more.
    pub(crate) fn joins_cgroup(&self) -> bool {
        self.joined.iter().any(|(kind, _)| *kind == ns::Kind::Cgroup)
    }

    /// Makes the time namespace for the caller's children, and sets its clocks while nobody is in it yet.
    pub(crate) fn unshare_time(&self) -> crate::sys::Result<()> {
        ns::unshare(ns::Kind::Time.flag())?;
        if self.time_offsets.is_empty() {
            return Ok(());
        }
        Proc::host()?.write("self/timens_offsets".as_ref(), self.time_offsets.as_bytes())
    }

    /// Whether a namespace is made.
    pub(crate) fn is_new(&self, kind: ns::Kind) -> bool {
        self.new & kind.flag() != 0 || kind == ns::Kind::Cgroup && self.unshare_cgroup_late
    }

    /// Whether a namespace is the container's own or another's, but not the host's.
    pub(crate) fn is_private(&self, kind: ns::Kind) -> bool {
        self.is_new(kind) || self.joined.iter().any(|(k, _)| *k == kind)
    }

    fn read_maps(&mut self, linux: &Linux) -> Result<(), Error> {
        let uids = ranges(linux.uid_mappings().as_deref().unwrap_or_default());
        let gids = ranges(linux.gid_mappings().as_deref().unwrap_or_default());
        match (self.is_new(ns::Kind::User), uids.is_empty() || gids.is_empty()) {
            (true, true) => {
                Err(Error::spec("linux.uidMappings", "a new user namespace needs uid and gid mappings"))
            }
            (true, false) => {
                self.maps = Some((uids, gids));
                Ok(())
            }
            (false, false) if !self.is_private(ns::Kind::User) => {
                Err(Error::spec("linux.uidMappings", "given without a user namespace"))
            }
            (false, _) => Ok(()),
        }
    }

    fn read_time_offsets(&mut self, linux: &Linux) -> Result<(), Error> {
        use std::fmt::Write as _;
        for (clock, offset) in linux.time_offsets().iter().flatten() {
            if !["monotonic", "boottime"].contains(&&**clock) {
                return Err(Error::spec("linux.timeOffsets", format!("unknown clock {clock:?}")));
            }
            let (secs, nanos) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
            // Writing to a String cannot fail.
            let _ok = writeln!(self.time_offsets, "{clock} {secs} {nanos}");
        }
        if !self.time_offsets.is_empty() && !self.is_new(ns::Kind::Time) {
            return Err(Error::spec("linux.timeOffsets", "given without a new time namespace"));
        }
        Ok(())
    }

    /// A kernel parameter must belong to a namespace that is not the host's.
    pub(crate) fn check_sysctl(&self, key: &str, path: &str) -> Result<(), Error> {
        const IPC: &[&str] = &[
            "kernel/msgmax",
            "kernel/msgmnb",
            "kernel/msgmni",
            "kernel/sem",
            "kernel/shmall",
            "kernel/shmmax",
            "kernel/shmmni",
            "kernel/shm_rmid_forced",
        ];
        let field = || format!("linux.sysctl[{key}]");
        if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(Error::spec(field(), "not a kernel parameter"));
        }
        let needs = if IPC.contains(&path) || path.starts_with("fs/mqueue/") {
            ns::Kind::Ipc
        } else if path.starts_with("net/") {
            ns::Kind::Net
        } else if path == "kernel/domainname" || path == "kernel/hostname" {
            ns::Kind::Uts
        } else {
            return Err(Error::spec(field(), "is not in a separate kernel namespace"));
        };
        if self.is_private(needs) {
            return Ok(());
        }
        Err(Error::spec(field(), format!("not allowed in the host's {} namespace", needs.file())))
    }
}

fn is_own(userns: &OwnedFd) -> Result<bool, Error> {
    Ok(ns::identity(userns)? == ns::identity(ns::open_of_self(ns::Kind::User)?)?)
}

fn kind_of(typ: LinuxNamespaceType) -> ns::Kind {
    match typ {
        LinuxNamespaceType::Mount => ns::Kind::Mount,
        LinuxNamespaceType::Cgroup => ns::Kind::Cgroup,
        LinuxNamespaceType::Uts => ns::Kind::Uts,
        LinuxNamespaceType::Ipc => ns::Kind::Ipc,
        LinuxNamespaceType::User => ns::Kind::User,
        LinuxNamespaceType::Pid => ns::Kind::Pid,
        LinuxNamespaceType::Network => ns::Kind::Net,
        LinuxNamespaceType::Time => ns::Kind::Time,
    }
}

/// The OCI's ranges as ours.
pub(crate) fn ranges(given: &[LinuxIdMapping]) -> Vec<Range> {
    given.iter().map(|m| Range { inside: m.container_id(), outside: m.host_id(), count: m.size() }).collect()
}
