//! The DNS responder of a container on named networks: 127.0.0.11 in its namespace, driven by its monitor.
//!
//! One descriptor to poll ([`Server::fd`], an epoll of its own), one function to call when it is readable
//! ([`Server::step`]), one deadline. It answers names of containers on the same networks from a [`Zone`]
//! and forwards everything else to the host's servers. No thread, bounded memory, per-client limits.
//!
//! `wire` reads and writes messages and `zone` decides what a query means (both pure), `serve` moves bytes,
//! `forward` asks the host's servers, `tcp` talks to clients that came by TCP, `redirect` makes port 53 of the
//! responder's address lead to it without occupying that port: a container may run a DNS server of its own.

mod forward;
mod redirect;
mod serve;
mod tcp;
pub mod wire;
mod zone;

use std::net::{IpAddr, SocketAddr};

pub use serve::Server;
pub use zone::Zone;

/// What a responder is made of.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Servers to forward to, asked from the host's namespace; none answers that other names do not exist
    /// (`--internal` networks must not leak queries).
    pub upstream: Vec<SocketAddr>,
}

impl Config {
    /// With these servers at the usual port.
    #[must_use]
    pub fn new(servers: &[IpAddr]) -> Self {
        Self { upstream: servers.iter().map(|ip| SocketAddr::new(*ip, 53)).collect() }
    }
}
