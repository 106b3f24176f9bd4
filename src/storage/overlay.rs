//! Overlay mounts as detached descriptors: any number of layers by `lowerdir+`, the legacy option string
//! where the kernel is older.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};

/// Options of an overlay mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// No syncs of the upper directory: right for containers that go when they end, wrong for others,
    /// because the kernel refuses the upper directory after a crash.
    pub volatile: bool,
    /// `user.overlay.*` attributes, for mounts in a user namespace.
    pub userxattr: bool,
}

/// A writable overlay: `lowers` top first, at least one. `upper` and `work` exist, are empty or reused, and are on
/// one file system. The mount is detached; attach it with move_mount.
///
/// # Errors
/// [`super::Error::Overlay`] says which call failed and what the kernel logged.
pub fn mount(lowers: &[PathBuf], upper: &Path, work: &Path, options: Options) -> Result<OwnedFd> {
    let _ = (lowers, upper, work, options);
    todo!()
}

/// A read-only overlay of `lowers`, top first. One layer alone becomes a read-only bind of it.
///
/// # Errors
/// As [`mount`].
pub fn mount_readonly(lowers: &[PathBuf], options: Options) -> Result<OwnedFd> {
    let _ = (lowers, options);
    todo!()
}

/// Makes `upper` and `work` below a container's directory. The root of the merged tree is `upper` itself, so it
/// gets owner and mode of the topmost layer's root.
pub(super) fn make_upper(container: &Path, top: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
    let meta = std::fs::metadata(top).map_err(|e| Error::io("look at", top, e))?;
    let upper = container.join("upper");
    std::fs::DirBuilder::new()
        .mode(0o755)
        .create(&upper)
        .map_err(|e| Error::io("create directory", &upper, e))?;
    if meta.uid() != 0 || meta.gid() != 0 {
        std::os::unix::fs::chown(&upper, Some(meta.uid()), Some(meta.gid()))
            .map_err(|e| Error::io("change the owner of", &upper, e))?;
    }
    // Always: our umask may have narrowed the mode.
    std::fs::set_permissions(&upper, std::fs::Permissions::from_mode(meta.mode() & 0o7777))
        .map_err(|e| Error::io("change the mode of", &upper, e))?;
    let work = container.join("work");
    std::fs::DirBuilder::new().mode(0o700).create(&work).map_err(|e| Error::io("create directory", work, e))
}
