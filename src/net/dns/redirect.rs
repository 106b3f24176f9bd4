//! In the container's namespace: 127.0.0.11:53 leads to the responder's own ports.

use std::os::fd::BorrowedFd;

use super::super::Error;
use super::super::hosts::EMBEDDED;
use crate::sys::netlink::{Family, Socket};
use crate::sys::nft::{Base, Expr, Hook, Meta, Reg, TableFamily, Transaction, field};

const DNS: u16 = 53;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Makes the rules; they end with the namespace.
pub(super) fn install(netns: BorrowedFd<'_>, udp: u16, tcp: u16) -> Result<(), Error> {
    let base = Base { kind: "nat", hook: Hook::Output, priority: -100 };
    let mut t = Transaction::new(TableFamily::Ip, "rcon-dns");
    t.table();
    t.chain("output", Some(base));
    for (protocol, port) in [(UDP, udp), (TCP, tcp)] {
        t.rule("output", &rule(protocol, port), "", false);
    }
    Ok(t.commit(&mut Socket::open_in(netns, Family::Netfilter)?)?)
}

fn rule(protocol: u8, port: u16) -> [Expr; 9] {
    let (r, address, to) = (Reg(0), Reg(1), Reg(2));
    [
        Expr::Network(16, 4, r),
        Expr::Equal(r, EMBEDDED.octets().to_vec()),
        Expr::Meta(Meta::TransportProtocol, r),
        Expr::Equal(r, vec![protocol]),
        Expr::Transport(2, 2, r),
        Expr::Equal(r, DNS.to_be_bytes().to_vec()),
        Expr::Load(address, EMBEDDED.octets().to_vec()),
        Expr::Load(to, field(&port.to_be_bytes())),
        Expr::DestinationNat(false, address, to),
    ]
}
