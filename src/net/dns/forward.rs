//! A query under way to the host's servers: over a socket of its own with a port and identifier of the kernel's
//! and chance's choosing, so that an answer cannot be forged blindly; one server after the other, twice round.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::serve::Client;
use super::wire::{self, Query};
use crate::sys::bind;
use crate::sys::event::{Epoll, interest};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How often each server is asked.
const TURNS: usize = 2;
/// Longest answer by UDP that is taken.
const MOST: usize = 4096;

#[derive(Debug)]
enum Way {
    None,
    Udp(UdpSocket),
    Tcp { stream: TcpStream, output: Vec<u8>, input: Vec<u8> },
}

/// One query under way.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) query: Query,
    pub(super) client: Client,
    /// The query's bytes under our identifier.
    bytes: Vec<u8>,
    id: u16,
    way: Way,
    turn: usize,
    deadline: Instant,
    /// An answer that says "I failed": better than none.
    poor: Option<Vec<u8>>,
}

/// How it stands.
pub(super) enum Progress {
    Waiting,
    Failed,
    Answered(Vec<u8>),
}

impl Ask {
    pub(super) fn new(query: Query, bytes: &[u8], client: Client) -> Self {
        let mut random = [0; 2];
        // Without randomness the port alone protects.
        let _length = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::NONBLOCK);
        let mut bytes = bytes.to_vec();
        bytes[..2].copy_from_slice(&random);
        let id = u16::from_be_bytes(random);
        let deadline = Instant::now() + PATIENCE;
        Self { query, client, bytes, id, way: Way::None, turn: 0, deadline, poor: None }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The server whose turn it is.
    pub(super) fn next_server(&mut self, servers: &[SocketAddr]) -> Option<SocketAddr> {
        let server = (self.turn < servers.len() * TURNS).then(|| servers[self.turn % servers.len()]);
        self.turn += 1;
        server
    }

    /// What a server said that could not answer.
    pub(super) fn last_answer(&mut self) -> Option<Vec<u8>> {
        self.poor.take()
    }

    /// Asks `server`, by TCP if the client came by TCP.
    pub(super) fn send(
        &mut self,
        server: SocketAddr,
        epoll: &Epoll,
        token: u64,
        now: Instant,
    ) -> io::Result<()> {
        self.deadline = now + PATIENCE;
        self.way = match self.client {
            Client::Udp(_) => {
                let any: SocketAddr =
                    if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
                let socket = UdpSocket::bind(any)?;
                socket.connect(server)?;
                socket.set_nonblocking(true)?;
                socket.send(&self.bytes)?;
                epoll.add(&socket, token, interest::READ).map_err(io::Error::from)?;
                Way::Udp(socket)
            }
            Client::Tcp(..) => {
                let stream = bind::connect_without_waiting(server)?;
                let length = u16::try_from(self.bytes.len()).unwrap_or(u16::MAX);
                let mut output = length.to_be_bytes().to_vec();
                output.extend_from_slice(&self.bytes);
                epoll.add(&stream, token, interest::WRITE).map_err(io::Error::from)?;
                Way::Tcp { stream, output, input: Vec::new() }
            }
        };
        Ok(())
    }

    /// The socket has something.
    pub(super) fn progress(&mut self, epoll: &Epoll, token: u64) -> Progress {
        let answer = match &mut self.way {
            Way::None => return Progress::Waiting,
            Way::Udp(socket) => datagram(socket, self.id, &self.query),
            Way::Tcp { stream, output, input } => exchange(stream, output, input, epoll, token),
        };
        match answer {
            Ok(None) => Progress::Waiting,
            Ok(Some(answer)) if wire::answers(&answer, self.id, &self.query.question) => self.judge(answer),
            Ok(Some(_)) | Err(_) => {
                self.way = Way::None;
                Progress::Failed
            }
        }
    }

    /// A server that failed or refuses is no answer while there are others.
    fn judge(&mut self, mut answer: Vec<u8>) -> Progress {
        const SERVER_FAILURE: u8 = 2;
        const REFUSED: u8 = 5;
        answer[..2].copy_from_slice(&self.query.id.to_be_bytes());
        let code = answer.get(3).map_or(0, |b| b & 15);
        if code == SERVER_FAILURE || code == REFUSED {
            self.poor = Some(answer);
            self.way = Way::None;
            return Progress::Failed;
        }
        Progress::Answered(answer)
    }
}

/// Reads datagrams until one is the answer; others are forged or late.
fn datagram(socket: &UdpSocket, id: u16, query: &Query) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = [0; MOST];
    loop {
        match socket.recv(&mut buffer) {
            Ok(n) if wire::answers(&buffer[..n], id, &query.question) => {
                return Ok(Some(buffer[..n].to_vec()));
            }
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Sends the query and reads the answer, as far as it goes.
fn exchange(
    stream: &mut TcpStream,
    output: &mut Vec<u8>,
    input: &mut Vec<u8>,
    epoll: &Epoll,
    token: u64,
) -> io::Result<Option<Vec<u8>>> {
    while !output.is_empty() {
        match stream.write(output) {
            Ok(n) => drop(output.drain(..n)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e),
        }
        if output.is_empty() {
            epoll.modify(&*stream, token, interest::READ).map_err(io::Error::from)?;
        }
    }
    let mut buffer = [0; MOST];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => input.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e),
        }
        if let [a, b, rest @ ..] = input.as_slice() {
            let length = usize::from(u16::from_be_bytes([*a, *b]));
            if rest.len() >= length {
                return Ok(Some(rest[..length].to_vec()));
            }
        }
    }
}
