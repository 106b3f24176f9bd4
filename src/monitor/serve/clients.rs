//! Clients of the monitor and what waits to be sent to them.
//!
//! A packet that a client's socket does not take is queued, and a queue of more than [`FULL`] bytes stops the reading
//! of output: who reads as fast as it can misses nothing of a burst. For the client that started the container in the
//! foreground, while it is the only one attached, that may last, so that `rcon run … | slow` behaves as a pipe. Any
//! other has [`PATIENCE`] to make room; then it is told that it is too slow and dropped, with the log as the place
//! where nothing is missing: a dead client holds nobody up for longer.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::monitor::proto::{Kind, Reply, Streams};
use crate::monitor::wire;
use crate::sys::event::{Epoll, interest};
use crate::sys::socket;

/// Bytes that may wait for a client before reading stops.
pub(super) const FULL: usize = 64 * 1024;
/// How long a client's queue may stay full.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What a client is here for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// It has not said yet.
    New,
    /// Streams of the main process.
    Main(Streams),
    /// Streams (with a terminal) or just the end of an exec.
    Exec(String),
    /// Waits for the next end of the main process.
    Exit,
    /// Waits for the end of the container.
    Removed,
    /// Waits for this health status.
    Health(&'static str),
    /// Waits for the result of a probe.
    Probe,
    /// Has its answer; is closed when it has been sent.
    Leaving,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    pub(super) role: Role,
    /// It started the container.
    pub(super) foreground: bool,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    armed: u32,
    /// Since when its queue is full.
    full_since: Option<Instant>,
    /// Its stdin is held back because the process does not take it.
    pub(super) held: bool,
}

/// All of them, by slot.
#[derive(Debug, Default)]
pub(super) struct Clients {
    slots: Vec<Option<Client>>,
}

impl Client {
    fn wants(&self) -> u32 {
        let read = if self.held || self.role == Role::Leaving { 0 } else { interest::READ };
        read | if self.queue.is_empty() { 0 } else { interest::WRITE }
    }

    /// Bytes that wait for it.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Whether reading waits for it.
    pub(super) fn is_full(&self) -> bool {
        self.queued > FULL
    }

    /// It may take its time so far.
    pub(super) fn forgive(&mut self) {
        self.full_since = None;
    }

    /// When it is too slow, if its queue is full.
    pub(super) fn patience(&mut self, now: Instant) -> Option<Instant> {
        self.full_since = self.is_full().then(|| self.full_since.unwrap_or(now));
        self.full_since.map(|since| since + PATIENCE)
    }

    fn enqueue(&mut self, packet: Vec<u8>) {
        self.queued += packet.len();
        self.queue.push_back(packet);
    }
}

impl Clients {
    /// Adds a connection; its slot.
    pub(super) fn add(&mut self, socket: OwnedFd, role: Role, foreground: bool) -> usize {
        let client = Client {
            socket,
            role,
            foreground,
            queue: VecDeque::new(),
            queued: 0,
            armed: 0,
            full_since: None,
            held: false,
        };
        match self.slots.iter().position(Option::is_none) {
            Some(free) => {
                self.slots[free] = Some(client);
                free
            }
            None => {
                self.slots.push(Some(client));
                self.slots.len() - 1
            }
        }
    }

    pub(super) fn get(&mut self, slot: usize) -> Option<&mut Client> {
        self.slots.get_mut(slot).and_then(Option::as_mut)
    }

    /// Slots of those for which `wanted` holds.
    pub(super) fn slots(&self, wanted: impl Fn(&Client) -> bool) -> Vec<usize> {
        (0..self.slots.len()).filter(|&i| self.slots[i].as_ref().is_some_and(&wanted)).collect()
    }

    pub(super) fn any(&self, wanted: impl Fn(&Client) -> bool) -> bool {
        self.slots.iter().flatten().any(wanted)
    }

    /// Closes a connection.
    pub(super) fn remove(&mut self, slot: usize) -> Option<Client> {
        let gone = self.slots.get_mut(slot).and_then(Option::take);
        while matches!(self.slots.last(), Some(None)) {
            self.slots.pop();
        }
        gone
    }

    /// Says to epoll what is waited for now. False where epoll does not take it: nothing would be heard of the client.
    #[must_use]
    pub(super) fn arm(&mut self, epoll: &Epoll, slot: usize, base: u64) -> bool {
        let Some(client) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return true };
        // Hang-ups are told in any case; named here, a wish for nothing differs from "never added".
        let wants = client.wants() | interest::HANGUP;
        let token = base + slot as u64;
        let done = if client.armed == 0 {
            epoll.add(&client.socket, token, wants)
        } else if client.armed == wants {
            Ok(())
        } else {
            epoll.modify(&client.socket, token, wants)
        };
        if done.is_ok() {
            client.armed = wants;
        }
        done.is_ok()
    }

    /// Sends stream bytes, or queues them.
    pub(super) fn stream(&mut self, slot: usize, kind: Kind, bytes: &[u8]) {
        let Some(client) = self.get(slot) else { return };
        if client.role == Role::Leaving {
            return;
        }
        if client.queue.is_empty() {
            match wire::send_stream(&client.socket, kind, bytes) {
                Ok(()) => return,
                Err(e) if e.is(libc::EAGAIN) => {}
                Err(_) => return client.role = Role::Leaving,
            }
        }
        let mut packet = Vec::with_capacity(bytes.len() + 1);
        packet.push(kind as u8);
        packet.extend_from_slice(bytes);
        client.enqueue(packet);
    }

    /// Sends an answer, or queues it.
    pub(super) fn reply(&mut self, slot: usize, reply: &Reply) {
        let Some(client) = self.get(slot) else { return };
        let mut packet = vec![Kind::Document as u8];
        if serde_json::to_writer(&mut packet, reply).is_err() {
            return client.role = Role::Leaving;
        }
        if client.queue.is_empty() {
            match socket::try_send_vectored(&client.socket, &[std::io::IoSlice::new(&packet)], &[]) {
                Ok(_) => return,
                Err(e) if e.is(libc::EAGAIN) => {}
                Err(_) => return client.role = Role::Leaving,
            }
        }
        client.enqueue(packet);
    }

    /// The last answer: the connection is closed when it has gone out.
    pub(super) fn finish(&mut self, slot: usize, reply: &Reply) {
        self.reply(slot, reply);
        if let Some(client) = self.get(slot) {
            client.role = Role::Leaving;
        }
    }

    /// Throws away what waits and says so: for a client that reads too slowly.
    pub(super) fn drop_slow(&mut self, slot: usize) {
        if let Some(client) = self.get(slot) {
            client.queue.clear();
            client.queued = 0;
            // A mark in the queue, so that the answer goes out in order after what the socket holds.
            client.enqueue(vec![Kind::Stdout as u8]);
        }
        self.finish(slot, &Reply::TooSlow);
    }

    /// Sends what waits, as far as the socket takes it. False when the connection is to be closed.
    pub(super) fn flush(&mut self, slot: usize) -> bool {
        let Some(client) = self.get(slot) else { return false };
        while let Some(packet) = client.queue.front() {
            match socket::try_send_vectored(client.socket.as_fd(), &[std::io::IoSlice::new(packet)], &[]) {
                Ok(_) => {
                    client.queued -= packet.len();
                    client.queue.pop_front();
                }
                Err(e) if e.is(libc::EAGAIN) => return true,
                Err(_) => return false,
            }
        }
        client.queue.shrink_to(4);
        client.role != Role::Leaving
    }

    /// Whether anything waits for anyone.
    pub(super) fn pending(&self) -> bool {
        self.slots.iter().flatten().any(|c| !c.queue.is_empty())
    }
}
