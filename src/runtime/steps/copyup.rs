//! `tmpcopyup`: a tmpfs that begins with what it covers.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use crate::sys::error::Context;
use crate::sys::{Error, Result, fd, root};

/// Deepest nesting that is followed.
const DEPTH: usize = 128;

/// Copies directories, regular files and links from a directory (an `O_PATH` handle) to another. `owned`: whose the new one
/// is, was said.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd, owned: bool) -> Result<()> {
    let readable = fd::open_at(from, Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    let stat = fd::stat(&readable)?;
    match owned {
        true => root::chmod(to, stat.st_mode & 0o7777)?,
        false => copy_metadata(&stat, to)?,
    }
    copy_entries(&readable, to, 0)
}

fn copy_entries(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<()> {
    if depth > DEPTH {
        return Err(Error::new("readdir", "directories are nested too deeply", libc::ELOOP));
    }
    for entry in Dir::read_from(from).call("getdents64", String::new)? {
        let entry = entry.call("getdents64", String::new)?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> Result<()> {
    let text = || format!("{name:?}");
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).call("fstatat", text)?;
    let path = Path::new(std::str::from_utf8(name.to_bytes()).unwrap_or_default());
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700)).call("mkdirat", text)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let source = fd::open_at(from, path, flags, 0)?;
            let target = fd::open_at(to, path, flags, 0)?;
            copy_entries(&source, &target, depth + 1)?;
            copy_metadata(&stat, &target)
        }
        FileType::RegularFile => {
            let source = fd::open_at(from, path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK, 0)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let target = fd::open_at(to, path, flags, 0o600)?;
            std::io::copy(&mut std::fs::File::from(source), &mut std::fs::File::from(fd::dup(&target, 3)?))
                .call("copy", text)?;
            copy_metadata(&stat, &target)
        }
        FileType::Symlink => {
            let link = rustix::fs::readlinkat(from, name, Vec::new()).call("readlinkat", text)?;
            rustix::fs::symlinkat(link, to, name).call("symlinkat", text)
        }
        // Devices, FIFOs and sockets are left out, as other engines do.
        _ => Ok(()),
    }
}

/// Owner first: a change of owner clears the set-id bits of the mode.
fn copy_metadata(stat: &Stat, to: impl AsFd) -> Result<()> {
    root::chown(&to, stat.st_uid, stat.st_gid)?;
    root::chmod(&to, stat.st_mode & 0o7777)
}
