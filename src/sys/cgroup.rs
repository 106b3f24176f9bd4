//! Files of cgroup directories: short reads and single writes, and the two kinds of descriptor that
//! tell of memory running out.
//!
//! By path, because that is one call less than by a descriptor of the directory; cgroup file systems
//! hold no symbolic links that a container could make.
//!
//! What the files mean is the matter of `runtime::cgroup`.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, inotify};

const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// Opens a cgroup directory, close-on-exec.
///
/// # Errors
/// What openat(2) says.
pub fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// Whether a path is on a cgroup v2 file system.
///
/// # Errors
/// What statfs(2) says.
pub fn is_v2(path: &Path) -> io::Result<bool> {
    let magic = rustix::fs::statfs(path)?.f_type;
    Ok(u64::try_from(magic).unwrap_or_default() == CGROUP2_MAGIC)
}

/// Whether a directory exists. Where that cannot be found out it counts as there: nothing is passed over, and what is
/// then done in it says what is wrong.
#[must_use]
pub fn is_dir(path: &Path) -> bool {
    match rustix::fs::statat(CWD, path, AtFlags::empty()) {
        Ok(stat) => rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir(),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => false,
        Err(_) => true,
    }
}

/// Makes one directory, 0755.
///
/// # Errors
/// What mkdirat(2) says.
pub fn make_dir(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o755))?)
}

/// Removes one directory.
///
/// # Errors
/// What unlinkat(2) says; EBUSY while processes or children are in it.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

/// Writes a value by a single write(2), as cgroup files want it.
///
/// # Errors
/// What openat(2) or write(2) says.
pub fn write(file: &Path, value: &[u8]) -> io::Result<()> {
    write_open(open_for_write(file)?.as_fd(), value)
}

/// Opens a file of a cgroup for several writes.
///
/// # Errors
/// What openat(2) says.
pub fn open_for_write(file: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Writes a value to an open file of a cgroup.
///
/// # Errors
/// What write(2) says.
pub fn write_open(fd: BorrowedFd<'_>, value: &[u8]) -> io::Result<()> {
    // A signal may come before anything is done, never in the middle.
    let written = rustix::io::retry_on_intr(|| rustix::io::write(fd, value))?;
    if written == value.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Reads a file whole.
///
/// # Errors
/// What openat(2) or read(2) says.
pub fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::from(open_for_read(file)?).read_to_string(&mut text)?;
    Ok(text)
}

/// v1: an eventfd that counts the times memory ran out.
///
/// # Errors
/// What the calls say.
pub fn oom_eventfd(memory: &Path) -> io::Result<OwnedFd> {
    let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let control = open_for_read(&memory.join("memory.oom_control"))?;
    let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    write(&memory.join("cgroup.event_control"), line.as_bytes())?;
    Ok(event)
}

/// v2: an inotify descriptor that becomes readable when `memory.events` changes or goes away.
///
/// # Errors
/// What the calls say.
pub fn oom_inotify(cgroup: &Path) -> io::Result<OwnedFd> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let _watch = inotify::add_watch(&fd, cgroup.join("memory.events"), inotify::WatchFlags::MODIFY)?;
    Ok(fd)
}

/// Empties an eventfd or inotify descriptor.
pub fn drain(fd: BorrowedFd<'_>) {
    let mut buffer = [0_u8; 1024];
    while let Ok(n) = rustix::io::read(fd, &mut buffer) {
        // An eventfd gives eight bytes once; a full buffer may have more behind it.
        if n < buffer.len() {
            break;
        }
    }
}

/// Waits until a file of a v2 cgroup reports a change (`cgroup.events`, `memory.events`), or the time is
/// over. The file must have been read through this descriptor before.
///
/// # Errors
/// What poll(2) says.
pub fn wait_change(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let mut set = [PollFd::new(&fd, PollFlags::PRI)];
    let limit = Timespec::try_from(limit).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(rustix::io::retry_on_intr(|| rustix::event::poll(&mut set, Some(&limit)))? > 0)
}

/// Reads a file from its start through an open descriptor.
///
/// # Errors
/// What pread(2) says.
pub fn read_open(fd: BorrowedFd<'_>) -> io::Result<String> {
    let mut buffer = [0_u8; 512];
    let n = rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut buffer, 0))?;
    Ok(String::from_utf8_lossy(&buffer[..n]).into_owned())
}

/// Opens a file of a cgroup for reading.
///
/// # Errors
/// What openat(2) says.
pub fn open_for_read(file: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Sends a signal to a process by number; a process that is gone already is success.
///
/// # Errors
/// What kill(2) says.
pub fn signal(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes no pointers.
    let rc = unsafe { libc::kill(pid, signal) };
    if rc == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
}
