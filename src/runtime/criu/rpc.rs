//! Speaking with criu: a request and its answers as protocol buffers over a socket that `criu swrk` inherits. The
//! numbers are those of criu's `rpc.proto`; of its messages only what we say and read is known here.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::runtime::Error;
use crate::sys::process::{self, Child, CloneArgs, Strings};
use crate::sys::{fd, signal, socket};

/// What is asked of criu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Dump = 1,
    Restore = 2,
    PreDump = 4,
}

const NOTIFY: u64 = 6;

/// A message being written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number; a negative one as its 64 bits, as protocol buffers have it.
    pub(super) fn number(&mut self, field: u32, value: i64) -> &mut Self {
        self.varint(u64::from(field) << 3);
        self.varint(value.cast_unsigned());
        self
    }

    /// A truth, left out where it is none.
    pub(super) fn flag(&mut self, field: u32, value: bool) -> &mut Self {
        if value { self.number(field, 1) } else { self }
    }

    /// Bytes or text.
    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A message inside.
    pub(super) fn inside(&mut self, field: u32, value: &Self) -> &mut Self {
        self.bytes(field, &value.0)
    }

    /// Two texts as fields 1 and 2 of a message inside.
    pub(super) fn pair(&mut self, field: u32, one: &str, two: &str) -> &mut Self {
        let mut inside = Self::default();
        inside.bytes(1, one.as_bytes()).bytes(2, two.as_bytes());
        self.inside(field, &inside)
    }
}

/// One field of a message that was read.
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, as far as they can be read.
pub(super) fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut out = Vec::new();
    while let Some((key, rest)) = varint(bytes) {
        let (value, rest) = match key & 7 {
            0 => match varint(rest) {
                Some((value, rest)) => (Value::Number(value), rest),
                None => break,
            },
            2 => match varint(rest) {
                Some((length, rest)) if length <= rest.len() as u64 => {
                    let (value, rest) = rest.split_at(length as usize);
                    (Value::Bytes(value), rest)
                }
                _ => break,
            },
            _ => break,
        };
        out.push((key >> 3, value));
        bytes = rest;
    }
    out
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

/// What criu answered.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    kind: u64,
    success: bool,
    /// Pid of the restored first process.
    restored: i32,
    /// Name and pid of a notification.
    script: String,
    pid: i32,
    errno: i32,
    message: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let mut out = Self::default();
        let pid = |n: u64| i32::try_from(n).unwrap_or(0);
        for field in fields(bytes) {
            match field {
                (1, Value::Number(n)) => out.kind = n,
                (2, Value::Number(n)) => out.success = n != 0,
                (4, Value::Bytes(b)) => {
                    if let Some((1, Value::Number(n))) = fields(b).first() {
                        out.restored = pid(*n);
                    }
                }
                (5, Value::Bytes(b)) => {
                    for inside in fields(b) {
                        match inside {
                            (1, Value::Bytes(b)) => out.script = String::from_utf8_lossy(b).into_owned(),
                            (2, Value::Number(n)) => out.pid = pid(n),
                            _ => {}
                        }
                    }
                }
                (7, Value::Number(n)) => out.errno = n as i32,
                (9, Value::Bytes(b)) => out.message = String::from_utf8_lossy(b).into_owned(),
                _ => {}
            }
        }
        out
    }
}

/// What criu tells while it works, and the descriptors with it.
#[derive(Debug)]
pub(super) struct Notice<'a> {
    pub script: &'a str,
    pub pid: i32,
    pub fds: Vec<OwnedFd>,
}

/// A running `criu swrk`. Dropped, it is killed and reaped.
#[derive(Debug)]
pub(super) struct Worker {
    child: Option<Child>,
    socket: OwnedFd,
}

/// Number of the first of the descriptors that a worker gets beyond stdio and its socket.
pub(super) const FIRST_EXTRA: i32 = 4;

impl Worker {
    /// Starts one; `extra` are its descriptors from [`FIRST_EXTRA`], `path` its PATH if that is not ours.
    pub(super) fn start(extra: &[BorrowedFd<'_>], path: Option<&str>) -> Result<Self, Error> {
        let program = find(path)?;
        let (ours, theirs) = socket::pair(socket::Kind::SeqPacket)?;
        let argv = Strings::new(["criu", "swrk", "3"])?;
        let env = match path {
            Some(path) => Strings::new([format!("PATH={path}")])?,
            None => Strings::environment()?,
        };
        let child = process::clone(&CloneArgs::default(), || {
            let first = FIRST_EXTRA + i32::try_from(extra.len()).unwrap_or(0);
            let placed = (|| {
                let own = fd::dup(&theirs, first + 1)?;
                let others: Vec<OwnedFd> =
                    extra.iter().map(|f| fd::dup(f, first + 1)).collect::<crate::sys::Result<_>>()?;
                fd::place(own.as_fd(), 3)?;
                for (other, number) in others.iter().zip(FIRST_EXTRA..) {
                    fd::place(other.as_fd(), number)?;
                }
                fd::cloexec_from(first.cast_unsigned())?;
                signal::reset_for_exec(&[])
            })();
            let _error = placed.err().unwrap_or_else(|| process::exec(&program, &argv, &env));
            127
        })?;
        Ok(Self { child: Some(child), socket: ours })
    }

    /// Its pid.
    pub(super) fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |c| c.pid)
    }

    /// Asks, lets `told` hear of each notice, and returns the pid that an answer names (0 where it names none).
    pub(super) fn ask(
        &mut self,
        request: Request,
        options: &Message,
        mut told: impl FnMut(Notice<'_>) -> Result<(), Error>,
    ) -> Result<i32, Error> {
        let mut message = Message::default();
        message.number(1, request as i64).inside(2, options);
        socket::send(&self.socket, &message.0, &[])?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let (length, fds) = socket::receive(&self.socket, &mut buffer)?;
            if length == 0 {
                return Err(Error::refused("criu ended without an answer"));
            }
            let answer = Answer::parse(&buffer[..length]);
            if !answer.success {
                return Err(failed(&answer));
            }
            if answer.kind != NOTIFY {
                self.end();
                return Ok(answer.restored);
            }
            tracing::debug!("criu: {}", answer.script);
            told(Notice { script: &answer.script, pid: answer.pid, fds })?;
            let mut reply = Message::default();
            reply.number(1, NOTIFY.cast_signed()).flag(3, true);
            socket::send(&self.socket, &reply.0, &[])?;
        }
    }

    /// Waits until it has gone by itself: after a pre-dump it would wait for the dump, so it is told to end.
    fn end(&mut self) {
        if let Some(child) = self.child.take() {
            let done = std::time::Duration::from_secs(2);
            if !crate::sys::event::wait_readable(&child.pidfd, Some(done)).unwrap_or(false) {
                let _gone = child.pidfd.signal(libc::SIGKILL);
            }
            let _reaped = child.pidfd.wait();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            let _gone = child.pidfd.signal(libc::SIGKILL);
            let _reaped = child.pidfd.wait();
        }
    }
}

fn failed(answer: &Answer) -> Error {
    let why = match (answer.message.is_empty(), answer.errno) {
        (false, _) if !answer.message.contains(super::NO_MATTER) => answer.message.trim().to_owned(),
        (_, 0) => "it does not say why".to_owned(),
        (_, errno) => std::io::Error::from_raw_os_error(errno).to_string(),
    };
    Error::refused(format!("criu failed: {why}"))
}

/// criu in this PATH, or in ours.
fn find(path: Option<&str>) -> Result<CString, Error> {
    let path = path.map(Into::into).or_else(|| std::env::var_os("PATH"));
    let path = path.unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    let found = std::env::split_paths(&path).map(|dir| dir.join("criu")).find(|p| p.is_file());
    let found = found.ok_or_else(|| Error::refused("criu is not installed: there is none in PATH"))?;
    Ok(fd::c_path(&found)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_protocol_buffers() {
        let mut m = Message::default();
        m.number(1, 300).flag(2, true).flag(3, false).bytes(4, b"ab").number(5, -1);
        let minus_one = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(m.0, [&[0x08, 0xac, 0x02, 0x10, 1, 0x22, 2, b'a', b'b', 0x28][..], &minus_one].concat());
    }

    #[test]
    fn answers_are_read_and_rubbish_is_none() {
        let mut notify = Message::default();
        notify.bytes(1, b"post-restore").number(2, 4242);
        let mut m = Message::default();
        m.number(1, 6).flag(2, true).inside(5, &notify);
        let answer = Answer::parse(&m.0);
        assert_eq!(
            (answer.kind, answer.success, answer.script.as_str(), answer.pid),
            (6, true, "post-restore", 4242)
        );
        let mut restored = Message::default();
        restored.number(1, 7);
        let mut m = Message::default();
        m.number(1, 2).flag(2, true).inside(4, &restored);
        assert_eq!(Answer::parse(&m.0).restored, 7);
        assert_eq!(Answer::parse(&[0xff; 40]), Answer::default());
        assert_eq!(Answer::parse(&[0x22, 200, 1]), Answer::default());
    }
}
