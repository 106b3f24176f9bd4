//! Published addresses that packets cannot be redirected from: `[::1]`, because the kernel takes no answer from a
//! container for a socket there (IPv4 has `route_localnet`, IPv6 has nothing of the kind), and every IPv6 address of
//! the host where the container has none. A child of the monitor accepts there and copies bytes. For `-p [::1]:…` it
//! is started with the container; for `-p 8080:80` with the first client that comes by IPv6, so that nobody pays for
//! what is not used. It dies with the monitor.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::Error;
use super::ports::Reservation;
use crate::model::network::{PortMapping, Protocol};
use crate::sys::process::{self, Child, CloneArgs};
use crate::sys::{bind, fd};

/// How long a container may take to accept.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a mapping needs a relay.
#[must_use]
pub fn is_for(mapping: &PortMapping) -> bool {
    mapping.host_ip == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

/// A relay that runs; dropping it ends it.
#[derive(Debug)]
pub struct Relay {
    child: Child,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _gone = self.child.pidfd.signal(libc::SIGKILL);
        let _reaped = self.child.pidfd.wait();
    }
}

/// Starts one for each reservation that needs it; `addresses` are the container's. Single-threaded callers only.
///
/// # Errors
/// A protocol other than TCP, or the kernel's answer.
pub fn start_all(reservations: &[Reservation], addresses: &[IpAddr]) -> Result<Vec<Relay>, Error> {
    let wanted = reservations.iter().filter(|r| is_for(&r.mapping));
    wanted.map(|r| start(r, addresses)).collect()
}

fn start(reservation: &Reservation, addresses: &[IpAddr]) -> Result<Relay, Error> {
    let mapping = &reservation.mapping;
    let Some(socket) = reservation.sockets.first().filter(|_| mapping.protocol == Protocol::Tcp) else {
        return Err(Error::Invalid(format!(
            "cannot publish port {}/{} on [::1]: the kernel redirects nothing from there, and rcon relays TCP only",
            mapping.host_port,
            super::error::proto(mapping.protocol)
        )));
    };
    wait_on(socket).map_err(|e| failed(mapping, e))?;
    carry(mapping, socket, addresses)
}

fn failed(mapping: &PortMapping, e: io::Error) -> Error {
    Error::kernel(format!("listening on [::1]:{}", mapping.host_port), e)
}

/// The socket on which IPv6 clients of a port that is published on every address come in, unless they are redirected.
#[must_use]
pub fn entrance(reservation: &Reservation) -> Option<&OwnedFd> {
    let mapping = &reservation.mapping;
    let everywhere =
        mapping.host_ip == IpAddr::V4(Ipv4Addr::UNSPECIFIED) && mapping.protocol == Protocol::Tcp;
    reservation.sockets.get(1).filter(|_| everywhere)
}

/// Lets clients come in; they wait until someone carries their bytes.
///
/// # Errors
/// The kernel's answer.
pub fn wait_on(socket: &OwnedFd) -> io::Result<()> {
    bind::listen(socket.as_fd())
}

/// Starts a relay for a socket on which clients may come in. Single-threaded callers only.
///
/// # Errors
/// The kernel's answer, or a container without any address.
pub fn carry(mapping: &PortMapping, socket: &OwnedFd, addresses: &[IpAddr]) -> Result<Relay, Error> {
    // What the container has of IPv6 first: it was asked for an IPv6 address.
    let target = addresses.iter().max_by_key(|ip| ip.is_ipv6());
    let target =
        target.ok_or_else(|| Error::Invalid("the container has no address to relay to".to_owned()))?;
    let target = SocketAddr::new(*target, mapping.container_port);
    let failed = |e: crate::sys::Error| failed(mapping, io::Error::from_raw_os_error(e.errno));
    let listener = fd::dup(socket, 3).map_err(failed)?;
    let child = process::clone(&CloneArgs::default(), || serve(listener, target)).map_err(failed)?;
    Ok(Relay { child })
}

/// The child: nothing of the monitor's but the listener.
fn serve(listener: OwnedFd, target: SocketAddr) -> i32 {
    let prepared = process::set_parent_death_signal(libc::SIGKILL)
        .and_then(|()| process::set_name(c"rcon-relay"))
        .and_then(|()| fd::close_all_but(3, &[listener.as_fd()]));
    if prepared.is_err() {
        return 1;
    }
    let listener = TcpListener::from(listener);
    loop {
        match listener.accept() {
            Ok((client, _)) => {
                let _busy = std::thread::Builder::new().spawn(move || relay(client, target));
            }
            // Out of descriptors for a moment, or a client that went away again.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn relay(client: TcpStream, target: SocketAddr) {
    let Ok(server) = TcpStream::connect_timeout(&target, PATIENCE) else { return };
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
    let back = std::thread::Builder::new().spawn(move || copy(server, client));
    copy(from, to);
    if let Ok(back) = back {
        let _done = back.join();
    }
}

/// One direction; its end is handed on, so that half-closed connections stay so.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ended = io::copy(&mut from, &mut to);
    let _gone = to.shutdown(Shutdown::Write);
}
