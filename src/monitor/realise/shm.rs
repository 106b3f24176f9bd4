//! /dev/shm of another container, for `--ipc container:…`.
//!
//! It is a mount in the other's mount namespace, and a mount can be cloned only from inside. So a child visits
//! that namespace, resolves the path beneath the other's root (which is hostile, rule R1), clones the mount and
//! sends the clone back.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crate::model::container::ProcessIdentity;
use crate::sys::process::{self, CloneArgs};
use crate::sys::root::Root;
use crate::sys::{Error, mount, ns, socket};

/// A detached clone of the other container's /dev/shm.
pub(super) fn clone_of(init: &ProcessIdentity) -> Result<OwnedFd, Error> {
    let handle = process::open_identity(init)?;
    let (ours, theirs) = socket::pair(socket::Kind::SeqPacket)?;
    let child = process::clone(&CloneArgs::default(), || {
        let sent = ns::join_process(&handle, ns::Kind::Mount.flag())
            .and_then(|()| Root::open_host(Path::new("/")))
            .and_then(|root| root.resolve_no_links(Path::new("dev/shm")))
            .and_then(|shm| mount::open_tree(shm, false))
            .and_then(|tree| socket::send(&theirs, b"1", &[tree.as_fd()]));
        match sent {
            Ok(_) => 0,
            Err(e) => e.errno.clamp(1, 255),
        }
    })?;
    let status = child.pidfd.wait()?.code();
    if status != 0 {
        return Err(Error::new("open_tree", "/dev/shm of the other container", status));
    }
    drop(theirs);
    let (_, mut fds) = socket::receive(&ours, &mut [0; 8])?;
    fds.pop().ok_or_else(|| Error::new("recvmsg", "/dev/shm of the other container", libc::EPROTO))
}
