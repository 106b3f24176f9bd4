//! Whiteouts: the OCI form in archives (`.wh.NAME`, `.wh..wh..opq`) and overlayfs's form on disk (a character
//! device 0:0, an attribute of the directory).

use std::ffi::CString;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Mode, XattrFlags};
use rustix::io::Errno;

use super::UnpackError;
use super::write::shown;

/// Prefix of a whiteout's name.
pub(in crate::storage) const PREFIX: &[u8] = b".wh.";

/// Name that makes its directory opaque.
pub(in crate::storage) const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an entry's name means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whiteout<'a> {
    /// Nothing special.
    No,
    /// The bookkeeping of AUFS, which old images carry.
    Skip,
    /// Hides everything that lower layers have in its directory.
    Opaque,
    /// Hides this name.
    Of(&'a [u8]),
}

/// Looks at the whole path, because AUFS's bookkeeping has directories too.
pub(super) fn classify<'a>(path: &[u8], name: &'a [u8]) -> Result<Whiteout<'a>, UnpackError> {
    if name == OPAQUE {
        return Ok(Whiteout::Opaque);
    }
    if path.split(|&b| b == b'/').any(|part| part.starts_with(b".wh..wh.")) {
        return Ok(Whiteout::Skip);
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(Whiteout::No),
        Some(b"" | b"." | b"..") => {
            Err(UnpackError::Refused { path: shown(path), why: "it is a whiteout of nothing".into() })
        }
        Some(hidden) => Ok(Whiteout::Of(hidden)),
    }
}

/// The attribute that makes a directory opaque.
pub(in crate::storage) fn opaque_name(userxattr: bool) -> &'static str {
    if userxattr { "user.overlay.opaque" } else { "trusted.overlay.opaque" }
}

/// Makes a directory opaque.
pub(super) fn set_opaque(dir: BorrowedFd<'_>, userxattr: bool) -> rustix::io::Result<()> {
    rustix::fs::fsetxattr(dir, opaque_name(userxattr), b"y", XattrFlags::empty())
}

/// Hides a name of the lower layers. An entry of the same layer by that name stays (a whiteout is about lower
/// layers): a directory becomes opaque, anything else hides the lower one by being there.
pub(super) fn hide(dir: BorrowedFd<'_>, name: &[u8], userxattr: bool) -> rustix::io::Result<()> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    match rustix::fs::mknodat(dir, &name, FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::EXIST) => match crate::storage::tree::open_dir(dir, &name) {
            Ok(present) => rustix::fs::fsetxattr(&present, opaque_name(userxattr), b"y", XattrFlags::empty()),
            Err(_) => Ok(()),
        },
        other => other,
    }
}

/// Whether there is a whiteout by that name.
pub(super) fn is(dir: BorrowedFd<'_>, name: &CString) -> bool {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|st| is_stat(&st))
}

/// Whether a file is overlayfs's whiteout.
pub(in crate::storage) fn is_stat(st: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(st.st_mode) == FileType::CharacterDevice && st.st_rdev == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(classify(b"a/b", b"b").expect("fine"), Whiteout::No);
        assert_eq!(classify(b"a/.wh.b", b".wh.b").expect("fine"), Whiteout::Of(b"b"));
        assert_eq!(classify(b"a/.wh..wh..opq", OPAQUE).expect("fine"), Whiteout::Opaque);
        assert_eq!(classify(b".wh..wh.plnk/1", b"1").expect("fine"), Whiteout::Skip);
        assert!(classify(b".wh.", b".wh.").is_err());
        assert!(classify(b".wh...", b".wh...").is_err());
    }
}
