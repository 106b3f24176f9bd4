//! Sockets that hold a port and carry nothing, and a connect that does not wait.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_to, getsockname, ipproto, socket_with, sockopt,
};

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Binds a new socket to `address` and nothing more; returns it with its port (the kernel's choice for 0).
/// IPv6 sockets are for IPv6 only. It excludes others: no address reuse, but for a TCP port that only ended
/// connections of an earlier server still occupy.
///
/// # Errors
/// The kernel's answer.
pub fn bind(address: SocketAddr, transport: Transport) -> io::Result<(OwnedFd, u16)> {
    bind_when(address, transport, false)
}

/// As [`bind`], to an address that the host need not have yet.
///
/// # Errors
/// The kernel's answer.
pub fn bind_early(address: SocketAddr, transport: Transport) -> io::Result<(OwnedFd, u16)> {
    bind_when(address, transport, true)
}

fn bind_when(address: SocketAddr, transport: Transport, early: bool) -> io::Result<(OwnedFd, u16)> {
    match bind_with(address, transport, early, false) {
        // Succeeds only if no one listens there and no one else asked for exclusion.
        Err(e) if e.kind() == io::ErrorKind::AddrInUse && transport == Transport::Tcp => {
            bind_with(address, transport, early, true)
        }
        other => other,
    }
}

fn bind_with(
    address: SocketAddr,
    transport: Transport,
    early: bool,
    reuse: bool,
) -> io::Result<(OwnedFd, u16)> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, protocol) = match transport {
        Transport::Tcp => (SocketType::STREAM, ipproto::TCP),
        Transport::Udp => (SocketType::DGRAM, ipproto::UDP),
    };
    let fd = socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(fd.as_fd(), true)?;
    }
    match address {
        SocketAddr::V4(_) if early => sockopt::set_ip_freebind(fd.as_fd(), true)?,
        SocketAddr::V6(_) if early => sockopt::set_ipv6_freebind(fd.as_fd(), true)?,
        _ => {}
    }
    if reuse {
        sockopt::set_socket_reuseaddr(fd.as_fd(), true)?;
    }
    if transport == Transport::Udp {
        // What still arrives here is never read: let it take next to no memory.
        sockopt::set_socket_recv_buffer_size(fd.as_fd(), 1)?;
    }
    bind_to(fd.as_fd(), &address)?;
    let port = SocketAddr::try_from(getsockname(fd.as_fd())?).map_or(address.port(), |a| a.port());
    Ok((fd, port))
}

/// Lets a bound TCP socket take connections. It listens, which excludes others; its ended connections do not.
///
/// # Errors
/// The kernel's answer.
pub fn listen(socket: BorrowedFd<'_>) -> io::Result<()> {
    sockopt::set_socket_reuseaddr(socket, true)?;
    Ok(rustix::net::listen(socket, 128)?)
}

/// Begins to connect by TCP; the stream becomes writable when it is through, or has failed.
///
/// # Errors
/// The kernel's answer.
pub fn connect_without_waiting(address: SocketAddr) -> io::Result<std::net::TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    match rustix::net::connect(&fd, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(fd.into()),
        Err(e) => Err(e.into()),
    }
}
