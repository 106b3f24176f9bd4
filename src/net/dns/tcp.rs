//! A client that came by TCP: length-prefixed messages, one query at a time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use crate::sys::event::interest;

/// Longest query that is taken; more is not a query.
const MOST: usize = 4096;

/// The connection of a client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) serial: u64,
    pub(super) deadline: Instant,
    /// A query is under way: nothing is read meanwhile.
    pub(super) waiting: bool,
    /// The client will send no more.
    ended: bool,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, serial: u64, deadline: Instant) -> Self {
        Self { stream, serial, deadline, waiting: false, ended: false, input: Vec::new(), output: Vec::new() }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> u32 {
        let read = if self.waiting || self.ended { 0 } else { interest::READ };
        let write = if self.output.is_empty() { 0 } else { interest::WRITE };
        read | write
    }

    /// Reads what is there; false when the client is gone.
    pub(super) fn fill(&mut self) -> bool {
        let mut buffer = [0; 1024];
        while self.input.len() < MOST + 2 && !self.waiting && !self.ended {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(n) => self.input.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// All was asked and answered.
    pub(super) fn is_over(&self) -> bool {
        self.ended && !self.waiting && self.output.is_empty()
    }

    /// The next whole query, unless one is under way.
    pub(super) fn take_message(&mut self) -> Option<Vec<u8>> {
        if self.waiting {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([*self.input.first()?, *self.input.get(1)?]));
        if length > MOST {
            // Not a query; what follows cannot be told apart. The idle limit closes it.
            self.waiting = true;
            return None;
        }
        let message = self.input.get(2..2 + length)?.to_vec();
        self.input.drain(..2 + length);
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        self.waiting = true;
        Some(message)
    }

    /// Sends the answer to the query under way; false when the client is gone.
    pub(super) fn answer(&mut self, answer: &[u8]) -> bool {
        self.waiting = false;
        let Ok(length) = u16::try_from(answer.len()) else { return false };
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.extend_from_slice(answer);
        self.flush()
    }

    /// Sends what waits; false when the client is gone.
    pub(super) fn flush(&mut self) -> bool {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return false,
                Ok(n) => drop(self.output.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.output = Vec::new();
        true
    }
}
