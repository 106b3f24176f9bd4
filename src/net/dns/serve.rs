//! [`Server`]: moves bytes between the container's clients, the decision and the host's servers.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use super::super::Error;
use super::super::hosts::EMBEDDED;
use super::forward::{Ask, Progress};
use super::tcp::Connection;
use super::wire::{self, Bad, Code, Query};
use super::zone::{Decision, decide};
use super::{Config, Zone, redirect};
use crate::sys::event::{Epoll, Event, Events, interest};
use crate::sys::netlink;

/// Queries under way to the host's servers at most.
const MOST_ASKS: usize = 64;
/// Connections of TCP clients at most.
const MOST_CONNECTIONS: usize = 8;
/// How long such a connection may be idle.
const IDLE: Duration = Duration::from_secs(10);
/// Longest query by UDP that is read.
const MOST_QUERY: usize = 4096;
/// Rounds of one step, so that the monitor gets back to its other work.
const ROUNDS: usize = 16;

const UDP: u64 = 1;
const TCP: u64 = 2;
const ASKS: u64 = 1 << 32;
const CONNECTIONS: u64 = 2 << 32;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Udp(SocketAddr),
    /// Slot, and the serial number of the connection that was there.
    Tcp(usize, u64),
}

/// The responder.
#[derive(Debug)]
pub struct Server {
    epoll: Epoll,
    udp: UdpSocket,
    tcp: TcpListener,
    config: Config,
    asks: Vec<Option<Ask>>,
    connections: Vec<Option<Connection>>,
    serial: u64,
}

impl Server {
    /// Takes other servers for what is asked from now on.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
    }

    /// Makes the sockets inside `netns` and redirects 127.0.0.11:53 there to them. Where the kernel cannot
    /// redirect, the sockets have that port themselves.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn bind(netns: BorrowedFd<'_>, config: Config) -> Result<Self, Error> {
        let (udp, tcp) = sockets(netns, 0)?;
        let ports = (local_port(udp.local_addr())?, local_port(tcp.local_addr())?);
        let (udp, tcp) = match redirect::install(netns, ports.0, ports.1) {
            Ok(()) => (udp, tcp),
            Err(_) => sockets(netns, 53)?,
        };
        let epoll = Epoll::new().map_err(|e| Error::kernel("making an epoll", e.into()))?;
        let add = |fd: BorrowedFd<'_>, token| {
            epoll.add(fd, token, interest::READ).map_err(|e| Error::kernel("watching a socket", e.into()))
        };
        add(udp.as_fd(), UDP)?;
        add(tcp.as_fd(), TCP)?;
        Ok(Self { epoll, udp, tcp, config, asks: Vec::new(), connections: Vec::new(), serial: 0 })
    }

    /// Readable when [`Server::step`] has something to do.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Other servers from now on (the container was attached to another network).
    pub fn set_config(&mut self, config: Config) {
        self.config = config;
    }

    /// When [`Server::step`] must be called even if nothing is readable.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let asks = self.asks.iter().flatten().map(Ask::deadline);
        let connections = self.connections.iter().flatten().map(|c| c.deadline);
        asks.chain(connections).min()
    }

    /// Does what there is to do; never blocks.
    pub fn step(&mut self, zone: &dyn Zone, now: Instant) {
        let mut events = Events::default();
        for _ in 0..ROUNDS {
            let came: Vec<Event> = match self.epoll.wait(&mut events, Some(Duration::ZERO)) {
                Ok(came) if !came.is_empty() => came.to_vec(),
                _ => break,
            };
            for event in came {
                self.handle(event, zone, now);
            }
        }
        self.expire(zone, now);
    }

    fn handle(&mut self, event: Event, zone: &dyn Zone, now: Instant) {
        let slot = usize::try_from(event.token & 0xffff_ffff).unwrap_or(usize::MAX);
        match event.token & !0xffff_ffff {
            ASKS => self.ask_event(slot, now),
            CONNECTIONS => self.connection_event(slot, event.what, zone, now),
            _ if event.token == UDP => self.datagrams(zone, now),
            _ => self.accept(now),
        }
    }

    fn datagrams(&mut self, zone: &dyn Zone, now: Instant) {
        let mut buffer = [0; MOST_QUERY];
        // As many as the buffer of the socket may hold; the rest wakes us again.
        for _ in 0..MOST_ASKS {
            let Ok((n, from)) = self.udp.recv_from(&mut buffer) else { return };
            self.query(&buffer[..n], Client::Udp(from), zone, now);
        }
    }

    /// A query came: answers it, or sends it on.
    fn query(&mut self, bytes: &[u8], client: Client, zone: &dyn Zone, now: Instant) {
        let query = match Query::parse(bytes) {
            Ok(query) => query,
            Err(Bad::Ignore) => return self.give_up(client),
            Err(Bad::Format(id)) => return self.reply(client, &wire::format_error(id)),
        };
        let by_udp = matches!(client, Client::Udp(_));
        match decide(&query, zone) {
            Decision::Answer(code, records) => self.reply(client, &query.answer(code, &records, by_udp)),
            Decision::Forward if self.config.upstream.is_empty() => {
                self.reply(client, &query.answer(Code::NoName, &[], by_udp));
            }
            Decision::Forward => {
                let slot = self.asks.iter().position(Option::is_none).unwrap_or(self.asks.len());
                if slot >= MOST_ASKS {
                    return self.reply(client, &query.answer(Code::ServerFailure, &[], by_udp));
                }
                let ask = Ask::new(query, bytes, client);
                if slot == self.asks.len() {
                    self.asks.push(None);
                }
                self.asks[slot] = Some(ask);
                self.ask_next(slot, now);
            }
        }
    }

    /// Turns to the next server; without one the client hears of the failure.
    fn ask_next(&mut self, slot: usize, now: Instant) {
        let Some(mut ask) = self.asks[slot].take() else { return };
        while let Some(server) = ask.next_server(&self.config.upstream) {
            if ask.send(server, &self.epoll, ASKS | slot as u64, now).is_ok() {
                self.asks[slot] = Some(ask);
                return;
            }
        }
        let by_udp = matches!(ask.client, Client::Udp(_));
        let answer = ask.last_answer().unwrap_or_else(|| ask.query.answer(Code::ServerFailure, &[], by_udp));
        self.reply(ask.client, &answer);
        self.shrink();
    }

    fn ask_event(&mut self, slot: usize, now: Instant) {
        let Some(ask) = self.asks.get_mut(slot).and_then(Option::as_mut) else { return };
        match ask.progress(&self.epoll, ASKS | slot as u64) {
            Progress::Waiting => {}
            Progress::Failed => self.ask_next(slot, now),
            Progress::Answered(answer) => {
                let client = ask.client;
                self.asks[slot] = None;
                self.reply(client, &answer);
                self.shrink();
            }
        }
    }

    /// Gives memory back when all is quiet: this process is one of many.
    fn shrink(&mut self) {
        if self.asks.iter().all(Option::is_none) {
            self.asks = Vec::new();
        }
    }

    fn accept(&mut self, now: Instant) {
        while let Ok((stream, _)) = self.tcp.accept() {
            let slot = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
            if slot >= MOST_CONNECTIONS || stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.epoll.add(&stream, CONNECTIONS | slot as u64, interest::READ).is_err() {
                continue;
            }
            self.serial += 1;
            let connection = Connection::new(stream, self.serial, now + IDLE);
            if slot == self.connections.len() {
                self.connections.push(None);
            }
            self.connections[slot] = Some(connection);
        }
    }

    fn connection_event(&mut self, slot: usize, what: u32, zone: &dyn Zone, now: Instant) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_mut) else { return };
        connection.deadline = now + IDLE;
        let gone = what & (interest::HANGUP | interest::ERROR) != 0;
        if gone || !connection.flush() || !connection.fill() {
            self.connections[slot] = None;
            return;
        }
        self.next_of(slot, zone, now);
    }

    /// Takes the next whole query of a connection, one at a time.
    fn next_of(&mut self, slot: usize, zone: &dyn Zone, now: Instant) {
        while let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_mut) {
            let serial = connection.serial;
            let Some(message) = connection.take_message() else { break };
            self.query(&message, Client::Tcp(slot, serial), zone, now);
        }
        self.rearm(slot);
    }

    fn rearm(&mut self, slot: usize) {
        let Some(connection) = self.connections.get(slot).and_then(Option::as_ref) else { return };
        let token = CONNECTIONS | slot as u64;
        let armed = self.epoll.modify(connection.stream(), token, connection.interest());
        if connection.is_over() || armed.is_err() {
            self.connections[slot] = None;
        }
    }

    fn reply(&mut self, client: Client, answer: &[u8]) {
        match client {
            // A client that does not take its answer asks again.
            Client::Udp(to) => drop(self.udp.send_to(answer, to)),
            Client::Tcp(slot, serial) => {
                let connection = self.connections.get_mut(slot).and_then(Option::as_mut);
                let Some(connection) = connection.filter(|c| c.serial == serial) else { return };
                // What else it has sent is looked at by whoever called, or at the next step.
                if connection.answer(answer) {
                    let more = connection.interest();
                    let token = CONNECTIONS | slot as u64;
                    // A connection that cannot be watched is closed when it has been idle.
                    let _watched = self.epoll.modify(connection.stream(), token, more);
                } else {
                    self.connections[slot] = None;
                }
            }
        }
    }

    /// Nothing to say to this client; a TCP connection on which nonsense comes is closed.
    fn give_up(&mut self, client: Client) {
        if let Client::Tcp(slot, _) = client {
            self.connections[slot] = None;
        }
    }

    fn expire(&mut self, zone: &dyn Zone, now: Instant) {
        for slot in 0..self.asks.len() {
            if self.asks.get(slot).and_then(Option::as_ref).is_some_and(|a| a.deadline() <= now) {
                self.ask_next(slot, now);
            }
        }
        for slot in 0..self.connections.len() {
            let Some(connection) = &self.connections[slot] else { continue };
            if connection.deadline <= now {
                self.connections[slot] = None;
            } else if !connection.waiting {
                self.next_of(slot, zone, now);
            }
        }
    }
}

fn local_port(address: std::io::Result<SocketAddr>) -> Result<u16, Error> {
    address.map(|a| a.port()).map_err(|e| Error::kernel("making the DNS sockets", e))
}

fn sockets(netns: BorrowedFd<'_>, port: u16) -> Result<(UdpSocket, TcpListener), Error> {
    let make = || {
        let udp = UdpSocket::bind((EMBEDDED, port))?;
        let tcp = TcpListener::bind((EMBEDDED, port))?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        Ok((udp, tcp))
    };
    netlink::in_netns(netns, make)?.map_err(|e| Error::kernel("making the DNS sockets", e))
}
