//! Unix sockets: pairs, named sockets with long paths, descriptors passed along, peer credentials.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::socket::{
    self as ns, AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr,
};
use rustix::fs::OFlags;

use super::error::{Context, Error, Result, check};
use super::fd;

/// Most descriptors in one message (the kernel's `SCM_MAX_FD`).
pub const MAX_FDS: usize = 253;

/// Kind of a unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes.
    Stream,
    /// Messages, in order, whole.
    SeqPacket,
}

impl Kind {
    fn raw(self) -> SockType {
        match self {
            Self::Stream => SockType::Stream,
            Self::SeqPacket => SockType::SeqPacket,
        }
    }
}

/// Who is at the other end, as the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A connected pair, close-on-exec.
pub fn pair(kind: Kind) -> Result<(OwnedFd, OwnedFd)> {
    ns::socketpair(AddressFamily::Unix, kind.raw(), None, SockFlag::SOCK_CLOEXEC)
        .call("socketpair", || format!("AF_UNIX, {kind:?}"))
}

/// Connects to a socket by path, however long.
pub fn connect(path: &Path, kind: Kind) -> Result<OwnedFd> {
    let socket = open(kind)?;
    with_address(path, |address| {
        retry(|| ns::connect(socket.as_raw_fd(), address)).call("connect", || format!("{path:?}"))
    })?;
    Ok(socket)
}

/// Binds to a path (which must not exist) and listens. The socket's file has mode `mode`.
pub fn listen(path: &Path, kind: Kind, mode: u32) -> Result<OwnedFd> {
    let socket = open(kind)?;
    // The inode takes the socket's mode less the umask, so that nobody can connect in between.
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(mode))
        .call("fchmod", || format!("{path:?}"))?;
    with_address(path, |address| ns::bind(socket.as_raw_fd(), address).call("bind", || format!("{path:?}")))?;
    let backlog = Backlog::new(128).expect("128 is a valid backlog");
    ns::listen(&socket, backlog).call("listen", || format!("{path:?}"))?;
    Ok(socket)
}

/// Accepts a connection, close-on-exec.
pub fn accept(listener: impl AsFd) -> Result<OwnedFd> {
    let raw = retry(|| ns::accept4(listener.as_fd().as_raw_fd(), SockFlag::SOCK_CLOEXEC))
        .call("accept4", String::new)?;
    // SAFETY: accept4 has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Credentials of the process that connected (or made the pair).
pub fn peer(socket: impl AsFd) -> Result<Peer> {
    let c = ns::getsockopt(&socket.as_fd(), ns::sockopt::PeerCredentials)
        .call("getsockopt", || "SO_PEERCRED".into())?;
    Ok(Peer { pid: c.pid(), uid: c.uid(), gid: c.gid() })
}

/// Sends bytes with descriptors; returns how many bytes went (all of them on a `SeqPacket`).
/// Never raises SIGPIPE.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    send_vectored(socket, &[IoSlice::new(bytes)], fds)
}

/// [`send`] from several buffers.
pub fn send_vectored(socket: impl AsFd, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    send_with(socket, parts, fds, MsgFlags::empty())
}

/// [`send_vectored`] that does not wait: `EAGAIN` when there is no room.
pub fn try_send_vectored(socket: impl AsFd, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    send_with(socket, parts, fds, MsgFlags::MSG_DONTWAIT)
}

fn send_with(
    socket: impl AsFd,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    flags: MsgFlags,
) -> Result<usize> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
    let socket = socket.as_fd().as_raw_fd();
    retry(|| ns::sendmsg::<()>(socket, parts, control, MsgFlags::MSG_NOSIGNAL | flags, None))
        .call("sendmsg", || format!("{socket}, {} descriptors", raw.len()))
}

/// Sends all bytes over a stream, the descriptors with the first of them.
pub fn send_all(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let mut sent = send(&socket, bytes, fds)?;
    while sent < bytes.len() {
        sent += send(&socket, &bytes[sent..], &[])?;
    }
    Ok(())
}

/// Receives bytes and descriptors (close-on-exec). 0 bytes is the end. A message or a list of
/// descriptors that was cut is `EMSGSIZE`, and what arrived of it is closed.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    receive_with(socket, buffer, 0)
}

/// [`receive`] that does not wait: `EAGAIN` when nothing is there.
pub fn try_receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    receive_with(socket, buffer, libc::MSG_DONTWAIT)
}

fn receive_with(socket: impl AsFd, buffer: &mut [u8], flags: i32) -> Result<(usize, Vec<OwnedFd>)> {
    // 253 descriptors and a header; u64 for the alignment that a cmsghdr needs.
    let mut control = [0u64; 16 + MAX_FDS / 2];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is plain data for which all zeroes is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let raw = socket.as_fd().as_raw_fd();
    // A peer that closed with data of ours unread: the kernel says so once, by ECONNRESET, before it hands out what
    // the peer had sent. That is not lost.
    let mut was_reset = false;
    let n = loop {
        // SAFETY: message points to a buffer and a control area that live across the call, with their lengths.
        let n = unsafe { libc::recvmsg(raw, &raw mut message, flags | libc::MSG_CMSG_CLOEXEC) };
        match super::error::errno() {
            _ if n >= 0 => break n,
            libc::EINTR => {}
            libc::ECONNRESET if !was_reset => was_reset = true,
            _ => break n,
        }
    };
    #[allow(clippy::unnecessary_cast)]
    let n = check(n as i64, "recvmsg", || format!("{raw}"))? as usize;
    let fds = rights(&message);
    if message.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0 {
        return Err(Error::new("recvmsg", "message was cut", libc::EMSGSIZE));
    }
    Ok((n, fds))
}

/// Takes the descriptors out of a message that recvmsg has just filled.
fn rights(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut out = Vec::new();
    // SAFETY: recvmsg has set msg_control and msg_controllen to what it wrote.
    let mut head = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !head.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a whole header inside the control area.
        let h = unsafe { *head };
        if h.cmsg_level == libc::SOL_SOCKET && h.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: the same header.
            let data = unsafe { libc::CMSG_DATA(head) }.cast::<RawFd>();
            // SAFETY: CMSG_LEN only computes.
            let empty = unsafe { libc::CMSG_LEN(0) } as usize;
            #[allow(clippy::unnecessary_cast)]
            let count = (h.cmsg_len as usize).saturating_sub(empty) / size_of::<RawFd>();
            for i in 0..count {
                // SAFETY: the kernel wrote `count` descriptors there.
                let number = unsafe { data.add(i).read_unaligned() };
                // SAFETY: the kernel has just installed it for us.
                out.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: head lies in message's control area.
        head = unsafe { libc::CMSG_NXTHDR(message, head) };
    }
    out
}

fn open(kind: Kind) -> Result<OwnedFd> {
    ns::socket(AddressFamily::Unix, kind.raw(), SockFlag::SOCK_CLOEXEC, None)
        .call("socket", || format!("AF_UNIX, {kind:?}"))
}

/// Runs `f` with the address of a path; a path too long for `sun_path` is reached through a
/// descriptor of its directory.
fn with_address<T>(path: &Path, f: impl FnOnce(&UnixAddr) -> Result<T>) -> Result<T> {
    if path.as_os_str().as_bytes().len() < 108 {
        let address = UnixAddr::new(path).call("unix address", || format!("{path:?}"))?;
        return f(&address);
    }
    let missing = || Error::new("unix address", format!("{path:?}"), libc::EINVAL);
    let parent = path.parent().ok_or_else(missing)?;
    let name = path.file_name().ok_or_else(missing)?;
    let dir = fd::open(parent, OFlags::PATH | OFlags::DIRECTORY, 0)?;
    let short = fd::proc_path(&dir).join(name);
    let address = UnixAddr::new(&short).call("unix address", || format!("{path:?}"))?;
    f(&address)
}

fn retry<T>(mut f: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match f() {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_travel() {
        let (a, b) = pair(Kind::SeqPacket).unwrap();
        let (r, w) = fd::pipe().unwrap();
        send(&a, b"take", &[w.as_fd(), r.as_fd()]).unwrap();
        drop(w);
        let mut buffer = [0; 16];
        let (n, fds) = receive(&b, &mut buffer).unwrap();
        assert_eq!((&buffer[..n], fds.len()), (&b"take"[..], 2));
        fd::write_all(&fds[0], b"x").unwrap();
        drop(fds);
        assert_eq!(fd::read_all(&r, 9).unwrap(), b"x");
        assert!(try_receive(&b, &mut buffer).unwrap_err().is(libc::EAGAIN));
        drop(a);
        assert_eq!(receive(&b, &mut buffer).unwrap().0, 0);
    }

    #[test]
    fn what_a_peer_sent_before_it_closed_is_not_lost() {
        let (a, b) = pair(Kind::SeqPacket).unwrap();
        send(&a, b"never read", &[]).unwrap();
        send(&b, b"the answer", &[]).unwrap();
        drop(b);
        let mut buffer = [0; 16];
        let (n, _) = receive(&a, &mut buffer).unwrap();
        assert_eq!(&buffer[..n], b"the answer");
        assert_eq!(receive(&a, &mut buffer).unwrap().0, 0);
    }

    #[test]
    fn a_cut_message_is_an_error() {
        let (a, b) = pair(Kind::SeqPacket).unwrap();
        send(&a, b"too long", &[]).unwrap();
        assert!(receive(&b, &mut [0; 3]).unwrap_err().is(libc::EMSGSIZE));
    }

    #[test]
    fn long_paths_work() {
        let dir = std::env::temp_dir().join(format!("rcon-{}-{}", "d".repeat(120), std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("sock");
        let listener = listen(&path, Kind::SeqPacket, 0o600).unwrap();
        let client = connect(&path, Kind::SeqPacket).unwrap();
        let server = accept(&listener).unwrap();
        assert_eq!(peer(&server).unwrap().pid, i32::try_from(std::process::id()).unwrap());
        send(&client, b"hi", &[]).unwrap();
        assert_eq!(receive(&server, &mut [0; 8]).unwrap().0, 2);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
