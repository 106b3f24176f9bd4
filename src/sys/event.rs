//! Waiting: epoll, signalfd, timerfd, eventfd, and poll for a single descriptor.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::error::{Context, Error, Result, check};

/// What to wait for, and what came.
pub mod interest {
    /// There is something to read, or the end.
    pub const READ: u32 = libc::EPOLLIN as u32;
    /// There is room to write.
    pub const WRITE: u32 = libc::EPOLLOUT as u32;
    /// The other side hung up (always reported).
    pub const HANGUP: u32 = libc::EPOLLHUP as u32;
    /// The other side will write no more.
    pub const READ_HANGUP: u32 = libc::EPOLLRDHUP as u32;
    /// An error, or an event on a cgroup file (always reported).
    pub const ERROR: u32 = libc::EPOLLERR as u32;
    /// Priority data: cgroup event files.
    pub const PRIORITY: u32 = libc::EPOLLPRI as u32;
    /// Report changes only.
    pub const EDGE: u32 = libc::EPOLLET as u32;
}

/// One event: the token given at registration and what came (bits of [`interest`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The caller's number.
    pub token: u64,
    /// Bits of [`interest`].
    pub what: u32,
}

/// A set of descriptors to wait for. A descriptor leaves the set when it is closed.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    /// An empty set.
    pub fn new() -> Result<Self> {
        // SAFETY: takes one flag.
        let raw = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }, "epoll_create1", String::new)?;
        // SAFETY: the kernel has just made it for us.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(raw) } })
    }

    /// Adds a descriptor.
    pub fn add(&self, fd: impl AsFd, token: u64, what: u32) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd.as_fd(), token, what)
    }

    /// Changes what is waited for.
    pub fn modify(&self, fd: impl AsFd, token: u64, what: u32) -> Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd.as_fd(), token, what)
    }

    /// Takes a descriptor out.
    pub fn remove(&self, fd: impl AsFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd.as_fd(), 0, 0)
    }

    /// Waits; `None` waits for ever. Fills `events` and returns those that came; an interrupted
    /// wait returns none.
    pub fn wait<'a>(&self, events: &'a mut Events, timeout: Option<Duration>) -> Result<&'a [Event]> {
        let ms = timeout
            .map_or(-1, |t| i32::try_from(t.as_millis().max(u128::from(!t.is_zero()))).unwrap_or(i32::MAX));
        let room = events.raw.len();
        let pointer = events.raw.as_mut_ptr().cast::<libc::epoll_event>();
        // SAFETY: pointer and length describe the array in `events`.
        let n = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), pointer, room as i32, ms) };
        if n == -1 && super::error::errno() == libc::EINTR {
            return Ok(&[]);
        }
        let n = check(n, "epoll_wait", String::new)? as usize;
        for i in 0..n {
            // SAFETY: the kernel filled the first n entries.
            let e = unsafe { events.raw[i].assume_init() };
            events.out[i] = Event { token: e.u64, what: e.events };
        }
        Ok(&events.out[..n])
    }

    fn control(&self, how: i32, fd: BorrowedFd<'_>, token: u64, what: u32) -> Result<()> {
        let mut event = libc::epoll_event { events: what, u64: token };
        // SAFETY: the event lives across the call; the kernel copies it.
        let r = unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), how, fd.as_raw_fd(), &raw mut event) };
        check(r, "epoll_ctl", || format!("{how}, {}", fd.as_raw_fd())).map(drop)
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Room for the events of one wait.
#[derive(Debug)]
pub struct Events {
    raw: [MaybeUninit<libc::epoll_event>; 32],
    out: [Event; 32],
}

impl Default for Events {
    fn default() -> Self {
        Self { raw: [MaybeUninit::uninit(); 32], out: [Event { token: 0, what: 0 }; 32] }
    }
}

/// Signals as something to read. The signals are blocked for this thread.
#[derive(Debug)]
pub struct SignalFd {
    fd: nix::sys::signalfd::SignalFd,
}

/// One signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub signal: i32,
    /// Who sent it (0 for the kernel or another pid namespace).
    pub pid: u32,
}

impl SignalFd {
    /// Blocks these signals and makes them readable; does not block.
    pub fn new(signals: &[i32]) -> Result<Self> {
        use nix::sys::signalfd::SfdFlags;
        super::signal::block(signals)?;
        let set = super::signal::set_of(signals)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = nix::sys::signalfd::SignalFd::with_flags(&set, flags)
            .call("signalfd4", || format!("{signals:?}"))?;
        Ok(Self { fd })
    }

    /// The next signal; `None` when there is none now.
    pub fn read(&self) -> Result<Option<Received>> {
        let one = self.fd.read_signal().call("read", || "signalfd".into())?;
        Ok(one.map(|s| Received { signal: s.ssi_signo as i32, pid: s.ssi_pid }))
    }
}

/// Signals that are read instead of acted upon for as long as this lives.
#[derive(Debug)]
pub struct Held {
    signals: SignalFd,
    before: nix::sys::signal::SigSet,
}

impl Held {
    /// Holds these signals back.
    pub fn new(signals: &[i32]) -> Result<Self> {
        let before = super::signal::block(signals)?;
        Ok(Self { signals: SignalFd::new(signals)?, before })
    }

    /// The next of them, taken; `None` when there is none now.
    pub fn take(&self) -> Result<Option<Received>> {
        self.signals.read()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Setting back what was set cannot fail.
        let _same = super::signal::restore(&self.before);
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A timer as something to read (monotonic clock).
#[derive(Debug)]
pub struct TimerFd {
    fd: OwnedFd,
}

impl TimerFd {
    /// A timer that is not set; does not block.
    pub fn new() -> Result<Self> {
        // SAFETY: takes two integers.
        let raw =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
        let raw = check(raw, "timerfd_create", String::new)?;
        // SAFETY: the kernel has just made it for us.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(raw) } })
    }

    /// Fires once after `after` (at least a nanosecond), then every `every`, if given.
    pub fn set(&self, after: Duration, every: Option<Duration>) -> Result<()> {
        let after = if after.is_zero() { Duration::from_nanos(1) } else { after };
        self.arm(after, every.unwrap_or_default())
    }

    /// Stops it.
    pub fn clear(&self) -> Result<()> {
        self.arm(Duration::ZERO, Duration::ZERO)
    }

    /// How often it fired since the last read; 0 when not.
    pub fn read(&self) -> Result<u64> {
        let mut count = [0; 8];
        match super::fd::read(&self.fd, &mut count) {
            Ok(_) => Ok(u64::from_ne_bytes(count)),
            Err(e) if e.is(libc::EAGAIN) => Ok(0),
            Err(e) => Err(e),
        }
    }

    fn arm(&self, value: Duration, interval: Duration) -> Result<()> {
        let spec = libc::itimerspec { it_interval: timespec(interval), it_value: timespec(value) };
        // SAFETY: spec lives across the call; no old value is asked for.
        let r =
            unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut()) };
        check(r, "timerfd_settime", || format!("{value:?}, {interval:?}")).map(drop)
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn timespec(d: Duration) -> libc::timespec {
    libc::timespec { tv_sec: d.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: d.subsec_nanos().into() }
}

/// An event counter; does not block. Used for cgroup v1 OOM notices.
pub fn eventfd() -> Result<OwnedFd> {
    let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
    rustix::event::eventfd(0, flags).call("eventfd2", String::new)
}

/// Waits until a descriptor is readable or hung up. `Ok(false)` when the time is over.
pub fn wait_readable(fd: impl AsFd, timeout: Option<Duration>) -> Result<bool> {
    let fd = fd.as_fd();
    let deadline = timeout.map(|t| std::time::Instant::now() + t);
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(std::time::Instant::now()));
        let ms = left.map_or(-1, |t| i32::try_from(t.as_millis()).unwrap_or(i32::MAX));
        let mut one = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd that lives across the call.
        match unsafe { libc::poll(&raw mut one, 1, ms) } {
            0 if left.is_some_and(|t| t.as_millis() > 0) => {}
            0 => return Ok(false),
            -1 if super::error::errno() == libc::EINTR => {}
            -1 => return Err(Error::last("poll", format!("{}", fd.as_raw_fd()))),
            _ => return Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_and_epoll() {
        let timer = TimerFd::new().unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.add(&timer, 7, interest::READ).unwrap();
        let mut events = Events::default();
        assert!(epoll.wait(&mut events, Some(Duration::ZERO)).unwrap().is_empty());
        timer.set(Duration::from_millis(1), None).unwrap();
        let came = epoll.wait(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert_eq!(came, [Event { token: 7, what: interest::READ }]);
        assert_eq!(timer.read().unwrap(), 1);
        assert_eq!(timer.read().unwrap(), 0);
    }
}
