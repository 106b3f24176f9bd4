//! [`Root`]: every lookup beneath a directory that someone else controls (rule R1).
//!
//! All paths are resolved by the kernel with `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`:
//! links, absolute ones and `..` included, stay inside, as they would for a process whose root this
//! is, and nothing can be swapped between a check and a use because there is no check: what comes
//! back is a descriptor, and only it is used. Whatever is made is made by its parent's descriptor
//! and a single name.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};

use super::error::{Context, Error, Result};
use super::fd;

/// A directory beneath which paths of foreign origin are resolved.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
}

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

impl Root {
    /// Opens a host directory as a root.
    pub fn open_host(path: &Path) -> Result<Self> {
        let dir = fd::open(path, OFlags::PATH | OFlags::DIRECTORY, 0)?;
        Ok(Self { dir })
    }

    /// Takes a directory's descriptor (`O_PATH`, a detached mount …) as a root.
    #[must_use]
    pub fn new(dir: OwnedFd) -> Self {
        Self { dir }
    }

    /// Another handle on the same root.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self { dir: fd::dup(&self.dir, 3)? })
    }

    /// The descriptor.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.dir
    }

    /// Opens a path with these flags, links followed inside the root.
    pub fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        self.open_with(path, flags, 0, ResolveFlags::empty())
    }

    /// A mere handle (`O_PATH`) on what a path leads to.
    pub fn resolve(&self, path: &Path) -> Result<OwnedFd> {
        self.open(path, OFlags::PATH)
    }

    /// A mere handle on a path whose last component, if it is a link, is the link itself.
    pub fn resolve_no_follow(&self, path: &Path) -> Result<OwnedFd> {
        self.open(path, OFlags::PATH | OFlags::NOFOLLOW)
    }

    /// A handle on a path that must have no link at all in it.
    pub fn resolve_no_links(&self, path: &Path) -> Result<OwnedFd> {
        self.open_with(path, OFlags::PATH, 0, ResolveFlags::NO_SYMLINKS)
    }

    /// A mere handle (`O_PATH`) on a directory.
    pub fn open_dir(&self, path: &Path) -> Result<OwnedFd> {
        self.open(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// A directory opened for reading its entries.
    pub fn read_dir_fd(&self, path: &Path) -> Result<OwnedFd> {
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// A regular file for reading, never a FIFO or device, whose opening alone can hang or do harm
    /// (rules R6, R8): it is looked at through a mere handle first, and that very file is opened then.
    /// Links are followed inside the root, as images that keep /etc/passwd in a store need it.
    pub fn open_regular(&self, path: &Path) -> Result<OwnedFd> {
        let handle = self.resolve(path)?;
        let kind = FileType::from_raw_mode(fd::stat(&handle)?.st_mode);
        if kind != FileType::RegularFile {
            return Err(Error::new("openat2", format!("{path:?} is no regular file"), libc::EINVAL));
        }
        fd::reopen(&handle, OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK)
    }

    /// The content of a regular file, at most `limit` bytes; `None` where there is no such file.
    pub fn read_regular(&self, path: &Path, limit: usize) -> Result<Option<Vec<u8>>> {
        match self.open_regular(path) {
            Ok(file) => fd::read_all(&file, limit).map(Some),
            Err(e) if e.is(libc::ENOENT) || e.is(libc::ENOTDIR) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Opens a file for writing, making it with `mode` if it is not there (its directory must be).
    pub fn create_file(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOCTTY | OFlags::NONBLOCK;
        self.open_with(path, flags, mode, ResolveFlags::empty())
    }

    /// Makes a file that must not be there; `EEXIST` otherwise.
    pub fn create_new(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        self.open_with(path, flags, mode, ResolveFlags::empty())
    }

    /// Where a link points, as it is written.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let link = self.resolve_no_follow(path)?;
        let target =
            rustix::fs::readlinkat(&link, c"", Vec::new()).call("readlinkat", || format!("{path:?}"))?;
        use std::os::unix::ffi::OsStringExt;
        Ok(PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes())))
    }

    /// Makes a directory and those above it with `mode`; returns a handle on it. Existing ones are
    /// left as they are. A link inside the root is followed as the kernel would; one that leads to
    /// nothing is made whole inside the root, as docker does.
    pub fn mkdir_all(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        self.mkdir_all_owned(path, mode, None)
    }

    /// [`Root::mkdir_all`] that gives what it makes to this user and group.
    pub fn mkdir_all_owned(&self, path: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<OwnedFd> {
        match self.open_dir(path) {
            Err(e) if e.is(libc::ENOENT) => {}
            done => return done,
        }
        let mut reached = PathBuf::new();
        let mut at = fd::dup(&self.dir, 3)?;
        for name in normal_components(path)? {
            reached.push(name);
            at = match self.open_dir(&reached) {
                Ok(dir) => dir,
                Err(e) if e.is(libc::ENOENT) => self.make_one_dir(&at, &reached, name, mode, owner)?,
                Err(e) => return Err(e),
            };
        }
        Ok(at)
    }

    /// Makes `name` in `parent` (which is `reached` less its last name) and opens it.
    fn make_one_dir(
        &self,
        parent: &OwnedFd,
        reached: &Path,
        name: &OsStr,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<OwnedFd> {
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(mode)) {
            // There is something that leads nowhere: a dangling link. Make its target, inside.
            Err(rustix::io::Errno::EXIST) => {
                if let Ok(target) = rustix::fs::readlinkat(parent, name, Vec::new()) {
                    return self.make_link_target(reached, &target, mode, owner);
                }
                self.open_dir(reached)
            }
            Err(e) => Err(Error::new("mkdirat", format!("{reached:?}"), e.raw_os_error())),
            Ok(()) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                let made = fd::open_at(parent, Path::new(name), flags, 0)?;
                if let Some((uid, gid)) = owner {
                    chown(&made, uid, gid)?;
                }
                Ok(made)
            }
        }
    }

    fn make_link_target(
        &self,
        link: &Path,
        target: &std::ffi::CStr,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<OwnedFd> {
        use std::os::unix::ffi::OsStrExt;
        let target = Path::new(OsStr::from_bytes(target.to_bytes()));
        let base = link.parent().unwrap_or(Path::new(""));
        let whole = lexical(&base.join(target));
        if whole == link {
            return Err(Error::new("openat2", format!("{link:?}"), libc::ELOOP));
        }
        // Each level consumes one link; the kernel's own limit of 40 ends a chain with ELOOP.
        self.open_dir(&whole).or_else(|e| {
            if !e.is(libc::ENOENT) {
                return Err(e);
            }
            let parent = whole.parent().unwrap_or(Path::new(""));
            let dir = self.open_dir(parent).or_else(|_| self.mkdir_plain(parent, mode, owner))?;
            let name =
                whole.file_name().ok_or_else(|| Error::new("mkdirat", format!("{whole:?}"), libc::ENOENT))?;
            rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(mode))
                .call("mkdirat", || format!("{whole:?}"))?;
            let made =
                fd::open_at(&dir, Path::new(name), OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW, 0)?;
            if let Some((uid, gid)) = owner {
                chown(&made, uid, gid)?;
            }
            Ok(made)
        })
    }

    /// `mkdir -p` that follows no dangling link.
    fn mkdir_plain(&self, path: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<OwnedFd> {
        let mut reached = PathBuf::new();
        let mut at = fd::dup(&self.dir, 3)?;
        for name in normal_components(path)? {
            reached.push(name);
            at = match self.open_dir(&reached) {
                Err(e) if e.is(libc::ENOENT) => {
                    rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(mode))
                        .call("mkdirat", || format!("{reached:?}"))?;
                    let made = self.open_dir(&reached)?;
                    if let Some((uid, gid)) = owner {
                        chown(&made, uid, gid)?;
                    }
                    made
                }
                other => other?,
            };
        }
        Ok(at)
    }

    /// Makes an empty file to mount something on, with the directories above it; a handle on it, or
    /// on what is there already.
    pub fn make_file_target(&self, path: &Path) -> Result<OwnedFd> {
        /// As many links as the kernel follows.
        const LINKS: usize = 40;
        self.make_file_below(path, LINKS)
    }

    fn make_file_below(&self, path: &Path, depth: usize) -> Result<OwnedFd> {
        match self.resolve(path) {
            Err(e) if e.is(libc::ENOENT) => {}
            done => return done,
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        let name =
            path.file_name().ok_or_else(|| Error::new("openat2", format!("{path:?}"), libc::EISDIR))?;
        let dir = self.mkdir_all(parent, 0o755)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        match fd::open_at(&dir, Path::new(name), flags, 0o644) {
            Ok(_made) => fd::open_at(&dir, Path::new(name), OFlags::PATH | OFlags::NOFOLLOW, 0),
            // A dangling link: its target is made where it leads, inside, with the directories on the way.
            Err(e) if e.is(libc::EEXIST) && depth > 0 => {
                let target = lexical(&parent.join(self.read_link(path)?));
                self.make_file_below(&target, depth - 1)?;
                self.resolve(path)
            }
            Err(e) => Err(e),
        }
    }

    /// The parent of a path (which must exist) and its last name, for calls that take both.
    pub fn parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr)> {
        let name = path
            .file_name()
            .ok_or_else(|| Error::new("openat2", format!("{path:?} has no name"), libc::EINVAL))?;
        let dir = self.open_dir(path.parent().unwrap_or(Path::new("")))?;
        Ok((dir, name))
    }

    /// Makes a symbolic link with this text, replacing nothing.
    pub fn symlink(&self, target: &Path, path: &Path) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        rustix::fs::symlinkat(target, &dir, name).call("symlinkat", || format!("{target:?}, {path:?}"))
    }

    /// Removes a file or link (not what it points to).
    pub fn unlink(&self, path: &Path) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        rustix::fs::unlinkat(&dir, name, AtFlags::empty()).call("unlinkat", || format!("{path:?}"))
    }

    /// openat2 with everything said.
    pub fn open_with(&self, path: &Path, flags: OFlags, mode: u32, more: ResolveFlags) -> Result<OwnedFd> {
        // IN_ROOT resolves "/" to the root itself, but an empty path is ENOENT.
        let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
        loop {
            let mode = Mode::from_raw_mode(mode);
            match rustix::fs::openat2(&self.dir, path, flags | OFlags::CLOEXEC, mode, IN_ROOT | more) {
                // A rename somewhere raced with a `..` of this walk; the kernel asks us to try again.
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                other => return other.call("openat2", || format!("{path:?}")),
            }
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// Gives what a handle (`O_PATH` too) points to an owner.
pub fn chown(handle: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    let handle = handle.as_fd();
    let (u, g) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    rustix::fs::chownat(handle, c"", Some(u), Some(g), AtFlags::EMPTY_PATH)
        .call("fchownat", || format!("{}, {uid}:{gid}", handle.as_raw_fd()))
}

/// Sets the mode of what a handle (`O_PATH` too, but no link) points to.
pub fn chmod(handle: impl AsFd, mode: u32) -> Result<()> {
    let path = fd::proc_path(&handle);
    rustix::fs::chmod(&path, Mode::from_raw_mode(mode)).call("chmod", || format!("{path:?}, {mode:o}"))
}

/// The names of a path, `.` and the leading `/` left out; `..` is taken away with the name before it.
fn normal_components(path: &Path) -> Result<Vec<&OsStr>> {
    let mut out = Vec::new();
    for c in path.components() {
        match c {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir => {}
            Component::Prefix(_) => return Err(Error::new("openat2", format!("{path:?}"), libc::EINVAL)),
        }
    }
    Ok(out)
}

/// `/a/../b` as `/b`, by text alone. Only to name what is then resolved by the kernel.
#[must_use]
pub fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for c in path.components() {
        match c {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("rcon-root-{name}-{}", std::process::id()));
        let _gone = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("in")).unwrap();
        dir
    }

    #[test]
    fn nothing_leads_out() {
        let dir = scratch("out");
        std::fs::write(dir.join("secret"), "s").unwrap();
        symlink("/secret", dir.join("in/abs")).unwrap();
        symlink("../../../../secret", dir.join("in/rel")).unwrap();
        symlink("/proc/self/root", dir.join("in/magic")).unwrap();
        let root = Root::open_host(&dir.join("in")).unwrap();
        for p in ["abs", "rel", "../secret", "/../secret", "magic/etc"] {
            assert!(root.open(Path::new(p), OFlags::RDONLY).unwrap_err().is(libc::ENOENT), "{p}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn directories_are_made_inside() {
        let dir = scratch("mk");
        symlink("/made/deep", dir.join("in/dangling")).unwrap();
        symlink("loop2", dir.join("in/loop1")).unwrap();
        symlink("loop1", dir.join("in/loop2")).unwrap();
        let root = Root::open_host(&dir.join("in")).unwrap();
        root.mkdir_all(Path::new("/a/b/../c"), 0o755).unwrap();
        assert!(dir.join("in/a/c").is_dir());
        root.mkdir_all(Path::new("dangling/x"), 0o755).unwrap();
        assert!(dir.join("in/made/deep/x").is_dir());
        assert!(root.mkdir_all(Path::new("loop1/x"), 0o755).unwrap_err().is(libc::ELOOP));
        symlink("/far/away", dir.join("in/jump")).unwrap();
        symlink("/jump/file", dir.join("in/dangling-file")).unwrap();
        root.make_file_target(Path::new("dangling-file")).unwrap();
        assert!(dir.join("in/far/away/file").is_file());
        let file = root.make_file_target(Path::new("/etc/new/file")).unwrap();
        assert_eq!(fd::stat(&file).unwrap().st_size, 0);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_fifo_does_not_hang() {
        let dir = scratch("fifo");
        nix::unistd::mkfifo(&dir.join("in/passwd"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let root = Root::open_host(&dir.join("in")).unwrap();
        assert!(root.open_regular(Path::new("passwd")).unwrap_err().is(libc::EINVAL));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
