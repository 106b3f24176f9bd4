//! A container that is made but not started (`init`): its process waits before its command, and we wait with it. The
//! control socket is answered here meanwhile, as far as there is something to say; a start goes on where this stops.

use std::os::fd::OwnedFd;
use std::time::Duration;

use super::proto::{BeginWish, Failure, FailureKind, Hello, Reply, Request};
use super::wire;
use crate::model::container::{Phase, Running};
use crate::sys::event::{Epoll, Events, SignalFd, interest, wait_readable};
use crate::sys::process::PidFd;
use crate::sys::socket;

const LISTENER: u64 = 1;
const SIGNALS: u64 = 2;
const INIT: u64 = 3;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// The waiting, and how it ended.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    /// Who asked for the container to be made.
    pub(super) starter: &'a OwnedFd,
    /// Control socket.
    pub(super) listener: &'a OwnedFd,
    /// Signals to the monitor.
    pub(super) signals: &'a SignalFd,
    /// Who wants it started, and how.
    pub(super) begun: Option<(OwnedFd, BeginWish)>,
    /// Who wants it gone: is told when it is.
    pub(super) unwanted: Option<OwnedFd>,
    /// Its name, where that was changed meanwhile.
    pub(super) renamed: Option<String>,
}

impl Waiting<'_> {
    /// Tells the starter that the container is made, and returns when it shall be started.
    ///
    /// # Errors
    /// It shall not be, or its process is gone.
    pub(super) fn wait(&mut self, running: &Running, init: &PidFd) -> Result<(), Failure> {
        let failed = |e| Failure::internal("waiting for the start", &e);
        let epoll = Epoll::new().map_err(failed)?;
        epoll.add(self.listener, LISTENER, interest::READ).map_err(failed)?;
        epoll.add(self.signals, SIGNALS, interest::READ).map_err(failed)?;
        epoll.add(init, INIT, interest::READ).map_err(failed)?;
        let _gone = wire::send_document(self.starter, &Reply::Ready(Box::new(running.clone())), &[]);
        let mut events = Events::default();
        loop {
            let came: Vec<u64> =
                epoll.wait(&mut events, None).map_err(failed)?.iter().map(|e| e.token).collect();
            for token in came {
                match token {
                    LISTENER => {
                        if self.client(running)? {
                            return Ok(());
                        }
                    }
                    SIGNALS => self.signalled()?,
                    _ => {
                        return Err(Failure::plain(
                            FailureKind::State,
                            "its process ended before it was started",
                        ));
                    }
                }
            }
        }
    }

    fn signalled(&self) -> Result<(), Failure> {
        while let Ok(Some(received)) = self.signals.read() {
            if received.signal == libc::SIGTERM || received.signal == libc::SIGINT {
                return Err(given_up());
            }
        }
        Ok(())
    }

    /// One client, one answer. True: it is to be started.
    fn client(&mut self, running: &Running) -> Result<bool, Failure> {
        let Ok(connection) = socket::accept(self.listener) else { return Ok(false) };
        // As in `serve`: the file's mode keeps others out already.
        let own = crate::sys::probe::effective_uid();
        if !socket::peer(&connection).is_ok_and(|peer| peer.uid == 0 || peer.uid == own)
            || !wait_readable(&connection, Some(PATIENCE)).unwrap_or(false)
        {
            return Ok(false);
        }
        let hello = wire::receive(&connection).ok().and_then(|packet| packet.document::<Hello>().ok());
        let Some(hello) = hello else { return Ok(false) };
        let reply = match hello.request {
            Request::Begin(wish) => {
                self.begun = Some((connection, wish));
                return Ok(true);
            }
            Request::Stop(_) | Request::Remove => {
                self.unwanted = Some(connection);
                return Err(given_up());
            }
            Request::Status => Reply::Status(Box::new(Phase::Initialized(running.clone()))),
            Request::Execs => Reply::Execs(Vec::new()),
            Request::Renamed(name) => {
                self.renamed = Some(name);
                Reply::Done
            }
            _ => {
                let text = "the container cannot do that now: it is initialized and not started";
                Reply::Error(Failure::plain(FailureKind::State, text).hint("start it first"))
            }
        };
        // A client that is gone needs no answer.
        let _gone = wire::send_document(&connection, &reply, &[]);
        Ok(false)
    }
}

fn given_up() -> Failure {
    Failure::plain(FailureKind::State, "it is not wanted any more")
}
