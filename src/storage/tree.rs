//! Walks over file trees by descriptors: visit, delete, measure. No path is resolved twice, no link is followed,
//! and the number of open descriptors does not grow with the depth of a (hostile) tree.
//! Copying is in [`super::copy`].

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::error::{Error, Result};

/// Depth at which a deletion moves what is below to the top, to hold few descriptors.
const DELETE_DEPTH: u32 = 64;

/// Opens a directory beneath `parent`, never through a link.
pub(super) fn open_dir(parent: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// `.` or `..`.
pub(super) fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// The names in a directory, sorted.
pub(super) fn names(dir: impl AsFd) -> rustix::io::Result<Vec<CString>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !is_dot(entry.file_name()) {
            found.push(entry.file_name().to_owned());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// One entry of a walk.
pub(super) struct Visit<'a> {
    /// Directory that holds it.
    pub(super) dir: BorrowedFd<'a>,
    /// Its name there.
    pub(super) name: &'a CStr,
    /// Its path from the root of the walk, without leading slash.
    pub(super) path: &'a [u8],
    /// What it is.
    pub(super) stat: &'a Stat,
}

impl Visit<'_> {
    /// Its type.
    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

/// What a visitor wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Go into the directory.
    Enter,
    /// Leave it out.
    Skip,
}

struct Frame {
    names: std::vec::IntoIter<CString>,
    identity: (u64, u64),
    path_len: usize,
}

/// Visits everything below `root`, in order of names, a directory before its content. Entries that vanish
/// meanwhile are passed over.
///
/// Only one directory is open at a time: the way back is `..`, and the walk ends with `ESTALE` when that does not
/// lead to where it came from (a tree that is moved about while we walk).
pub(super) fn walk<E: From<Errno>>(
    root: BorrowedFd<'_>,
    visit: &mut dyn FnMut(&Visit<'_>) -> std::result::Result<Next, E>,
) -> std::result::Result<(), E> {
    let mut dir = open_dir(root, c".")?;
    let mut path = Vec::new();
    let mut stack = vec![frame(&dir, 0)?];
    while let Some(top) = stack.last_mut() {
        let Some(name) = top.names.next() else {
            stack.pop();
            if let Some(parent) = stack.last() {
                path.truncate(parent.path_len);
                dir = go_up(&dir, parent.identity)?;
            }
            continue;
        };
        let stat = match rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(e.into()),
        };
        let path_len = top.path_len;
        path.truncate(path_len);
        if path_len > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        let next = visit(&Visit { dir: dir.as_fd(), name: &name, path: &path, stat: &stat })?;
        if next == Next::Enter && FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            match open_dir(&dir, &name) {
                Ok(child) => {
                    dir = child;
                    stack.push(frame(&dir, path.len())?);
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(())
}

fn frame(dir: &OwnedFd, path_len: usize) -> rustix::io::Result<Frame> {
    let st = rustix::fs::fstat(dir)?;
    Ok(Frame { names: names(dir)?.into_iter(), identity: (st.st_dev, st.st_ino), path_len })
}

fn go_up(dir: &OwnedFd, want: (u64, u64)) -> rustix::io::Result<OwnedFd> {
    let parent = open_dir(dir, c"..")?;
    let st = rustix::fs::fstat(&parent)?;
    if (st.st_dev, st.st_ino) == want { Ok(parent) } else { Err(Errno::STALE) }
}

/// Gives `path` and everything below it to a user and group; links themselves, never what they point to.
///
/// # Errors
/// What the kernel says.
pub fn chown(path: &Path, uid: u32, gid: u32) -> Result<()> {
    let failed = |e: Errno| Error::io("change the owner of", path, std::io::Error::from(e));
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    let own = |dir: BorrowedFd<'_>, name: &CStr| {
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
    };
    let root = match open_dir(CWD, path) {
        Ok(root) => root,
        // A file is a tree of one.
        Err(Errno::NOTDIR) => {
            return rustix::fs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed);
        }
        Err(e) => return Err(failed(e)),
    };
    rustix::fs::fchown(&root, Some(uid), Some(gid)).map_err(failed)?;
    walk(root.as_fd(), &mut |visit: &Visit<'_>| own(visit.dir, visit.name).map(|()| Next::Enter))
        .map_err(failed)
}

/// Deletes `path` and everything below it; returns the bytes that files took. A missing path is no error.
/// Needs no space: works on a full disk.
///
/// # Errors
/// What the kernel says.
pub fn remove(path: &Path) -> Result<u64> {
    remove_named(CWD, path).map_err(|e| Error::io("delete", path, e))
}

/// [`remove`] for a name in an open directory.
pub(super) fn remove_named(
    parent: impl AsFd,
    name: impl rustix::path::Arg + Copy,
) -> rustix::io::Result<u64> {
    // Most entries of a tree are files: unlink first, and only a directory needs more.
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(0),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e),
    }
    let top = match open_for_delete(&parent, name) {
        Err(Errno::NOENT) => return Ok(0),
        other => other?,
    };
    let mut delete = Delete { top: top.as_fd(), moved: 0, bytes: 0 };
    loop {
        let before = delete.moved;
        delete.content(&top, 0)?;
        if delete.moved == before {
            break;
        }
    }
    let bytes = delete.bytes;
    match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(bytes),
        Err(e) => Err(e),
    }
}

fn open_for_delete(parent: impl AsFd, name: impl rustix::path::Arg + Copy) -> rustix::io::Result<OwnedFd> {
    match open_dir(&parent, name) {
        Err(Errno::ACCESS) => {
            // Our own directory without permissions (not root): give them back first.
            rustix::fs::chmodat(&parent, name, Mode::RWXU, AtFlags::empty())?;
            open_dir(&parent, name)
        }
        other => other,
    }
}

struct Delete<'a> {
    top: BorrowedFd<'a>,
    moved: u64,
    bytes: u64,
}

impl Delete<'_> {
    fn content(&mut self, dir: &OwnedFd, depth: u32) -> rustix::io::Result<()> {
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_dot(name) {
                continue;
            }
            if entry.file_type() == FileType::Directory {
                self.directory(dir, name, depth)?;
                continue;
            }
            self.bytes += freed_by(dir, name).unwrap_or(0);
            match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                // A file system that does not tell types in its listing.
                Err(Errno::ISDIR | Errno::PERM) => self.directory(dir, name, depth)?,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn directory(&mut self, parent: &OwnedFd, name: &CStr, depth: u32) -> rustix::io::Result<()> {
        if depth >= DELETE_DEPTH {
            return self.move_up(parent, name);
        }
        let dir = match open_for_delete(parent, name) {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        self.content(&dir, depth + 1)?;
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Moves a deep directory to the top, where the next round finds it.
    fn move_up(&mut self, parent: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
        loop {
            self.moved += 1;
            let at_top = format!(".deep-{}", self.moved);
            match rustix::fs::renameat(parent, name, self.top, at_top.as_str()) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                other => return other,
            }
        }
    }
}

/// Bytes that deleting this name gives back: only the last link frees a file.
fn freed_by(dir: impl AsFd, name: &CStr) -> rustix::io::Result<u64> {
    let st = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(if st.st_nlink == 1 { blocks(&st) } else { 0 })
}

fn blocks(st: &Stat) -> u64 {
    st.st_blocks.cast_unsigned() * 512
}

/// Bytes that the tree takes on disk, as `du` counts: blocks, hard links once.
///
/// # Errors
/// What the kernel says. A tree that is not there takes nothing.
pub fn disk_usage(path: &Path) -> Result<u64> {
    measure(path).map_err(|e| Error::io("measure", path, e))
}

/// Bytes in the files of the tree, hard links once: what docker and podman call the size of a container. Directories have
/// none.
///
/// # Errors
/// What the kernel says. A tree that is not there has none.
pub fn content_size(path: &Path) -> Result<u64> {
    let count = || {
        let top = match open_dir(CWD, path) {
            Err(Errno::NOENT) => return Ok(0),
            other => other?,
        };
        let (mut total, mut seen) = (0, HashSet::new());
        walk(top.as_fd(), &mut |entry| -> rustix::io::Result<Next> {
            let st = entry.stat;
            let first = st.st_nlink == 1 || seen.insert((st.st_dev, st.st_ino));
            if entry.file_type() != FileType::Directory && first {
                total += st.st_size.unsigned_abs();
            }
            Ok(Next::Enter)
        })?;
        Ok(total)
    };
    count().map_err(|e: Errno| Error::io("measure", path, e))
}

fn measure(path: &Path) -> rustix::io::Result<u64> {
    let st = match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(0),
        other => other?,
    };
    let mut total = blocks(&st);
    if FileType::from_raw_mode(st.st_mode) != FileType::Directory {
        return Ok(total);
    }
    let mut seen = HashSet::new();
    walk(open_dir(CWD, path)?.as_fd(), &mut |entry| -> rustix::io::Result<Next> {
        let st = entry.stat;
        if entry.file_type() == FileType::Directory || st.st_nlink == 1 || seen.insert((st.st_dev, st.st_ino))
        {
            total += blocks(st);
        }
        Ok(Next::Enter)
    })?;
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_a_tree_and_leaves_link_targets() {
        let dir = crate::storage::testing::scratch("tree");
        let keep = dir.path().join("keep");
        std::fs::write(&keep, "x").expect("write");
        let top = dir.path().join("top");
        std::fs::create_dir_all(top.join("a/b/c")).expect("mkdir");
        std::fs::write(top.join("a/b/f"), vec![1u8; 5000]).expect("write");
        std::os::unix::fs::symlink(dir.path(), top.join("a/link")).expect("symlink");
        assert!(disk_usage(&top).expect("du") >= 5000);
        let link = dir.path().as_os_str().len() as u64;
        assert_eq!(content_size(&top).expect("size"), 5000 + link, "no directories, no blocks");
        assert!(remove(&top).expect("remove") >= 5000);
        assert!(!top.exists());
        assert!(keep.exists());
        assert_eq!(remove(&top).expect("missing is fine"), 0);
    }

    #[test]
    fn very_deep_trees_are_measured_and_removed() {
        let dir = crate::storage::testing::scratch("deep");
        let top = dir.path().join("top");
        std::fs::create_dir(&top).expect("mkdir");
        let mut at = open_dir(CWD, &top).expect("open");
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).expect("mkdir");
            at = open_dir(&at, "d").expect("open");
        }
        assert!(disk_usage(&top).is_ok());
        remove(&top).expect("remove");
        assert!(!top.exists());
    }
}
