//! The main process's stdio: output to the log and to clients, input from clients.

use std::time::Instant;

use super::clients::Role;
use super::{CLIENTS, STDERR, STDIN, STDOUT, Server};
use crate::monitor::proto::{CHUNK, Kind};
use crate::storage::logs::Stream;
use crate::sys::event::interest;
use crate::sys::fd;

impl Server {
    /// Reads once from stdout (or the terminal) or stderr. False when there is nothing more now.
    #[inline(never)]
    pub(super) fn read_output(&mut self, errors: bool) -> bool {
        let Some(process) = &mut self.process else { return false };
        let stdio = &mut process.stdio;
        let source = match (errors, &stdio.console) {
            (true, _) => &stdio.stderr,
            (false, Some(_)) => &stdio.console,
            (false, None) => &stdio.stdout,
        };
        let Some(source) = source else { return false };
        let mut buffer = [0; CHUNK];
        match fd::read(source, &mut buffer) {
            Err(e) if e.is(libc::EAGAIN) => return false,
            // A terminal whose other side is closed says EIO: its end.
            Ok(0) | Err(_) => {
                let _closed = self.epoll.remove(source);
                match (errors, stdio.console.is_some()) {
                    (true, _) => stdio.stderr = None,
                    (false, true) => stdio.console = None,
                    (false, false) => stdio.stdout = None,
                }
                return false;
            }
            Ok(n) => self.publish_output(errors, &buffer[..n]),
        }
        true
    }

    pub(super) fn output(&mut self, errors: bool) {
        if !self.stalled {
            self.read_output(errors);
        }
    }

    fn publish_output(&mut self, errors: bool, bytes: &[u8]) {
        let (stream, kind) =
            if errors { (Stream::Stderr, Kind::Stderr) } else { (Stream::Stdout, Kind::Stdout) };
        if let Some(log) = &mut self.log
            && let Err(e) = log.write(stream, bytes)
        {
            let text = format!("log: {e}");
            crate::monitor::note(&self.world.paths, &self.world.id, &text);
        }
        let wanting = self.clients.slots(|c| match c.role {
            Role::Main(streams) => {
                if errors {
                    streams.stderr
                } else {
                    streams.stdout
                }
            }
            _ => false,
        });
        for slot in wanting {
            self.clients.stream(slot, kind, bytes);
        }
    }

    /// After each round: too slow clients are dropped, reading is stopped and resumed, epoll told, those who
    /// have their answer closed.
    pub(super) fn balance(&mut self) {
        let attached = self.clients.slots(|c| matches!(c.role, Role::Main(_)));
        let alone = attached.len() == 1;
        let now = Instant::now();
        let mut stall = false;
        self.patience = None;
        for &slot in &attached {
            let Some(client) = self.clients.get(slot) else { continue };
            if client.foreground && alone {
                stall |= client.is_full();
                client.forgive();
                continue;
            }
            let Some(until) = client.patience(now) else { continue };
            if until > now {
                stall = true;
                self.patience = Some(self.patience.map_or(until, |first| first.min(until)));
            } else {
                self.clients.drop_slow(slot);
            }
        }
        self.stall(stall);
        let held = !self.input.is_empty();
        for slot in self.clients.slots(|_| true) {
            let Some(client) = self.clients.get(slot) else { continue };
            if let Role::Main(streams) = client.role {
                client.held = streams.stdin && held;
            }
            if client.role == Role::Leaving && client.queued() == 0 {
                self.clients.remove(slot);
            } else if !self.clients.arm(&self.epoll, slot, CLIENTS) {
                // What cannot be heard of it would be waited for without end.
                self.forget(slot);
            }
        }
    }

    /// Stops or resumes the reading of output. A descriptor that is not wanted must leave the epoll: its
    /// hang-up would be told for ever.
    fn stall(&mut self, stall: bool) {
        if stall == self.stalled {
            return;
        }
        self.stalled = stall;
        let Some(process) = &self.process else { return };
        let stdio = &process.stdio;
        let sources =
            [(stdio.console.as_ref().or(stdio.stdout.as_ref()), STDOUT), (stdio.stderr.as_ref(), STDERR)];
        for (source, token) in sources {
            let Some(source) = source else { continue };
            let _told =
                if stall { self.epoll.remove(source) } else { self.epoll.add(source, token, interest::READ) };
        }
    }

    /// Bytes from a client for the process's input; none is the end of the client's.
    pub(super) fn typed(&mut self, foreground: bool, bytes: &[u8]) {
        if bytes.is_empty() {
            if foreground && self.keep.stdin_once && !self.keep.tty {
                self.input_ends = true;
                self.flush_input();
            }
            return;
        }
        self.input.extend_from_slice(bytes);
        self.write_input();
        if !self.input.is_empty()
            && let Some(sink) = self.input_sink()
        {
            // A terminal is registered for reading already: its own descriptor must be changed, not added.
            let _told = if self.keep.tty {
                self.epoll.modify(sink, STDOUT, interest::READ | interest::WRITE)
            } else {
                self.epoll.add(sink, STDIN, interest::WRITE)
            };
        }
    }

    /// The process takes input again.
    pub(super) fn flush_input(&mut self) {
        self.write_input();
        if self.input.is_empty() {
            if let Some(sink) = self.input_sink() {
                let _told = if self.keep.tty {
                    self.epoll.modify(sink, STDOUT, interest::READ)
                } else {
                    self.epoll.remove(sink)
                };
            }
            self.input.shrink_to(0);
            if self.input_ends {
                self.close_input();
            }
        }
    }

    /// No more input for the process, ever.
    pub(super) fn close_input(&mut self) {
        if let Some(process) = &mut self.process
            && let Some(sink) = process.stdio.stdin.take()
        {
            let _told = self.epoll.remove(&sink);
        }
    }

    fn input_sink(&self) -> Option<&std::os::fd::OwnedFd> {
        let stdio = &self.process.as_ref()?.stdio;
        stdio.console.as_ref().or(stdio.stdin.as_ref())
    }

    fn write_input(&mut self) {
        let Some(sink) = self.input_sink() else { return self.input.clear() };
        match fd::write(sink, &self.input) {
            Ok(n) => drop(self.input.drain(..n)),
            Err(e) if e.is(libc::EAGAIN) => {}
            // Nobody reads: what is typed is lost, as in a pipe.
            Err(_) => self.input.clear(),
        }
    }

    /// Everything that is in the pipes already; used when the process has ended.
    pub(super) fn drain_output(&mut self) {
        while self.read_output(false) {}
        while self.read_output(true) {}
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }
}
