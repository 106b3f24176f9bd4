//! Descriptors: opening, duplicating, flags, whole reads and writes, ranges closed at once.
//!
//! Everything opened here is close-on-exec. Lookups beneath a container's root are not here but
//! in [`super::root`].

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::error::{Context, Error, Result, check};

pub use rustix::fs::{Mode as FileMode, OFlags as OpenFlags, Stat};

/// Makes a C string; a NUL byte inside is `EINVAL`.
pub fn c_string(bytes: impl AsRef<[u8]>) -> Result<CString> {
    let bytes = bytes.as_ref();
    CString::new(bytes).map_err(|_| Error::new("c_string", String::from_utf8_lossy(bytes), libc::EINVAL))
}

/// Opens a host path, close-on-exec.
pub fn open(path: &Path, flags: OFlags, mode: u32) -> Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode))
        .call("open", || format!("{path:?}"))
}

/// Opens a path relative to a directory, following links as the kernel does: only for
/// directories that no container can write to.
pub fn open_at(dir: impl AsFd, path: &Path, flags: OFlags, mode: u32) -> Result<OwnedFd> {
    rustix::fs::openat(dir, path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode))
        .call("openat", || format!("{path:?}"))
}

/// Opens a directory.
pub fn open_dir(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY, 0)
}

/// Opens a path as a mere handle (`O_PATH`).
pub fn open_path(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::PATH, 0)
}

/// Opens `/dev/null` and checks that it is the null device (rule R3).
pub fn open_null(write: bool) -> Result<OwnedFd> {
    let flags = if write { OFlags::RDWR } else { OFlags::RDONLY };
    let fd = open(Path::new("/dev/null"), flags | OFlags::NOFOLLOW, 0)?;
    verify_null(&fd)?;
    Ok(fd)
}

/// Fails with `ENODEV` unless the descriptor is character device 1:3.
pub fn verify_null(fd: impl AsFd) -> Result<()> {
    let st = stat(&fd)?;
    let is_char = (st.st_mode & libc::S_IFMT) == libc::S_IFCHR;
    if is_char && st.st_rdev == libc::makedev(1, 3) {
        return Ok(());
    }
    Err(Error::new("fstat", "/dev/null is not the null device", libc::ENODEV))
}

/// `fstat`.
pub fn stat(fd: impl AsFd) -> Result<Stat> {
    let fd = fd.as_fd();
    rustix::fs::fstat(fd).call("fstat", || format!("{}", fd.as_raw_fd()))
}

/// The magic number of the file system that the descriptor is on.
pub fn fs_magic(fd: impl AsFd) -> Result<i64> {
    let fd = fd.as_fd();
    let st = rustix::fs::fstatfs(fd).call("fstatfs", || format!("{}", fd.as_raw_fd()))?;
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    Ok(st.f_type as i64)
}

/// `/proc/self/fd/N`, for the few calls that take only paths.
#[must_use]
pub fn proc_path(fd: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// Where the kernel says that a descriptor points.
pub fn path_of(fd: impl AsFd) -> Result<PathBuf> {
    let link = proc_path(fd);
    std::fs::read_link(&link).call("readlink", || format!("{link:?}"))
}

/// Opens again what a descriptor points to, with other flags (an `O_PATH` handle made readable).
pub fn reopen(fd: impl AsFd, flags: OFlags) -> Result<OwnedFd> {
    open(&proc_path(fd), flags, 0)
}

/// Duplicates, close-on-exec, to a number not below `least`.
pub fn dup(fd: impl AsFd, least: i32) -> Result<OwnedFd> {
    let fd = fd.as_fd();
    rustix::io::fcntl_dupfd_cloexec(fd, least)
        .call("fcntl", || format!("{}, F_DUPFD_CLOEXEC", fd.as_raw_fd()))
}

/// Sets or clears close-on-exec.
pub fn set_cloexec(fd: impl AsFd, on: bool) -> Result<()> {
    let fd = fd.as_fd();
    let flags = if on { rustix::io::FdFlags::CLOEXEC } else { rustix::io::FdFlags::empty() };
    rustix::io::fcntl_setfd(fd, flags).call("fcntl", || format!("{}, F_SETFD", fd.as_raw_fd()))
}

/// Sets or clears non-blocking mode.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> Result<()> {
    let fd = fd.as_fd();
    let text = || format!("{}, O_NONBLOCK", fd.as_raw_fd());
    let mut flags = rustix::fs::fcntl_getfl(fd).call("fcntl", text)?;
    flags.set(OFlags::NONBLOCK, on);
    rustix::fs::fcntl_setfl(fd, flags).call("fcntl", text)
}

/// Takes ownership of a descriptor that this process was given at its start (its number comes
/// from an argument or is agreed). `EBADF` when nothing is open there. Makes it close-on-exec.
///
/// Each number may be taken once; the caller vouches for that.
pub fn inherited(number: RawFd) -> Result<OwnedFd> {
    // SAFETY: fcntl(F_GETFD) only asks; it is sound for any number.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) }, "fcntl", || format!("{number}, F_GETFD"))?;
    // SAFETY: the number is open (checked above) and, by this function's contract, owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    set_cloexec(&fd, true)?;
    Ok(fd)
}

/// A copy (at 3 or above, close-on-exec) of an open descriptor known only by its number.
pub fn dup_number(number: RawFd) -> Result<OwnedFd> {
    // SAFETY: duplicates, or fails with EBADF; the number itself is not touched.
    let raw = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    let raw = check(raw, "fcntl", || format!("{number}, F_DUPFD_CLOEXEC"))?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Makes the descriptor of a number, if there is one, go at the next exec.
pub fn cloexec_at(number: RawFd) {
    // SAFETY: sets a flag; a number that is not open is refused, which is as well.
    let _none_there = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Whether a descriptor can be written to.
pub fn is_writable(fd: impl AsFd) -> Result<bool> {
    let flags = rustix::fs::fcntl_getfl(fd).call("fcntl", || "F_GETFL".into())?;
    Ok(flags & OFlags::ACCMODE != OFlags::RDONLY)
}

/// Whether a number is an open descriptor.
#[must_use]
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: fcntl(F_GETFD) only asks; it is sound for any number.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// Whether a descriptor was open when this process was executed: all that we open since is close-on-exec, and what
/// is close-on-exec has not come through one.
#[must_use]
pub fn is_inherited(number: RawFd) -> bool {
    // SAFETY: fcntl(F_GETFD) only asks; it is sound for any number.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags != -1 && flags & libc::FD_CLOEXEC == 0
}

/// Marks every descriptor from `first` on close-on-exec (rule R5).
pub fn cloexec_from(first: u32) -> Result<()> {
    // SAFETY: CLOSE_RANGE_CLOEXEC changes flags only; no descriptor is closed under its owner.
    let r = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(r, "close_range", || format!("{first}, ~0, CLOEXEC")).map(drop)
}

/// Closes every descriptor from `first` on but these: as [`close_from`], for a cloned child that has
/// given the owners of all others up ([`leak`]).
pub fn close_all_but(first: RawFd, kept: &[BorrowedFd<'_>]) -> Result<()> {
    let mut numbers: Vec<RawFd> = kept.iter().map(AsRawFd::as_raw_fd).filter(|n| *n >= first).collect();
    numbers.sort_unstable();
    let mut from = first.unsigned_abs();
    for number in numbers.into_iter().map(RawFd::unsigned_abs) {
        if number > from {
            // SAFETY: by this function's contract nobody in this process uses an owner of these any more.
            let r = unsafe { libc::syscall(libc::SYS_close_range, from, number - 1, 0) };
            check(r, "close_range", || format!("{from}, {}", number - 1))?;
        }
        from = number + 1;
    }
    close_from(from);
    Ok(())
}

/// Gives up descriptors whose numbers are another's by now, or will be closed with a range.
pub fn leak(owned: impl IntoIterator<Item = OwnedFd>) {
    use std::os::fd::IntoRawFd as _;
    for one in owned {
        let _number = one.into_raw_fd();
    }
}

/// Closes every descriptor from `first` on: for a cloned child that goes on as another program would,
/// and whose copies of its parent's owners are never used or dropped again.
pub fn close_from(first: u32) {
    // SAFETY: by this function's contract nobody in this process uses an owner of these any more.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Makes `fd` appear as descriptor `number`, not close-on-exec: for the child side just before exec.
pub fn place(fd: BorrowedFd<'_>, number: RawFd) -> Result<()> {
    if fd.as_raw_fd() == number {
        return set_cloexec(fd, false);
    }
    // SAFETY: dup2 closes what `number` was; the caller (child side before exec) has moved its own
    // descriptors above the range that it places into, so that no owner loses one.
    let r = unsafe { libc::dup2(fd.as_raw_fd(), number) };
    check(r, "dup2", || format!("{}, {number}", fd.as_raw_fd())).map(drop)
}

/// A pipe, close-on-exec: (read end, write end).
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).call("pipe2", || "O_CLOEXEC".into())
}

/// Reads at most `limit` bytes to the end; `EFBIG` where there is more.
pub fn read_all(fd: impl AsFd, limit: usize) -> Result<Vec<u8>> {
    let file = std::fs::File::from(dup(&fd, 3)?);
    let mut out = Vec::new();
    let n = file.take(limit as u64 + 1).read_to_end(&mut out).call("read", || "to the end".into())?;
    if n > limit {
        return Err(Error::new("read", format!("more than {limit} bytes"), libc::EFBIG));
    }
    Ok(out)
}

/// Reads a small host file whole (`/proc`, `/sys`, our own files); `EFBIG` above 16 MiB.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    let fd = open(path, OFlags::RDONLY, 0)?;
    read_all(fd, 16 << 20)
}

/// Reads once into a buffer.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    let fd = fd.as_fd();
    loop {
        match rustix::io::read(fd, &mut *buffer) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.call("read", || format!("{}", fd.as_raw_fd())),
        }
    }
}

/// Writes once.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Result<usize> {
    let fd = fd.as_fd();
    loop {
        match rustix::io::write(fd, bytes) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.call("write", || format!("{}, {} bytes", fd.as_raw_fd(), bytes.len())),
        }
    }
}

/// Writes everything.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let n = write(&fd, bytes)?;
        bytes = &bytes[n..];
    }
    Ok(())
}

/// Writes text to an existing host file in one write call, as kernel files want it.
pub fn write_file(path: &Path, text: &[u8]) -> Result<()> {
    let fd = open(path, OFlags::WRONLY, 0)?;
    write_once(&fd, text, || format!("{path:?}, {:?}", String::from_utf8_lossy(text)))
}

/// One write call that must take all of it; `args` names the file in the error.
pub fn write_once(fd: impl AsFd, text: &[u8], args: impl FnOnce() -> String) -> Result<()> {
    match rustix::io::write(fd, text) {
        Ok(n) if n == text.len() => Ok(()),
        Ok(_) => Err(Error::new("write", args(), libc::EIO)),
        Err(e) => Err(Error::new("write", args(), e.raw_os_error())),
    }
}

/// Flushes a [`std::fs::File`]-like sink and turns its error into ours.
pub fn flush(mut sink: impl Write) -> Result<()> {
    sink.flush().call("write", || "flush".into())
}

/// `syncfs` of the file system that a descriptor is on.
pub fn syncfs(fd: impl AsFd) -> Result<()> {
    rustix::fs::syncfs(fd).call("syncfs", String::new)
}

/// The bytes of a path with NUL at the end.
pub fn c_path(path: &Path) -> Result<CString> {
    c_string(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_bounded() {
        let (r, w) = pipe().unwrap();
        write_all(&w, b"hello").unwrap();
        drop(w);
        assert!(read_all(&r, 4).unwrap_err().is(libc::EFBIG));
    }

    #[test]
    fn null_is_verified() {
        open_null(true).unwrap();
        let zero = open(Path::new("/dev/zero"), OFlags::RDONLY, 0).unwrap();
        assert!(verify_null(&zero).unwrap_err().is(libc::ENODEV));
    }
}
