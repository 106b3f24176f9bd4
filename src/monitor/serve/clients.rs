//! Clients of the monitor and what waits to be sent to them.
//!
//! Nothing waits for a client: a packet that its socket does not take is queued, and the queue is bounded. The
//! one exception is the client that started the container in the foreground, while it is the only one
//! attached: its full queue stops the reading of output, so that `rcon run … | slow` behaves as a pipe. As soon
//! as there is another, it is treated as all are: beyond [`BACKLOG`] a client is told that it is too slow and
//! dropped, with the log as the place where nothing is missing.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use crate::monitor::proto::{Kind, Reply, Streams};
use crate::monitor::wire;
use crate::sys::event::{Epoll, interest};
use crate::sys::socket;

/// Bytes that may wait for a client.
pub(super) const BACKLOG: usize = 256 * 1024;
/// Bytes that may wait for the foreground client before reading stops.
pub(super) const FOREGROUND: usize = 64 * 1024;

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

    fn enqueue(&mut self, packet: Vec<u8>) {
        self.queued += packet.len();
        self.queue.push_back(packet);
    }
}

impl Clients {
    /// Adds a connection; its slot.
    pub(super) fn add(&mut self, socket: OwnedFd, role: Role, foreground: bool) -> usize {
        let client =
            Client { socket, role, foreground, queue: VecDeque::new(), queued: 0, armed: 0, held: false };
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

    /// Says to epoll what is waited for now.
    pub(super) fn arm(&mut self, epoll: &Epoll, slot: usize, base: u64) {
        let Some(client) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        let wants = client.wants();
        let token = base + slot as u64;
        let done = if client.armed == 0 {
            epoll.add(&client.socket, token, wants)
        } else if client.armed == wants {
            Ok(())
        } else {
            epoll.modify(&client.socket, token, wants)
        };
        // Zero is a wish too (only hang-ups are told then), so the mark must differ from "never added".
        client.armed = if done.is_ok() { wants | interest::HANGUP } else { 0 };
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
