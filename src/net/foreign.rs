//! Other people's firewalls: where the host drops forwarded packets by default (docker, ufw and firewalld do),
//! our accepting them is not enough, because every base chain must. Then two rules per bridge stand at the head
//! of that chain, tagged with a comment so that they can be found and taken away. What may pass is still decided
//! by our own table: these rules only say that the other chain has no objection.
//!
//! Rules of the old xtables interface (iptables-legacy) are out of reach of nf_tables; docs/networking.md tells
//! what to do there.

use super::Error;
use crate::sys::netlink::Socket;
use crate::sys::nft::{self, Expr, Meta, Reg, TableFamily, Transaction, Verdict, interface};

/// A chain of others that may drop what is forwarded.
#[derive(Debug, Clone, Copy)]
struct Place {
    family: TableFamily,
    table: &'static str,
    chain: &'static str,
    /// Only if the chain's policy is drop; else whenever it exists.
    by_policy: bool,
}

/// iptables' own FORWARD chain, and firewalld's, which ends with a reject.
const PLACES: [Place; 3] = [
    Place { family: TableFamily::Ip, table: "filter", chain: "FORWARD", by_policy: true },
    Place { family: TableFamily::Ip6, table: "filter", chain: "FORWARD", by_policy: true },
    Place { family: TableFamily::Inet, table: "firewalld", chain: "filter_FORWARD", by_policy: false },
];

fn tag(bridge: &str) -> String {
    format!("rcon {bridge}")
}

/// Makes sure that packets of `bridge` pass the chains of others.
pub(super) fn allow(socket: &mut Socket, bridge: &str) -> Result<(), Error> {
    for place in PLACES {
        let Some(drops) = nft::chain_drops(socket, place.family, place.table, place.chain)? else { continue };
        if place.by_policy && !drops {
            continue;
        }
        let there = nft::rules(socket, place.family, place.table, place.chain)?;
        if there.iter().filter(|r| r.comment == tag(bridge)).count() >= 2 {
            continue;
        }
        let mut t = Transaction::new(place.family, place.table);
        for direction in [Meta::InputName, Meta::OutputName] {
            // The form that iptables itself writes, so that `iptables -S` can show it.
            let rule = [
                Expr::Meta(direction, Reg(0)),
                Expr::Equal(Reg(0), interface(bridge)),
                Expr::Counter,
                Expr::Verdict(Verdict::Accept),
            ];
            t.rule(place.chain, &rule, &tag(bridge), true);
        }
        t.commit(socket)?;
    }
    Ok(())
}

/// Takes those rules away.
pub(super) fn disallow(socket: &mut Socket, bridge: &str) -> Result<(), Error> {
    for place in PLACES {
        let mut t = Transaction::new(place.family, place.table);
        for rule in nft::rules(socket, place.family, place.table, place.chain)? {
            if rule.comment == tag(bridge) {
                t.delete_rule(place.chain, rule.handle);
            }
        }
        t.commit(socket)?;
    }
    Ok(())
}
