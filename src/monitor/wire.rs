//! Sending and receiving the packets of [`super::proto`] over a `SOCK_SEQPACKET` socket.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::proto::{CHUNK, INLINE, Kind};
use crate::sys::{memfd, socket};

/// Largest document taken from a memfd: argv and environment at the kernel's limits.
const LARGEST: usize = 8 << 20;

/// What can go wrong between the two ends.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The socket refuses.
    #[error("the socket failed")]
    Socket(#[from] crate::sys::Error),
    /// The document is not what we expect.
    #[error("the message is not understood")]
    Document(#[from] serde_json::Error),
    /// A packet that makes no sense here.
    #[error("a message of unknown kind {0:#04x}")]
    Kind(u8),
    /// The other side is gone.
    #[error("the other side closed the connection")]
    Closed,
}

/// One packet as received.
#[derive(Debug)]
pub struct Packet {
    /// Its kind.
    pub kind: Kind,
    /// The document's text, or stream bytes.
    pub body: Vec<u8>,
    /// Descriptors that came along (without the memfd of a large document).
    pub fds: Vec<OwnedFd>,
}

impl Packet {
    /// The document in it.
    ///
    /// # Errors
    /// It is a stream packet, or not that document.
    pub fn document<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        match self.kind {
            Kind::Document => Ok(serde_json::from_slice(&self.body)?),
            other => Err(WireError::Kind(other as u8)),
        }
    }
}

/// Sends a document, by memfd where it is large.
///
/// # Errors
/// The socket refuses.
pub fn send_document<T: Serialize>(
    to: impl AsFd,
    document: &T,
    fds: &[BorrowedFd<'_>],
) -> Result<(), WireError> {
    let mut packet = vec![Kind::Document as u8];
    serde_json::to_writer(&mut packet, document)?;
    if packet.len() <= INLINE {
        socket::send(to, &packet, fds)?;
        return Ok(());
    }
    let file = memfd::sealed("rcon-message", &packet[1..])?;
    let mut all = vec![file.as_fd()];
    all.extend_from_slice(fds);
    socket::send(to, &[Kind::Attached as u8], &all)?;
    Ok(())
}

/// Sends stream bytes (at most [`CHUNK`]) without waiting.
///
/// # Errors
/// The socket refuses; `EAGAIN` where it is full.
pub fn send_stream(to: impl AsFd, kind: Kind, bytes: &[u8]) -> Result<(), crate::sys::Error> {
    debug_assert!(bytes.len() <= CHUNK, "stream packets are cut by the sender");
    socket::try_send_vectored(to, &[IoSlice::new(&[kind as u8]), IoSlice::new(bytes)], &[]).map(drop)
}

/// Receives a packet, waiting for it.
///
/// # Errors
/// [`WireError::Closed`] at the end.
#[inline(never)]
pub fn receive(from: impl AsFd) -> Result<Packet, WireError> {
    // On the stack, which a monitor gives back when it rests; a heap would keep it.
    let mut buffer = [0; INLINE + 1];
    let (length, fds) = socket::receive(from, &mut buffer)?;
    decode(buffer[..length].to_vec(), fds)
}

/// Receives a packet of at most `N` bytes that is there already. `None` where none is.
///
/// # Errors
/// [`WireError::Closed`] at the end.
#[inline(never)]
pub fn try_receive<const N: usize>(from: impl AsFd) -> Result<Option<Packet>, WireError> {
    let mut buffer = [0; N];
    match socket::try_receive(from, &mut buffer) {
        Ok((length, fds)) => decode(buffer[..length].to_vec(), fds).map(Some),
        Err(e) if e.is(libc::EAGAIN) => Ok(None),
        Err(_) => Err(WireError::Closed),
    }
}

/// Makes a packet of bytes and descriptors just received.
///
/// # Errors
/// [`WireError::Closed`] for no bytes.
pub fn decode(mut bytes: Vec<u8>, mut fds: Vec<OwnedFd>) -> Result<Packet, WireError> {
    let Some(&first) = bytes.first() else { return Err(WireError::Closed) };
    let kind = Kind::from_byte(first).ok_or(WireError::Kind(first))?;
    if kind != Kind::Attached {
        bytes.remove(0);
        return Ok(Packet { kind, body: bytes, fds });
    }
    if fds.is_empty() {
        return Err(WireError::Kind(first));
    }
    let file = fds.remove(0);
    Ok(Packet { kind: Kind::Document, body: memfd::read_sealed(&file, LARGEST)?, fds })
}
