//! The little of D-Bus that talking to systemd needs: one connection, calls with a few kinds of
//! arguments, answers and signals with strings in them.
//!
//! systemd's own socket is used (`/run/systemd/private`, a user manager's below XDG_RUNTIME_DIR), as
//! systemctl does as root: no broker between, no subscription needed for its signals.

use std::borrow::Cow;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A message of more than this is not for us.
const LARGEST: usize = 1 << 20;

const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

/// A value in a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Str(String),
    /// `ay`.
    Bytes(Vec<u8>),
    /// `as`.
    Strs(Vec<String>),
    /// `au`.
    U32s(Vec<u32>),
    /// `a(sv)`.
    Properties(Vec<(Cow<'static, str>, Self)>),
    /// `a(sa(sv))`, always empty: no auxiliary units.
    NoUnits,
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::I32(_) => "i",
            Self::U32(_) => "u",
            Self::I64(_) => "x",
            Self::U64(_) => "t",
            Self::Str(_) => "s",
            Self::Bytes(_) => "ay",
            Self::Strs(_) => "as",
            Self::U32s(_) => "au",
            Self::Properties(_) => "a(sv)",
            Self::NoUnits => "a(sa(sv))",
        }
    }
}

/// Bytes with the alignment that each kind of value wants.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        while !self.0.len().is_multiple_of(to) {
            self.0.push(0);
        }
    }

    fn u32(&mut self, n: u32) {
        self.align(4);
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    fn string(&mut self, s: &str) {
        self.u32(u32::try_from(s.len()).expect("our strings are short"));
        self.0.extend_from_slice(s.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, s: &str) {
        self.0.push(u8::try_from(s.len()).expect("our signatures are short"));
        self.0.extend_from_slice(s.as_bytes());
        self.0.push(0);
    }

    /// An array: its length is that of the elements, without the padding before the first.
    fn array(&mut self, align: usize, fill: impl FnOnce(&mut Self)) {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(align);
        let start = self.0.len();
        fill(self);
        let length = u32::try_from(self.0.len() - start).expect("our arrays are short");
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(b) => self.u32(u32::from(*b)),
            Value::I32(n) => {
                self.align(4);
                self.0.extend_from_slice(&n.to_le_bytes());
            }
            Value::U32(n) => self.u32(*n),
            Value::I64(n) => {
                self.align(8);
                self.0.extend_from_slice(&n.to_le_bytes());
            }
            Value::U64(n) => {
                self.align(8);
                self.0.extend_from_slice(&n.to_le_bytes());
            }
            Value::Str(s) => self.string(s),
            Value::Bytes(bytes) => self.array(1, |w| w.0.extend_from_slice(bytes)),
            Value::Strs(list) => self.array(4, |w| list.iter().for_each(|s| w.string(s))),
            Value::U32s(list) => self.array(4, |w| list.iter().for_each(|n| w.u32(*n))),
            Value::Properties(list) => self.array(8, |w| {
                for (name, value) in list {
                    w.align(8);
                    w.string(name);
                    w.signature(value.signature());
                    w.value(value);
                }
            }),
            Value::NoUnits => self.array(8, |_| ()),
        }
    }

    /// One field of a header: a code and a variant.
    fn field(&mut self, code: u8, kind: &str, text: &str) {
        self.align(8);
        self.0.push(code);
        self.signature(kind);
        if kind == "g" { self.signature(text) } else { self.string(text) }
    }
}

/// The interface of systemd's manager.
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// A call of systemd's manager.
pub(super) fn call(serial: u32, member: &str, arguments: &[Value]) -> Vec<u8> {
    call_of(MANAGER, serial, member, arguments)
}

fn call_of(interface: &str, serial: u32, member: &str, arguments: &[Value]) -> Vec<u8> {
    let mut body = Writer::default();
    let mut signature = String::new();
    for a in arguments {
        signature.push_str(a.signature());
        body.value(a);
    }
    let mut out = Writer(vec![b'l', CALL, 0, 1]);
    out.u32(u32::try_from(body.0.len()).expect("our bodies are short"));
    out.u32(serial);
    out.array(8, |w| {
        w.field(1, "o", "/org/freedesktop/systemd1");
        w.field(2, "s", interface);
        w.field(3, "s", member);
        w.field(6, "s", "org.freedesktop.systemd1");
        if !signature.is_empty() {
            w.field(8, "g", &signature);
        }
    });
    out.align(8);
    out.0.append(&mut body.0);
    out.0
}

/// A message that came, as far as we look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// The answer to a call, with its leading strings.
    Return { serial: u32, strings: Vec<String> },
    /// The refusal of a call: name and text.
    Error { serial: u32, name: String, text: String },
    /// A signal, with its strings.
    Signal { member: String, strings: Vec<String> },
    /// Something else.
    Other,
}

/// Reads bytes that came from elsewhere: every length is checked.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let out = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(out)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn string(&mut self) -> Option<String> {
        let n = usize::try_from(self.u32()?).ok()?;
        let text = String::from_utf8_lossy(self.take(n)?).into_owned();
        self.take(1)?;
        Some(text)
    }

    fn signature(&mut self) -> Option<String> {
        let n = usize::from(self.u8()?);
        let text = String::from_utf8_lossy(self.take(n)?).into_owned();
        self.take(1)?;
        Some(text)
    }
}

/// Length of the rest of a message, from its first sixteen bytes.
fn rest(start: &[u8; 16]) -> Option<usize> {
    let number = |at: usize| u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]);
    let fields = usize::try_from(number(12)).ok()?.next_multiple_of(8);
    let total = fields.checked_add(usize::try_from(number(4)).ok()?)?;
    (start[0] == b'l' && start[3] == 1 && total <= LARGEST).then_some(total)
}

/// Takes a whole message apart; `None` where it is malformed.
pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
    let mut r = Reader { bytes, at: 0 };
    let kind = *bytes.get(1)?;
    r.at = 12;
    let fields = usize::try_from(r.u32()?).ok()?;
    let end = r.at.checked_add(fields)?;
    let (mut serial, mut signature, mut member, mut name) = (0, String::new(), String::new(), String::new());
    while r.at < end {
        r.align(8);
        let code = r.u8()?;
        match (code, r.signature()?.as_str()) {
            (5, "u") => serial = r.u32()?,
            (8, "g") => signature = r.signature()?,
            (3, "s") => member = r.string()?,
            (4, "s") => name = r.string()?,
            (_, "s" | "o") => drop(r.string()?),
            (_, "g") => drop(r.signature()?),
            (_, "u") => drop(r.u32()?),
            _ => return None,
        }
    }
    r.align(8);
    let mut strings = Vec::new();
    for kind in signature.chars() {
        match kind {
            's' | 'o' => strings.push(r.string()?),
            'u' => drop(r.u32()?),
            'v' if r.signature()? == "s" => strings.push(r.string()?),
            // What comes after is of no interest.
            _ => break,
        }
    }
    Some(match kind {
        RETURN => Message::Return { serial, strings },
        ERROR => Message::Error { serial, name, text: strings.into_iter().next().unwrap_or_default() },
        SIGNAL => Message::Signal { member, strings },
        _ => Message::Other,
    })
}

/// A connection to a manager.
pub(super) struct Connection {
    stream: UnixStream,
    serial: u32,
}

impl Connection {
    /// Connects and authenticates as the user we are.
    pub(super) fn open(socket: &Path, uid: u32) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        // A manager that is stuck must not make us wait for ever.
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        let hex: String = uid.to_string().bytes().map(|b| format!("{b:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            line.push(byte[0]);
            if line.len() > 512 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        if !line.starts_with(b"OK ") {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "systemd refused the authentication",
            ));
        }
        Ok(Self { stream, serial: 0 })
    }

    /// Sends a call; its number tells the answer.
    pub(super) fn send(&mut self, member: &str, arguments: &[Value]) -> io::Result<u32> {
        self.serial += 1;
        self.stream.write_all(&call(self.serial, member, arguments))?;
        Ok(self.serial)
    }

    /// Asks for a property of the manager that is a string.
    pub(super) fn ask(&mut self, property: &str) -> io::Result<u32> {
        self.serial += 1;
        let arguments = [Value::Str(MANAGER.to_owned()), Value::Str(property.to_owned())];
        let call = call_of("org.freedesktop.DBus.Properties", self.serial, "Get", &arguments);
        self.stream.write_all(&call)?;
        Ok(self.serial)
    }

    /// The next message.
    pub(super) fn receive(&mut self) -> io::Result<Message> {
        let mut start = [0; 16];
        self.stream.read_exact(&mut start)?;
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let length = rest(&start).ok_or_else(invalid)?;
        let mut bytes = start.to_vec();
        bytes.resize(16 + length, 0);
        self.stream.read_exact(&mut bytes[16..])?;
        parse(&bytes).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_has_the_form_of_the_specification() {
        let bytes = call(7, "Ping", &[Value::Str("ab".into()), Value::U64(1)]);
        assert_eq!(&bytes[..4], b"l\x01\x00\x01");
        // "ab": 4 + 2 + 1, padded to 8, then 8.
        assert_eq!(bytes[4..8], 16_u32.to_le_bytes());
        assert_eq!(bytes[8..12], 7_u32.to_le_bytes());
        assert_eq!(&bytes[bytes.len() - 16..], b"\x02\0\0\0ab\0\0\x01\0\0\0\0\0\0\0");
        assert_eq!(bytes.len() % 8, 0);
        let fields = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        let start: [u8; 16] = bytes[..16].try_into().unwrap();
        assert_eq!(rest(&start), Some(bytes.len() - 16));
        assert!(fields > 0);
        assert_eq!(parse(&bytes), Some(Message::Other));
    }

    #[test]
    fn answers_are_read() {
        let mut body = Writer::default();
        body.u32(9);
        for s in ["/job/9", "x.scope", "done"] {
            body.string(s);
        }
        let mut out = Writer(vec![b'l', SIGNAL, 1, 1]);
        out.u32(u32::try_from(body.0.len()).unwrap());
        out.u32(3);
        out.array(8, |w| {
            w.field(1, "o", "/org/freedesktop/systemd1");
            w.field(3, "s", "JobRemoved");
            w.field(8, "g", "uoss");
        });
        out.align(8);
        out.0.append(&mut body.0);
        let strings = ["/job/9", "x.scope", "done"].map(str::to_owned).to_vec();
        assert_eq!(parse(&out.0), Some(Message::Signal { member: "JobRemoved".into(), strings }));
        for cut in 0..out.0.len() - 1 {
            // A message that is cut short is malformed, or lacks what was cut; it never panics.
            drop(parse(&out.0[..cut]));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse(&bytes));
        }
    }
}
