//! Reading and writing DNS messages, hostile ones too.

use proptest::prelude::*;

use super::*;

/// A query for `name`.
pub(in crate::net::dns) fn query(id: u16, name: &str, kind: u16, edns: Option<u16>) -> Vec<u8> {
    let mut q = id.to_be_bytes().to_vec();
    q.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())]);
    q.extend_from_slice(&write_name(name));
    q.extend_from_slice(&kind.to_be_bytes());
    q.extend_from_slice(&[0, 1]);
    if let Some(size) = edns {
        q.extend_from_slice(&[0, 0, 41]);
        q.extend_from_slice(&size.to_be_bytes());
        q.extend_from_slice(&[0; 6]);
    }
    q
}

#[test]
fn a_query_is_read() {
    let q = Query::parse(&query(7, "Web.Example", kind::A, Some(4096))).expect("a query");
    assert_eq!((q.id, q.name.as_str(), q.kind, q.class), (7, "web.example", kind::A, 1));
    assert!(q.recursion);
    assert_eq!(q.udp_size, 1232);
    assert_eq!(Query::parse(&query(7, "web", kind::A, None)).expect("a query").udp_size, 512);
}

#[test]
fn an_answer_has_the_question_and_the_records() {
    let q = Query::parse(&query(7, "web", kind::A, None)).expect("a query");
    let a = q.answer(Code::Ok, &[Record::Address(IpAddr::from([10, 88, 0, 2]))], true);
    let expected = [
        0, 7, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 3, b'w', b'e', b'b', 0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1,
        0, 0, 0, 0, 0, 4, 10, 88, 0, 2,
    ];
    assert_eq!(a, expected);
    assert!(answers(&a, 7, &q.question) && !answers(&a, 8, &q.question));
}

#[test]
fn too_many_records_are_cut_and_marked() {
    let q = Query::parse(&query(7, "web", kind::A, None)).expect("a query");
    let many: Vec<_> = (0..100).map(|i| Record::Address(IpAddr::from([10, 88, 0, i]))).collect();
    let a = q.answer(Code::Ok, &many, true);
    assert!(a.len() <= 512 && a[2] & 2 != 0, "{} {:x}", a.len(), a[2]);
    assert_eq!(usize::from(a[7]), (a.len() - 21) / 16);
    let a = q.answer(Code::Ok, &many, false);
    assert_eq!((a[7], a[2] & 2), (100, 0));
}

#[test]
fn names_that_are_no_names() {
    // A pointer to itself, a pointer forwards, a label that runs out, reserved lengths.
    let base = query(1, "a", kind::A, None);
    for name in [&[0xc0, 12][..], &[0xc0, 40], &[63, 1, 2], &[0x80], &[1]] {
        let mut bytes = base[..HEADER].to_vec();
        bytes.extend_from_slice(name);
        assert!(Query::parse(&bytes).is_err(), "{name:?}");
    }
    let mut long = base[..HEADER].to_vec();
    for _ in 0..5 {
        long.push(63);
        long.extend_from_slice(&[b'x'; 63]);
    }
    long.extend_from_slice(&[0, 0, 1, 0, 1]);
    assert_eq!(Query::parse(&long), Err(Bad::Format(1)));
    // A dot inside a label is not a separator.
    let mut dotted = base[..HEADER].to_vec();
    dotted.extend_from_slice(&[3, b'a', b'.', b'b', 0, 0, 1, 0, 1]);
    assert_eq!(Query::parse(&dotted).expect("a query").name, "a\\046b");
    assert_eq!(Query::parse(&[0; 11]), Err(Bad::Ignore));
    assert_eq!(Query::parse(&[0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]), Err(Bad::Ignore));
}

#[test]
fn reverse_names() {
    let is = |name: &str, ip: &str| assert_eq!(reverse_address(name), ip.parse().ok(), "{name}");
    is("2.0.88.10.in-addr.arpa", "10.88.0.2");
    is("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", "fd00::1");
    is("0.88.10.in-addr.arpa", "");
    is("1.2.3.4.5.in-addr.arpa", "");
    is("256.0.0.1.in-addr.arpa", "");
    is("web", "");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(q) = Query::parse(&bytes) {
            let a = q.answer(Code::NoName, &[Record::Name("x.y".to_owned())], true);
            prop_assert!(a.len() <= MAX_MESSAGE);
            prop_assert!(answers(&a, q.id, &q.question));
        }
        prop_assert!(!answers(&bytes, 0, &bytes) || bytes.len() > 3);
    }

    #[test]
    fn names_come_back(name in "[a-z0-9_-]{1,20}(\\.[a-z0-9_-]{1,20}){0,5}") {
        let q = Query::parse(&query(3, &name, kind::AAAA, None)).expect("a query");
        prop_assert_eq!(q.name, name);
    }
}
