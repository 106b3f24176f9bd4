//! Clones of mounts of the host, in the caller's mount namespace and with the caller's rights: made in the parent, so
//! that what is wrong fails there. Who has no right to clone mounts at all, a user without root, lets the child do it,
//! in whose user namespace that user may; the rights on the files are the same ones.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::namespaces::NamespacePlan;
use crate::sys::mount::{self, Attributes, Propagation};
use crate::sys::{Error, Result, fd};

/// A detached clone of something of the host, or what the child needs to make it.
#[derive(Debug)]
pub(crate) enum HostTree {
    /// It is there.
    Made(OwnedFd),
    /// The child makes it.
    InChild(Wanted),
}

/// A clone to make, and what it shall be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub path: PathBuf,
    /// With all that is mounted below.
    pub recursive: bool,
    /// Attributes to set.
    pub set: u64,
    pub propagation: Option<Propagation>,
    /// It must be this device: `S_IFCHR` or `S_IFBLK`, and the number (rule R3).
    pub device: Option<(u32, u64)>,
}

impl Wanted {
    pub(crate) fn new(path: &Path, recursive: bool) -> Self {
        Self { path: path.to_owned(), recursive, set: 0, propagation: None, device: None }
    }

    fn make(&self) -> Result<OwnedFd> {
        let tree = mount::open_tree_path(&self.path, self.recursive)?;
        if let Some((kind, device)) = self.device {
            let found = fd::stat(&tree)?;
            if (found.st_mode & libc::S_IFMT, found.st_rdev) != (kind, device) {
                let what = format!("{} of the host is another device", self.path.display());
                return Err(Error::new("fstat", what, libc::ENODEV));
            }
        }
        if self.set != 0 || self.propagation.is_some() {
            let change = Attributes { set: self.set, propagation: self.propagation, ..Attributes::default() };
            mount::set_attributes(&tree, &change, self.recursive)?;
        }
        Ok(tree)
    }

    /// Makes it, or leaves it to the child.
    pub(crate) fn tree(self, namespaces: &NamespacePlan) -> Result<HostTree> {
        match namespaces.clones_in_child() {
            true => Ok(HostTree::InChild(self)),
            false => self.make().map(HostTree::Made),
        }
    }
}

/// An opened [`HostTree`].
#[derive(Debug)]
pub(crate) enum Opened<'a> {
    Before(BorrowedFd<'a>),
    Now(OwnedFd),
}

impl HostTree {
    /// Its descriptor: for the child, before it lets go of the host's mounts.
    pub(crate) fn open(&self) -> Result<Opened<'_>> {
        match self {
            Self::Made(tree) => Ok(Opened::Before(tree.as_fd())),
            Self::InChild(wanted) => wanted.make().map(Opened::Now),
        }
    }
}

impl AsFd for Opened<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Before(tree) => *tree,
            Self::Now(tree) => tree.as_fd(),
        }
    }
}
