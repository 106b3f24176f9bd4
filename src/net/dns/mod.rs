//! The DNS responder of a container on named networks: 127.0.0.11 in its namespace, driven by its monitor.
//!
//! One descriptor to poll ([`Server::fd`], an epoll of its own), one function to call when it is readable
//! ([`Server::step`]), one deadline. It answers names of containers on the same networks from a [`Zone`]
//! and forwards everything else to the host's servers. No thread, bounded memory, per-client limits.

use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use super::Error;

/// Where names come from: implemented over the lease directories by the monitor (`storage::leases`).
pub trait Zone {
    /// Addresses of `name` (lower case, no trailing dot) on this container's networks.
    fn lookup(&self, name: &str) -> Vec<IpAddr>;
    /// Names of `address` on this container's networks, best first.
    fn reverse(&self, address: IpAddr) -> Vec<String>;
}

/// What a responder is made of.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Servers to forward to; none refuses (`--internal` networks must not leak queries).
    pub upstream: Vec<IpAddr>,
}

/// The responder.
#[derive(Debug)]
pub struct Server {
    epoll: OwnedFd,
}

impl Server {
    /// Makes the sockets inside `netns` and redirects 127.0.0.11:53 there to them.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn bind(netns: BorrowedFd<'_>, config: Config) -> Result<Self, Error> {
        todo!("{netns:?} {config:?}")
    }

    /// Readable when [`Server::step`] has something to do.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd as _;
        self.epoll.as_fd()
    }

    /// When [`Server::step`] must be called even if nothing is readable.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// Does what there is to do; never blocks.
    pub fn step(&mut self, zone: &dyn Zone, now: Instant) {
        let _ = (zone, now);
        todo!()
    }
}
