//! Limits of a container's writable layer, by the project quotas of the file system below it (xfs, ext4).

use std::path::Path;

use super::error::{Error, Result};
use super::tree;
use crate::model::container::RootQuota;
use crate::model::id::ContainerId;
use crate::sys::quota;

/// Answers of a kernel or file system that has no quotas of projects, or has them switched off.
const NONE: &[i32] = &[libc::ENOTTY, libc::EOPNOTSUPP, libc::ESRCH, libc::ENOSYS, libc::EINVAL];

/// Puts `upper` and `work` below `container` into a project of their own and limits it.
pub(super) fn set(container: &Path, id: &ContainerId, wish: RootQuota) -> Result<()> {
    let project = project(id);
    for name in ["upper", "work"] {
        let path = container.join(name);
        let fd = tree::open_dir(rustix::fs::CWD, &path).map_err(|e| Error::io("open", &path, e))?;
        let done = quota::set_project(&fd, project)
            .and_then(|()| quota::limit(&fd, project, wish.size, wish.inodes));
        done.map_err(|source| {
            if NONE.iter().any(|errno| source.is(*errno)) {
                Error::NoQuota { path: container.to_owned(), source }
            } else {
                source.into()
            }
        })?;
    }
    Ok(())
}

/// The number of a container's project: from its id, and not 0, which is everyone's.
fn project(id: &ContainerId) -> u32 {
    u32::from_str_radix(id.as_str().get(..8).unwrap_or_default(), 16).unwrap_or(1) | 1 << 31
}
