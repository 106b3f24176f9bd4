//! DNS messages on the wire: reading a query, writing an answer. Pure, bounded, and at ease with any bytes.
//!
//! Only what a responder needs: one question, answers of type A, AAAA and PTR, error codes. Everything else is
//! passed on as bytes, unread but for its identifier and question.

use std::net::IpAddr;

/// Longest message that is taken.
pub const MAX_MESSAGE: usize = 65_535;
/// What a client without EDNS takes by UDP.
const PLAIN_UDP: usize = 512;
/// What we send by UDP at most: fits into one packet everywhere.
const MOST_UDP: usize = 1232;
const HEADER: usize = 12;
const MAX_NAME: usize = 255;

/// Types that are answered here.
pub mod kind {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Name of an address.
    pub const PTR: u16 = 12;
    /// IPv6 address.
    pub const AAAA: u16 = 28;
    /// Anything.
    pub const ANY: u16 = 255;
}

/// Result codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Fine.
    Ok = 0,
    /// The query makes no sense.
    FormatError = 1,
    /// No server could be asked.
    ServerFailure = 2,
    /// No such name.
    NoName = 3,
    /// An operation that does not exist here.
    NotImplemented = 4,
    /// Not for you.
    Refused = 5,
}

/// A query, as far as it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Identifier.
    pub id: u16,
    /// Operation; 0 is an ordinary query.
    pub operation: u8,
    /// Recursion desired.
    pub recursion: bool,
    /// Name asked for, lower case, without the dot at its end. Bytes that are no letters, digits, `-`, `_` or
    /// `.` are written `\DDD`, so that no name can pretend to be another.
    pub name: String,
    /// Type asked for.
    pub kind: u16,
    /// Class asked for; 1 is the internet.
    pub class: u16,
    /// The question section as it came.
    pub question: Vec<u8>,
    /// How long an answer by UDP may be.
    pub udp_size: usize,
}

/// Why bytes are no query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// Not worth an answer: too short, or an answer itself.
    Ignore,
    /// To be answered with [`Code::FormatError`] under this identifier.
    Format(u16),
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// See [`Bad`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Bad> {
        let id = u16_at(bytes, 0).ok_or(Bad::Ignore)?;
        let flags = u16_at(bytes, 2).filter(|_| bytes.len() >= HEADER).ok_or(Bad::Ignore)?;
        if flags & 0x8000 != 0 {
            return Err(Bad::Ignore);
        }
        let bad = Bad::Format(id);
        if u16_at(bytes, 4) != Some(1) || u16_at(bytes, 6) != Some(0) {
            return Err(bad);
        }
        let (name, end) = read_name(bytes, HEADER).ok_or(bad)?;
        let kind = u16_at(bytes, end).ok_or(bad)?;
        let class = u16_at(bytes, end + 2).ok_or(bad)?;
        let question = bytes.get(HEADER..end + 4).ok_or(bad)?.to_vec();
        Ok(Self {
            id,
            operation: u8::try_from(flags >> 11 & 15).unwrap_or(15),
            recursion: flags & 0x100 != 0,
            name,
            kind,
            class,
            question,
            udp_size: edns_size(bytes, end + 4),
        })
    }

    /// An answer with these records; `udp` cuts it to what the client takes, marked as truncated.
    #[must_use]
    pub fn answer(&self, code: Code, records: &[Record], udp: bool) -> Vec<u8> {
        let limit = if udp { self.udp_size } else { MAX_MESSAGE };
        let mut out = Vec::with_capacity(HEADER + self.question.len() + 16 * records.len());
        out.extend_from_slice(&self.id.to_be_bytes());
        // Answer, authoritative, recursion available.
        let flags = 0x8480 | (u16::from(self.recursion) << 8) | code as u16;
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&self.question);
        let mut count = 0_u16;
        for record in records {
            let before = out.len();
            record.write(&mut out);
            if out.len() > limit {
                out.truncate(before);
                out[2] |= 0x02;
                break;
            }
            count = count.saturating_add(1);
        }
        out[6..8].copy_from_slice(&count.to_be_bytes());
        out
    }
}

/// The answer to something that could not be read.
#[must_use]
pub fn format_error(id: u16) -> Vec<u8> {
    let [a, b] = id.to_be_bytes();
    vec![a, b, 0x80, Code::FormatError as u8, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// A record of an answer; its name is the one asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An address.
    Address(IpAddr),
    /// The name of an address.
    Name(String),
}

impl Record {
    fn write(&self, out: &mut Vec<u8>) {
        // A pointer to the question's name; class IN; TTL 0, because containers come and go.
        let (kind, data) = match self {
            Self::Address(IpAddr::V4(a)) => (kind::A, a.octets().to_vec()),
            Self::Address(IpAddr::V6(a)) => (kind::AAAA, a.octets().to_vec()),
            Self::Name(name) => (kind::PTR, write_name(name)),
        };
        out.extend_from_slice(&[0xc0, 0x0c]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 0]);
        out.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(&data);
    }
}

/// Reads a name; returns it with the position after it. Pointers are followed a few times, always backwards.
fn read_name(bytes: &[u8], start: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let (mut at, mut end, mut least) = (start, None, start);
    let mut length = 0;
    loop {
        let label = usize::from(*bytes.get(at)?);
        match label {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..=63 => {
                length += label + 1;
                if length > MAX_NAME {
                    return None;
                }
                if !name.is_empty() {
                    name.push('.');
                }
                push_label(&mut name, bytes.get(at + 1..at + 1 + label)?);
                at += 1 + label;
            }
            0xc0..=0xff => {
                let to = (label & 0x3f) << 8 | usize::from(*bytes.get(at + 1)?);
                end = end.or(Some(at + 2));
                // Only backwards, before all that was read: this ends.
                if to >= least || to < HEADER {
                    return None;
                }
                least = to;
                at = to;
            }
            _ => return None,
        }
    }
}

fn push_label(name: &mut String, label: &[u8]) {
    use std::fmt::Write as _;
    for &b in label {
        match b.to_ascii_lowercase() {
            c @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => name.push(char::from(c)),
            // Writing to a String cannot fail.
            other => drop(write!(name, "\\{other:03}")),
        }
    }
}

/// A name of ours on the wire; labels that are too long are cut, for names of containers have no limit there.
fn write_name(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|l| !l.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        if out.len() + label.len() + 2 > MAX_NAME {
            break;
        }
        out.push(u8::try_from(label.len()).unwrap_or(63));
        out.extend_from_slice(label);
    }
    out.push(0);
    out
}

/// The size that an OPT record in the additional section allows.
fn edns_size(bytes: &[u8], at: usize) -> usize {
    const OPT: u16 = 41;
    // The root name, type, and the size in the place of the class. Only the usual form: first additional record.
    let is_opt = u16_at(bytes, 10).is_some_and(|n| n > 0)
        && u16_at(bytes, 8) == Some(0)
        && bytes.get(at) == Some(&0)
        && u16_at(bytes, at + 1) == Some(OPT);
    let size = if is_opt { u16_at(bytes, at + 3).map_or(0, usize::from) } else { 0 };
    size.clamp(PLAIN_UDP, MOST_UDP)
}

/// Whether `answer` is one to the query with this identifier and question (compared without regard to case, as
/// some servers change it).
#[must_use]
pub fn answers(answer: &[u8], id: u16, question: &[u8]) -> bool {
    let same = |q: &[u8]| q.eq_ignore_ascii_case(question);
    u16_at(answer, 0) == Some(id)
        && u16_at(answer, 2).is_some_and(|flags| flags & 0x8000 != 0)
        && (u16_at(answer, 4) == Some(0) || answer.get(HEADER..HEADER + question.len()).is_some_and(same))
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` spells.
#[must_use]
pub fn reverse_address(name: &str) -> Option<IpAddr> {
    if let Some(rest) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0_u8; 4];
        let mut parts = rest.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| IpAddr::from(octets));
    }
    let rest = name.strip_suffix(".ip6.arpa")?;
    let mut number = 0_u128;
    let mut count = 0;
    for digit in rest.split('.') {
        let value = u128::from_str_radix(digit, 16).ok().filter(|_| digit.len() == 1 && count < 32)?;
        number |= value << (4 * count);
        count += 1;
    }
    (count == 32).then(|| IpAddr::V6(number.into()))
}

#[cfg(test)]
pub(super) mod tests;
