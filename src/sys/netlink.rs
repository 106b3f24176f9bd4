//! Netlink sockets: a batch of messages goes out in one send, all answers come back in one sweep.
//!
//! The kernel handles rtnetlink and nfnetlink requests inside `sendmsg`, so when the send returns every
//! acknowledgement already waits in the receive queue: a whole set-up costs two system calls, not two for
//! each message. A [`Batch`] names what each message does, so that an error says which one failed.
//! Families: `sys::rtnl` (links, addresses, routes), `sys::nft` (nf_tables), `sys::conntrack`.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Room for answers of one receive; the kernel fits a dump's parts to it.
const RECEIVE: usize = 16 * 1024;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Request flags.
pub const F_REQUEST: u16 = 0x1;
/// Want an acknowledgement.
pub const F_ACK: u16 = 0x4;
/// Fail if it exists.
pub const F_EXCL: u16 = 0x200;
/// Replace if it exists.
pub const F_REPLACE: u16 = 0x100;
/// Make it if it does not exist.
pub const F_CREATE: u16 = 0x400;
/// At the end of a list.
pub const F_APPEND: u16 = 0x800;
/// Everything that matches.
pub const F_DUMP: u16 = 0x300;
/// The attribute holds attributes.
const NESTED: u16 = 0x8000;

/// A failed request.
#[derive(Debug, thiserror::Error)]
#[error("{what}{}", .text.as_ref().map(|t| format!(" ({t})")).unwrap_or_default())]
pub struct Error {
    /// What was asked, in the words of the batch.
    pub what: Cow<'static, str>,
    /// The kernel's explanation, if it gave one.
    pub text: Option<String>,
    /// Its error number.
    #[source]
    pub source: io::Error,
}

impl Error {
    fn new(what: impl Into<Cow<'static, str>>, source: impl Into<io::Error>) -> Self {
        Self { what: what.into(), text: None, source: source.into() }
    }

    /// The errno.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.source.raw_os_error().unwrap_or(0)
    }
}

/// Which family of netlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Links, addresses, routes.
    Route,
    /// nf_tables and conntrack.
    Netfilter,
}

/// A netlink socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

/// An answer that is not an acknowledgement.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Message type.
    pub kind: u16,
    /// What follows the netlink header: the family's own header and attributes.
    pub body: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// The failed call.
    pub fn open(family: Family) -> Result<Self, Error> {
        let protocol = match family {
            Family::Route => SockProtocol::NetlinkRoute,
            Family::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .map_err(|e| Error::new("opening a netlink socket", e))?;
        // Short acknowledgements and texts with errors; both only a convenience, so no error if refused.
        for option in [libc::NETLINK_CAP_ACK, libc::NETLINK_EXT_ACK] {
            set_option(&fd, option, 1).ok();
        }
        Ok(Self { fd, sequence: 1 })
    }

    /// Opens a socket in another network namespace; it stays there. The calling thread goes in and comes back.
    ///
    /// # Errors
    /// The failed call.
    pub fn open_in(netns: BorrowedFd<'_>, family: Family) -> Result<Self, Error> {
        in_netns(netns, || Self::open(family))?
    }

    /// Subscribes to a multicast group.
    ///
    /// # Errors
    /// The failed call.
    pub fn join(&self, group: i32) -> Result<(), Error> {
        // The kernel leaves out sockets without a port id of their own when it tells the news.
        bind(self.fd.as_raw_fd(), &NetlinkAddr::new(0, 0))
            .map_err(|e| Error::new("binding a netlink socket", e))?;
        set_option(&self.fd, libc::NETLINK_ADD_MEMBERSHIP, group)
            .map_err(|e| Error::new("subscribing to netlink events", e))
    }

    /// Sends the batch and takes all answers. The first failed message is the error.
    ///
    /// # Errors
    /// The failed message or call.
    pub fn run(&mut self, batch: Batch) -> Result<Vec<Reply>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.sequence;
        let (buffer, names) = batch.finish(first);
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        self.sequence = self.sequence.wrapping_add(count.max(1));
        let what = |i: usize| names.get(i).map_or(Cow::Borrowed("netlink request"), |n| n.what.clone());
        send(self.fd.as_raw_fd(), &buffer, MsgFlags::empty()).map_err(|e| Error::new(what(0), e))?;
        let mut pending = names.iter().filter(|n| n.awaited).count();
        let mut replies = Vec::new();
        let mut failed: Option<Error> = None;
        let mut room = vec![0_u8; RECEIVE];
        while pending > 0 {
            let n = match recv(self.fd.as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT) {
                Ok(n) => n,
                Err(nix::errno::Errno::EINTR) => continue,
                // Everything was answered synchronously: an empty queue means that the rest was given up.
                Err(nix::errno::Errno::EAGAIN) => break,
                Err(e) => return Err(failed.unwrap_or_else(|| Error::new(what(0), e))),
            };
            for message in Messages::new(&room[..n]) {
                let index = message.sequence.wrapping_sub(first) as usize;
                if index >= names.len() {
                    continue;
                }
                match message.kind {
                    NLMSG_ERROR => {
                        if names[index].awaited {
                            pending = pending.saturating_sub(1);
                        }
                        if names[index].optional {
                            continue;
                        }
                        if let Some(e) = message.error(what(index)) {
                            failed.get_or_insert(e);
                        }
                    }
                    NLMSG_DONE => pending = pending.saturating_sub(1),
                    kind => replies.push(Reply { kind, body: message.body.to_vec() }),
                }
            }
        }
        failed.map_or(Ok(replies), Err)
    }

    /// Reads one datagram of events without waiting; the message types in it. `None`: nothing (more) there.
    /// A lost event (`ENOBUFS`) shows as an empty list.
    #[must_use]
    pub fn events(&self) -> Option<Vec<Reply>> {
        let mut room = vec![0_u8; RECEIVE];
        match recv(self.fd.as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT) {
            Ok(n) => Some(
                Messages::new(&room[..n]).map(|m| Reply { kind: m.kind, body: m.body.to_vec() }).collect(),
            ),
            Err(nix::errno::Errno::ENOBUFS) => Some(Vec::new()),
            Err(_) => None,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn set_option(fd: &OwnedFd, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer and length describe one live i32; the descriptor is open.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            std::ptr::from_ref(&value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs `work` with the calling thread in the network namespace `netns`, and comes back.
///
/// # Errors
/// If the namespace cannot be entered, or the own one not be returned to (which leaves the thread there).
pub fn in_netns<T>(netns: BorrowedFd<'_>, work: impl FnOnce() -> T) -> Result<T, Error> {
    let own = std::fs::File::open("/proc/thread-self/ns/net")
        .map_err(|e| Error::new("opening /proc/thread-self/ns/net", e))?;
    setns(netns, CloneFlags::CLONE_NEWNET)
        .map_err(|e| Error::new("entering the container's network namespace", e))?;
    let result = work();
    setns(&own, CloneFlags::CLONE_NEWNET)
        .map_err(|e| Error::new("returning to the host's network namespace", e))?;
    Ok(result)
}

/// A message's name and whether an answer ends it.
#[derive(Debug)]
struct Name {
    what: Cow<'static, str>,
    awaited: bool,
    optional: bool,
}

/// Messages to be sent together.
#[derive(Debug, Default)]
pub struct Batch {
    buffer: Vec<u8>,
    names: Vec<Name>,
    starts: Vec<usize>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: Vec::with_capacity(1024), names: Vec::new(), starts: Vec::new() }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Begins a message; `what` names it in errors ("adding 10.88.0.2 to eth0"). `flags` are beyond
    /// [`F_REQUEST`]; an answer is awaited if they ask for one ([`F_ACK`], [`F_DUMP`]).
    pub fn message(&mut self, what: impl Into<Cow<'static, str>>, kind: u16, flags: u16, header: &[u8]) {
        self.close();
        let awaited = flags & F_ACK != 0 || flags & F_DUMP == F_DUMP;
        self.names.push(Name { what: what.into(), awaited, optional: false });
        self.starts.push(self.buffer.len());
        self.buffer.extend_from_slice(&0_u32.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(&(flags | F_REQUEST).to_ne_bytes());
        self.buffer.extend_from_slice(&[0; 8]);
        self.buffer.extend_from_slice(header);
        self.pad();
    }

    /// Adds an attribute to the message that was begun last.
    pub fn attr(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).expect("attributes are far below 64 KiB");
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(value);
        self.pad();
    }

    /// A number in host order (rtnetlink).
    pub fn attr_u32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_ne_bytes());
    }

    /// A number in network order (nfnetlink).
    pub fn attr_be32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// A text with its terminating zero.
    pub fn attr_str(&mut self, kind: u16, value: &str) {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.attr(kind, &bytes);
    }

    /// An attribute that holds the attributes (or raw bytes) which `inside` adds.
    pub fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 2]);
        self.buffer.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        inside(self);
        let length = u16::try_from(self.buffer.len() - start).expect("attributes are far below 64 KiB");
        self.buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// Raw bytes inside a [`Batch::nest`] (a header before attributes).
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.pad();
    }

    /// Asks the message begun last for an acknowledgement.
    pub fn want_ack(&mut self) {
        if let (Some(name), Some(&start)) = (self.names.last_mut(), self.starts.last()) {
            name.awaited = true;
            let flags = u16::from_ne_bytes([self.buffer[start + 6], self.buffer[start + 7]]) | F_ACK;
            self.buffer[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
        }
    }

    /// Lets the message begun last fail without failing the batch (not in nf_tables transactions).
    pub fn optional(&mut self) {
        if let Some(name) = self.names.last_mut() {
            name.optional = true;
        }
    }

    fn pad(&mut self) {
        let length = self.buffer.len().next_multiple_of(4);
        self.buffer.resize(length, 0);
    }

    fn close(&mut self) {
        if let Some(&start) = self.starts.last() {
            let length = u32::try_from(self.buffer.len() - start).expect("a message is far below 4 GiB");
            self.buffer[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        }
    }

    fn finish(mut self, first: u32) -> (Vec<u8>, Vec<Name>) {
        self.close();
        for (i, &start) in self.starts.iter().enumerate() {
            let sequence = first.wrapping_add(u32::try_from(i).unwrap_or(0));
            self.buffer[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
        }
        (self.buffer, self.names)
    }
}

/// One message of an answer.
struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl Message<'_> {
    /// The error of an acknowledgement, none if it is a plain one.
    fn error(&self, what: Cow<'static, str>) -> Option<Error> {
        const CAPPED: u16 = 0x100;
        const TLVS: u16 = 0x200;
        const NLMSGERR_ATTR_MSG: u16 = 1;
        let code = i32::from_ne_bytes(self.body.get(..4)?.try_into().ok()?);
        if code == 0 {
            return None;
        }
        let mut text = None;
        if self.flags & TLVS != 0 {
            let request = self.body.get(4..8).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes);
            let echoed =
                if self.flags & CAPPED != 0 { HEADER } else { (request as usize).next_multiple_of(4) };
            text = attributes(self.body.get(4 + echoed..).unwrap_or(&[]))
                .find(|(k, _)| *k == NLMSGERR_ATTR_MSG)
                .map(|(_, v)| text_of(v));
        }
        Some(Error { what, text, source: io::Error::from_raw_os_error(-code) })
    }
}

/// Walks over the messages of a datagram; stops at the first malformed one.
struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;
    fn next(&mut self) -> Option<Message<'a>> {
        let header = self.rest.get(..HEADER)?;
        let length = u32::from_ne_bytes(header[0..4].try_into().ok()?) as usize;
        let body = self.rest.get(HEADER..length)?;
        let message = Message {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            sequence: u32::from_ne_bytes(header[8..12].try_into().ok()?),
            body,
        };
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    }
}

/// The attributes in `bytes` (type without flag bits, value); stops at the first malformed one.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes([*rest.first()?, *rest.get(1)?]));
        let kind = u16::from_ne_bytes([*rest.get(2)?, *rest.get(3)?]) & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// A zero-terminated text.
#[must_use]
pub fn text_of(value: &[u8]) -> String {
    let end = value.iter().position(|&b| b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// A number in host order, 0 if there are too few bytes.
#[must_use]
pub fn u32_of(value: &[u8]) -> u32 {
    value.get(..4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_aligned_messages_with_lengths_and_sequence_numbers() {
        let mut b = Batch::new();
        b.message("one", 16, F_ACK, &[0; 16]);
        b.attr_str(3, "eth0");
        b.nest(18, |b| b.attr(1, b"veth"));
        b.message("two", 20, 0, &[0; 8]);
        let (bytes, names) = b.finish(7);
        assert!(names[0].awaited && !names[1].awaited);
        let messages: Vec<_> = Messages::new(&bytes).collect();
        assert_eq!(messages.iter().map(|m| (m.kind, m.sequence)).collect::<Vec<_>>(), [(16, 7), (20, 8)]);
        let attrs: Vec<_> = attributes(&messages[0].body[16..]).collect();
        assert_eq!(attrs[0], (3, &b"eth0\0"[..]));
        assert_eq!(attributes(attrs[1].1).collect::<Vec<_>>(), [(1, &b"veth"[..])]);
    }

    #[test]
    fn malformed_answers_end_the_walk() {
        assert_eq!(Messages::new(&[255; 20]).count(), 0);
        assert_eq!(Messages::new(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[2, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[9, 0, 1, 0, 1]).count(), 0);
    }
}
