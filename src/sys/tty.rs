//! Terminals: pairs opened without a path that could be swapped, sizes, raw mode.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, Termios, Winsize};

use super::error::{Context, Error, Result, check};
use super::fd;

const DEVPTS_MAGIC: i64 = 0x1cd1;

/// A pseudo terminal.
#[derive(Debug)]
pub struct Pty {
    /// The side that we keep.
    pub master: OwnedFd,
    /// The side of the process.
    pub slave: OwnedFd,
}

impl Pty {
    /// Forgets both sides without closing their numbers, which are another's by now (a child that has
    /// placed the descriptors of its program).
    pub fn leak(self) {
        use std::os::fd::IntoRawFd;
        let _numbers = (self.master.into_raw_fd(), self.slave.into_raw_fd());
    }
}

/// Opens a pair on the host's devpts.
pub fn open_pty() -> Result<Pty> {
    let master = fd::open(Path::new("/dev/ptmx"), OFlags::RDWR | OFlags::NOCTTY, 0)?;
    finish(master)
}

/// Opens a pair on a devpts given by a descriptor of its root (a detached mount, the container's).
pub fn open_pty_in(devpts: impl AsFd) -> Result<Pty> {
    if fd::fs_magic(&devpts)? != DEVPTS_MAGIC {
        return Err(Error::new("openat", "ptmx: not a devpts", libc::ENODEV));
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let master = fd::open_at(devpts, Path::new("ptmx"), flags, 0)?;
    finish(master)
}

/// Unlocks the pair and opens the other side by the master itself (`TIOCGPTPEER`), so that nobody
/// can put another file at `/dev/pts/N` in between (CVE-2025-52565).
fn finish(master: OwnedFd) -> Result<Pty> {
    let raw = master.as_raw_fd();
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int that lives across the call.
    check(unsafe { libc::ioctl(raw, libc::TIOCSPTLCK, &raw const unlock) }, "ioctl", || "TIOCSPTLCK".into())?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes flags by value.
    let slave = unsafe { libc::ioctl(raw, libc::TIOCGPTPEER, flags) };
    let slave = check(slave, "ioctl", || "TIOCGPTPEER".into())?;
    // SAFETY: the kernel has just made it for us.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    if fd::fs_magic(&slave)? != DEVPTS_MAGIC {
        return Err(Error::new("ioctl", "TIOCGPTPEER: not on a devpts", libc::ENODEV));
    }
    Ok(Pty { master, slave })
}

/// Makes a terminal the controlling one of this session (the caller is its leader).
pub fn set_controlling(tty: impl AsFd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes an integer by value.
    let r = unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) };
    check(r, "ioctl", || "TIOCSCTTY".into()).map(drop)
}

/// Whether it is a terminal.
#[must_use]
pub fn is_tty(fd: impl AsFd) -> bool {
    rustix::termios::isatty(fd)
}

/// Size in (rows, columns).
pub fn size(tty: impl AsFd) -> Result<(u16, u16)> {
    let w = rustix::termios::tcgetwinsize(tty).call("ioctl", || "TIOCGWINSZ".into())?;
    Ok((w.ws_row, w.ws_col))
}

/// Sets the size.
pub fn set_size(tty: impl AsFd, rows: u16, columns: u16) -> Result<()> {
    let w = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(tty, w).call("ioctl", || format!("TIOCSWINSZ, {rows}x{columns}"))
}

/// Lets lines end as the program ends them: a new pair would put a carriage return before each of its newlines,
/// which only a terminal at the far end needs, and that one does it itself.
pub fn keep_newlines(tty: impl AsFd) -> Result<()> {
    let mut modes = rustix::termios::tcgetattr(&tty).call("ioctl", || "TCGETS".into())?;
    modes.output_modes.remove(rustix::termios::OutputModes::ONLCR);
    rustix::termios::tcsetattr(&tty, OptionalActions::Now, &modes).call("ioctl", || "TCSETS".into())
}

/// A terminal in raw mode; dropping it restores what was.
#[derive(Debug)]
pub struct RawMode {
    tty: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Puts a terminal into raw mode.
    pub fn enter(tty: impl AsFd) -> Result<Self> {
        let tty = fd::dup(tty, 3)?;
        let before = rustix::termios::tcgetattr(&tty).call("ioctl", || "TCGETS".into())?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&tty, OptionalActions::Now, &raw).call("ioctl", || "TCSETS".into())?;
        Ok(Self { tty, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone; nobody is left to tell.
        let _gone = rustix::termios::tcsetattr(&self.tty, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_a_size() {
        let pty = open_pty().unwrap();
        set_size(&pty.master, 40, 100).unwrap();
        assert_eq!(size(&pty.slave).unwrap(), (40, 100));
        assert!(is_tty(&pty.slave));
    }
}
