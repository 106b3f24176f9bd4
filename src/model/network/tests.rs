//! Tables for the network syntaxes.

use super::*;

fn port(text: &str) -> Result<(Option<String>, Option<(u16, u16)>, (u16, u16), Protocol), String> {
    let p: PortRequest = text.parse().map_err(|e: ParseError| e.why)?;
    Ok((p.host_ip.map(|ip| ip.to_string()), p.host, p.container, p.protocol))
}

#[test]
fn published_ports() {
    use Protocol::{Tcp, Udp};
    let ip = |s: &str| Some(s.to_owned());
    for (text, want) in [
        ("80", (None, None, (80, 80), Tcp)),
        ("80/udp", (None, None, (80, 80), Udp)),
        ("8080:80", (None, Some((8080, 8080)), (80, 80), Tcp)),
        ("0:80", (None, None, (80, 80), Tcp)),
        (":80", (None, None, (80, 80), Tcp)),
        ("127.0.0.1:8080:80", (ip("127.0.0.1"), Some((8080, 8080)), (80, 80), Tcp)),
        ("127.0.0.1::80", (ip("127.0.0.1"), None, (80, 80), Tcp)),
        ("[::1]:8080:80/UDP", (ip("::1"), Some((8080, 8080)), (80, 80), Udp)),
        ("::1:8080:80", (ip("::1"), Some((8080, 8080)), (80, 80), Tcp)),
        ("8000-8005:9000-9005", (None, Some((8000, 8005)), (9000, 9005), Tcp)),
        ("8000-8005:80", (None, Some((8000, 8005)), (80, 80), Tcp)),
        ("published=8080,target=80,protocol=udp", (None, Some((8080, 8080)), (80, 80), Udp)),
    ] {
        assert_eq!(port(text), Ok(want), "{text}");
    }
    for text in [
        "",
        "abc",
        "80:abc",
        "abc:80",
        "80:",
        "0",
        "70000:80",
        "8000-8002:80-85",
        "90-80:1-2",
        "80/foo",
        "1.2.3:80:80",
        "[::1]80:80",
        "target=",
        "published=1",
    ] {
        assert!(port(text).is_err(), "{text}");
    }
}

#[test]
fn ports_print_what_parses_back() {
    for text in ["80/tcp", "8080:80/udp", "127.0.0.1::80/tcp", "[::1]:1-2:3-4/tcp"] {
        assert_eq!(text.parse::<PortRequest>().map(|p| p.to_string()), Ok(text.to_owned()));
    }
}

#[test]
fn exposed_ports() {
    assert_eq!(parse_expose("80"), Ok((80, 80, Protocol::Tcp)));
    assert_eq!(parse_expose("80-90/udp"), Ok((80, 90, Protocol::Udp)));
    for text in ["", "a", "0", "90-80", "80/x", "80:80"] {
        assert!(parse_expose(text).is_err(), "{text}");
    }
}

#[test]
fn extra_hosts() {
    let pairs = |text: &str| parse_extra_host(text).map_err(|e| e.why);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(pairs("a:1.2.3.4"), Ok(vec![pair("a", "1.2.3.4")]));
    assert_eq!(pairs("a=::1"), Ok(vec![pair("a", "::1")]));
    assert_eq!(pairs("a:[::1]"), Ok(vec![pair("a", "::1")]));
    assert_eq!(pairs("a;b:1.2.3.4"), Ok(vec![pair("a", "1.2.3.4"), pair("b", "1.2.3.4")]));
    assert_eq!(pairs("a:host-gateway"), Ok(vec![pair("a", "host-gateway")]));
    for text in ["", "a", "a:", ":1.2.3.4", "a:b"] {
        assert!(pairs(text).is_err(), "{text}");
    }
}

fn mode(values: &[&str]) -> Result<Option<NetworkMode>, ParseError> {
    let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
    NetworkMode::from_values(&values)
}

#[test]
fn networks() {
    assert_eq!(mode(&[]), Ok(None));
    assert_eq!(mode(&["host"]), Ok(Some(NetworkMode::Host)));
    assert_eq!(mode(&["none"]), Ok(Some(NetworkMode::None)));
    assert_eq!(mode(&["container:a"]), Ok(Some(NetworkMode::Container("a".to_owned()))));
    assert_eq!(mode(&["ns:/p"]), Ok(Some(NetworkMode::Path("/p".to_owned()))));
    let Ok(Some(NetworkMode::Networks(two))) = mode(&["a", "name=b,alias=x,alias=y,ip=10.0.0.2"]) else {
        panic!("two networks")
    };
    assert_eq!(two[0].network, "a");
    assert_eq!((two[1].network.as_str(), two[1].aliases.len()), ("b", 2));
    let Ok(Some(NetworkMode::Networks(one))) =
        mode(&["bridge:ip=10.1.2.3,mac=92:D0:c6:0a:29:33,interface_name=x"])
    else {
        panic!("one network")
    };
    assert_eq!(one[0].mac.as_deref(), Some("92:d0:c6:0a:29:33"));
    assert_eq!(one[0].interface.as_deref(), Some("x"));
    for bad in [
        &["host", "a"][..],
        &["host", "none"],
        &["container:"],
        &["a:foo=1"],
        &["a:ip=x"],
        &["alias=x"],
        &["a:mac=1"],
        &["host:x=y"],
    ] {
        assert!(mode(bad).is_err(), "{bad:?}");
    }
}
