//! What the two sides of a start say to each other, over a `SOCK_SEQPACKET` pair.
//!
//! Up (from the child): one tag byte and, for a failure, its parts. Down: one tag byte. The child's
//! end is close-on-exec, so that the end of the conversation means "the program runs".
//!
//! ```text
//! child                                   parent
//!                     <- PROCEED          in its cgroup, id maps written (only where it has to wait)
//! SHIFT [mount, userns] -> shifts the ids of a mount of the container's own
//!                     <- PROCEED
//! HOOKS               -> runs prestart and createRuntime hooks
//!                     <- PROCEED
//! LISTENER [fd]       ->                  seccomp notify descriptor
//! READY [console]     ->                  all done but the exec
//!                     <- GO               (or a connection to the start socket, then GO)
//! end of file, or FAILED ->
//! ```

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use super::error::{Cause, Error};
use crate::sys::{self, socket};

/// Down: go on.
pub(super) const PROCEED: u8 = 1;
/// Down: execute the program.
pub(super) const GO: u8 = 2;
/// Up: run the hooks that belong outside.
pub(super) const HOOKS: u8 = 3;
/// Up: all done but the exec.
pub(super) const READY: u8 = 4;
/// Up: a seccomp listener is attached, or its number in the child follows.
pub(super) const LISTENER: u8 = 5;
/// Up: shift the ids of this mount by this user namespace, which only the host's root may.
pub(super) const SHIFT: u8 = 6;
/// Up: the same with all that is mounted below.
pub(super) const SHIFT_DEEP: u8 = 7;
const FAILED: u8 = 9;

/// Longest message.
pub(super) const MAX: usize = 8192;

/// Why the child gives up.
#[derive(Debug)]
pub(super) struct Failure {
    /// What it means.
    pub kind: Kind,
    /// What was being done; for the two kinds about the command, the command.
    pub what: String,
    /// The call and its reason.
    pub why: String,
    /// Number of the failed call.
    pub errno: i32,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A step failed.
    Step,
    /// The command is not there.
    NotFound,
    /// The command cannot be executed.
    NotExecutable,
    /// The spec asks for something impossible.
    Spec,
    /// The kernel did not execute the command that was found.
    Exec,
}

/// A result of a step in the child.
pub(super) type Step<T> = Result<T, Failure>;

/// Says what was being done when a call failed; the text is made only then.
pub(super) trait During<T> {
    /// Names the deed: `mounting "tmpfs" at "/tmp"`.
    fn during(self, what: impl FnOnce() -> String) -> Step<T>;
}

impl<T> During<T> for sys::Result<T> {
    fn during(self, what: impl FnOnce() -> String) -> Step<T> {
        self.map_err(|e| Failure { kind: Kind::Step, what: what(), why: e.to_string(), errno: e.errno })
    }
}

impl Failure {
    /// Tells the parent; if it is gone nobody wants to know.
    pub(super) fn send(&self, socket: impl AsFd) {
        let kind = match self.kind {
            Kind::Step => 0_u8,
            Kind::NotFound => 1,
            Kind::NotExecutable => 2,
            Kind::Spec => 3,
            Kind::Exec => 4,
        };
        let mut text = vec![FAILED, kind];
        text.extend_from_slice(&self.errno.to_ne_bytes());
        text.extend_from_slice(cut(&self.what, 3000).as_bytes());
        text.push(0);
        text.extend_from_slice(cut(&self.why, 3000).as_bytes());
        let _gone = socket::send(socket, &text, &[]);
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[tag, kind], rest) = bytes.split_first_chunk::<2>()?;
        let (errno, rest) = rest.split_first_chunk::<4>()?;
        let zero = rest.iter().position(|&b| b == 0)?;
        let kind = match kind {
            1 => Kind::NotFound,
            2 => Kind::NotExecutable,
            3 => Kind::Spec,
            4 => Kind::Exec,
            _ => Kind::Step,
        };
        (tag == FAILED).then(|| Self {
            kind,
            what: String::from_utf8_lossy(&rest[..zero]).into_owned(),
            why: String::from_utf8_lossy(&rest[zero + 1..]).into_owned(),
            errno: i32::from_ne_bytes(*errno),
        })
    }
}

impl From<Failure> for Error {
    fn from(f: Failure) -> Self {
        match f.kind {
            Kind::NotFound => Self::CommandNotFound { command: f.what, why: f.why },
            Kind::NotExecutable => Self::CommandNotExecutable { command: f.what, why: f.why },
            Kind::Exec => {
                let code = if f.errno == libc::ENOENT { 127 } else { 126 };
                Self::Exec { command: f.what, why: f.why, code }
            }
            Kind::Spec => Self::Spec { field: f.what, why: f.why },
            Kind::Step => Self::Step { what: f.what, cause: Cause { text: f.why, errno: f.errno } },
        }
    }
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Something that came from the child.
#[derive(Debug)]
pub(super) enum Up {
    /// A tag with what was attached.
    Tag(u8, Vec<OwnedFd>),
    /// A seccomp listener that could not be sent, by its number in the child, which waits for [`PROCEED`].
    ListenerAt(i32),
    /// It gives up.
    Failed(Failure),
    /// The conversation is over.
    End,
}

/// Waits for the child's next message.
pub(super) fn receive_up(socket: impl AsFd) -> sys::Result<Up> {
    let mut buffer = [0; MAX];
    match socket::receive(socket, &mut buffer) {
        Ok((n, fds)) => Ok(parse_up(&buffer[..n], fds)),
        Err(e) if e.is(libc::ECONNRESET) => Ok(Up::End),
        Err(e) => Err(e),
    }
}

/// Takes a message apart; an empty one is the end.
pub(super) fn parse_up(message: &[u8], fds: Vec<OwnedFd>) -> Up {
    match (message.first(), Failure::parse(message)) {
        (None, _) => Up::End,
        (_, Some(failure)) => Up::Failed(failure),
        (Some(&LISTENER), None) if message.len() == 5 => {
            Up::ListenerAt(i32::from_ne_bytes(message[1..].try_into().expect("four bytes")))
        }
        (Some(&tag), None) => Up::Tag(tag, fds),
    }
}

/// Sends a tag with descriptors.
pub(super) fn send(socket: impl AsFd, tag: u8, fds: &[BorrowedFd<'_>]) -> sys::Result<()> {
    socket::send(socket, &[tag], fds).map(drop)
}

/// In the child: tells the number of a seccomp listener, and waits until the parent has fetched it. By write, the one
/// call that no agent answers.
pub(super) fn lend_listener(socket: impl AsFd, listener: BorrowedFd<'_>) -> Step<()> {
    let mut message = vec![LISTENER];
    message.extend_from_slice(&listener.as_raw_fd().to_ne_bytes());
    rustix::io::write(&socket, &message)
        .map_err(|e| sys::Error::new("write", "the seccomp listener's number", e.raw_os_error()))
        .during(|| "handing over the seccomp listener".into())?;
    expect(socket, PROCEED)
}

/// In the child: waits for a tag; the parent's end is the end of us.
pub(super) fn expect(socket: impl AsFd, tag: u8) -> Step<()> {
    let mut buffer = [0; 16];
    let (n, _) = socket::receive(socket, &mut buffer).during(|| "waiting for the parent".into())?;
    if n == 1 && buffer[0] == tag {
        return Ok(());
    }
    Err(Failure {
        kind: Kind::Step,
        what: "waiting for the parent".into(),
        why: "it has gone".into(),
        errno: libc::EPIPE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_survive_the_way() {
        let (a, b) = socket::pair(socket::Kind::SeqPacket).unwrap();
        let sent = Failure { kind: Kind::NotFound, what: "nö".into(), why: "not there".into(), errno: 2 };
        sent.send(&a);
        let Up::Failed(got) = receive_up(&b).unwrap() else { panic!("no failure") };
        assert_eq!((got.kind, &*got.what, &*got.why, got.errno), (Kind::NotFound, "nö", "not there", 2));
        drop(a);
        assert!(matches!(receive_up(&b).unwrap(), Up::End));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("aö", 2), "a");
    }
}
