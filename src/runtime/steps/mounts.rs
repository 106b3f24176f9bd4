//! Making the spec's mounts, in its order. Each destination is resolved beneath the root to a
//! descriptor, and the mount, made detached, is attached to that descriptor (rules R1, R3).

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::{cgroupfs, copyup};
use crate::runtime::plan::mounts::{MountPlan, Of, Shift, What, dress, shift_ids};
use crate::runtime::plan::relative;
use crate::runtime::sync::{self, During, Failure, Kind, Step};
use crate::sys::mount::{self, Attributes, FsContext, Propagation, attr};
use crate::sys::proc::Proc;
use crate::sys::root::Root;
use crate::sys::{self, fd, xattr};

/// Mounts that become read-only only when everything below them is made, and whether with all below them.
pub(in crate::runtime) type Late = Vec<(OwnedFd, bool)>;

/// What the mounts need from the steps before.
pub(in crate::runtime) struct Given<'a> {
    pub root: &'a Root,
    /// The procfs that was made for trusted writes, attached as the container's own if it asks for a
    /// plain one: one superblock less.
    pub proc: &'a Proc,
    pub late: Late,
    /// Who may do what a user namespace's root may not.
    pub socket: &'a OwnedFd,
}

/// Makes one mount.
pub(in crate::runtime) fn mount_one(plan: &MountPlan, given: &mut Given<'_>) -> Step<()> {
    let destination = relative(&plan.destination);
    match &plan.what {
        What::Bind { tree, is_dir } => bind(plan, tree, *is_dir, given.root),
        What::BindLater { source, of, shift } => {
            let open = || {
                let deep = plan.options.bind.unwrap_or(true);
                let tree = match of {
                    Of::OwnRoot => mount::open_tree(given.root.resolve(source)?, deep)?,
                    Of::Host => mount::open_tree_path(source, deep)?,
                };
                dress(&tree, &plan.options, None)?;
                let is_dir = fd::stat(&tree)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
                Ok((tree, is_dir))
            };
            let (tree, is_dir) = open().during(|| describe("opening the source of", plan))?;
            if let Some(shift) = shift {
                shift_own(&tree, shift, given.socket, plan)?;
            }
            bind(plan, &tree, is_dir, given.root)
        }
        What::Fs { kind, .. } if kind.as_c_str() == c"proc" || kind.as_c_str() == c"sysfs" => {
            special(plan, given)
        }
        What::Fs { kind, .. } => {
            let mode = inherited_mode(kind, plan, given.root);
            let target = directory(given.root, destination, plan)?;
            let made = new_instance(plan, mode)?;
            if plan.options.copy_up {
                let said = |(key, _): &(std::ffi::CString, _)| matches!(key.to_bytes(), b"uid" | b"gid");
                let owned = plan.options.data.iter().any(said);
                copyup::copy(&target, &made, owned).during(|| describe("copying what is below", plan))?;
            }
            attach(&made, &target, plan)?;
            propagate(&made, plan)?;
            deepen(&made, plan)?;
            let deep = plan.options.recursive_set & attr::RDONLY != 0;
            if plan.options.read_only() || deep {
                given.late.push((made, deep));
            }
            Ok(())
        }
        What::Cgroup(view) => {
            let target = directory(given.root, destination, plan)?;
            cgroupfs::mount(view, &plan.options, &target).during(|| describe("mounting", plan))
        }
        What::Remount => remount(plan, given.root),
    }
}

/// Makes the mounts read-only that had to wait.
pub(in crate::runtime) fn make_read_only(late: &Late) -> Step<()> {
    for (one, deep) in late {
        let change = Attributes { set: attr::RDONLY, ..Default::default() };
        mount::set_attributes(one, &change, *deep).during(|| "making a mount read-only".into())?;
    }
    Ok(())
}

fn bind(plan: &MountPlan, tree: &OwnedFd, is_dir: bool, root: &Root) -> Step<()> {
    let destination = relative(&plan.destination);
    let target = if is_dir { root.mkdir_all(destination, 0o755) } else { root.make_file_target(destination) };
    let target = target.during(|| describe("making the mount point for", plan))?;
    attach(tree, &target, plan)
}

/// The user namespace of the shift is not the container's: where that is another one, the parent has to do it.
fn shift_own(tree: &OwnedFd, shift: &Shift, socket: &OwnedFd, plan: &MountPlan) -> Step<()> {
    match shift_ids(tree, &shift.userns, shift.recursive) {
        Err(e) if e.is(libc::EPERM) => {
            let tag = if shift.recursive { sync::SHIFT_DEEP } else { sync::SHIFT };
            sync::send(socket, tag, &[tree.as_fd(), shift.userns.as_fd()])
                .during(|| describe("handing over", plan))?;
            sync::expect(socket, sync::PROCEED)
        }
        done => done.during(|| describe("mapping ids of", plan)),
    }
}

/// procfs and sysfs: their place must be a plain directory of the root, no link anywhere in its path
/// (CVE-2019-19921 and its followers).
fn special(plan: &MountPlan, given: &Given<'_>) -> Step<()> {
    let destination = relative(&plan.destination);
    let made =
        given.root.mkdir_all(destination, 0o755).during(|| describe("making the mount point for", plan))?;
    let target = given.root.resolve_no_links(destination).during(|| {
        let what = describe("mounting", plan);
        format!("{what}: it must be mounted on ordinary directory, with no link on the way")
    })?;
    same_file(&made, &target).during(|| describe("finding one and the same directory for", plan))?;
    if is_plain_proc(plan) {
        return attach(&given.proc.as_fd(), &target, plan);
    }
    let mut plan_now = plan.options.clone();
    let instance = instance(plan, &mut plan_now)?;
    attach(&instance, &target, plan)?;
    deepen_all(&instance, plan)
}

/// The words that hold for what is below too, on a file system that is new; to be read-only has to wait.
fn deepen(made: &OwnedFd, plan: &MountPlan) -> Step<()> {
    deepen_by(made, plan, plan.options.recursive_set & !attr::RDONLY)
}

fn deepen_all(made: &OwnedFd, plan: &MountPlan) -> Step<()> {
    deepen_by(made, plan, plan.options.recursive_set)
}

fn deepen_by(made: &OwnedFd, plan: &MountPlan, set: u64) -> Step<()> {
    let clear = plan.options.recursive_clear;
    if set == 0 && clear == 0 {
        return Ok(());
    }
    mount::set_attributes(made, &Attributes { set, clear, ..Default::default() }, true)
        .during(|| describe("setting the recursive options of", plan))
}

fn same_file(a: impl AsFd, b: impl AsFd) -> sys::Result<()> {
    let (a, b) = (fd::stat(a)?, fd::stat(b)?);
    if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) {
        return Ok(());
    }
    Err(sys::Error::new("fstat", "the directory was replaced meanwhile", libc::ESTALE))
}

/// A proc mount without options of its own.
pub(in crate::runtime) fn is_plain_proc(plan: &MountPlan) -> bool {
    let options = &plan.options;
    matches!(&plan.what, What::Fs { kind, .. } if kind.as_c_str() == c"proc")
        && options.data.is_empty()
        && (options.recursive_set, options.recursive_clear) == (0, 0)
}

/// A directory as a mount point, made if needed.
fn directory(root: &Root, destination: &Path, plan: &MountPlan) -> Step<OwnedFd> {
    root.mkdir_all(destination, 0o755).during(|| describe("making the mount point for", plan))
}

/// A new instance; read-only later, when what is mounted on it has its places.
fn new_instance(plan: &MountPlan, mode: Option<CString>) -> Step<OwnedFd> {
    let mut options = plan.options.clone();
    options.set &= !attr::RDONLY;
    options.data.extend(mode.map(|mode| (c"mode".to_owned(), Some(mode))));
    instance(plan, &mut options)
}

/// A tmpfs that says nothing of its mode has that of the directory that it covers, if one is there.
fn inherited_mode(kind: &CStr, plan: &MountPlan, root: &Root) -> Option<CString> {
    if kind != c"tmpfs" || plan.options.data.iter().any(|(key, _)| key.as_c_str() == c"mode") {
        return None;
    }
    let there = root.open_dir(relative(&plan.destination)).and_then(|dir| fd::stat(&dir)).ok()?;
    CString::new(format!("{:o}", there.st_mode & 0o7777)).ok()
}

fn instance(plan: &MountPlan, options: &mut crate::runtime::plan::options::Options) -> Step<OwnedFd> {
    let What::Fs { kind, source } = &plan.what else {
        return Err(Failure {
            kind: Kind::Spec,
            what: plan.destination.display().to_string(),
            why: "is no file system".into(),
            errno: 0,
        });
    };
    let make = || -> sys::Result<OwnedFd> {
        let context = FsContext::named(kind)?;
        if let Some(source) = source {
            context.set("source", source.as_c_str())?;
        }
        for (key, value) in &options.data {
            match value {
                Some(value) => context.set(key.as_c_str(), value.as_c_str())?,
                None => context.flag(key.as_c_str())?,
            }
        }
        // That of message queues takes no context; its root can be given one.
        let late = options.label.as_ref().filter(|_| kind.as_c_str() == c"mqueue");
        if let (Some(label), None) = (&options.label, late) {
            context.set("context", label.as_c_str())?;
        }
        let made = context.mount(options.set)?;
        if let Some(label) = late {
            xattr::set_path(&made, c"security.selinux", label.to_bytes_with_nul())?;
        }
        Ok(made)
    };
    make().during(|| describe("mounting", plan))
}

fn attach(mount: &impl AsFd, target: &OwnedFd, plan: &MountPlan) -> Step<()> {
    mount::move_mount(mount, target).during(|| describe("mounting", plan))
}

fn propagate(made: &OwnedFd, plan: &MountPlan) -> Step<()> {
    match plan.options.propagation {
        None | Some((Propagation::Private, _)) => Ok(()),
        Some((propagation, deep)) => {
            let change = Attributes { propagation: Some(propagation), ..Default::default() };
            mount::set_attributes(made, &change, deep).during(|| describe("setting the propagation of", plan))
        }
    }
}

/// Changes the attributes of what is mounted at the destination.
fn remount(plan: &MountPlan, root: &Root) -> Step<()> {
    let target = root.resolve(relative(&plan.destination)).during(|| describe("finding", plan))?;
    let o = &plan.options;
    let change = Attributes { set: o.set, clear: o.clear, ..Default::default() };
    mount::set_attributes(&target, &change, false).during(|| describe("remounting", plan))?;
    deepen_all(&target, plan)
}

fn describe(deed: &str, plan: &MountPlan) -> String {
    let destination = plan.destination.display();
    match &plan.what {
        What::Fs { kind, .. } => format!("{deed} {:?} at {destination}", kind.to_string_lossy()),
        What::Bind { .. } | What::BindLater { .. } => format!("{deed} the bind at {destination}"),
        What::Cgroup(_) => format!("{deed} \"cgroup\" at {destination}"),
        What::Remount => format!("{deed} {destination}"),
    }
}
