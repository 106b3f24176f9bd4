//! Sends the desired rules and elements to the kernel. The usual case is one small transaction of elements;
//! the whole table is written when it turns out to be missing.

use super::Error;
use super::firewall::{self, MAPS, SETS, TABLE, USER_CHAIN};
use crate::sys::netlink::Socket;
use crate::sys::nft::{self, Element, Set, TableFamily, Transaction};

const ENOENT: i32 = 2;
const EEXIST: i32 = 17;

/// Elements with the sets that they are in.
pub(super) type Elements = Vec<(Set, Element)>;

fn begin() -> Transaction {
    Transaction::new(TableFamily::Inet, TABLE)
}

/// One message for each set, in the order of [`SETS`].
fn by_set(elements: &Elements) -> impl Iterator<Item = (&'static str, Vec<Element>)> {
    SETS.iter().filter_map(|set| {
        let some: Vec<_> =
            elements.iter().filter(|(s, _)| s.name == set.name).map(|(_, e)| e.clone()).collect();
        (!some.is_empty()).then_some((set.name, some))
    })
}

/// Makes sure that `elements` are in force, and the rules that they need.
pub(super) fn add(socket: &mut Socket, elements: &Elements) -> Result<(), Error> {
    let mut transaction = begin();
    by_set(elements).for_each(|(set, some)| transaction.add(set, &some));
    match transaction.commit(socket) {
        Err(e) if e.errno() == ENOENT => write_table(socket, elements),
        Err(e) if e.errno() == EEXIST => replace(socket, elements),
        other => Ok(other?),
    }
}

/// The whole table: idempotent, keeps the elements of others and the administrator's chain.
fn write_table(socket: &mut Socket, elements: &Elements) -> Result<(), Error> {
    match table(false, elements).commit(socket) {
        // An older layout stands in the way. The elements of others come back by their monitors, which see
        // the table go.
        Err(e) if e.errno() == EEXIST => Ok(table(true, elements).commit(socket)?),
        other => Ok(other?),
    }
}

fn table(anew: bool, elements: &Elements) -> Transaction {
    let mut t = begin();
    if anew {
        t.delete_table();
    }
    t.table();
    SETS.iter().for_each(|set| t.set(set));
    t.chain(USER_CHAIN, None);
    for chain in firewall::chains() {
        t.chain(chain.name, chain.base);
        t.flush_chain(chain.name);
        chain.rules.iter().for_each(|rule| t.rule(chain.name, rule, "", false));
    }
    by_set(elements).for_each(|(set, some)| t.add(set, &some));
    t
}

/// A port still leads to a dead container: the port is leased and reserved for this one, so its element goes.
fn replace(socket: &mut Socket, elements: &Elements) -> Result<(), Error> {
    let mut t = begin();
    for (set, some) in by_set(elements) {
        let there = nft::elements(socket, TableFamily::Inet, TABLE, set)?;
        let stale: Vec<_> = there.into_iter().filter(|e| some.iter().any(|s| s.key == e.key)).collect();
        if !stale.is_empty() {
            t.remove(set, &stale);
        }
        t.add(set, &some);
    }
    Ok(t.commit(socket)?)
}

/// Removes elements; those that are gone already are no error.
pub(super) fn remove(socket: &mut Socket, elements: &Elements) -> Result<(), Error> {
    let mut t = begin();
    by_set(elements).for_each(|(set, some)| t.remove(set, &some));
    match t.commit(socket) {
        Err(e) if e.errno() == ENOENT => {
            remove_where(socket, |set, e| {
                elements.iter().any(|(s, w)| s.name == set.name && w.key == e.key && w.comment == e.comment)
            })?;
            Ok(())
        }
        other => Ok(other?),
    }
}

/// Removes every element that `unwanted` picks; returns their number.
pub(super) fn remove_where(
    socket: &mut Socket,
    unwanted: impl Fn(&Set, &Element) -> bool,
) -> Result<usize, Error> {
    let mut t = begin();
    let mut count = 0;
    for set in &SETS {
        let there = nft::elements(socket, TableFamily::Inet, TABLE, set.name)?;
        let some: Vec<_> = there.into_iter().filter(|e| unwanted(set, e)).collect();
        if !some.is_empty() {
            count += some.len();
            t.remove(set.name, &some);
        }
    }
    t.commit(socket)?;
    Ok(count)
}

/// Removes what carries the tag of a container; returns the number of elements.
pub(super) fn remove_tagged(socket: &mut Socket, tag: &str) -> Result<usize, Error> {
    remove_where(socket, |set, e| MAPS.iter().any(|m| m.name == set.name) && e.comment == tag)
}
