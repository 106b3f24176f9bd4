//! Connection tracking by netlink: forgetting flows to a port. Without that a UDP client that goes on sending
//! from the same port keeps its old, untranslated or dead destination for as long as it sends.

use super::netlink::{Batch, Error, F_ACK, F_DUMP, Socket, attributes};

const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
const TUPLE_ORIG: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const PROTO_NUM: u16 = 1;
const PROTO_DST_PORT: u16 = 3;
const FILTER: u16 = 25;
const FILTER_ORIG_FLAGS: u16 = 1;
const FILTER_REPLY_FLAGS: u16 = 2;
/// Match on the protocol's number and on the destination port.
const BY_PROTOCOL_AND_PORT: u32 = 1 << 3 | 1 << 5;

/// Forgets all flows of `protocol` whose original destination port is `port`; returns their number.
///
/// # Errors
/// The kernel's answer.
pub fn forget(socket: &mut Socket, six: bool, protocol: u8, port: u16) -> Result<usize, Error> {
    let family = if six { libc::AF_INET6 } else { libc::AF_INET } as u8;
    let header = [family, 0, 0, 0];
    let mut batch = Batch::new();
    batch.message("listing tracked connections", GET, F_DUMP, &header);
    // The kernel filters since 5.8; before that it ignores the filter, and what follows still does it.
    batch.nest(TUPLE_ORIG, |b| {
        b.nest(TUPLE_PROTO, |b| {
            b.attr(PROTO_NUM, &[protocol]);
            b.attr(PROTO_DST_PORT, &port.to_be_bytes());
        });
    });
    batch.nest(FILTER, |b| {
        b.attr_u32(FILTER_ORIG_FLAGS, BY_PROTOCOL_AND_PORT);
        b.attr_u32(FILTER_REPLY_FLAGS, 0);
    });
    let replies = socket.run(batch)?;
    let mut batch = Batch::new();
    for reply in &replies {
        let attrs = reply.body.get(4..).unwrap_or(&[]);
        let Some((_, tuple)) = attributes(attrs).find(|(k, _)| *k == TUPLE_ORIG) else { continue };
        if matches(tuple, protocol, port) {
            batch.message("forgetting a tracked connection", DELETE, F_ACK, &header);
            batch.optional(); // it may have ended by itself
            batch.nest(TUPLE_ORIG, |b| b.raw(tuple));
        }
    }
    let count = batch.len();
    if count > 0 {
        socket.run(batch)?;
    }
    Ok(count)
}

fn matches(tuple: &[u8], protocol: u8, port: u16) -> bool {
    let Some((_, proto)) = attributes(tuple).find(|(k, _)| *k == TUPLE_PROTO) else { return false };
    let value = |kind| attributes(proto).find(|(k, _)| *k == kind).map(|(_, v)| v);
    value(PROTO_NUM) == Some(&[protocol]) && value(PROTO_DST_PORT) == Some(&port.to_be_bytes())
}
