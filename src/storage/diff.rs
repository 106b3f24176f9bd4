//! An upper directory as a layer: list of changes, and tar with whiteouts in the OCI form.

use std::io::Write;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use super::error::Result;

/// How a path changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// New.
    Added,
    /// Content or metadata differ.
    Modified,
    /// Gone.
    Deleted,
}

/// One change, absolute path in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// Where.
    pub path: PathBuf,
}

/// Changes of `upper` against `lowers` (top first), sorted by path: what `diff` shows.
///
/// # Errors
/// What the kernel says.
pub fn changes(upper: BorrowedFd<'_>, lowers: &[PathBuf]) -> Result<Vec<Change>> {
    let _ = (upper, lowers);
    todo!()
}

/// What a tar export leaves out or changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TarOptions {
    /// Turn overlay whiteouts into `.wh.` files (a layer); else leave deleted things out (a whole root).
    pub whiteouts: bool,
    /// All times become this one (`SOURCE_DATE_EPOCH`).
    pub epoch: Option<i64>,
    /// Paths (without leading slash) that are left out with all below: mount targets of the running container.
    pub exclude: Vec<PathBuf>,
}

/// Writes the tree below `root` as a tar (PAX, sorted, reproducible): a layer of an upper directory, or the export
/// of a mounted root. Returns bytes written.
///
/// # Errors
/// What the kernel or the writer says.
pub fn write_tar(root: BorrowedFd<'_>, options: &TarOptions, out: &mut dyn Write) -> Result<u64> {
    let _ = (root, options, out);
    todo!()
}
