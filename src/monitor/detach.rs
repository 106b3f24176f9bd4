//! Detach keys: a state machine that watches typed bytes for the sequence (`ctrl-p,ctrl-q`). No I/O.

use crate::model::ParseError;

/// The sequence that detaches from a terminal; empty for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

impl DetachKeys {
    /// No sequence: nothing detaches.
    #[must_use]
    pub fn none() -> Self {
        Self(Vec::new())
    }
}

impl std::str::FromStr for DetachKeys {
    type Err = ParseError;

    /// docker's form: keys separated by commas, each one character or `ctrl-` and one of `a-z@[\]^_`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',')
            .filter(|_| !text.is_empty())
            .map(|key| one_key(text, key))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn one_key(text: &str, key: &str) -> Result<u8, ParseError> {
    let wrong = || {
        ParseError::new(
            "detach keys",
            text,
            format!("{key:?} is neither one ASCII character nor ctrl- with one of a-z @ [ \\ ] ^ _"),
        )
    };
    if let Some(control) = key.strip_prefix("ctrl-") {
        let [byte] = control.as_bytes() else { return Err(wrong()) };
        return match byte {
            b'a'..=b'z' => Ok(byte - b'a' + 1),
            b'@' | b'['..=b'_' => Ok(byte - b'@'),
            _ => Err(wrong()),
        };
    }
    match key.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(wrong()),
    }
}

/// What one step of the watch gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// Send these bytes on.
    Send(Vec<u8>),
    /// Send these bytes on, then detach; what was typed after the sequence is dropped.
    Detach(Vec<u8>),
}

/// Watches typed bytes. A started sequence is held back until it is complete or broken.
#[derive(Debug)]
pub struct Watch {
    keys: DetachKeys,
    matched: usize,
}

impl Watch {
    /// A watch at its beginning.
    #[must_use]
    pub fn new(keys: DetachKeys) -> Self {
        Self { keys, matched: 0 }
    }

    /// Takes typed bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Typed {
        let keys = &self.keys.0;
        let mut out = Vec::with_capacity(bytes.len() + self.matched);
        for &byte in bytes {
            // A broken start is let go, but its tail may itself be a start (a,a,b after a,a,a): fall back to
            // the longest part of what was held that the sequence also begins with.
            while self.matched > 0 && keys.get(self.matched) != Some(&byte) {
                let shorter = (1..self.matched).find(|&n| keys[n..self.matched] == keys[..self.matched - n]);
                let released = shorter.unwrap_or(self.matched);
                out.extend_from_slice(&keys[..released]);
                self.matched -= released;
            }
            if keys.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == keys.len() {
                    self.matched = 0;
                    return Typed::Detach(out);
                }
            } else {
                out.push(byte);
            }
        }
        Typed::Send(out)
    }

    /// What is held back, when no more bytes come.
    pub fn flush(&mut self) -> Vec<u8> {
        let held = self.keys.0[..self.matched].to_vec();
        self.matched = 0;
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parsed_as_docker_writes_them() {
        for (text, want) in [
            ("ctrl-p,ctrl-q", Some(vec![16, 17])),
            ("", Some(vec![])),
            ("a,b", Some(vec![b'a', b'b'])),
            ("ctrl-@,ctrl-[,ctrl-_", Some(vec![0, 27, 31])),
            ("ctrl-", None),
            ("ctrl-1", None),
            ("ctrl-A", None),
            ("ab", None),
            ("ä", None),
        ] {
            assert_eq!(text.parse::<DetachKeys>().ok().map(|k| k.0), want, "{text:?}");
        }
    }

    #[test]
    fn the_sequence_is_found_wherever_packets_are_cut() {
        // keys, packets, what is sent before detaching (None: never detached)
        let table: &[(&str, &[&[u8]], &[u8], bool)] = &[
            ("ctrl-p,ctrl-q", &[b"abc\x10\x11rest"], b"abc", true),
            ("ctrl-p,ctrl-q", &[b"abc\x10", b"\x11"], b"abc", true),
            ("ctrl-p,ctrl-q", &[b"\x10", b"x"], b"\x10x", false),
            ("ctrl-p,ctrl-q", &[b"\x10\x10\x11"], b"\x10", true),
            ("a,a,b", &[b"aaab"], b"a", true),
            ("a,a,b", &[b"aa", b"a", b"b"], b"a", true),
            ("a,b,a,c", &[b"ababac"], b"ab", true),
            ("", &[b"\x10\x11"], b"\x10\x11", false),
        ];
        for (keys, packets, want, detached) in table {
            let mut watch = Watch::new(keys.parse().expect("valid keys"));
            let mut sent = Vec::new();
            let mut found = false;
            for packet in *packets {
                match watch.feed(packet) {
                    Typed::Send(bytes) => sent.extend(bytes),
                    Typed::Detach(bytes) => {
                        sent.extend(bytes);
                        found = true;
                    }
                }
            }
            sent.extend(watch.flush());
            assert_eq!((sent.as_slice(), found), (*want, *detached), "{keys} {packets:?}");
        }
    }
}
