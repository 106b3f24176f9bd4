//! Sends the desired rules and elements to the kernel. The usual case is one small transaction of elements;
//! the whole table is written when it turns out to be missing.

use super::Error;
use super::firewall::{self, MAPS, SETS, TABLE, USER_CHAIN};
use crate::sys::netlink::{self, Socket};
use crate::sys::nft::{self, Element, Set, TableFamily, Transaction};

const ENOENT: i32 = 2;
const EEXIST: i32 = 17;

/// Elements with the sets that they are in.
pub(super) type Elements = Vec<(Set, Element)>;

fn begin() -> Transaction {
    Transaction::new(TableFamily::Inet, TABLE)
}

/// One message for each set, in the order of [`SETS`].
fn by_set(elements: &Elements) -> impl Iterator<Item = (&'static Set, Vec<Element>)> {
    SETS.iter().filter_map(|set| {
        let some: Vec<_> =
            elements.iter().filter(|(s, _)| s.name == set.name).map(|(_, e)| e.clone()).collect();
        (!some.is_empty()).then_some((set, some))
    })
}

/// Makes sure that `elements` are in force, and the rules that they need.
pub(super) fn add(socket: &mut Socket, elements: &Elements) -> Result<(), Error> {
    /// Others change the table at the same time, and elements expire between a look and a deed.
    const TRIES: usize = 5;
    let mut outcome = Ok(());
    for _ in 0..TRIES {
        let mut transaction = begin();
        by_set(elements).for_each(|(set, some)| transaction.add(set, &some));
        outcome = transaction.commit(socket);
        match outcome.as_ref().map_err(netlink::Error::errno) {
            Err(ENOENT) => write_table(socket, elements)?,
            Err(EEXIST) => clear(socket, elements)?,
            _ => break,
        }
    }
    Ok(outcome?)
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
fn clear(socket: &mut Socket, elements: &Elements) -> Result<(), Error> {
    let mut t = begin();
    for (set, some) in by_set(elements) {
        let there = nft::elements(socket, TableFamily::Inet, TABLE, set.name)?;
        let is_other = |e: &Element| some.iter().any(|s| s.key == e.key && s.data != e.data);
        let stale: Vec<_> = there.into_iter().filter(is_other).collect();
        if !stale.is_empty() {
            t.remove(set, &stale);
        }
    }
    match t.commit(socket) {
        Err(e) if e.errno() == ENOENT => Ok(()),
        other => Ok(other?),
    }
}

/// Removes elements; those that are gone already, or lead elsewhere by now, are no error.
pub(super) fn remove(socket: &mut Socket, elements: &Elements) -> Result<(), Error> {
    let mut t = begin();
    by_set(elements).for_each(|(set, some)| take_away(&mut t, set, &some));
    match t.commit(socket) {
        Err(e) if [ENOENT, EEXIST].contains(&e.errno()) => {
            let is = |set: &Set, e: &Element| elements.iter().any(|(s, w)| s.name == set.name && w == e);
            remove_where(socket, is).map(drop)
        }
        other => Ok(other?),
    }
}

fn take_away(t: &mut Transaction, set: &Set, some: &[Element]) {
    if set.timed && nft::can_expire() { t.expire(set, some) } else { t.remove(set, some) }
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
            take_away(&mut t, set, &some);
        }
    }
    t.commit(socket)?;
    Ok(count)
}

/// Removes what carries the tag of a container; returns the number of elements.
pub(super) fn remove_tagged(socket: &mut Socket, tag: &str) -> Result<usize, Error> {
    remove_where(socket, |set, e| MAPS.iter().any(|m| m.name == set.name) && e.comment == tag)
}
