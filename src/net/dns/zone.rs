//! What a query means here: answered from the names of containers, refused, or to be forwarded. Pure.

use std::net::IpAddr;

use super::wire::{Code, Query, Record, kind, reverse_address};

/// Where names come from: implemented over the lease directories by the monitor (`storage::leases`).
pub trait Zone {
    /// Addresses of `name` (lower case, no trailing dot) on this container's networks.
    fn lookup(&self, name: &str) -> Vec<IpAddr>;
    /// Names of `address` on this container's networks, best first.
    fn reverse(&self, address: IpAddr) -> Vec<String>;
}

/// Podman's domain of containers, which nobody outside has.
const DOMAIN: &str = ".dns.podman";

/// What to do with a query.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Send this.
    Answer(Code, Vec<Record>),
    /// Ask a server of the host.
    Forward,
}

/// Decides. A name that a container has is never asked for outside, not even for a type that it lacks: the
/// answer "no such record" must not depend on who else has that name. Only the exact name counts, so that a
/// container `mail` does not answer for `mail.example.org` (R12).
pub(super) fn decide(query: &Query, zone: &dyn Zone) -> Decision {
    const INTERNET: u16 = 1;
    if query.operation != 0 {
        return Decision::Answer(Code::NotImplemented, Vec::new());
    }
    if query.class != INTERNET {
        return Decision::Answer(Code::Refused, Vec::new());
    }
    if query.name == "localhost" || query.name.ends_with(".localhost") {
        let all = [IpAddr::from([127, 0, 0, 1]), IpAddr::V6(1.into())];
        return Decision::Answer(Code::Ok, of_kind(query.kind, &all));
    }
    if query.kind == kind::PTR {
        let names = reverse_address(&query.name).map(|ip| zone.reverse(ip)).unwrap_or_default();
        return match names.is_empty() {
            true => Decision::Forward,
            false => Decision::Answer(Code::Ok, names.into_iter().map(Record::Name).collect()),
        };
    }
    let own = query.name.strip_suffix(DOMAIN);
    let mut addresses = zone.lookup(own.unwrap_or(&query.name));
    if addresses.is_empty() {
        return if own.is_some() { Decision::Answer(Code::NoName, Vec::new()) } else { Decision::Forward };
    }
    // Several containers behind one alias take turns.
    let turn = usize::from(query.id) % addresses.len();
    addresses.rotate_left(turn);
    Decision::Answer(Code::Ok, of_kind(query.kind, &addresses))
}

fn of_kind(wanted: u16, addresses: &[IpAddr]) -> Vec<Record> {
    let fits = |ip: &IpAddr| match wanted {
        kind::A => ip.is_ipv4(),
        kind::AAAA => ip.is_ipv6(),
        kind::ANY => true,
        _ => false,
    };
    addresses.iter().copied().filter(fits).map(Record::Address).collect()
}

#[cfg(test)]
mod tests {
    use super::super::wire::tests::query;
    use super::*;

    struct Two;

    impl Zone for Two {
        fn lookup(&self, name: &str) -> Vec<IpAddr> {
            match name {
                "web" => vec![IpAddr::from([10, 89, 0, 2]), IpAddr::from([10, 89, 0, 3])],
                _ => Vec::new(),
            }
        }
        fn reverse(&self, address: IpAddr) -> Vec<String> {
            if address == IpAddr::from([10, 89, 0, 2]) { vec!["web.n1".to_owned()] } else { Vec::new() }
        }
    }

    fn ask(id: u16, name: &str, kind: u16) -> Decision {
        decide(&Query::parse(&query(id, name, kind, None)).expect("a query"), &Two)
    }

    #[test]
    fn names_of_containers_are_answered_here_only() {
        let one = Record::Address(IpAddr::from([10, 89, 0, 2]));
        let two = Record::Address(IpAddr::from([10, 89, 0, 3]));
        assert_eq!(ask(0, "WEB", kind::A), Decision::Answer(Code::Ok, vec![one.clone(), two.clone()]));
        assert_eq!(ask(1, "web", kind::A), Decision::Answer(Code::Ok, vec![two, one]));
        assert_eq!(ask(0, "web", kind::AAAA), Decision::Answer(Code::Ok, Vec::new()));
        assert_eq!(ask(0, "web", 15), Decision::Answer(Code::Ok, Vec::new()));
        assert_eq!(ask(0, "web.example.org", kind::A), Decision::Forward);
        assert_eq!(ask(0, "other", kind::A), Decision::Forward);
        // In podman's domain there are containers alone.
        assert!(
            matches!(ask(0, "web.dns.podman", kind::A), Decision::Answer(Code::Ok, all) if all.len() == 2)
        );
        assert_eq!(ask(0, "other.dns.podman", kind::A), Decision::Answer(Code::NoName, Vec::new()));
    }

    #[test]
    fn addresses_of_containers_have_names() {
        let name = Record::Name("web.n1".to_owned());
        assert_eq!(ask(0, "2.0.89.10.in-addr.arpa", kind::PTR), Decision::Answer(Code::Ok, vec![name]));
        assert_eq!(ask(0, "9.9.9.9.in-addr.arpa", kind::PTR), Decision::Forward);
    }

    #[test]
    fn localhost_is_here_and_other_operations_are_not() {
        let Decision::Answer(Code::Ok, records) = ask(0, "localhost", kind::A) else { panic!("an answer") };
        assert_eq!(records, [Record::Address(IpAddr::from([127, 0, 0, 1]))]);
        let mut bytes = query(0, "web", kind::A, None);
        bytes[2] = 0x28;
        let update = Query::parse(&bytes).expect("readable");
        assert_eq!(decide(&update, &Two), Decision::Answer(Code::NotImplemented, Vec::new()));
    }
}
