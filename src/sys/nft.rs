//! nf_tables by netlink: transactions of tables, chains, rules, sets and elements, and the few expressions
//! that our rules are made of. What the rules say is `net::firewall`'s matter.
//!
//! A [`Transaction`] is one nfnetlink batch: the kernel takes all of it or nothing. Registers are the 32-bit
//! ones; a concatenated key fills consecutive registers, each field padded to four bytes.

use super::netlink::{
    Batch, Error, F_ACK, F_APPEND, F_CREATE, F_DUMP, Family, Reply, Socket, attributes, text_of,
};

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM;
const DELTABLE: u16 = SUBSYSTEM | 2;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const GETCHAIN: u16 = SUBSYSTEM | 4;
const NEWRULE: u16 = SUBSYSTEM | 6;
const GETRULE: u16 = SUBSYSTEM | 7;
const DELRULE: u16 = SUBSYSTEM | 8;
const NEWSET: u16 = SUBSYSTEM | 9;
const NEWSETELEM: u16 = SUBSYSTEM | 12;
const GETSETELEM: u16 = SUBSYSTEM | 13;
const DELSETELEM: u16 = SUBSYSTEM | 14;
const NEWGEN: u16 = SUBSYSTEM | 15;
/// Multicast group of ruleset changes.
const GROUP_NFTABLES: i32 = 7;

/// Address family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TableFamily {
    /// IPv4 and IPv6.
    Inet = 1,
    /// IPv4.
    Ip = 2,
    /// IPv6.
    Ip6 = 10,
}

/// Where a base chain is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before routing.
    Prerouting = 0,
    /// Between interfaces.
    Forward = 2,
    /// From local processes.
    Output = 3,
    /// After routing.
    Postrouting = 4,
}

/// What makes a chain a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// `filter` or `nat`.
    pub kind: &'static str,
    /// Where.
    pub hook: Hook,
    /// In which order.
    pub priority: i32,
}

/// A set or map. Types are nft's numbers, only for its listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Name.
    pub name: &'static str,
    /// Types of the key's fields.
    pub key: &'static [Type],
    /// Types of the data's fields; empty for a plain set.
    pub data: &'static [Type],
    /// Elements have a life time (see [`Transaction::expire`]).
    pub timed: bool,
}

/// nft's data types that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `ipv4_addr`.
    Ipv4,
    /// `ipv6_addr`.
    Ipv6,
    /// `inet_proto`.
    Protocol,
    /// `inet_service`.
    Port,
    /// `ifname`.
    Interface,
}

impl Type {
    fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Interface => 41,
        }
    }
    /// Length in bytes, padded to registers where concatenated.
    fn length(self) -> u32 {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 | Self::Interface => 16,
            Self::Protocol => 1,
            Self::Port => 2,
        }
    }
    fn of(fields: &[Self]) -> (u32, u32) {
        match fields {
            [one] => (one.number(), one.length()),
            many => many.iter().fold((0, 0), |(number, length), f| {
                (number << 6 | f.number(), length + f.length().next_multiple_of(4))
            }),
        }
    }
}

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Key bytes, see [`field`].
    pub key: Vec<u8>,
    /// Data bytes, empty in a plain set.
    pub data: Vec<u8>,
    /// Comment, `nft list` shows it; empty for none.
    pub comment: String,
}

/// Pads one field of a concatenated key.
#[must_use]
pub fn field(bytes: &[u8]) -> Vec<u8> {
    let mut v = bytes.to_vec();
    v.resize(v.len().next_multiple_of(4), 0);
    v
}

/// An interface name as a key.
#[must_use]
pub fn interface(name: &str) -> Vec<u8> {
    let mut v = name.as_bytes().to_vec();
    v.resize(16, 0);
    v
}

/// A register: the nth 32-bit one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reg(pub u32);

impl Reg {
    fn number(self) -> u32 {
        8 + self.0
    }
}

/// What a packet's meta expression reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// Input interface's name.
    InputName = 6,
    /// Output interface's name.
    OutputName = 7,
    /// IPv4 or IPv6.
    NetworkProtocol = 15,
    /// TCP, UDP …
    TransportProtocol = 16,
}

/// What a conntrack expression reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ct {
    /// new, established …
    State = 0,
    /// Whether destination NAT was done.
    Status = 2,
}

/// End of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let it pass (this table).
    Accept,
    /// Drop it.
    Drop,
    /// Back to the caller.
    Return,
    /// Visit a chain.
    Jump(&'static str),
}

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Reads packet metadata.
    Meta(Meta, Reg),
    /// Reads connection tracking.
    Ct(Ct, Reg),
    /// Reads the network header: offset, length.
    Network(u32, u32, Reg),
    /// Reads the transport header: offset, length.
    Transport(u32, u32, Reg),
    /// Type of the destination address by the routing table.
    FibDestinationType(Reg),
    /// Type of the source address by the routing table.
    FibSourceType(Reg),
    /// `reg & mask`, in place.
    Mask(Reg, Vec<u8>),
    /// Goes on if equal.
    Equal(Reg, Vec<u8>),
    /// Goes on if not equal.
    Different(Reg, Vec<u8>),
    /// Goes on if in the set.
    In(&'static str, Reg),
    /// Goes on if not in the set.
    NotIn(&'static str, Reg),
    /// Looks up a map, goes on if found.
    Map(&'static str, Reg, Reg),
    /// Puts bytes into a register.
    Load(Reg, Vec<u8>),
    /// Destination NAT to address and port registers; true is IPv6.
    DestinationNat(bool, Reg, Reg),
    /// Source NAT to the output interface's address.
    Masquerade,
    /// Counts.
    Counter,
    /// Ends.
    Verdict(Verdict),
}

impl Expr {
    fn encode(&self, b: &mut Batch) {
        const LIST_ELEM: u16 = 1;
        b.nest(LIST_ELEM, |b| {
            b.attr_str(1, self.name());
            b.nest(2, |b| self.body(b));
        });
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Meta(..) => "meta",
            Self::Ct(..) => "ct",
            Self::Network(..) | Self::Transport(..) => "payload",
            Self::FibDestinationType(_) | Self::FibSourceType(_) => "fib",
            Self::Mask(..) => "bitwise",
            Self::Equal(..) | Self::Different(..) => "cmp",
            Self::In(..) | Self::NotIn(..) | Self::Map(..) => "lookup",
            Self::DestinationNat(..) => "nat",
            Self::Masquerade => "masq",
            Self::Counter => "counter",
            Self::Verdict(_) | Self::Load(..) => "immediate",
        }
    }

    fn body(&self, b: &mut Batch) {
        let value = |b: &mut Batch, kind, bytes: &[u8]| b.nest(kind, |b| b.attr(1, bytes));
        match self {
            Self::Meta(key, to) => pair(b, to.number(), *key as u32),
            Self::Ct(key, to) => pair(b, to.number(), *key as u32),
            Self::Network(offset, length, to) => payload(b, 1, *offset, *length, *to),
            Self::Transport(offset, length, to) => payload(b, 2, *offset, *length, *to),
            Self::FibSourceType(to) => fib(b, 1, *to),
            Self::FibDestinationType(to) => fib(b, 2, *to),
            Self::Mask(reg, mask) => {
                pair(b, reg.number(), reg.number());
                b.attr_be32(3, u32::try_from(mask.len()).unwrap_or(0));
                value(b, 4, mask);
                value(b, 5, &vec![0; mask.len()]);
            }
            Self::Equal(reg, bytes) => {
                pair(b, reg.number(), 0);
                value(b, 3, bytes);
            }
            Self::Different(reg, bytes) => {
                pair(b, reg.number(), 1);
                value(b, 3, bytes);
            }
            Self::In(set, from) => lookup(b, set, *from),
            Self::NotIn(set, from) => {
                lookup(b, set, *from);
                b.attr_be32(5, 1);
            }
            Self::Map(set, from, to) => {
                lookup(b, set, *from);
                b.attr_be32(3, to.number());
            }
            Self::Load(reg, bytes) => {
                b.attr_be32(1, reg.number());
                value(b, 2, bytes);
            }
            Self::DestinationNat(six, address, port) => {
                const DESTINATION: u32 = 1;
                pair(b, DESTINATION, if *six { TableFamily::Ip6 as u32 } else { TableFamily::Ip as u32 });
                b.attr_be32(3, address.number());
                b.attr_be32(5, port.number());
            }
            Self::Masquerade | Self::Counter => {}
            Self::Verdict(verdict) => verdict.encode(b),
        }
    }
}

fn pair(b: &mut Batch, one: u32, two: u32) {
    b.attr_be32(1, one);
    b.attr_be32(2, two);
}

/// Address type of the source (1) or destination (2).
fn fib(b: &mut Batch, which: u32, to: Reg) {
    const RESULT_ADDRTYPE: u32 = 3;
    pair(b, to.number(), RESULT_ADDRTYPE);
    b.attr_be32(3, which);
}

fn payload(b: &mut Batch, base: u32, offset: u32, length: u32, to: Reg) {
    pair(b, to.number(), base);
    b.attr_be32(3, offset);
    b.attr_be32(4, length);
}

fn lookup(b: &mut Batch, set: &str, from: Reg) {
    b.attr_str(1, set);
    b.attr_be32(2, from.number());
}

impl Verdict {
    fn encode(self, b: &mut Batch) {
        let (code, chain): (i32, _) = match self {
            Self::Drop => (0, None),
            Self::Accept => (1, None),
            Self::Return => (-5, None),
            Self::Jump(chain) => (-3, Some(chain)),
        };
        b.attr_be32(1, 0); // the verdict register
        b.nest(2, |b| {
            b.nest(2, |b| {
                b.attr_be32(1, code.cast_unsigned());
                if let Some(chain) = chain {
                    b.attr_str(2, chain);
                }
            });
        });
    }
}

/// A batch that takes effect whole or not at all.
#[derive(Debug)]
pub struct Transaction {
    batch: Batch,
    family: TableFamily,
    table: String,
    sets: u32,
}

fn header(family: u8, resource: u16) -> [u8; 4] {
    let [a, b] = resource.to_be_bytes();
    [family, 0, a, b]
}

impl Transaction {
    /// An empty transaction on one table.
    #[must_use]
    pub fn new(family: TableFamily, table: &str) -> Self {
        let mut batch = Batch::new();
        batch.message("beginning a firewall change", BATCH_BEGIN, 0, &header(0, SUBSYSTEM >> 8));
        Self { batch, family, table: table.to_owned(), sets: 0 }
    }

    fn begin(&mut self, what: String, kind: u16, flags: u16) {
        self.batch.message(what, kind, flags, &header(self.family as u8, 0));
        self.batch.attr_str(1, &self.table);
    }

    /// Makes the table unless it is there.
    pub fn table(&mut self) {
        let what = format!("making the firewall table {}", self.table);
        self.begin(what, NEWTABLE, F_CREATE);
    }

    /// Removes the table with all that is in it.
    pub fn delete_table(&mut self) {
        let what = format!("removing the firewall table {}", self.table);
        self.begin(what, DELTABLE, 0);
    }

    /// Makes a chain unless it is there.
    pub fn chain(&mut self, name: &str, base: Option<Base>) {
        self.begin(format!("making the firewall chain {name}"), NEWCHAIN, F_CREATE);
        self.batch.attr_str(3, name);
        if let Some(base) = base {
            self.batch.nest(4, |b| pair(b, base.hook as u32, base.priority.cast_unsigned()));
            self.batch.attr_be32(5, 1);
            self.batch.attr_str(7, base.kind);
        }
    }

    /// Removes all rules of a chain.
    pub fn flush_chain(&mut self, name: &str) {
        self.begin(format!("emptying the firewall chain {name}"), DELRULE, 0);
        self.batch.attr_str(2, name);
    }

    /// Adds a rule at the end of a chain, or at its head.
    pub fn rule(&mut self, chain: &str, rule: &[Expr], comment: &str, at_head: bool) {
        let flags = if at_head { F_CREATE } else { F_CREATE | F_APPEND };
        self.begin(format!("adding a rule to the firewall chain {chain}"), NEWRULE, flags);
        self.batch.attr_str(2, chain);
        self.batch.nest(4, |b| rule.iter().for_each(|e| e.encode(b)));
        if !comment.is_empty() {
            self.batch.attr(7, &comment_data(comment));
        }
    }

    /// Removes one rule.
    pub fn delete_rule(&mut self, chain: &str, handle: u64) {
        self.begin(format!("removing a rule from the firewall chain {chain}"), DELRULE, 0);
        self.batch.attr_str(2, chain);
        self.batch.attr(3, &handle.to_be_bytes());
    }

    /// Makes a set or map unless it is there.
    pub fn set(&mut self, set: &Set) {
        const MAP: u32 = 8;
        const TIMEOUT: u32 = 0x10;
        const HOST_ORDER: u8 = 1;
        /// How often the kernel looks for expired elements, in milliseconds; its default is every second.
        const COLLECT: u32 = 30_000;
        self.sets += 1;
        let id = self.sets;
        self.begin(format!("making the firewall set {}", set.name), NEWSET, F_CREATE);
        let b = &mut self.batch;
        b.attr_str(2, set.name);
        let map = if set.data.is_empty() { 0 } else { MAP };
        b.attr_be32(3, if set.timed { map | TIMEOUT } else { map });
        let (number, length) = Type::of(set.key);
        b.attr_be32(4, number);
        b.attr_be32(5, length);
        if !set.data.is_empty() {
            let (number, length) = Type::of(set.data);
            b.attr_be32(6, number);
            b.attr_be32(7, length);
        }
        b.attr_be32(10, id);
        if set.timed {
            b.attr_be32(12, COLLECT);
        }
        if set.key == [Type::Interface] {
            // nft's note to itself that the key is a text in host order, without which it lists "".
            b.attr(13, &[0, 4, HOST_ORDER, 0, 0, 0]);
        }
    }

    /// Adds elements; one that is there with the same data stays.
    pub fn add(&mut self, set: &Set, elements: &[Element]) {
        self.elements(NEWSETELEM, F_CREATE, set, elements, set.timed.then_some(FOR_EVER));
    }

    /// Removes elements by key; all must be there.
    pub fn remove(&mut self, set: &Set, elements: &[Element]) {
        self.elements(DELSETELEM, 0, set, elements, None);
    }

    /// Lets elements of a timed set expire at once (Linux 6.12; older kernels ignore it). Unlike a removal this
    /// leaves the kernel nothing to destroy after a grace period, for which whoever next closes a netfilter socket
    /// would wait (8 to 60 ms), and everyone else who changes the firewall with him. Fails if an element has
    /// other data; one that is missing is made, and expires.
    pub fn expire(&mut self, set: &Set, elements: &[Element]) {
        self.elements(NEWSETELEM, F_CREATE, set, elements, Some(1));
    }

    fn elements(&mut self, kind: u16, flags: u16, set: &Set, elements: &[Element], timeout: Option<u64>) {
        // One message holds at most 64 KiB of elements; 200 stay far below.
        for some in elements.chunks(200) {
            self.begin(format!("changing the firewall set {}", set.name), kind, flags);
            self.batch.attr_str(2, set.name);
            self.batch.nest(3, |b| some.iter().for_each(|e| element(b, e, kind == NEWSETELEM, timeout)));
        }
    }

    /// Sends it.
    ///
    /// # Errors
    /// The first refused message; then nothing was changed.
    pub fn commit(mut self, socket: &mut Socket) -> Result<(), Error> {
        if self.batch.len() <= 1 {
            return Ok(());
        }
        self.batch.want_ack();
        self.batch.message("ending a firewall change", BATCH_END, 0, &header(0, SUBSYSTEM >> 8));
        socket.run(self.batch).map(drop)
    }
}

/// Life time of an element that shall stay, in milliseconds: ten years. It must have one to be given another.
const FOR_EVER: u64 = 3650 * 86_400 * 1000;

fn element(b: &mut Batch, e: &Element, new: bool, timeout: Option<u64>) {
    b.nest(1, |b| {
        b.nest(1, |b| b.attr(1, &e.key));
        if !new {
            return;
        }
        if !e.data.is_empty() {
            b.nest(2, |b| b.attr(1, &e.data));
        }
        if let Some(milliseconds) = timeout {
            b.attr(4, &milliseconds.to_be_bytes());
        }
        if !e.comment.is_empty() {
            b.attr(6, &comment_data(&e.comment));
        }
    });
}

/// A comment as nft stores it: type, length, text with a zero.
fn comment_data(comment: &str) -> Vec<u8> {
    const COMMENT: u8 = 0;
    let text = &comment.as_bytes()[..comment.len().min(120)];
    let mut v = vec![COMMENT, u8::try_from(text.len() + 1).unwrap_or(u8::MAX)];
    v.extend_from_slice(text);
    v.push(0);
    v
}

fn comment_of(data: &[u8]) -> String {
    match data {
        [0, length, rest @ ..] => rest.get(..usize::from(*length)).map(text_of).unwrap_or_default(),
        _ => String::new(),
    }
}

/// All elements of a set; none if the set or its table is missing.
///
/// # Errors
/// The kernel's answer.
pub fn elements(
    socket: &mut Socket,
    family: TableFamily,
    table: &str,
    set: &str,
) -> Result<Vec<Element>, Error> {
    let mut batch = Batch::new();
    let what = format!("listing the firewall set {set}");
    batch.message(what, GETSETELEM, F_DUMP, &header(family as u8, 0));
    batch.attr_str(1, table);
    batch.attr_str(2, set);
    let replies = match socket.run(batch) {
        Err(e) if e.errno() == libc::ENOENT => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for reply in &replies {
        let body = reply.body.get(4..).unwrap_or(&[]);
        for (_, list) in attributes(body).filter(|(k, _)| *k == 3) {
            found.extend(attributes(list).filter(|(k, _)| *k == 1).map(|(_, e)| parse_element(e)));
        }
    }
    Ok(found)
}

fn parse_element(attrs: &[u8]) -> Element {
    let mut e = Element { key: Vec::new(), data: Vec::new(), comment: String::new() };
    let value = |v| attributes(v).find(|(k, _)| *k == 1).map(|(_, v)| v.to_vec()).unwrap_or_default();
    for (kind, v) in attributes(attrs) {
        match kind {
            1 => e.key = value(v),
            2 => e.data = value(v),
            6 => e.comment = comment_of(v),
            _ => {}
        }
    }
    e
}

/// A foreign base chain's policy (`Some(true)` is drop), or `None` if there is no such chain. A chain that is
/// no base chain has policy accept.
///
/// # Errors
/// The kernel's answer, but for "no such table or chain".
pub fn chain_drops(
    socket: &mut Socket,
    family: TableFamily,
    table: &str,
    chain: &str,
) -> Result<Option<bool>, Error> {
    let mut batch = Batch::new();
    let what = format!("looking at the firewall chain {chain}");
    batch.message(what, GETCHAIN, F_ACK, &header(family as u8, 0));
    batch.attr_str(1, table);
    batch.attr_str(3, chain);
    let replies = match socket.run(batch) {
        Err(e) if e.errno() == libc::ENOENT => return Ok(None),
        other => other?,
    };
    let Some(reply) = replies.first() else { return Ok(None) };
    let policy = attributes(reply.body.get(4..).unwrap_or(&[])).find(|(k, _)| *k == 5);
    Ok(Some(policy.is_some_and(|(_, v)| v == 0_u32.to_be_bytes())))
}

/// A rule of a foreign chain: its handle and comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHandle {
    /// Handle.
    pub handle: u64,
    /// Comment.
    pub comment: String,
}

/// The rules of a chain; none if it is missing.
///
/// # Errors
/// The kernel's answer.
pub fn rules(
    socket: &mut Socket,
    family: TableFamily,
    table: &str,
    chain: &str,
) -> Result<Vec<RuleHandle>, Error> {
    let mut batch = Batch::new();
    batch.message(format!("listing the firewall chain {chain}"), GETRULE, F_DUMP, &header(family as u8, 0));
    batch.attr_str(1, table);
    batch.attr_str(2, chain);
    let replies = match socket.run(batch) {
        Err(e) if e.errno() == libc::ENOENT => return Ok(Vec::new()),
        other => other?,
    };
    let parse = |reply: &Reply| {
        let (mut handle, mut comment) = (None, String::new());
        for (kind, v) in attributes(reply.body.get(4..)?) {
            match kind {
                3 => handle = v.try_into().ok().map(u64::from_be_bytes),
                7 => comment = comment_of(v),
                _ => {}
            }
        }
        Some(RuleHandle { handle: handle?, comment })
    };
    Ok(replies.iter().filter_map(parse).collect())
}

/// Whether [`Transaction::expire`] works here.
#[must_use]
pub fn can_expire() -> bool {
    super::probe::kernel_at_least(6, 12)
}

/// Opens an nfnetlink socket here.
///
/// # Errors
/// The failed call.
pub fn open() -> Result<Socket, Error> {
    Socket::open(Family::Netfilter)
}

/// Opens a socket that hears of changes of the ruleset.
///
/// # Errors
/// The failed call.
pub fn subscribe() -> Result<Socket, Error> {
    let socket = open()?;
    socket.join(GROUP_NFTABLES)?;
    Ok(socket)
}

/// Whether an event is more than a change of elements or of the generation number.
#[must_use]
pub fn is_structural(event: &Reply) -> bool {
    !matches!(event.kind, NEWSETELEM | DELSETELEM | NEWGEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concatenated_types_have_nft_numbers_and_padded_lengths() {
        assert_eq!(Type::of(&[Type::Interface]), (41, 16));
        assert_eq!(Type::of(&[Type::Protocol, Type::Ipv4, Type::Port]), ((12 << 6 | 7) << 6 | 13, 12));
        assert_eq!(Type::of(&[Type::Ipv6, Type::Port]), (8 << 6 | 13, 20));
    }

    #[test]
    fn comments_survive_the_way() {
        assert_eq!(comment_of(&comment_data("rcon 0123456789ab")), "rcon 0123456789ab");
        assert_eq!(comment_of(&[]), "");
        assert_eq!(comment_of(&[0, 200, 1]), "");
    }
}
