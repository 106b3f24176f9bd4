//! The log driver `journald`: each line becomes an entry of the host's journal, with docker's and podman's fields.
//!
//! Spoken is the journal's native protocol over its datagram socket; no library. A journal that does not take an
//! entry within [`PATIENCE`] loses it: a stuck journal must not stop containers for ever.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::model::container::ContainerSpec;
use crate::storage::logs::Stream;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Longest line that is one entry; longer ones come in parts.
const LONGEST: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_millis(100);

/// The journal, as one container writes to it.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    /// Fields that are the same in each entry.
    fields: Vec<u8>,
    /// Unfinished lines of stdout and stderr.
    rest: [Vec<u8>; 2],
    /// Entries that the journal did not take.
    pub(super) lost: u64,
}

impl Journal {
    /// Connects.
    pub(super) fn open(spec: &ContainerSpec) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let option = |key| spec.lifecycle.log.options.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let tag = option("tag").unwrap_or_else(|| spec.id.short());
        let mut fields = Vec::new();
        for (key, value) in [
            ("CONTAINER_ID", spec.id.short()),
            ("CONTAINER_ID_FULL", spec.id.as_str()),
            ("CONTAINER_NAME", spec.name.as_str()),
            ("CONTAINER_TAG", tag),
            ("IMAGE_NAME", spec.root.image_name.as_str()),
            ("SYSLOG_IDENTIFIER", tag),
        ] {
            field(&mut fields, key, value.as_bytes());
        }
        Ok(Self { socket, fields, rest: Default::default(), lost: 0 })
    }

    /// Takes output as it comes.
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let mut rest = std::mem::take(&mut self.rest[index(stream)]);
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let line = piece.strip_suffix(b"\n");
            rest.extend_from_slice(line.unwrap_or(piece));
            while rest.len() > LONGEST {
                self.send(stream, &rest[..LONGEST], true);
                rest.drain(..LONGEST);
            }
            if line.is_some() {
                self.send(stream, &rest, false);
                rest.clear();
            }
        }
        self.rest[index(stream)] = rest;
    }

    /// Writes what is left of an unfinished line.
    pub(super) fn flush(&mut self, stream: Stream) {
        let rest = std::mem::take(&mut self.rest[index(stream)]);
        if !rest.is_empty() {
            self.send(stream, &rest, false);
        }
    }

    fn send(&mut self, stream: Stream, line: &[u8], partial: bool) {
        let mut entry = self.fields.clone();
        // Errors are errors to the journal, the rest is information: docker's choice.
        field(&mut entry, "PRIORITY", if stream == Stream::Stderr { b"3" } else { b"6" });
        if partial {
            field(&mut entry, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        field(&mut entry, "MESSAGE", line);
        if self.socket.send(&entry).is_err() {
            self.lost += 1;
        }
    }
}

fn index(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}

/// One field in the form that takes any bytes: name, newline, length, value, newline.
fn field(entry: &mut Vec<u8>, key: &str, value: &[u8]) {
    entry.extend_from_slice(key.as_bytes());
    entry.push(b'\n');
    entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    entry.extend_from_slice(value);
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(receiver: &UnixDatagram) -> Vec<String> {
        receiver.set_nonblocking(true).unwrap();
        let mut out = Vec::new();
        let mut buffer = vec![0; 1 << 18];
        while let Ok(n) = receiver.recv(&mut buffer) {
            let entry = &buffer[..n];
            // The last one: PARTIAL_MESSAGE ends in the same word.
            let at = entry.windows(8).rposition(|w| w == b"MESSAGE\n").unwrap() + 16;
            let partial = entry.windows(7).any(|w| w == b"PARTIAL");
            out.push(format!(
                "{}{}",
                String::from_utf8_lossy(&entry[at..n - 1]),
                if partial { "…" } else { "" }
            ));
        }
        out
    }

    fn journal() -> (Journal, UnixDatagram) {
        let (socket, receiver) = UnixDatagram::pair().unwrap();
        (Journal { socket, fields: Vec::new(), rest: Default::default(), lost: 0 }, receiver)
    }

    #[test]
    fn lines_become_entries() {
        let (mut journal, receiver) = journal();
        journal.write(Stream::Stdout, b"one\ntw");
        journal.write(Stream::Stderr, b"error\n");
        journal.write(Stream::Stdout, b"o\nthree");
        journal.flush(Stream::Stdout);
        journal.flush(Stream::Stderr);
        assert_eq!(messages(&receiver), ["one", "error", "two", "three"]);
    }

    #[test]
    fn long_lines_come_in_parts() {
        let (mut journal, receiver) = journal();
        journal.write(Stream::Stdout, &[b'x'; LONGEST]);
        journal.write(Stream::Stdout, b"y\n");
        let got = messages(&receiver);
        assert_eq!(got.len(), 2);
        assert!(got[0].ends_with('…') && got[0].len() == LONGEST + '…'.len_utf8());
        assert_eq!(got[1], "y");
    }
}
