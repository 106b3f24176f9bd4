//! Mounts that are made in another mount namespace and sent back by a child: of a container's, because a mount can
//! be cloned only from inside (the path is resolved beneath its root, which is hostile, rule R1); and of one made for
//! the purpose, because older kernels do with attached mounts only what newer ones do with detached ones too.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::process::{self, CloneArgs};
use super::root::Root;
use super::{Error, Result, mount, ns, socket};
use crate::model::container::ProcessIdentity;

/// A detached clone of what is mounted at `path` in the mount namespace of `init`; an empty path is the root itself.
/// For callers of one thread.
pub fn clone_mount(init: &ProcessIdentity, path: &Path) -> Result<OwnedFd> {
    let handle = process::open_identity(init)?;
    let find = |root: Root| match path.as_os_str().is_empty() {
        true => Ok(root.into_fd()),
        false => root.resolve_no_links(path),
    };
    let what = || format!("/{} of the other container", path.display());
    from_child("open_tree", what, || {
        ns::join_process(&handle, ns::Kind::Mount.flag())
            .and_then(|()| Root::open_host(Path::new("/")))
            .and_then(find)
            .and_then(|place| mount::open_tree(place, false))
    })
}

/// What `make` makes in a mount namespace of its own, a copy of ours whose changes nobody sees. There it can attach
/// mounts that are detached here: kernels before 6.15 neither clone a detached mount nor take one as a layer.
/// For callers of one thread.
pub fn in_own_mounts(what: impl Fn() -> String, make: impl FnOnce() -> Result<OwnedFd>) -> Result<OwnedFd> {
    from_child("mounting", what, || {
        ns::unshare(ns::Kind::Mount.flag())
            .and_then(|()| mount::set_propagation_of_all(mount::Propagation::Private))
            .and_then(|()| make())
    })
}

/// A detached clone of a part of a detached mount. What leads to it must not lead out of it (rule R1).
pub fn clone_part(mount: OwnedFd, path: &Path) -> Result<OwnedFd> {
    let whole = Root::new(mount);
    let part = whole.resolve(path)?;
    match mount::open_tree(&part, true) {
        Err(e) if e.is(libc::EINVAL) => {}
        done => return done,
    }
    let what = || format!("{} of a mount", path.display());
    in_own_mounts(what, || {
        mount::move_mount_to_path(whole.as_fd(), Path::new(SCRATCH))?;
        mount::open_tree(&part, true)
    })
}

/// A directory that every host has and that nobody looks into in a mount namespace of our own.
pub const SCRATCH: &str = "/sys";

/// Forks, and takes the descriptor that the child makes.
fn from_child(
    call: &'static str,
    what: impl Fn() -> String,
    make: impl FnOnce() -> Result<OwnedFd>,
) -> Result<OwnedFd> {
    let (ours, theirs) = socket::pair(socket::Kind::SeqPacket)?;
    let child = process::clone(&CloneArgs::default(), || {
        match make().and_then(|made| socket::send(&theirs, b"1", &[made.as_fd()])) {
            Ok(_) => 0,
            Err(e) => e.errno.clamp(1, 255),
        }
    })?;
    let status = child.pidfd.wait()?.code();
    if status != 0 {
        return Err(Error::new(call, what(), status));
    }
    drop(theirs);
    let (_, mut fds) = socket::receive(&ours, &mut [0; 8])?;
    fds.pop().ok_or_else(|| Error::new("recvmsg", what(), libc::EPROTO))
}
