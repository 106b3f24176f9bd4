//! Files that appear whole or not at all: written beside, then renamed over the old one.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{AtFlags, OFlags};

use super::error::{Context, Error, Result};
use super::fd;

/// How much a write must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the machine may lose it (volatile state on tmpfs, things that can be rebuilt).
    None,
    /// The file and its directory entry are on the disk when the call returns.
    Synced,
}

/// Writes a file of mode `mode` beside its place and renames it there.
pub fn write(path: &Path, content: &[u8], mode: u32, durability: Durability) -> Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = fd::open(parent, OFlags::PATH | OFlags::DIRECTORY, 0)?;
    let name = path
        .file_name()
        .ok_or_else(|| Error::new("rename", format!("{path:?} has no file name"), libc::EINVAL))?;
    write_at(&dir, Path::new(name), content, mode, durability)
}

/// The same, beneath an open directory; `name` is a single component.
pub fn write_at(
    dir: impl AsFd,
    name: &Path,
    content: &[u8],
    mode: u32,
    durability: Durability,
) -> Result<()> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let dir = dir.as_fd();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = format!(".{}.{}.{count}", name.display(), std::process::id());
    let temporary = Path::new(&temporary);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
    let file = fd::open_at(dir, temporary, flags, mode)?;
    let done = fd::write_all(&file, content)
        .and_then(|()| match durability {
            Durability::None => Ok(()),
            Durability::Synced => rustix::fs::fdatasync(&file).call("fdatasync", || format!("{name:?}")),
        })
        .and_then(|()| {
            rustix::fs::renameat(dir, temporary, dir, name)
                .call("renameat", || format!("{temporary:?}, {name:?}"))
        });
    if let Err(e) = done {
        // The first error counts; a leftover temporary file is swept with its directory.
        let _ignored = rustix::fs::unlinkat(dir, temporary, AtFlags::empty());
        return Err(e);
    }
    if durability == Durability::Synced {
        let readable = fd::open_at(dir, Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
        rustix::fs::fsync(&readable).call("fsync", || format!("directory of {name:?}"))?;
    }
    Ok(())
}

/// Creates a file that must not exist yet, with its content; `EEXIST` when it does.
pub fn create_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let file = fd::open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW, mode)?;
    fd::write_all(&file, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole() {
        let dir = std::env::temp_dir().join(format!("rcon-atomic-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("a.json");
        write(&file, b"one", 0o600, Durability::None).unwrap();
        write(&file, b"two", 0o600, Durability::Synced).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        assert!(create_new(&file, b"x", 0o600).unwrap_err().is(libc::EEXIST));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
