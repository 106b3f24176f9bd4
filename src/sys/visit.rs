//! Mounts of another mount namespace: a mount can be cloned only from inside, so a child visits, resolves the path
//! beneath the other's root (which is hostile, rule R1), clones the mount and sends the clone back.

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
    let (ours, theirs) = socket::pair(socket::Kind::SeqPacket)?;
    let child = process::clone(&CloneArgs::default(), || {
        let find = |root: Root| match path.as_os_str().is_empty() {
            true => Ok(root.into_fd()),
            false => root.resolve_no_links(path),
        };
        let sent = ns::join_process(&handle, ns::Kind::Mount.flag())
            .and_then(|()| Root::open_host(Path::new("/")))
            .and_then(find)
            .and_then(|place| mount::open_tree(place, false))
            .and_then(|tree| socket::send(&theirs, b"1", &[tree.as_fd()]));
        match sent {
            Ok(_) => 0,
            Err(e) => e.errno.clamp(1, 255),
        }
    })?;
    let what = || format!("/{} of the other container", path.display());
    let status = child.pidfd.wait()?.code();
    if status != 0 {
        return Err(Error::new("open_tree", what(), status));
    }
    drop(theirs);
    let (_, mut fds) = socket::receive(&ours, &mut [0; 8])?;
    fds.pop().ok_or_else(|| Error::new("recvmsg", what(), libc::EPROTO))
}
