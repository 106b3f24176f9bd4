//! Unpacking a tar stream beneath a directory, safely and fast: image layers, `cp` into a container, `import`.
//!
//! The archive is hostile (rules R1, R7). Each entry's parent is resolved beneath the target by openat2; then
//! everything happens by descriptor. Limits bound what an archive may ask for.

use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use super::recipe::Recorder;
use crate::model::namespace::IdMaps;
use source::Source;
use write::Writer;

mod parents;
mod path;
mod pax;
mod source;
mod sparse;
mod tar;
pub(super) use tar::EntryKind;
#[cfg(test)]
mod tests;
pub(super) mod whiteout;
mod write;

/// What an archive may ask for at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries.
    pub entries: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Bytes of a path.
    pub path: usize,
    /// Bytes of one PAX header.
    pub pax: usize,
    /// Bytes of all xattrs of an entry.
    pub xattrs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 10_000_000, bytes: 1 << 40, path: 4095, pax: 1 << 20, xattrs: 256 << 10 }
    }
}

impl Limits {
    /// For an archive of our own making: bounded only by what a file system holds.
    #[must_use]
    pub fn unbounded() -> Self {
        Self { entries: u64::MAX, bytes: u64::MAX, ..Self::default() }
    }
}

/// Where and how to unpack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Limits.
    pub limits: Limits,
    /// OCI whiteouts (`.wh.x`, `.wh..wh..opq`) become overlay ones; else they are ordinary files.
    pub whiteouts: bool,
    /// `user.overlay.*` instead of `trusted.overlay.*`.
    pub userxattr: bool,
    /// A directory is never replaced by something else, nor something else by a directory (`cp`).
    pub keep_kinds: bool,
    /// All files belong to the caller (rootless without a mapping, `cp` without `-a`).
    pub own: Option<(u32, u32)>,
    /// What the ids of the archive (or `own`) are on the host: for a container with a user namespace.
    pub maps: Option<IdMaps>,
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Entries.
    pub entries: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Bytes of the archive.
    pub tar_bytes: u64,
    /// Whether there was an entry for the root itself.
    pub has_root: bool,
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The stream could not be read (transfer or decompression).
    #[error("the archive could not be read at byte {at}")]
    Read {
        /// Where.
        at: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes are no tar archive.
    #[error("not a valid tar archive at byte {at}: {why}")]
    Format {
        /// Where.
        at: u64,
        /// Why.
        why: String,
    },
    /// An entry asks for what is not allowed.
    #[error("entry {path:?}: {why}")]
    Refused {
        /// The entry.
        path: PathBuf,
        /// The rule.
        why: String,
    },
    /// More than a limit.
    #[error("the archive has more than {limit} {what}")]
    Limit {
        /// `entries`, `bytes of file content`, …
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The kernel refused to make an entry.
    #[error("entry {path:?}: cannot {call}")]
    Write {
        /// The entry.
        path: PathBuf,
        /// What was tried.
        call: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl UnpackError {
    fn recipe(source: io::Error) -> Self {
        Self::Write { path: "tar.recipe".into(), call: "write the recipe", source }
    }
}

/// Unpacks `tar` beneath `root`.
///
/// # Errors
/// See [`UnpackError`]; what was made until then stays, the caller deletes it.
pub fn unpack(mut tar: impl Read, root: BorrowedFd<'_>, options: &Options) -> Result<Unpacked, UnpackError> {
    unpack_recorded(&mut tar, root, options, None)
}

/// [`unpack`], noting in `recorder` how to make the same archive again.
pub(super) fn unpack_recorded(
    tar: &mut dyn Read,
    root: BorrowedFd<'_>,
    options: &Options,
    recorder: Option<&mut Recorder>,
) -> Result<Unpacked, UnpackError> {
    let mut source = Source::new(tar, recorder);
    let mut writer = Writer::new(root, options);
    let mut entries = 0;
    while let Some(entry) = tar::next(&mut source, &options.limits)? {
        entries += 1;
        if entries > options.limits.entries {
            return Err(UnpackError::Limit { what: "entries", limit: options.limits.entries });
        }
        writer.entry(&entry, &mut source)?;
    }
    source.drain()?;
    let unpacked = Unpacked { entries, bytes: writer.bytes, tar_bytes: source.at, has_root: writer.has_root };
    writer.finish()?;
    Ok(unpacked)
}
