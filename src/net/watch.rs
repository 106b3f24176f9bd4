//! Hearing of other people's changes to the firewall.

use std::os::fd::{AsFd as _, BorrowedFd};

use super::Error;
use crate::sys::netlink::Socket;
use crate::sys::nft;

/// Tells when someone changed the firewall: readable when a table, chain or rule was added or removed, or map
/// elements. [`Watcher::changed`] leaves out the latter, so that containers do not set one another to work.
#[derive(Debug)]
pub struct Watcher {
    socket: Socket,
}

impl Watcher {
    /// Subscribes.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { socket: nft::subscribe()? })
    }

    /// The descriptor to poll for reading.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads what has come; true if tables, chains or rules changed (or events were lost) and
    /// [`super::ensure`] is needed.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        while let Some(events) = self.socket.events() {
            changed |= events.is_empty() || events.iter().any(nft::is_structural);
        }
        changed
    }
}
